export * from "./view/state-view.ts";

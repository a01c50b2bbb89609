export * from "./pipeline/interfaces.ts";

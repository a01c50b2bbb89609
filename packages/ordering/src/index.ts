export * from "./engine/interfaces.ts";

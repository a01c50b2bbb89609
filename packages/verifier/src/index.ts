export * from "./fork/judge-fork.ts";
export * from "./light/compare-witness.ts";
export * from "./light/light-client.ts";
export * from "./report.ts";
export * from "./verify-file.ts";

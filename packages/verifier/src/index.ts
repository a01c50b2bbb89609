export * from "./report.ts";
export * from "./verify-file.ts";

export * from "./payload/call.ts";

export { checkApplication } from "./applications/app-call.ts";
export {
  createNeedleEngine,
  NEEDLE_ENGINE,
  type NeedleEngine,
  type NeedleEngineOptions,
  type TableReadAccess,
} from "./engine/engine.ts";
export { CONTRACT_CODES, type ContractCode } from "./engine/outcomes.ts";
export { EVENT_CHARS_MAX, EVENTS_MAX } from "./host/run-context.ts";
export * from "./payload/call.ts";

export {
  type Evidence,
  LAN_TIMEOUTS,
  MUTATIONS,
  type Mutation,
  type Timeouts,
} from "./core/events.ts";
export { createBuiltinEngine } from "./driver/engine.ts";
export {
  type BuiltinEngineOptions,
  DEFAULT_TUNING,
  type EngineEvent,
  type EngineTuning,
} from "./driver/runtime.ts";
export * from "./engine/interfaces.ts";
export { createFixedPolicy, createRota, ROTA_TURNS_MAX } from "./policy/fixed.ts";
export { applyUpdates, faultyWeightMax, isResilient, makeResilient } from "./quorum/quorum.ts";
export { createSigningState, openSigner, type SignerOptions } from "./signer/signer.ts";
export { removeWal } from "./wal/wal.ts";
export { bodyFromBytes, hashLastCert, type SignatureCheck } from "./wire/bodies.ts";
export {
  channelOf,
  decodeMessage,
  encodeMessage,
  proposeMessage,
  type WireMessage,
} from "./wire/messages.ts";

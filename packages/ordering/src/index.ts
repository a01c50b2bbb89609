export {
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
export * from "./evidence/evidence.ts";
export {
  createDpoaPolicy,
  DPOA_PARAMS,
  type DpoaParams,
  dpoaParamsFromIbax,
  type IbaxParams,
} from "./policy/dpoa.ts";
export { type DpoaMember, type DpoaState, decodeDpoaState } from "./policy/dpoa-state.ts";
export { createFixedPolicy, createRota, ROTA_TURNS_MAX } from "./policy/fixed.ts";
export type { ParamRange, PolicyParams } from "./policy/policy-params.ts";
export { presentMembers } from "./quorum/presence.ts";
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

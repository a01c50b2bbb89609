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
  TokenBuckets,
} from "./driver/runtime.ts";
export * from "./engine/interfaces.ts";
export * from "./evidence/evidence.ts";
export { createPolicy } from "./policy/create-policy.ts";
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
export {
  createPosrPolicy,
  createPosrState,
  maintenanceRefusal,
  PRESENCE_HEIGHTS,
  readPosrParams,
  stepPosr,
} from "./policy/posr.ts";
export { type Explained, explainPosr } from "./policy/posr-explain.ts";
export { POSR_PARAMS, type PosrParams, SLOTS } from "./policy/posr-params.ts";
export { assignProbers, availabilityOf, positivesNeeded } from "./policy/posr-probes.ts";
export { capWeights, nextStanding, scoreOf, shareMaxPpm } from "./policy/posr-score.ts";
export {
  decodePosrState,
  encodePosrState,
  NEW_ACCOUNT,
  type PosrAccount,
  type PosrState,
} from "./policy/posr-state.ts";
export { listDuties, momentOf, type ProbeDuty } from "./probing/probe-duties.ts";
export {
  decodeProbeMessage,
  encodeProbeMessage,
  isProbeMessage,
  type ProbeAnswer,
  type ProbeMessage,
  probeAnswerMessage,
  probeMomentMessage,
} from "./probing/probe-messages.ts";
export {
  ANSWER_MS_MAX,
  type EpochObservations,
  type Observation,
  type ProbeEvent,
  Prober,
  type ProberOptions,
  type ProbingFacts,
  TIP_LAG_MAX,
} from "./probing/prober.ts";
export { presentMembers } from "./quorum/presence.ts";
export { applyUpdates, faultyWeightMax, isResilient, makeResilient } from "./quorum/quorum.ts";
export * from "./recovery/recovery-document.ts";
export { createSigningState, openSigner, type SignerOptions } from "./signer/signer.ts";
export {
  CHAIN_SETS_MAX,
  type ChainTrust,
  type ChainVerdict,
  type HeaderChain,
  verifyHeaderChain,
} from "./sync/header-chain.ts";
export {
  type ChunkPlace,
  SnapshotFetch,
  type SnapshotFetchEvent,
  type SnapshotFetchOptions,
} from "./sync/snapshot-fetch.ts";
export {
  CHUNK_BYTES,
  CHUNKS_MAX,
  chunkSize,
  decodeSnapshotContent,
  decodeSnapshotManifest,
  encodeSnapshotContent,
  encodeSnapshotManifest,
  isChunk,
  type SnapshotContent,
  type SnapshotManifest,
  snapshotIdOf,
  verifySnapshotManifest,
} from "./sync/snapshot-manifest.ts";
export {
  decodeSnapshotMessage,
  encodeSnapshotMessage,
  isSnapshotMessage,
  type SnapshotMessage,
  type SnapshotOffer,
} from "./sync/snapshot-messages.ts";
export {
  SnapshotServe,
  type SnapshotServeOptions,
  type SnapshotSource,
} from "./sync/snapshot-serve.ts";
export { removeWal } from "./wal/wal.ts";
export { bodyFromBytes, hashLastCert, type SignatureCheck } from "./wire/bodies.ts";
export {
  channelOf,
  decodeMessage,
  encodeMessage,
  proposeMessage,
  type WireMessage,
} from "./wire/messages.ts";

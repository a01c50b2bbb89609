export {
  type ArgumentReader,
  type ArgumentSpec,
  type Arguments,
  bytes,
  optional,
  publicKey,
  readArguments,
  text,
  texts,
} from "./engine/arguments.ts";
export {
  type ActionContext,
  createNativeEngine,
  defineAction,
  encodeNativeCall,
  NATIVE_ENGINE,
  type NativeAction,
  type NativeModule,
  type NativeQuery,
  type PlainValue,
  toPlainJson,
} from "./engine/native-engine.ts";
export { createGovernanceModule } from "./governance/governance-module.ts";
export { createGovernanceRule, seedGovernance } from "./governance/governance-rule.ts";
export { orderingSchedule } from "./governance/ordering-schedule.ts";
export {
  BLOCK_BYTES_CEILING,
  PROPOSAL_FIELDS,
  PROPOSAL_KINDS,
  type ProposalKind,
} from "./governance/proposal-content.ts";
export { readinessMessage } from "./governance/readiness.ts";
export { recoveryAuthority } from "./governance/recovery-record.ts";
export { type Rules, readRules } from "./governance/rules.ts";
export { GOVERNANCE_KV } from "./governance/tables.ts";
export { newestSet, type SetFrom, validatorSetAt } from "./governance/validator-sets.ts";
export { proposalsWaitingFor } from "./governance/wanted-readiness.ts";
export {
  createNotesModule,
  NOTE_BYTES_MAX,
  NOTE_KEY_MAX,
  NOTES_NAMESPACE,
  noteKey,
} from "./notes/notes-module.ts";
export { createPresenceModule } from "./presence/presence-module.ts";
export { readProbing } from "./presence/probing-facts.ts";
export { createRegistryModule } from "./registry/registry-module.ts";

export {
  type Accepted,
  type AdmissionLimits,
  DEFAULT_ADMISSION_LIMITS,
  type Unavailable,
} from "./admission/admission.ts";
export { ADMISSION_CODES } from "./admission/refusals.ts";
export { RETRY_AFTER_MAX, RETRY_AFTER_MIN } from "./admission/retry-after.ts";
export { createNativeCodec } from "./codec/native-codec.ts";
export type { ChainTip } from "./execution/chain-tip.ts";
export { OUTCOME_CODES } from "./execution/execute-block.ts";
export { BLOCK_REASONS } from "./execution/validate-block.ts";
export { DEFAULT_JOURNAL_LIMITS, type JournalLimits } from "./journal/journal.ts";
export {
  DEFAULT_MEMPOOL_LIMITS,
  type MempoolLimits,
  type MempoolStats,
} from "./mempool/mempool.ts";
export {
  type BlockFacts,
  type BlockRule,
  NO_RULE_RESULT,
  type RuleResult,
  type RulesInForce,
} from "./pipeline/block-rules.ts";
export * from "./pipeline/interfaces.ts";
export {
  createLedger,
  type IncomingResult,
  type Ledger,
  type TransactionStatus,
} from "./pipeline/ledger.ts";
export {
  DEFAULT_LEDGER_LIMITS,
  type LedgerAlarm,
  type LedgerCounter,
  type LedgerLimits,
  type LedgerLog,
  type LedgerMetrics,
  type LedgerOptions,
  type LedgerSample,
  type ResolveSender,
} from "./pipeline/ledger-options.ts";
export type { PublishedBlock, PublishedTransaction, Subscription } from "./publishing/publisher.ts";
export type { LightPageRequest } from "./receipts/build-light-page.ts";
export type { ReceiptRequest } from "./receipts/build-receipt.ts";
export { type KeptProof, readKeptProof } from "./receipts/kept-proofs.ts";
export {
  BATCH_BYTES_TARGET,
  BATCH_COUNT_MAX,
  decodeTransactionBatch,
  encodeTransactionBatch,
} from "./spreading/batch.ts";
export { createMemoryLedgerStore, type MemoryLedgerStore } from "./store/memory-store.ts";

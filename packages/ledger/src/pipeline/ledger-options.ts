/** What a ledger is made of, and its bounds. */
import type { Clock, Disk } from "@hanse/ordering";
import type { GenesisDocument, Hash, PublicKey, ValidatorSet } from "@hanse/protocol";
import type { RowRef, StateChange, StateOverlay, StateView } from "@hanse/state";
import type { Unavailable } from "../admission/admission.ts";
import { type AdmissionLimits, DEFAULT_ADMISSION_LIMITS } from "../admission/admission.ts";
import { DEFAULT_JOURNAL_LIMITS, type JournalLimits } from "../journal/journal.ts";
import { DEFAULT_MEMPOOL_LIMITS, type MempoolLimits } from "../mempool/mempool.ts";
import type { BlockRule } from "./block-rules.ts";
import type {
  ContractEngine,
  DecodedTransaction,
  LedgerStore,
  Sender,
  SignatureClaim,
  TransactionCodec,
} from "./interfaces.ts";

/** Facts first, then the sentence, as pino wants it. */
export interface LedgerLog {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface LedgerMetrics {
  /** Adds to a counter. */
  count(name: LedgerCounter, by: number): void;
  /** One sample of a distribution. */
  observe(name: LedgerSample, value: number): void;
}
export type LedgerCounter =
  | "transactions_admitted"
  | "transactions_refused"
  | "transactions_committed"
  | "transactions_failed"
  | "transactions_expired"
  | "blocks_executed"
  | "blocks_refused"
  | "alarms";
export type LedgerSample =
  | "block_transactions"
  | "block_build_ms"
  | "block_validate_ms"
  | "block_execute_ms"
  | "block_apply_ms"
  | "block_commit_ms"
  | "block_fuel";

/** Something that a person must look at; the ledger stops when `fatal`. */
export interface LedgerAlarm {
  readonly kind: "divergence" | "engine" | "storage" | "journal" | "block";
  readonly fatal: boolean;
  readonly message: string;
  readonly facts: object;
}

export interface LedgerLimits {
  readonly mempool: MempoolLimits;
  readonly admission: AdmissionLimits;
  readonly journal: JournalLimits;
  /** Most transactions in a block that this node drafts. */
  readonly blockTransactionsTarget: number;
  /** Milliseconds that drafting a block may take. */
  readonly buildTimeMs: number;
  /** How far a block's time may lie ahead of our clock, milliseconds. */
  readonly clockSkewMsMax: number;
  /** Blocks executed and not yet durable; execution waits beyond. */
  readonly commitLagMax: number;
  /** Fingerprints of committed ids in memory, 8 bytes each at 30 to 60 % load. */
  readonly committedIdsMax: number;
  /** Good signature verdicts remembered, two generations of this many. */
  readonly verdictsMax: number;
  /** Calls of waitFor under way. */
  readonly waitersMax: number;
  readonly subscriptionsMax: number;
  /** Ids of expired transactions whose status is still told. */
  readonly expiredIdsMax: number;
  /** Pause between two batches to other nodes, milliseconds. */
  readonly spreadIntervalMs: number;
  /** Local transactions that wait longer are sent again, milliseconds. */
  readonly respreadMs: number;
  /** Bytes of a batch from another node. */
  readonly incomingBatchBytesMax: number;
  /** Transactions of one other node that are on their way in; the rest of a batch is dropped. */
  readonly incomingPerPeerMax: number;
}

export const DEFAULT_LEDGER_LIMITS: LedgerLimits = {
  mempool: DEFAULT_MEMPOOL_LIMITS,
  admission: DEFAULT_ADMISSION_LIMITS,
  journal: DEFAULT_JOURNAL_LIMITS,
  blockTransactionsTarget: 5_000,
  buildTimeMs: 50,
  clockSkewMsMax: 10_000,
  commitLagMax: 4,
  committedIdsMax: 2_000_000,
  verdictsMax: 32_768,
  waitersMax: 100_000,
  subscriptionsMax: 1_024,
  expiredIdsMax: 16_384,
  spreadIntervalMs: 4,
  respreadMs: 5_000,
  incomingBatchBytesMax: 4 * 1024 * 1024,
  incomingPerPeerMax: 5_000,
};

export type ResolveSender = (view: StateView, key: PublicKey, keyHash: Hash) => Sender;

export interface LedgerOptions {
  readonly genesis: GenesisDocument;
  readonly store: LedgerStore;
  readonly engines: readonly ContractEngine[];
  readonly codecs: readonly TransactionCodec[];
  /**
   * Who stands behind a key; `keyHash` = `accountIdOf(key)`.
   * @throws HanseError of kind `denied` when nobody known and active does.
   */
  readonly resolveSender: ResolveSender;
  /** Rows that `resolveSender` will read, to be loaded for many transactions at once. */
  readonly senderRows?: (transaction: DecodedTransaction) => readonly RowRef[];
  /** Writes the state of height 0; called once in the life of the ledger on this node. */
  readonly seed: (overlay: StateOverlay) => void;
  /** What happens after the transactions of every block; without it the limits are the genesis's. */
  readonly rule?: BlockRule;
  /** One verdict for each claim, in order. */
  readonly verifyBatch: (claims: readonly SignatureClaim[]) => Promise<readonly boolean[]>;
  readonly clock: Clock;
  /** Folder of the journal of accepted transactions. */
  readonly journal: Disk;
  readonly log: LedgerLog;
  readonly metrics?: LedgerMetrics;
  readonly onAlarm?: (alarm: LedgerAlarm) => void;
  /** A block is durable, with what it changed; heights in order. */
  readonly onChanges?: (height: number, changes: readonly StateChange[]) => void;
  /** Why nothing should be accepted now, as the ordering engine sees it. */
  readonly unavailable?: () => Unavailable | undefined;
  /** The validators in force at a height, for receipts; without it those of the genesis. */
  readonly validatorSetAt?: (height: number) => ValidatorSet | undefined;
  /** Parts of limits; the rest stands at `DEFAULT_LEDGER_LIMITS`. */
  readonly limits?: {
    readonly [K in keyof LedgerLimits]?: LedgerLimits[K] extends number
      ? number
      : Partial<LedgerLimits[K]>;
  };
}

/** With a single organization there is nobody to share the pool with. */
export function resolveLimits(options: LedgerOptions): LedgerLimits {
  const given = options.limits ?? {};
  const organizationShare =
    options.genesis.organizations.length > 1 ? DEFAULT_MEMPOOL_LIMITS.organizationShare : 1;
  return {
    ...DEFAULT_LEDGER_LIMITS,
    ...given,
    mempool: { ...DEFAULT_LEDGER_LIMITS.mempool, organizationShare, ...given.mempool },
    admission: { ...DEFAULT_LEDGER_LIMITS.admission, ...given.admission },
    journal: { ...DEFAULT_LEDGER_LIMITS.journal, ...given.journal },
  };
}

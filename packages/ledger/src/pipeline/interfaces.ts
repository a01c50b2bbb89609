/** The joints of one ledger: transaction forms, contract engines, storage. */
import type { AppInfo, DecidedBlock, ExecutionResult } from "@hanse/ordering";
import type {
  Block,
  Bytes,
  FinalityProof,
  ForeignViewHash,
  Hash,
  LedgerParams,
  Outcome,
  PublicKey,
  StateKey,
  StateProof,
} from "@hanse/protocol";
import type {
  ColumnValue,
  CommittedState,
  RowKey,
  RowRef,
  StateChange,
  StateOverlay,
  StateView,
} from "@hanse/state";

export type { LedgerEvent, Outcome } from "@hanse/protocol";

/** A signature that must hold before a transaction may enter a block. */
export interface SignatureClaim {
  readonly key: PublicKey;
  readonly message: Bytes;
  readonly signature: Bytes;
}

/** A transaction as its form's codec reads it: everything admission needs, no state. */
export interface DecodedTransaction {
  readonly id: Hash;
  /** Form byte. */
  readonly form: number;
  readonly bytes: Bytes;
  readonly ledgerId: Hash;
  /** Account id of the sender (hash of its public key). */
  readonly sender: Hash;
  readonly senderKey: PublicKey;
  readonly claims: readonly SignatureClaim[];
  /** Milliseconds since 1970. */
  readonly validUntil: number;
  /** Which contract engine runs it. */
  readonly engine: string;
  readonly payload: Bytes;
}

/** One per transaction form; stateless. */
export interface TransactionCodec {
  readonly form: number;
  /** @throws HanseError with kind `malformed`. */
  decode(bytes: Bytes): DecodedTransaction;
}

/** Who stands behind a transaction: an account of the registry (packages/identity). */
export interface Sender {
  /** 32 bytes. */
  readonly accountId: Hash;
  /** The account's signed 64-bit number, `$key_id` in Needle. */
  readonly keyId: bigint;
  readonly name: string;
  readonly org: string;
  readonly roles: readonly string[];
}

/** The block a transaction runs in. Time and randomness come from here alone. */
export interface BlockContext {
  readonly ledgerId: Hash;
  readonly height: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly parentHash: Hash;
  readonly proposer: string;
  readonly params: LedgerParams;
}

export interface TransactionContext {
  readonly block: BlockContext;
  readonly transaction: DecodedTransaction;
  /** Place in the block. */
  readonly index: number;
  readonly sender: Sender;
  readonly state: StateOverlay;
}

/** Executes one kind of transaction. Pure: state, time and randomness come from the context. */
export interface ContractEngine {
  readonly kind: string;
  /**
   * Stateful check at admission; never changes state.
   * @throws HanseError with a stable code when the transaction cannot succeed as it is.
   */
  check(transaction: DecodedTransaction, sender: Sender, state: StateView): void;
  /**
   * Runs it. A contract failure is an Outcome with another code than `ok`, never an exception; the
   * pipeline undoes its changes. Exceptions mean a bug and stop the node.
   */
  apply(context: TransactionContext): Outcome;
  /** Rows the transaction will surely read, to be loaded for a whole block at once. */
  touches?(transaction: DecodedTransaction): readonly RowRef[];
  /** A foreign view of an executed block; its hash is part of the results root. */
  view?(block: ExecutedBlock): Bytes;
  /** Read-only call at the committed state: a function or contract by name, JSON in and out. */
  query?(
    name: string,
    input: unknown,
    caller: Sender | undefined,
    state: StateView,
    block: BlockContext,
  ): unknown;
}

export interface ExecutedBlock {
  readonly block: Block;
  readonly hash: Hash;
  readonly transactions: readonly DecodedTransaction[];
  readonly outcomes: readonly Outcome[];
}

/** Everything one block changes, as storage writes it in one database transaction. */
export interface BlockCommit {
  readonly decided: DecidedBlock;
  readonly executed: ExecutedBlock;
  readonly result: ExecutionResult;
  readonly changes: readonly StateChange[];
  /** Foreign views of the block, in the order of the ledger's engines; their hashes are under the results root. */
  readonly views: readonly ForeignView[];
}

/** What a contract engine's `view` made of a block; hash = SHA-256 of the bytes. */
export interface ForeignView extends ForeignViewHash {
  readonly bytes: Bytes;
}

/** Block 0: the state that the genesis document seeds, before any block. */
export interface GenesisCommit {
  readonly ledgerId: Hash;
  /** The encoded genesis document. */
  readonly genesis: Bytes;
  /** State root after the seed: `prevStateRoot` of the header at height 1. */
  readonly stateRoot: Hash;
  readonly changes: readonly StateChange[];
}

/** A final block as storage keeps it. */
export interface StoredBlock {
  readonly height: number;
  readonly hash: Hash;
  readonly bytes: Bytes;
  /** As `encodeFinalityProof` makes it; empty while the block is not proven. */
  readonly certificate: Bytes;
}

export interface StoredTransaction {
  readonly id: Hash;
  readonly height: number;
  readonly index: number;
  readonly outcome: Outcome;
}

/** One recorded change of a row: who, which transaction, before and after. */
export interface HistoryEntry {
  readonly height: number;
  readonly index: number;
  readonly transactionId: Hash;
  readonly sender: Hash;
  readonly before: readonly ColumnValue[] | undefined;
  readonly after: readonly ColumnValue[] | undefined;
}

/** Reads of what is durable, for doors, peers that catch up, and auditors. */
export interface LedgerReads {
  block(height: number): Promise<StoredBlock | undefined>;
  /** Lowest block that is kept; a store that keeps all of them leaves it out. */
  readonly lowest?: number;
  /** What stays of a block that is no longer kept, where it hands over to another validator set. */
  header?(
    height: number,
  ): Promise<{ readonly header: Bytes; readonly certificate: Bytes } | undefined>;
  /** Height of a transaction whose block is no longer kept, as far as that can be told. */
  prunedHeight?(id: Hash): Promise<number | undefined>;
  /** Blocks from..to inclusive, as many as fit into bytesMax (at least one when there is one). */
  blocks(from: number, to: number, bytesMax: number): Promise<readonly StoredBlock[]>;
  /** Outcomes of a block in order. */
  outcomes(height: number): Promise<readonly Outcome[]>;
  transaction(id: Hash): Promise<StoredTransaction | undefined>;
  /** Hashes of the foreign views of a block; a store of a ledger without such engines leaves it out. */
  views?(height: number): Promise<readonly ForeignViewHash[]>;
  history(
    table: string,
    key: RowKey,
    page: { readonly limit: number; readonly beforeHeight?: number },
  ): Promise<readonly HistoryEntry[]>;
  /** Proofs of membership or absence, in order, against the root after `height`, the newest applied height. */
  proveState(keys: readonly StateKey[]): Promise<{
    readonly height: number;
    readonly root: Hash;
    readonly proofs: readonly StateProof[];
  }>;
}

/** What the ledger asks of a database; packages/storage implements it over PostgreSQL. */
export interface LedgerStore extends LedgerReads {
  readonly state: CommittedState;
  info(): Promise<AppInfo>;
  /**
   * Folds changes into the authenticated tree in memory and makes them visible in `state` at once;
   * returns the new root. Nothing durable.
   */
  apply(height: number, changes: readonly StateChange[]): Promise<Hash>;
  /** Durable, atomic; heights in order; resolves when the database has it. */
  commit(commit: BlockCommit): Promise<void>;
  /**
   * Durable: the proof of a block committed before, in place of an earlier one.
   * @throws HanseError `STORE_HEIGHT` or `STORAGE_HEIGHT` when the block is not committed.
   */
  saveProof(proof: FinalityProof): Promise<void>;
  /**
   * Durable, atomic, once per ledger: height 0 with the seeded state, whose changes went through
   * `apply(0, …)` before. `info()` then answers height 0 with this root, and a zero results root
   * and block hash.
   */
  commitGenesis(commit: GenesisCommit): Promise<void>;
  /**
   * Ids committed whose validUntil is at or after the time given, for duplicate checks at start:
   * the earliest validUntil first, at most `limit` of them.
   */
  recentTransactionIds(
    since: number,
    limit: number,
  ): Promise<readonly { readonly id: Hash; readonly validUntil: number }[]>;
  /** Which of these ids are committed, in one look-up; without it `transaction` is asked for each. */
  committedOf?(ids: readonly Hash[]): Promise<readonly boolean[]>;
  /**
   * Runs what only reads, for somebody outside: a read that takes too long fails that reader alone,
   * instead of stopping the store as it would within a block.
   */
  readOutside?<Result>(run: () => Result): Result;
}

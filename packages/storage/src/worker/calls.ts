/** What the executing thread asks of the database worker, and how questions travel. */
import type { Hash, StateKey, StateProof } from "@hanse/protocol";
import type { Query, RowKey, TableSchema } from "@hanse/state";
import type { BlockRow } from "./block-writer.ts";
import type { LedgerHead, OpenedTable } from "./ledger-database.ts";
import type { WireBlock, WireEntry, WireHistory } from "./ledger-reads.ts";
import type { Pruned } from "./prune-blocks.ts";

/** Every call by name: its argument and its answer. */
export interface DatabaseCalls {
  open(at: { url: string; ledgerId: Hash }): {
    readonly head: LedgerHead;
    readonly tables: readonly OpenedTable[];
    readonly backends: Readonly<Record<string, string>>;
    /** Lowest block that is kept. */
    readonly lowest: number;
  };
  apply(block: { height: number; changes: Uint8Array }): Hash;
  commit(row: BlockRow): void;
  /** False when there is no such block. */
  saveProof(at: { height: number; proof: Uint8Array }): boolean;
  loadRows(changes: Uint8Array): Hash;
  loadBlocks(rows: readonly BlockRow[]): void;
  finishLoading(none: null): Hash;
  /** Name of a database snapshot of exactly this height, once it is committed. */
  holdSnapshot(height: number): string;
  releaseSnapshot(none: null): void;
  prove(keys: readonly StateKey[]): {
    readonly height: number;
    readonly root: Hash;
    readonly proofs: readonly StateProof[];
  };
  treeSize(none: null): { readonly leaves: number; readonly bytes: number };
  close(how: "drain" | "now"): void;
  /** `keys` as `encodeKeys` packs them; the answer is for `unpackRows`, as that of `find` is. */
  rows(at: { schema: TableSchema; keys: Uint8Array }): Uint8Array;
  find(at: { schema: TableSchema; query: Query }): Uint8Array;
  /** Rows for a reader from outside, on a connection of its own. */
  search(at: { schema: TableSchema; query: Query }): Uint8Array;
  count(at: { schema: TableSchema; query: Pick<Query, "where"> }): {
    readonly height: number;
    readonly count: number;
  };
  entries(
    refs: readonly { readonly namespace: string; readonly key: Uint8Array }[],
  ): readonly (WireEntry & { readonly namespace: string })[];
  range(at: {
    namespace: string;
    from: Uint8Array;
    to: Uint8Array | undefined;
    limit: number;
  }): readonly WireEntry[];
  blocks(at: { from: number; to: number; bytesMax: number }): readonly WireBlock[];
  header(
    height: number,
  ): { readonly header: Uint8Array; readonly certificate: Uint8Array } | undefined;
  prunedHeight(id: Uint8Array): number | undefined;
  prune(below: number): Pruned;
  outcomes(height: number): readonly Uint8Array[];
  outcome(at: { height: number; index: number }): Uint8Array | undefined;
  views(height: number): readonly Uint8Array[];
  places(
    ids: readonly Uint8Array[],
  ): readonly ({ readonly height: number; readonly index: number } | undefined)[];
  recentIds(at: { since: number; limit: number }): readonly {
    readonly id: Uint8Array;
    readonly validUntil: number;
  }[];
  history(at: {
    table: string;
    key: RowKey;
    schema: TableSchema;
    limit: number;
    beforeHeight: number | undefined;
  }): readonly WireHistory[];
  genesis(none: null): Uint8Array | undefined;
  verifyIntegrity(none: null): { height: number; root: Uint8Array; leaves: number };
}

export type CallName = keyof DatabaseCalls;
export type Argument<Name extends CallName> = Parameters<DatabaseCalls[Name]>[0];
export type Answer<Name extends CallName> = ReturnType<DatabaseCalls[Name]>;

export interface CallMessage {
  readonly id: number;
  readonly name: CallName;
  readonly argument: unknown;
  /** The asker's thread stands still until the answer is there. */
  readonly blocking: boolean;
  /** Asked for a reader outside, not for a block: ends early, and its ending is no failure. */
  readonly outside?: boolean;
}

export interface WireError {
  readonly code: string;
  readonly kind: string;
  readonly message: string;
  readonly details: Readonly<Record<string, string | number | boolean | undefined>>;
}

export type AnswerMessage =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: WireError };

export interface WorkerSetup {
  /** Counts answers on the blocking port; the asker waits for it to change. */
  readonly counter: SharedArrayBuffer;
}

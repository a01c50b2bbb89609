/** A ledger's database behind the joint that packages/ledger asks for. */

import type {
  BlockCommit,
  GenesisCommit,
  HistoryEntry,
  LedgerStore,
  StoredBlock,
  StoredTransaction,
} from "@hanse/ledger";
import type { AppInfo, SnapshotContent } from "@hanse/ordering";
import {
  type Bytes,
  decodeOutcome,
  encodeFinalityProof,
  type FinalityProof,
  type ForeignViewHash,
  fromUtf8,
  HanseError,
  type Hash,
  type Outcome,
  type StateKey,
  type StateProof,
  ZERO_HASH,
} from "@hanse/protocol";
import {
  type ColumnValue,
  type Query,
  type Row,
  type RowKey,
  type StateChange,
  type TableSchema,
  validateKey,
  validateValue,
} from "@hanse/state";
import { encodeChanges } from "../changes/change-record.ts";
import type { EmbeddedPostgres } from "../embedded/embedded-postgres.ts";
import { runSnapshotThread, type SnapshotThread } from "../snapshot/run-snapshot-thread.ts";
import type { BlockRow } from "../worker/block-writer.ts";
import { type LedgerHead, NO_HEIGHT } from "../worker/ledger-database.ts";
import { blockRowOf } from "./block-row.ts";
import { PostgresState } from "./committed-state.ts";
import { WorkerLink } from "./worker-link.ts";

/** Rows in the cache by default, and their bytes. */
export const CACHE_ROWS_MAX = 500_000;
export const CACHE_BYTES_MAX = 128 * 1024 * 1024;
/** Ids one `committedOf` may ask for. */
export const IDS_MAX = 10_000;

export interface LedgerStoreOptions {
  /** A server by URL, or the handle of `startEmbeddedPostgres`. */
  readonly database: { readonly url: string } | EmbeddedPostgres;
  readonly ledgerId: Hash;
  readonly cacheRowsMax?: number;
  readonly cacheBytesMax?: number;
  /** Called once when the store can no longer write: stop the node. */
  readonly onFailure?: (error: HanseError) => void;
}

export interface StoreFigures {
  readonly cachedRows: number;
  readonly cachedBytes: number;
  /** Times the executing thread stood still for the database. */
  readonly blockingReads: number;
  readonly treeLeaves: number;
  readonly treeBytes: number;
}

export class PostgresLedgerStore implements LedgerStore {
  readonly state: PostgresState;
  /** Name of the implementation that hashes the state tree, for the node's start-up log. */
  readonly backends: Readonly<Record<string, string>>;
  readonly #link: WorkerLink;
  readonly #ledgerId: Hash;
  readonly #url: string;
  /** Being written. */
  #snapshot: SnapshotThread | undefined;
  #head: LedgerHead;
  #lowest: number;
  /** Schemas that each applied height brings. */
  readonly #schemasAt = new Map<number, readonly TableSchema[]>();
  #failure: HanseError | undefined;
  readonly #onFailure: (error: HanseError) => void;

  constructor(parts: {
    readonly link: WorkerLink;
    readonly state: PostgresState;
    readonly head: LedgerHead;
    readonly ledgerId: Hash;
    readonly url: string;
    readonly lowest: number;
    readonly backends: Readonly<Record<string, string>>;
    readonly onFailure: (error: HanseError) => void;
  }) {
    this.#url = parts.url;
    this.#lowest = parts.lowest;
    this.#link = parts.link;
    this.state = parts.state;
    this.#head = parts.head;
    this.#ledgerId = parts.ledgerId;
    this.backends = parts.backends;
    this.#onFailure = parts.onFailure;
  }

  async info(): Promise<AppInfo> {
    const { height, stateRoot, resultsRoot, blockHash } = this.#head;
    return { height: Math.max(0, height), stateRoot, resultsRoot, blockHash };
  }

  async apply(height: number, changes: readonly StateChange[]): Promise<Hash> {
    this.#refuseAfterFailure();
    if (height !== this.state.applied + 1) {
      throw new HanseError(
        "STORAGE_HEIGHT",
        "conflict",
        `height ${height} cannot follow height ${this.state.applied}`,
        { details: { height, applied: this.state.applied } },
      );
    }
    for (const change of changes) {
      if (change.kind === "row" && change.after !== undefined && change.after.height !== height) {
        throw new HanseError(
          "STORAGE_HEIGHT",
          "malformed",
          `${change.table}: a row changed at height ${height} says ${change.after.height}`,
        );
      }
    }
    const packed = encodeChanges(changes);
    this.state.apply(height, changes);
    const schemas = new Map<string, TableSchema>();
    for (const change of changes) {
      if (change.kind === "schema") schemas.set(change.table, change.after);
    }
    this.#schemasAt.set(height, [...schemas.values()]);
    try {
      return await this.#link.call("apply", { height, changes: packed }, [
        packed.buffer as ArrayBuffer,
      ]);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async commit(commit: BlockCommit): Promise<void> {
    await this.#commit(blockRowOf(commit));
  }

  async saveProof(proof: FinalityProof): Promise<void> {
    const { height } = proof.header;
    const isThere = await this.#link.call("saveProof", {
      height,
      proof: encodeFinalityProof(proof),
    });
    if (!isThere) {
      throw new HanseError("STORAGE_HEIGHT", "notFound", `block ${height} is not committed here`);
    }
  }

  async commitGenesis({ ledgerId, genesis, stateRoot }: GenesisCommit): Promise<void> {
    for (let i = 0; i < 32; i++) {
      if (ledgerId[i] !== this.#ledgerId[i]) {
        throw new HanseError("STORAGE_LEDGER", "conflict", "the genesis is of another ledger");
      }
    }
    const none = new Uint8Array(0);
    await this.#commit({
      height: 0,
      hash: ZERO_HASH,
      time: 0,
      validUntilMax: 0,
      transactions: 0,
      ids: none,
      senders: none,
      validUntil: none,
      block: none,
      certificate: none,
      outcomes: none,
      views: none,
      stateRoot,
      resultsRoot: ZERO_HASH,
      genesis,
    });
  }

  async #commit(row: BlockRow): Promise<void> {
    this.#refuseAfterFailure();
    const { height, stateRoot, resultsRoot, hash } = row;
    try {
      await this.#link.call("commit", row);
    } catch (error) {
      throw this.#fail(error);
    }
    this.#head = { height, stateRoot, resultsRoot, blockHash: hash };
    this.state.settle(height, this.#schemasAt.get(height) ?? []);
    this.#schemasAt.delete(height);
  }

  #refuseAfterFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The first failure to write is the last word: what is in memory may be ahead of the database. */
  #fail(error: unknown): HanseError {
    const failure =
      error instanceof HanseError
        ? error
        : new HanseError("STORAGE_WORKER", "corrupt", String(error), { cause: error });
    // Wrong order of calls changes nothing and is the caller's to mend.
    const isMisuse = failure.code === "STORAGE_HEIGHT" || failure.code === "STORAGE_PENDING";
    if (!isMisuse) this.#onFailure(failure);
    return failure;
  }

  /** From now on nothing is written, for this reason. */
  stopWriting(reason: HanseError): void {
    this.#failure ??= reason;
  }

  /** What stopped the store from writing, if anything did. Reads may go on. */
  get failure(): HanseError | undefined {
    return this.#failure;
  }

  async block(height: number): Promise<StoredBlock | undefined> {
    const blocks = await this.#link.call("blocks", { from: height, to: height, bytesMax: 0 });
    return blocks[0];
  }

  blocks(from: number, to: number, bytesMax: number): Promise<readonly StoredBlock[]> {
    return this.#link.call("blocks", { from, to, bytesMax });
  }

  header(height: number) {
    return this.#link.call("header", height);
  }

  prunedHeight(id: Hash): Promise<number | undefined> {
    return this.#link.call("prunedHeight", id);
  }

  get lowest(): number {
    return this.#lowest;
  }

  /**
   * Removes up to 256 blocks below a height; fewer or none where a start or the check of duplicates
   * needs them. Headers that hand over to another validator set stay.
   * @returns how many went; `lowest` says what is left.
   */
  async prune(below: number): Promise<number> {
    this.#refuseAfterFailure();
    const { lowest, removed } = await this.#link.call("prune", below);
    this.#lowest = lowest;
    return removed;
  }

  async outcomes(height: number): Promise<readonly Outcome[]> {
    return (await this.#link.call("outcomes", height)).map(decodeOutcome);
  }

  async views(height: number): Promise<readonly ForeignViewHash[]> {
    const parts = await this.#link.call("views", height);
    const views: ForeignViewHash[] = [];
    for (let i = 0; i + 2 < parts.length; i += 3) {
      views.push({ engine: fromUtf8(parts[i]!), hash: parts[i + 1]! });
    }
    return views;
  }

  /** The bytes of one engine's foreign view of a block. */
  async foreignView(height: number, engine: string): Promise<Bytes | undefined> {
    const parts = await this.#link.call("views", height);
    for (let i = 0; i + 2 < parts.length; i += 3) {
      if (fromUtf8(parts[i]!) === engine) return parts[i + 2];
    }
    return undefined;
  }

  async transaction(id: Hash): Promise<StoredTransaction | undefined> {
    const [place] = await this.#link.call("places", [id]);
    if (place === undefined) return undefined;
    const outcome = await this.#link.call("outcome", place);
    if (outcome === undefined) {
      throw new HanseError("STORAGE_CORRUPT", "corrupt", `no outcome at height ${place.height}`);
    }
    return { id, ...place, outcome: decodeOutcome(outcome) };
  }

  async committedOf(ids: readonly Hash[]): Promise<readonly boolean[]> {
    if (ids.length > IDS_MAX) {
      throw new HanseError("STORAGE_IDS", "tooLarge", `ask for at most ${IDS_MAX} ids at once`);
    }
    if (ids.length === 0) return [];
    const places = await this.#link.call("places", ids);
    return places.map((place) => place !== undefined);
  }

  recentTransactionIds(since: number, limit: number) {
    return this.#link.call("recentIds", { since, limit });
  }

  /** Durable rows for a reader from outside; the executing thread goes on meanwhile. */
  search(query: Query): Promise<readonly Row[]> {
    return this.state.search(query);
  }

  /** As `PostgresState.readOutside`. */
  readOutside<Result>(run: () => Result): Result {
    return this.state.readOutside(run);
  }

  async history(
    table: string,
    key: RowKey,
    page: { readonly limit: number; readonly beforeHeight?: number },
  ): Promise<readonly HistoryEntry[]> {
    const schema = this.state.schema(table);
    if (schema === undefined) {
      throw new HanseError("STATE_NO_TABLE", "notFound", `there is no table ${table}`);
    }
    validateKey(table, schema.columns[0]!, key);
    return await this.#link.call("history", {
      table,
      key,
      schema,
      limit: page.limit,
      beforeHeight: page.beforeHeight,
    });
  }

  proveState(keys: readonly StateKey[]): Promise<{
    readonly height: number;
    readonly root: Hash;
    readonly proofs: readonly StateProof[];
  }> {
    return this.#link.call("prove", keys);
  }

  /** The encoded genesis document that was committed. */
  genesis(): Promise<Bytes | undefined> {
    return this.#link.call("genesis", null);
  }

  /**
   * Builds the tree anew from all tables and compares its root with the committed one. Takes about
   * ten seconds for a million rows; the node may go on meanwhile.
   * @throws HanseError `STORAGE_CORRUPT`
   */
  verifyIntegrity(): Promise<{
    readonly height: number;
    readonly root: Hash;
    readonly leaves: number;
  }> {
    return this.#link.call("verifyIntegrity", null);
  }

  /**
   * Adds rows without a block, so without history and with height 0: for benchmarks. `info()` then
   * answers the new root, which the header of the next block states. Only for the one node of a
   * ledger: others that did not load the same rows at the same height diverge with that header.
   * @param batches each some thousand rows, values in the order of the table's columns.
   * @throws HanseError `STATE_VALUE`, `STORAGE_HEIGHT`; a failure in between leaves a store that
   * refuses to open, to be emptied.
   */
  async loadRows(
    table: string,
    batches:
      | Iterable<readonly (readonly ColumnValue[])[]>
      | AsyncIterable<readonly (readonly ColumnValue[])[]>,
  ): Promise<Hash> {
    this.#refuseAfterFailure();
    const schema = this.state.schema(table);
    if (schema === undefined) {
      throw new HanseError("STATE_NO_TABLE", "notFound", `there is no table ${table}`);
    }
    let under: Promise<unknown> = Promise.resolve();
    for await (const batch of batches) {
      let highest = 0n;
      const changes = batch.map((values): StateChange => {
        const key = validateKey(table, schema.columns[0]!, values[0]);
        for (const [i, column] of schema.columns.entries()) {
          validateValue(table, column, values[i] ?? null);
        }
        if (typeof key === "bigint" && key > highest) highest = key;
        return {
          kind: "row",
          table,
          key,
          before: undefined,
          after: { values, height: 0 },
          index: 0,
        };
      });
      const packed = encodeChanges(changes);
      await under;
      under = this.#link.call("loadRows", packed, [packed.buffer as ArrayBuffer]);
      this.state.loaded(table, highest);
    }
    try {
      await under;
      const stateRoot = await this.#link.call("finishLoading", null);
      this.#head = { ...this.#head, stateRoot };
      return stateRoot;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /**
   * Adds blocks that change nothing, many in one database transaction: for benchmarks that need a
   * long history. @param isLast the tree is stored, so that a start need not read all of them.
   * @throws HanseError `STORAGE_HEIGHT`; see `loadRows` for failures.
   */
  async loadBlocks(blocks: readonly BlockCommit[], isLast: boolean): Promise<void> {
    this.#refuseAfterFailure();
    const rows = blocks.map(blockRowOf);
    try {
      await this.#link.call("loadBlocks", rows);
      if (isLast) await this.#link.call("finishLoading", null);
    } catch (error) {
      throw this.#fail(error);
    }
    for (const { height, resultsRoot, hash } of rows) {
      this.state.apply(height, []);
      this.state.settle(height, []);
      this.#head = { ...this.#head, height, resultsRoot, blockHash: hash };
    }
  }

  /**
   * Writes the state after `height`, which lies ahead, into `<folder>/<height>`, in a thread of its
   * own while the ledger goes on. One at a time.
   * @throws HanseError `STORAGE_SNAPSHOT`, `STORAGE_CLOSED` when the store closes before.
   */
  async writeSnapshot(at: {
    readonly height: number;
    readonly folder: string;
  }): Promise<SnapshotContent> {
    const databaseSnapshot = await this.#link.call("holdSnapshot", at.height);
    try {
      this.#snapshot = runSnapshotThread({
        ...at,
        url: this.#url,
        ledgerId: this.#ledgerId,
        databaseSnapshot,
      });
      return await this.#snapshot.done;
    } finally {
      this.#snapshot = undefined;
      await this.#link.call("releaseSnapshot", null).catch(() => {});
    }
  }

  async figures(): Promise<StoreFigures> {
    const { leaves, bytes } = await this.#link.call("treeSize", null);
    return {
      cachedRows: this.state.cacheSize.rows,
      cachedBytes: this.state.cacheSize.bytes,
      blockingReads: this.state.blockingReads,
      treeLeaves: leaves,
      treeBytes: bytes,
    };
  }

  /** `drain` writes the state tree, so that the next start is fast; commits under way are awaited. */
  async close(how: "drain" | "now" = "drain"): Promise<void> {
    await this.#snapshot?.cancel();
    await this.#link.end(how);
  }
}

/**
 * Opens a ledger's database, making its tables at the first time.
 * @throws HanseError `STORAGE_LEDGER_IN_USE`, `STORAGE_LAYOUT`, `STORAGE_CORRUPT`, `STORAGE_CONNECTION`.
 */
export async function openLedgerStore(options: LedgerStoreOptions): Promise<PostgresLedgerStore> {
  let failed: HanseError | undefined;
  let store: PostgresLedgerStore | undefined;
  const onFailure = (error: HanseError) => {
    if (failed !== undefined) return;
    failed = error;
    store?.stopWriting(error);
    options.onFailure?.(error);
  };
  const link = new WorkerLink((error) => {
    if (error.code !== "STORAGE_CLOSED") onFailure(error);
  });
  try {
    const { head, tables, backends, lowest } = await link.call("open", {
      url: options.database.url,
      ledgerId: options.ledgerId,
    });
    const state = new PostgresState(
      link,
      { height: head.height, tables },
      {
        rowsMax: options.cacheRowsMax ?? CACHE_ROWS_MAX,
        bytesMax: options.cacheBytesMax ?? CACHE_BYTES_MAX,
      },
      onFailure,
    );
    store = new PostgresLedgerStore({
      link,
      state,
      head: head.height === NO_HEIGHT ? { ...head, stateRoot: ZERO_HASH } : head,
      ledgerId: options.ledgerId,
      url: options.database.url,
      lowest,
      backends,
      onFailure,
    });
    return store;
  } catch (error) {
    await link.end("now").catch(() => {});
    throw failed ?? error;
  }
}

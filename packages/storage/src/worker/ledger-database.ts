/** One ledger's database: opened, checked, folded, committed. Runs in the database worker. */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import {
  equalBytes,
  HanseError,
  type Hash,
  type StateKey,
  type StateProof,
  stateKeyHash,
  toHex,
} from "@hanse/protocol";
import { leavesOf, netChanges, type StateChange, type TableSchema } from "@hanse/state";
import { decodeChanges } from "../changes/change-record.ts";
import { decodeBytea, quoteName } from "../rows/column-codec.ts";
import {
  createHeaderTable,
  createLedgerTables,
  LAYOUT,
  ledgerSchemaName,
} from "../schema/ledger-tables.ts";
import { type BlockRow, BlockWriter, type PreparedBlock } from "./block-writer.ts";
import { HeldSnapshot } from "./held-snapshot.ts";
import { lockLedger } from "./ledger-lock.ts";
import { SqlClient, storageError } from "./sql-client.ts";
import { TreeSegments } from "./tree-segments.ts";

/** Height of a ledger whose genesis is not committed yet. */
export const NO_HEIGHT = -1;
/** Height of a ledger while a snapshot is being loaded. */
export const LOADING_HEIGHT = -2;
/** Blocks folded but not yet committed, at most. */
export const PENDING_BLOCKS_MAX = 16;
/** About 2 MB at a time: a start must not leave a larger process behind than the tree needs. */
const SEGMENTS_PER_READ = 256;
const BLOCKS_PER_REPLAY = 16;

export function compress(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return bytes;
  return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
}

export function decompress(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? bytes : zstdDecompressSync(bytes);
}

/** Makes a ledger's tables, at first or anew, in one transaction. */
export async function recreateLedgerTables(
  client: SqlClient,
  ledgerId: Hash,
  height: number,
): Promise<void> {
  const schemaName = ledgerSchemaName(ledgerId);
  const zeros = Buffer.alloc(32);
  await client.query("begin");
  await client.run(`drop schema if exists ${quoteName(schemaName)} cascade`);
  await client.run(createLedgerTables(schemaName));
  await client.query(
    `insert into ${quoteName(schemaName)}."$meta" (layout, ledger_id, height, state_root, results_root, block_hash, tree_depth, tree_from, index_part, index_count)
     values ($1, $2, $3, $4, $4, $4, 0, 0, 0, 0)`,
    [LAYOUT, Buffer.from(ledgerId), height, zeros],
  );
  await client.query("commit");
}

export interface LedgerHead {
  /** NO_HEIGHT before genesis. */
  readonly height: number;
  readonly stateRoot: Hash;
  readonly resultsRoot: Hash;
  readonly blockHash: Hash;
}

export interface OpenedTable {
  readonly schema: TableSchema;
  /** Highest integer key ever given. */
  readonly highest: bigint;
}

interface PendingBlock {
  readonly net: PreparedBlock["net"];
  readonly changes: Uint8Array;
  readonly segments: PreparedBlock["segments"];
  readonly removals: PreparedBlock["removals"];
  readonly root: Hash;
}

export class LedgerDatabase {
  readonly schemaName: string;
  readonly url: string;
  readonly #held: HeldSnapshot;
  readonly #ledgerId: Hash;
  #writerClient: SqlClient | undefined;
  #writer: BlockWriter | undefined;
  #segments = new TreeSegments();
  readonly #sequences = new Map<string, bigint>();
  /** Schemas as they stand in the database. */
  readonly schemas = new Map<string, TableSchema>();
  readonly #pending = new Map<number, PendingBlock>();
  #applied = NO_HEIGHT;
  #committed = NO_HEIGHT;
  #failure: HanseError | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(url: string, ledgerId: Hash) {
    this.url = url;
    this.#ledgerId = ledgerId;
    this.#held = new HeldSnapshot(url);
    this.schemaName = ledgerSchemaName(ledgerId);
  }

  get #client(): SqlClient {
    return this.#writerClient!;
  }

  #table(name: string): string {
    return `${quoteName(this.schemaName)}.${quoteName(name)}`;
  }

  /**
   * @throws HanseError `STORAGE_LEDGER_IN_USE`, `STORAGE_LAYOUT`, `STORAGE_CORRUPT`, `STORAGE_CONNECTION`.
   */
  async open(): Promise<{ readonly head: LedgerHead; readonly tables: readonly OpenedTable[] }> {
    this.#writerClient = await SqlClient.connect(this.url, [
      // Rows of a block are few against their table: always by index, whatever the statistics say.
      "set enable_seqscan = off",
      "set enable_hashjoin = off",
      "set enable_mergejoin = off",
      "set synchronous_commit = on",
      "set jit = off",
    ]);
    await lockLedger(this.#client, this.#ledgerId);
    const { rows } = await this.#client.query("select 1 from pg_namespace where nspname = $1", [
      this.schemaName,
    ]);
    if (rows.length === 0 || (await this.#isHalfLoaded())) {
      await recreateLedgerTables(this.#client, this.#ledgerId, NO_HEIGHT);
    }
    await this.#client.run(createHeaderTable(this.schemaName));
    return await this.#load();
  }

  /** The loading of a snapshot did not end: what is there answers nothing and goes. */
  async #isHalfLoaded(): Promise<boolean> {
    const { rows } = await this.#client.query(`select height from ${this.#table("$meta")}`);
    return Number(rows[0]?.[0]) === LOADING_HEIGHT;
  }

  async #load() {
    const { rows } = await this.#client.query(
      `select layout, ledger_id, height, state_root, results_root, block_hash, tree_depth, tree_from, index_part, index_count from ${this.#table("$meta")}`,
    );
    const meta = rows[0];
    if (meta === undefined) throw this.#corrupt("$meta is empty");
    if (Number(meta[0]) !== LAYOUT) {
      throw new HanseError(
        "STORAGE_LAYOUT",
        "conflict",
        `schema ${this.schemaName} has layout ${meta[0]}, this program knows ${LAYOUT}: use the program it was written by`,
      );
    }
    if (!equalBytes(decodeBytea(meta[1]!), this.#ledgerId)) {
      throw this.#corrupt("it belongs to another ledger");
    }
    const head: LedgerHead = {
      height: Number(meta[2]),
      stateRoot: new Uint8Array(decodeBytea(meta[3]!)),
      resultsRoot: new Uint8Array(decodeBytea(meta[4]!)),
      blockHash: new Uint8Array(decodeBytea(meta[5]!)),
    };
    const tables: OpenedTable[] = [];
    const listed = await this.#client.query(
      `select name, schema, highest from ${this.#table("$schemas")} order by name`,
    );
    for (const [name, text, highest] of listed.rows) {
      const schema = JSON.parse(text!) as TableSchema;
      tables.push({ schema, highest: BigInt(highest!) });
      this.schemas.set(name!, schema);
      this.#sequences.set(name!, BigInt(highest!));
    }
    this.#writer = new BlockWriter(this.#client, this.schemaName, this.schemas, {
      part: Number(meta[8]),
      count: Number(meta[9]),
    });
    this.#applied = head.height;
    this.#committed = head.height;
    await this.#loadTree(Number(meta[6]), Number(meta[7]), head);
    return { head, tables };
  }

  async #loadTree(depth: number, from: number, head: LedgerHead): Promise<void> {
    const shallow: number[] = [];
    let after = 0n;
    for (;;) {
      const { rows } = await this.#client.query(
        `select segment, leaves from ${this.#table("$tree")} where segment > $1 order by segment limit ${SEGMENTS_PER_READ}`,
        [String(after)],
      );
      if (rows.length === 0) break;
      const parts = rows.map((row) => decodeBytea(row[1]!));
      this.#segments.load(depth, Buffer.concat(parts));
      for (const row of rows) {
        const segment = Number(row[0]);
        if (segment < 2 ** depth) shallow.push(segment);
      }
      after = BigInt(rows[rows.length - 1]![0]!);
      if (rows.length < SEGMENTS_PER_READ) break;
    }
    if (after === 0n) this.#segments.load(depth, new Uint8Array(0));
    for (const segment of shallow) this.#segments.loadedAt(segment);
    // Folding a block in twice ends at the same leaves, so segments may be newer than `from`.
    const replayed = new Map<string, bigint>();
    for (let first = from; first <= head.height; first += BLOCKS_PER_REPLAY) {
      const { rows } = await this.#client.query(
        `select height, changes from ${this.#table("$blocks")} where height >= $1 and height < $2 order by height`,
        [first, first + BLOCKS_PER_REPLAY],
      );
      for (const [height, changes] of rows) {
        // A block that was loaded in bulk changed nothing.
        if (changes === "\\x") continue;
        const net = netChanges(decodeChanges(decompress(decodeBytea(changes!))));
        // A sequence's leaf is written whenever it rises; start below all to write it here as well.
        for (const name of net.tables.keys()) if (!replayed.has(name)) replayed.set(name, 0n);
        this.#segments.update(Number(height), leavesOf(net, replayed));
      }
    }
    this.#fixSequences(replayed, head.height);
    if (!equalBytes(this.#segments.tree.root, head.stateRoot)) {
      throw this.#corrupt(
        `its state tree has root ${toHex(this.#segments.tree.root).slice(0, 16)}, height ${head.height} has ${toHex(head.stateRoot).slice(0, 16)}`,
      );
    }
  }

  /** A replay begins in the middle: the last word on a sequence is what the database holds. */
  #fixSequences(replayed: ReadonlyMap<string, bigint>, height: number): void {
    for (const [name, reached] of replayed) {
      const highest = this.#sequences.get(name) ?? 0n;
      if (reached === highest || highest === 0n) continue;
      const net = netChanges([]);
      net.tables.set(name, { rows: new Map(), highest });
      this.#segments.update(height, leavesOf(net, new Map([[name, 0n]])));
    }
  }

  #corrupt(what: string): HanseError {
    return new HanseError(
      "STORAGE_CORRUPT",
      "corrupt",
      `schema ${this.schemaName}: ${what}. Nothing was changed: restore the database from a copy, or join anew with an empty one`,
      { details: { schema: this.schemaName } },
    );
  }

  /** Root after folding a block's changes; nothing is written. Heights in order, one after the other. */
  apply(height: number, changes: Uint8Array): Hash {
    this.#refuseAfterFailure();
    if (height !== this.#applied + 1) {
      throw new HanseError(
        "STORAGE_HEIGHT",
        "conflict",
        `height ${height} cannot follow height ${this.#applied}`,
      );
    }
    if (this.#pending.size >= PENDING_BLOCKS_MAX) {
      throw new HanseError(
        "STORAGE_PENDING",
        "limit",
        `${PENDING_BLOCKS_MAX} blocks wait to be committed: commit before applying more`,
      );
    }
    const list = decodeChanges(changes);
    const net = netChanges(list);
    const root = this.#segments.update(height, leavesOf(net, this.#sequences));
    this.#applied = height;
    this.#pending.set(height, {
      net,
      changes: compress(changes),
      // Taken now: the tree will hold later blocks by the time this one is committed.
      segments: this.#segments.due(height),
      removals: removalsOf(list),
      root,
    });
    return root;
  }

  #refuseAfterFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Durable when it resolves. After a failure nothing is ever written again: restart to recover. */
  commit(row: BlockRow): Promise<void> {
    const done = this.#last.then(async () => {
      this.#refuseAfterFailure();
      const pending = this.#pending.get(row.height);
      if (row.height !== this.#committed + 1 || pending === undefined) {
        throw new HanseError(
          "STORAGE_HEIGHT",
          "conflict",
          `height ${row.height} cannot be committed after ${this.#committed}: apply it first, in order`,
        );
      }
      if (!equalBytes(pending.root, row.stateRoot)) {
        throw new HanseError(
          "STORAGE_ROOT",
          "conflict",
          `height ${row.height}: the state root to commit is not the one that was folded`,
        );
      }
      try {
        await this.#writer!.write({ row: compressBlock(row), ...pending });
      } catch (error) {
        this.#failure = storageError(error, `writing height ${row.height}`);
        throw this.#failure;
      }
      this.#committed = row.height;
      this.#pending.delete(row.height);
      await this.#held.reached(row.height);
    });
    this.#last = done.catch(() => {});
    return done;
  }

  /** As `HeldSnapshot.want`. */
  holdSnapshot(height: number): Promise<string> {
    return this.#held.want(height, this.#committed);
  }

  releaseSnapshot(): Promise<void> {
    return this.#held.release();
  }

  /** Replaces the finality proof of a committed block, after the commits under way. */
  saveProof(height: number, proof: Uint8Array): Promise<boolean> {
    const done = this.#last.then(async () => {
      this.#refuseAfterFailure();
      const { rows } = await this.#client.query(
        `update ${this.#table("$blocks")} set certificate = $2 where height = $1 and height > 0 returning 1`,
        [height, Buffer.from(proof)],
      );
      return rows.length > 0;
    });
    this.#last = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  /**
   * Adds rows without a block and without history; the state root of the committed height changes
   * with them. The first rows take the committed root away, so that a store whose loading did not
   * end is refused at the next start.
   */
  async loadRows(changes: Uint8Array): Promise<Hash> {
    this.#refuseAfterFailure();
    if (this.#committed < 0 || this.#applied !== this.#committed) {
      throw new HanseError(
        "STORAGE_HEIGHT",
        "conflict",
        "rows are loaded after genesis, while no applied block waits to be committed",
      );
    }
    const list = decodeChanges(changes);
    const net = netChanges(list);
    try {
      const written = this.#writer!.writeRows(net);
      const root = this.#segments.update(this.#committed, leavesOf(net, this.#sequences));
      await written;
      return root;
    } catch (error) {
      this.#failure = storageError(error, "loading rows");
      throw this.#failure;
    }
  }

  /**
   * Adds blocks that change nothing, in one database transaction; they follow the committed height
   * one after the other.
   */
  async loadBlocks(rows: readonly BlockRow[]): Promise<void> {
    this.#refuseAfterFailure();
    const next = this.#committed + 1;
    const inOrder = rows.every((row, i) => row.height === next + i);
    if (rows.length === 0 || !inOrder || this.#committed < 0 || this.#applied !== this.#committed) {
      throw new HanseError(
        "STORAGE_HEIGHT",
        "conflict",
        `blocks are loaded from height ${next} on, in order, while no applied block waits`,
      );
    }
    try {
      await this.#writer!.writeLoaded({ blocks: rows.map(compressBlock), isHead: true });
    } catch (error) {
      this.#failure = storageError(error, "loading blocks");
      throw this.#failure;
    }
    this.#committed = rows.at(-1)!.height;
    this.#applied = this.#committed;
  }

  /** Ends the loading of rows: tree and root are written. A crash before it leaves a refused store. */
  async finishLoading(): Promise<Hash> {
    await this.#flush();
    return this.#segments.tree.root;
  }

  /** Writes all that the stored tree lacks, so that the next start has nothing to fold in. */
  async #flush(): Promise<void> {
    if (this.#failure !== undefined || this.#applied !== this.#committed || this.#applied < 0)
      return;
    await this.#writer!.writeTree(
      this.#segments.due(this.#committed, true),
      this.#segments.tree.root,
    );
  }

  /**
   * Brings the stored tree up to the committed height, so that older blocks are needed no more for a
   * start. Does nothing while an applied block waits to be committed.
   */
  settleTree(): Promise<void> {
    const done = this.#last.then(() => this.#flush());
    this.#last = done.catch(() => {});
    return done;
  }

  prove(keys: readonly StateKey[]) {
    const proofs: StateProof[] = keys.map((key) => this.#segments.tree.prove(stateKeyHash(key)));
    return { height: this.#applied, root: this.#segments.tree.root, proofs };
  }

  /** Number of leaves and bytes of the tree in memory. */
  treeSize(): { readonly leaves: number; readonly bytes: number } {
    return { leaves: this.#segments.tree.size, bytes: this.#segments.tree.bytes };
  }

  /** @param how `now` = without writing what can be folded in again at the next start. */
  async close(how: "drain" | "now"): Promise<void> {
    await this.#held.close();
    await this.#last;
    if (how === "drain" && this.#segments.isWorthWriting) await this.#flush().catch(() => {});
    await this.#writerClient?.close();
  }
}

/** What repeats itself in a block is kept compressed; ids, signatures and hashes do not. */
export function compressBlock(row: BlockRow): BlockRow {
  return {
    ...row,
    senders: compress(row.senders),
    outcomes: compress(row.outcomes),
    views: compress(row.views),
  };
}

function removalsOf(changes: readonly StateChange[]): PreparedBlock["removals"] {
  const removals = [];
  for (const change of changes) {
    if (change.kind === "row" && change.after === undefined) {
      removals.push({ table: change.table, key: change.key });
    }
  }
  return removals;
}

/**
 * Writes the state after one block into a folder, read from a database snapshot taken at exactly
 * that block. Nothing waits for it: the ledger goes on while it is read. The folder appears under
 * its name only when everything in it is durable and its root is the committed one.
 */
import fs from "node:fs/promises";
import path from "node:path";
import {
  CHUNK_BYTES,
  CHUNKS_MAX,
  encodeSnapshotContent,
  type SnapshotContent,
} from "@hanse/ordering";
import {
  type Bytes,
  concatBytes,
  decodeBlock,
  encodeKvValue,
  encodeRowValue,
  encodeSchemaValue,
  encodeSequenceValue,
  equalBytes,
  HanseError,
  type Hash,
  hashHeader,
  type StateKey,
  sha256,
  stateKeyHash,
  stateValueHash,
} from "@hanse/protocol";
import { type RowKey, StateTree, type TableSchema } from "@hanse/state";
import { decodeBytea, decodeRows, quoteName, selectList } from "../rows/column-codec.ts";
import { ledgerSchemaName } from "../schema/ledger-tables.ts";
import { decompress } from "../worker/ledger-database.ts";
import { unpackList } from "../worker/ledger-reads.ts";
import { SqlClient } from "../worker/sql-client.ts";
import { encodeItem, type SnapshotItem } from "./snapshot-items.ts";

const ROWS_PER_READ = 5_000;
const BLOCKS_PER_READ = 64;
/** Leaves folded into the checking tree at a time. */
const LEAVES_PER_FOLD = 10_000;

/** Files of a snapshot's folder. */
export const CONTENT_FILE = "content";
export const chunkFile = (index: number) => `chunk-${String(index).padStart(6, "0")}`;
/** A folder that is being written or received has this behind its name. */
export const PART_SUFFIX = ".part";

export interface WriteSnapshotOptions {
  readonly url: string;
  readonly ledgerId: Hash;
  /** Name of the exported database snapshot. */
  readonly databaseSnapshot: string;
  readonly height: number;
  /** Where the folder of the snapshot comes to stand. */
  readonly folder: string;
}

/** Writes a file so that it is durable. */
export async function writeDurably(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await fs.open(file, "w", 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Cuts the stream into chunk files. */
class ChunkFiles {
  readonly #folder: string;
  readonly hashes: Hash[] = [];
  bytes = 0;
  #parts: Bytes[] = [];
  #partBytes = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async add(bytes: Bytes): Promise<void> {
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
    if (this.#partBytes < CHUNK_BYTES) return;
    const all = Buffer.concat(this.#parts);
    let at = 0;
    for (; all.length - at >= CHUNK_BYTES; at += CHUNK_BYTES) {
      await this.#write(all.subarray(at, at + CHUNK_BYTES));
    }
    this.#parts = [all.subarray(at)];
    this.#partBytes = all.length - at;
  }

  async #write(chunk: Uint8Array): Promise<void> {
    if (this.hashes.length >= CHUNKS_MAX) {
      throw new HanseError(
        "STORAGE_SNAPSHOT",
        "tooLarge",
        `the state needs more than ${CHUNKS_MAX} chunks: nodes of this ledger join by blocks alone`,
      );
    }
    await writeDurably(path.join(this.#folder, chunkFile(this.hashes.length)), chunk);
    this.hashes.push(new Uint8Array(sha256(chunk)));
    this.bytes += chunk.length;
  }

  async end(): Promise<void> {
    if (this.#partBytes > 0) await this.#write(Buffer.concat(this.#parts));
  }
}

/** Builds the tree beside the writing: a snapshot of a damaged database is never offered. */
class LeafFolder {
  readonly tree = new StateTree();
  #keys: Hash[] = [];
  #values: Hash[] = [];

  add(key: StateKey, value: Bytes): void {
    this.#keys.push(stateKeyHash(key));
    this.#values.push(stateValueHash(value));
    if (this.#keys.length >= LEAVES_PER_FOLD) this.fold();
  }

  fold(): void {
    if (this.#keys.length === 0) return;
    this.tree.update({
      keyHashes: concatBytes(...this.#keys),
      valueHashes: concatBytes(...this.#values),
    });
    this.#keys = [];
    this.#values = [];
  }
}

class SnapshotReader {
  readonly #client: SqlClient;
  readonly #schemaName: string;
  readonly leaves = new LeafFolder();

  constructor(client: SqlClient, schemaName: string) {
    this.#client = client;
    this.#schemaName = schemaName;
  }

  #table(name: string): string {
    return `${quoteName(this.#schemaName)}.${quoteName(name)}`;
  }

  async head() {
    const { rows } = await this.#client.query(
      `select height, state_root, results_root, block_hash from ${this.#table("$meta")}`,
    );
    const [height, ...hashes] = rows[0]!;
    const [stateRoot, resultsRoot, blockHash] = hashes.map(
      (text) => new Uint8Array(decodeBytea(text!)),
    );
    return {
      height: Number(height),
      stateRoot: stateRoot!,
      resultsRoot: resultsRoot!,
      blockHash: blockHash!,
    };
  }

  async *#scan(select: string, perRead: number) {
    await this.#client.run(`declare scan no scroll cursor for ${select}`);
    for (;;) {
      const { rows } = await this.#client.query(`fetch ${perRead} from scan`);
      if (rows.length > 0) yield rows;
      if (rows.length < perRead) break;
    }
    await this.#client.run("close scan");
  }

  /** Tables in order of their names, each with its rows in order of their keys. */
  async *tables(): AsyncGenerator<SnapshotItem> {
    const { rows: listed } = await this.#client.query(
      `select name, schema, highest from ${this.#table("$schemas")} order by name`,
    );
    for (const [name, text, highest] of listed) {
      const schema = JSON.parse(text!) as TableSchema;
      const schemaValue = encodeSchemaValue(schema);
      this.leaves.add({ kind: "schema", table: name! }, schemaValue);
      const last = BigInt(highest!);
      const sequence = last > 0n ? encodeSequenceValue(last + 1n) : undefined;
      if (sequence !== undefined) this.leaves.add({ kind: "sequence", table: name! }, sequence);
      yield {
        t: "table",
        name: name!,
        schema: schemaValue,
        ...(sequence === undefined ? {} : { sequence }),
      };
      const key = quoteName(schema.columns[0]!.name);
      const select = `select ${selectList(schema)} from ${this.#table(name!)} order by ${key}`;
      for await (const rows of this.#scan(select, ROWS_PER_READ)) {
        for (const row of decodeRows(schema, rows)) {
          const rowKey = row.values[0] as RowKey;
          const value = encodeRowValue(row);
          this.leaves.add({ kind: "row", table: name!, key: rowKey }, value);
          yield { t: "row", key: rowKey, value };
        }
      }
    }
  }

  async *entries(): AsyncGenerator<SnapshotItem> {
    const select = `select namespace, key, value, height, index from ${this.#table("$kv")} order by namespace, key`;
    for await (const rows of this.#scan(select, ROWS_PER_READ)) {
      for (const [namespace, keyText, valueText, height, index] of rows) {
        const key = new Uint8Array(decodeBytea(keyText!));
        const value = encodeKvValue({
          value: new Uint8Array(decodeBytea(valueText!)),
          version: { height: Number(height), index: Number(index) },
        });
        this.leaves.add({ kind: "kv", namespace: namespace!, key }, value);
        yield { t: "entry", namespace: namespace!, key, value };
      }
    }
  }

  /** Lowest block with a transaction that may not be repeated yet; the top block at most. */
  async lowestBlock(height: number): Promise<number> {
    const { rows } = await this.#client.query(
      `select coalesce(min(b.height), $1::bigint) from ${this.#table("$blocks")} b, ${this.#table("$blocks")} t
       where t.height = $1 and b.height > 0 and b.valid_until_max >= t.time`,
      [height],
    );
    return Number(rows[0]![0]);
  }

  async *blocks(from: number): AsyncGenerator<SnapshotItem> {
    const select = `select block, outcomes, views from ${this.#table("$blocks")} where height >= ${from} order by height`;
    for await (const rows of this.#scan(select, BLOCKS_PER_READ)) {
      for (const [block, outcomes, views] of rows) {
        const parts = unpackList(decompress(decodeBytea(views!)));
        const list = [];
        for (let i = 0; i + 2 < parts.length; i += 3) {
          list.push({ engine: Buffer.from(parts[i]!).toString("utf8"), bytes: parts[i + 2]! });
        }
        yield {
          t: "block",
          block: new Uint8Array(decodeBytea(block!)),
          outcomes: unpackList(decompress(decodeBytea(outcomes!))),
          views: list,
        };
      }
    }
  }
}

/**
 * @returns what the snapshot says of itself; its folder is `<folder>/<height>`.
 * @throws HanseError `STORAGE_SNAPSHOT` when the database is not at this height, does not have the
 * root it was committed with, or is too large; errors of disk and database as they come.
 */
export async function writeSnapshot(options: WriteSnapshotOptions): Promise<SnapshotContent> {
  const { ledgerId, height } = options;
  const folder = path.join(options.folder, String(height));
  const part = folder + PART_SUFFIX;
  await fs.rm(part, { recursive: true, force: true });
  await fs.mkdir(part, { recursive: true, mode: 0o700 });
  const client = await SqlClient.connect(options.url, ["set jit = off"]);
  try {
    await client.query("begin isolation level repeatable read read only");
    await client.run(`set transaction snapshot '${options.databaseSnapshot.replaceAll("'", "")}'`);
    const reader = new SnapshotReader(client, ledgerSchemaName(ledgerId));
    const head = await reader.head();
    if (head.height !== height) {
      throw new HanseError(
        "STORAGE_SNAPSHOT",
        "conflict",
        `the database is at height ${head.height}, a snapshot of ${height} was asked for`,
      );
    }
    const files = new ChunkFiles(part);
    for await (const item of reader.tables()) await files.add(encodeItem(item));
    for await (const item of reader.entries()) await files.add(encodeItem(item));
    reader.leaves.fold();
    if (!equalBytes(reader.leaves.tree.root, head.stateRoot)) {
      throw new HanseError(
        "STORAGE_SNAPSHOT",
        "corrupt",
        `the rows of this database have not the root that height ${height} was committed with: check it (hanse node verify), then restore it or join anew`,
      );
    }
    const lowestBlock = await reader.lowestBlock(height);
    let last: Bytes | undefined;
    for await (const item of reader.blocks(lowestBlock)) {
      if (item.t === "block") last = item.block;
      await files.add(encodeItem(item));
    }
    await files.end();
    if (last === undefined || !equalBytes(hashHeader(decodeBlock(last).header), head.blockHash)) {
      throw new HanseError("STORAGE_SNAPSHOT", "corrupt", `block ${height} is missing`);
    }
    const content: SnapshotContent = {
      ledgerId,
      ...head,
      lowestBlock,
      leaves: reader.leaves.tree.size,
      bytes: files.bytes,
      chunkHashes: files.hashes,
    };
    await writeDurably(path.join(part, CONTENT_FILE), encodeSnapshotContent(content));
    await syncFolder(part);
    await fs.rm(folder, { recursive: true, force: true });
    await fs.rename(part, folder);
    await syncFolder(options.folder);
    return content;
  } catch (error) {
    await fs.rm(part, { recursive: true, force: true });
    throw error;
  } finally {
    await client.close();
  }
}

/** Reads of what is committed: rows and entries for execution, blocks and history for the doors. */
import { encodeCbor, equalBytes, HanseError, toHex, ZERO_HASH } from "@hanse/protocol";
import {
  type ColumnValue,
  leavesOf,
  mapKey,
  netChanges,
  type Query,
  type Row,
  type RowKey,
  type StateChange,
  StateTree,
  type TableSchema,
} from "@hanse/state";
import { ByteReader } from "../changes/byte-writer.ts";
import { decodeChanges } from "../changes/change-record.ts";
import {
  arrayParameter,
  decodeBytea,
  decodeRows,
  encodeArray,
  encodeKeys,
  packRows,
  quoteName,
  selectList,
} from "../rows/column-codec.ts";
import { countStatement, findStatement } from "../rows/query-sql.ts";
import { indexPartName } from "../schema/ledger-tables.ts";
import { decompress } from "./ledger-database.ts";
import type { SqlClient, SqlRow } from "./sql-client.ts";

/** Rows one look-up by keys asks for at a time. */
const KEYS_PER_READ = 10_000;
/** Blocks of history one page looks through at most. */
const HISTORY_BLOCKS_MAX = 2_000;
const ROWS_PER_SCAN = 20_000;

export interface WireEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly height: number;
  readonly index: number;
}

export interface WireBlock {
  readonly height: number;
  readonly hash: Uint8Array;
  readonly bytes: Uint8Array;
  readonly certificate: Uint8Array;
}

export interface WireHistory {
  readonly height: number;
  readonly index: number;
  readonly transactionId: Uint8Array;
  readonly sender: Uint8Array;
  readonly before: readonly ColumnValue[] | undefined;
  readonly after: readonly ColumnValue[] | undefined;
}

/** A plain array of its own memory, fit to travel between threads. */
function plain(text: string): Uint8Array {
  return new Uint8Array(decodeBytea(text));
}

export class LedgerReader {
  readonly #client: SqlClient;
  readonly #schemaName: string;
  #lastOutcomes: { readonly height: number; readonly list: readonly Uint8Array[] } | undefined;

  constructor(client: SqlClient, schemaName: string) {
    this.#client = client;
    this.#schemaName = schemaName;
  }

  #table(name: string): string {
    return `${quoteName(this.#schemaName)}.${quoteName(name)}`;
  }

  /** Rows with these keys (the array parameter of a look-up), packed. */
  async rows(schema: TableSchema, keys: Uint8Array): Promise<Uint8Array> {
    return packRows(await this.#rows(schema, keys));
  }

  async #rows(schema: TableSchema, keys: Uint8Array): Promise<readonly SqlRow[]> {
    const key = schema.columns[0]!;
    const text = `select ${selectList(schema)} from ${this.#table(schema.name)} where ${quoteName(key.name)} = any(${arrayParameter(key.type, 1)})`;
    const parameter = Buffer.from(keys.buffer, keys.byteOffset, keys.length);
    return (await this.#client.query(text, [parameter])).rows;
  }

  async find(schema: TableSchema, query: Query): Promise<Uint8Array> {
    const { text, values } = findStatement(this.#schemaName, schema, query);
    const { rows } = await this.#client.query(text, values);
    return packRows(rows);
  }

  async count(schema: TableSchema, query: Pick<Query, "where">) {
    const { text, values } = countStatement(this.#schemaName, schema, query);
    const { rows } = await this.#client.query(text, values);
    return { height: Number(rows[0]![0]), count: Number(rows[0]![1]) };
  }

  async entries(
    refs: readonly { readonly namespace: string; readonly key: Uint8Array }[],
  ): Promise<(WireEntry & { readonly namespace: string })[]> {
    const text = `select t.namespace, t.key, t.value, t.height, t.index from ${this.#table("$kv")} t join unnest($1::text[], $2::bytea[]) as u(n, k) on t.namespace = u.n and t.key = u.k`;
    const found: (WireEntry & { namespace: string })[] = [];
    for (let from = 0; from < refs.length; from += KEYS_PER_READ) {
      const some = refs.slice(from, from + KEYS_PER_READ);
      const { rows } = await this.#client.query(text, [
        encodeArray("text", some.length, (i) => some[i]!.namespace),
        encodeArray("bytes", some.length, (i) => some[i]!.key),
      ]);
      for (const row of rows) found.push({ namespace: row[0]!, ...entryOf(row.slice(1)) });
    }
    return found;
  }

  async range(
    namespace: string,
    from: Uint8Array,
    to: Uint8Array | undefined,
    limit: number,
  ): Promise<WireEntry[]> {
    const { rows } = await this.#client.query(
      `select key, value, height, index from ${this.#table("$kv")} where namespace = $1 and key >= $2 and ($3::bytea is null or key < $3) order by key limit $4`,
      [namespace, Buffer.from(from), to === undefined ? null : Buffer.from(to), limit],
    );
    return rows.map(entryOf);
  }

  async blocks(from: number, to: number, bytesMax: number): Promise<WireBlock[]> {
    // Sizes first: nothing is read only to be dropped.
    const sizes = await this.#client.query(
      `select height, octet_length(block) + octet_length(certificate) from ${this.#table("$blocks")} where height >= $1 and height <= $2 and height > 0 order by height limit 1024`,
      [from, to],
    );
    let bytes = 0;
    let last = from - 1;
    for (const [height, size] of sizes.rows) {
      bytes += Number(size);
      if (bytes > bytesMax && last >= from) break;
      last = Number(height);
    }
    if (last < from) return [];
    const { rows } = await this.#client.query(
      `select height, hash, block, certificate from ${this.#table("$blocks")} where height >= $1 and height <= $2 and height > 0 order by height`,
      [from, last],
    );
    return rows.map((row) => ({
      height: Number(row[0]),
      hash: plain(row[1]!),
      bytes: plain(row[2]!),
      certificate: plain(row[3]!),
    }));
  }

  /** A header with its certificate, of a block that is here or that handed over to another set. */
  async header(
    height: number,
  ): Promise<{ header: Uint8Array; certificate: Uint8Array } | undefined> {
    const { rows } = await this.#client.query(
      `select header, certificate from ${this.#table("$headers")} where height = $1`,
      [height],
    );
    const [header, certificate] = rows[0] ?? [];
    if (header === undefined || header === null) return undefined;
    return { header: plain(header), certificate: plain(certificate!) };
  }

  /**
   * Height of a transaction whose block is not kept any more, told by the first bytes of its id.
   */
  async prunedHeight(id: Uint8Array): Promise<number | undefined> {
    const { rows: tail } = await this.#client.query(
      `select index_part from ${this.#table("$meta")}`,
    );
    const prefix = String(Buffer.from(id).readBigInt64BE(0));
    for (let part = Number(tail[0]![0]); part >= 0; part--) {
      const { rows } = await this.#client.query(
        `select p.height from ${this.#table(indexPartName(part))} p left join ${this.#table("$blocks")} b using (height) where p.prefix = $1 and b.height is null limit 1`,
        [prefix],
      );
      if (rows[0] !== undefined) return Number(rows[0][0]);
    }
    return undefined;
  }

  async #packed(column: "outcomes" | "views", height: number): Promise<Uint8Array[] | undefined> {
    const { rows } = await this.#client.query(
      `select ${column} from ${this.#table("$blocks")} where height = $1`,
      [height],
    );
    if (rows[0] === undefined) return undefined;
    return unpackList(decompress(decodeBytea(rows[0][0]!)));
  }

  /** Encoded outcomes of a block. */
  async outcomes(height: number): Promise<Uint8Array[]> {
    return (await this.#packed("outcomes", height)) ?? [];
  }

  /**
   * One encoded outcome. The block asked for last stays unpacked: a node that starts asks for
   * thousands of one block after the other.
   */
  async outcome(height: number, index: number): Promise<Uint8Array | undefined> {
    let last = this.#lastOutcomes;
    if (last?.height !== height) {
      last = { height, list: await this.outcomes(height) };
      // A block that is not durable yet has none, and will have.
      if (last.list.length > 0) this.#lastOutcomes = last;
    }
    const found = last.list[index];
    return found === undefined ? undefined : new Uint8Array(found);
  }

  /** Names of engines and hashes of their views in turn. */
  async views(height: number): Promise<Uint8Array[]> {
    return (await this.#packed("views", height)) ?? [];
  }

  /** Places of committed transactions among these ids. */
  async places(
    ids: readonly Uint8Array[],
  ): Promise<({ readonly height: number; readonly index: number } | undefined)[]> {
    const { rows: tail } = await this.#client.query(
      `select index_part from ${this.#table("$meta")}`,
    );
    const prefixes = encodeArray("int", ids.length, (i) => Buffer.from(ids[i]!).readBigInt64BE(0));
    const found = new Map<string, { height: number; index: number }>();
    // The newest part first: that is where most questions end.
    for (let part = Number(tail[0]![0]); part >= 0 && found.size < ids.length; part--) {
      const { rows } = await this.#client.query(
        `select p.height, p.index, substring(b.ids from p.index * 32 + 1 for 32) from ${this.#table(indexPartName(part))} p join ${this.#table("$blocks")} b using (height) where p.prefix = any($1::bigint[])`,
        [prefixes],
      );
      for (const [height, index, id] of rows) {
        found.set(id!.slice(2), { height: Number(height), index: Number(index) });
      }
    }
    return ids.map((id) => found.get(toHex(id)));
  }

  async recentIds(since: number, limit: number) {
    let recent: { id: Uint8Array; validUntil: number }[] = [];
    const cut = () => {
      recent.sort((a, b) => a.validUntil - b.validUntil);
      recent = recent.slice(0, limit);
    };
    let after = -1;
    for (;;) {
      const { rows } = await this.#client.query(
        `select height, ids, valid_until from ${this.#table("$blocks")} where valid_until_max >= $1 and height > $2 order by height limit 64`,
        [since, after],
      );
      for (const [height, ids, times] of rows) {
        const idBytes = decodeBytea(ids!);
        const timeBytes = decodeBytea(times!);
        for (let i = 0; i * 32 < idBytes.length; i++) {
          const validUntil = Number(timeBytes.readBigInt64BE(i * 8));
          if (validUntil < since) continue;
          recent.push({ id: new Uint8Array(idBytes.subarray(i * 32, i * 32 + 32)), validUntil });
        }
        after = Number(height);
      }
      if (recent.length > 2 * limit + 100_000) cut();
      if (rows.length < 64) break;
    }
    cut();
    return recent;
  }

  /**
   * Changes of a row, the latest first. They form a chain: a row holds the height of its last
   * change, each change the height of the one before; removals are listed in a table of their own.
   */
  async history(
    table: string,
    key: RowKey,
    schema: TableSchema,
    page: { readonly limit: number; readonly beforeHeight?: number },
  ): Promise<WireHistory[]> {
    const entries: WireHistory[] = [];
    const beforeHeight = page.beforeHeight ?? Number.MAX_SAFE_INTEGER;
    const [row] = decodeRows(schema, await this.#rows(schema, encodeKeys(schema, [key])));
    let height = row?.height;
    if (height === undefined) height = await this.#removedBelow(table, key, beforeHeight);
    for (let blocks = 0; height !== undefined && blocks < HISTORY_BLOCKS_MAX; blocks++) {
      const { rows } = await this.#client.query(
        `select changes, ids, senders from ${this.#table("$blocks")} where height = $1`,
        [height],
      );
      const [changes, ids, senders] = rows[0] ?? [];
      // Neither of a block that is not kept, nor of one that came with a snapshot.
      if (changes === undefined || changes === null || changes === "\\x") break;
      const mine = decodeChanges(decompress(decodeBytea(changes))).filter(
        (change): change is Extract<StateChange, { kind: "row" }> =>
          change.kind === "row" && change.table === table && mapKey(change.key) === mapKey(key),
      );
      const first = mine[0];
      // A row that was loaded in bulk has no recorded beginning.
      if (first === undefined) break;
      if (height < beforeHeight) {
        for (const change of mine.reverse()) {
          const at = change.index * 32;
          const idBytes = decodeBytea(ids!);
          const senderBytes = decompress(decodeBytea(senders!));
          entries.push({
            height,
            index: change.index,
            transactionId: new Uint8Array(height === 0 ? ZERO_HASH : idBytes.subarray(at, at + 32)),
            sender: new Uint8Array(height === 0 ? ZERO_HASH : senderBytes.subarray(at, at + 32)),
            before: change.before?.values,
            after: change.after?.values,
          });
        }
        if (entries.length >= page.limit) break;
      }
      height = first.before?.height ?? (await this.#removedBelow(table, key, height));
    }
    return entries.slice(0, page.limit);
  }

  async #removedBelow(table: string, key: RowKey, height: number): Promise<number | undefined> {
    const { rows } = await this.#client.query(
      `select max(height) from ${this.#table("$removed")} where name = $1 and key = $2 and height < $3`,
      [table, Buffer.from(encodeCbor(key)), height],
    );
    const found = rows[0]![0];
    return found === null ? undefined : Number(found);
  }

  async genesis(): Promise<Uint8Array | undefined> {
    const { rows } = await this.#client.query(`select genesis from ${this.#table("$meta")}`);
    const text = rows[0]![0];
    return text === null ? undefined : plain(text!);
  }

  /**
   * Reads every row, entry and schema and builds the tree anew.
   * @throws HanseError `STORAGE_CORRUPT` when its root is not the committed one.
   */
  async verifyIntegrity(): Promise<{ height: number; root: Uint8Array; leaves: number }> {
    await this.#client.query("begin isolation level repeatable read read only");
    try {
      const { rows: meta } = await this.#client.query(
        `select height, state_root from ${this.#table("$meta")}`,
      );
      const tree = new StateTree();
      const net = (changes: StateChange[]) => netChanges(changes);
      const { rows: tables } = await this.#client.query(
        `select name, schema, highest from ${this.#table("$schemas")} order by name`,
      );
      for (const [name, text, highest] of tables) {
        const schema = JSON.parse(text!) as TableSchema;
        const head = net([
          { kind: "schema", table: name!, before: undefined, after: schema, index: 0 },
        ]);
        head.tables.set(name!, { rows: new Map(), highest: BigInt(highest!) });
        tree.update(leavesOf(head, new Map([[name!, 0n]])));
        await this.#scan(schema, (rows) => {
          const changes = rows.map((after): StateChange => {
            const key = after.values[0] as RowKey;
            return { kind: "row", table: name!, key, before: undefined, after, index: 0 };
          });
          // The sequence's leaf is set above; the keys of rows must not set it again.
          tree.update(leavesOf(net(changes), new Map([[name!, 2n ** 63n]])));
        });
      }
      await this.#scanKv((changes) => tree.update(leavesOf(net(changes), new Map())));
      const height = Number(meta[0]![0]);
      const root = plain(meta[0]![1]!);
      if (!equalBytes(tree.root, root)) {
        throw new HanseError(
          "STORAGE_CORRUPT",
          "corrupt",
          `schema ${this.#schemaName}: rows have root ${toHex(tree.root).slice(0, 16)}, height ${height} was committed with ${toHex(root).slice(0, 16)}: restore the database from a copy, or join anew`,
        );
      }
      return { height, root, leaves: tree.size };
    } finally {
      await this.#client.query("commit");
    }
  }

  async #scan(schema: TableSchema, take: (rows: Row[]) => void): Promise<void> {
    await this.#client.run(
      `declare scan cursor for select ${selectList(schema)} from ${this.#table(schema.name)}`,
    );
    for (;;) {
      const { rows } = await this.#client.query(`fetch ${ROWS_PER_SCAN} from scan`);
      if (rows.length > 0) take(decodeRows(schema, rows));
      if (rows.length < ROWS_PER_SCAN) break;
    }
    await this.#client.run("close scan");
  }

  async #scanKv(take: (changes: StateChange[]) => void): Promise<void> {
    await this.#client.run(
      `declare scan cursor for select namespace, key, value, height, index from ${this.#table("$kv")}`,
    );
    for (;;) {
      const { rows } = await this.#client.query(`fetch ${ROWS_PER_SCAN} from scan`);
      take(
        rows.map((row): StateChange => {
          const { key, value, height, index } = entryOf(row.slice(1));
          const after = { key, value, version: { height, index } };
          return { kind: "kv", namespace: row[0]!, key, before: undefined, after, index };
        }),
      );
      if (rows.length < ROWS_PER_SCAN) break;
    }
    await this.#client.run("close scan");
  }
}

function entryOf(row: readonly (string | null)[]): WireEntry {
  return {
    key: plain(row[0]!),
    value: plain(row[1]!),
    height: Number(row[2]),
    index: Number(row[3]),
  };
}

/** A list of byte strings, each with its length in front. */
export function unpackList(bytes: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(bytes);
  const list: Uint8Array[] = [];
  while (reader.at < bytes.length) list.push(reader.bytes());
  return list;
}

/** Writes one block: everything it leaves behind, in one database transaction. */
import { encodeCbor, HanseError } from "@hanse/protocol";
import {
  type ColumnValue,
  type NetChanges,
  type NetTable,
  type Row,
  type TableSchema,
  widenValues,
} from "@hanse/state";
import {
  arrayParameter,
  encodeArray,
  fromElement,
  HEIGHT_COLUMN,
  quoteName,
} from "../rows/column-codec.ts";
import {
  createIndexPart,
  INDEX_PART_TRANSACTIONS,
  indexPartName,
  tableStatements,
} from "../schema/ledger-tables.ts";
import type { SqlClient, SqlResult } from "./sql-client.ts";
import type { SegmentWrites } from "./tree-segments.ts";

/** What of a block goes into `$blocks`, packed by the executing thread. */
export interface BlockRow {
  readonly height: number;
  readonly hash: Uint8Array;
  readonly time: number;
  readonly validUntilMax: number;
  readonly transactions: number;
  /** 32 bytes for each transaction. */
  readonly ids: Uint8Array;
  readonly senders: Uint8Array;
  /** 8 bytes for each transaction: milliseconds since 1970, big-endian. */
  readonly validUntil: Uint8Array;
  readonly block: Uint8Array;
  readonly certificate: Uint8Array;
  readonly outcomes: Uint8Array;
  readonly views: Uint8Array;
  readonly stateRoot: Uint8Array;
  readonly resultsRoot: Uint8Array;
  /** Only at height 0. */
  readonly genesis?: Uint8Array;
}

export interface PreparedBlock {
  readonly row: BlockRow;
  /** The block's changes, packed for its history. */
  readonly changes: Uint8Array;
  readonly net: NetChanges;
  readonly segments: SegmentWrites;
  readonly removals: readonly { readonly table: string; readonly key: ColumnValue }[];
}

interface Statement {
  readonly text: string;
  /** Undefined: a script of several statements, without parameters. */
  readonly values: readonly unknown[] | undefined;
}

type Send = (text: string, values?: readonly unknown[]) => void;

const SEGMENTS_PER_STATEMENT = 2_048;

const bytes = (part: Uint8Array) => Buffer.from(part.buffer, part.byteOffset, part.length);

/** Where the index of transaction ids grows. */
export interface IndexTail {
  part: number;
  count: number;
}

export class BlockWriter {
  readonly #client: SqlClient;
  readonly #schemaName: string;
  readonly #schemas: Map<string, TableSchema>;
  readonly index: IndexTail;

  /** @param schemas of the tables as they stand in the database; kept up to date. */
  constructor(
    client: SqlClient,
    schemaName: string,
    schemas: Map<string, TableSchema>,
    index: IndexTail,
  ) {
    this.#client = client;
    this.#schemaName = schemaName;
    this.#schemas = schemas;
    this.index = index;
  }

  #name(table: string): string {
    return `${quoteName(this.#schemaName)}.${quoteName(table)}`;
  }

  /**
   * One transaction, its statements sent in one go; the first failure fails them all.
   * @throws whatever the database answered; the transaction is then undone.
   */
  async #transact(statements: readonly Statement[]): Promise<void> {
    const all = [this.#client.query("begin")];
    for (const { text, values } of statements) {
      all.push(values === undefined ? this.#client.run(text) : this.#client.query(text, values));
    }
    all.push(this.#client.query("commit"));
    const results = await Promise.allSettled(all);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    const last = results[results.length - 1] as PromiseFulfilledResult<SqlResult>;
    if (last.value.command !== "COMMIT") {
      throw new HanseError("STORAGE_SQL", "corrupt", "the database undid the block's transaction");
    }
  }

  async write(block: PreparedBlock): Promise<void> {
    const statements: Statement[] = [];
    const send = (text: string, values?: readonly unknown[]) => {
      statements.push({ text, values });
    };
    for (const [name, { before, after }] of block.net.schemas) {
      for (const text of tableStatements(this.#schemaName, before, after)) send(text);
      this.#schemas.set(name, after);
      send(
        `insert into ${this.#name("$schemas")} (name, schema, highest) values ($1, $2, 0)
         on conflict (name) do update set schema = excluded.schema`,
        [name, JSON.stringify(after)],
      );
    }
    for (const [name, table] of block.net.tables) {
      this.#sendTable(send, name, table, block.row.height);
    }
    this.#sendKv(send, block.net);
    this.#sendSegments(send, block.segments);
    this.#sendBlock(send, block);
    await this.#transact(statements);
  }

  /** Rows of height 0, outside of any block; no root fits the database until the tree is written. */
  async writeRows(net: NetChanges): Promise<void> {
    const statements: Statement[] = [
      {
        text: `update ${this.#name("$meta")} set state_root = $1 where state_root <> $1`,
        values: [Buffer.alloc(32)],
      },
    ];
    for (const [name, table] of net.tables) {
      this.#sendTable((text, values) => statements.push({ text, values }), name, table, 0);
    }
    await this.#transact(statements);
  }

  /** The stored tree alone, with the root of the height that is committed. */
  async writeTree(segments: SegmentWrites, stateRoot: Uint8Array): Promise<void> {
    const rest = { ...segments, put: segments.put.slice() };
    const statements: Statement[] = [];
    // A large tree goes out in pieces small enough for one message; still one transaction.
    while (rest.put.length > 0) {
      const put = rest.put.splice(0, SEGMENTS_PER_STATEMENT);
      this.#sendSegments((text, values) => statements.push({ text, values }), { ...rest, put });
      rest.remove = [];
    }
    statements.push({
      text: `update ${this.#name("$meta")} set tree_depth = $1, tree_from = $2, state_root = $3`,
      values: [segments.depth, segments.from, Buffer.from(stateRoot)],
    });
    await this.#transact(statements);
  }

  #sendTable(send: Send, name: string, table: NetTable, height: number): void {
    const schema = this.#schemas.get(name);
    if (schema === undefined) {
      throw new HanseError("STORAGE_CHANGES", "corrupt", `changes of a table ${name} that is not`);
    }
    const inserts: Row[] = [];
    const updates: (readonly ColumnValue[])[] = [];
    const removals: ColumnValue[] = [];
    for (const { key, before, after } of table.rows.values()) {
      if (after !== undefined) {
        if (before === undefined) inserts.push(after);
        else updates.push(widenValues(after.values, schema));
      } else if (before !== undefined) removals.push(key);
    }
    const into = this.#name(name);
    const { columns } = schema;
    const key = columns[0]!;
    const parameters = columns.map((column, i) => arrayParameter(column.type, i + 1)).join(", ");
    const aliases = columns.map((_, i) => `c${i}`).join(", ");
    const values = (rows: readonly (readonly ColumnValue[])[]) => [
      ...columns.map((column, c) => encodeArray(column.type, rows.length, (i) => rows[i]![c]!)),
      height,
    ];
    const heightPlace = `$${columns.length + 1}::bigint`;
    if (removals.length > 0) {
      send(
        `delete from ${into} where ${quoteName(key.name)} = any(${arrayParameter(key.type, 1)})`,
        [encodeArray(key.type, removals.length, (i) => removals[i]!)],
      );
    }
    if (updates.length > 0) {
      const assigned = columns
        .slice(1)
        .map(
          (column, i) => `${quoteName(column.name)} = ${fromElement(column.type, `u.c${i + 1}`)}, `,
        );
      send(
        `update ${into} t set ${assigned.join("")}${quoteName(HEIGHT_COLUMN)} = ${heightPlace} from unnest(${parameters}) as u(${aliases}) where t.${quoteName(key.name)} = u.c0`,
        values(updates),
      );
    }
    if (inserts.length > 0) this.#sendInserts(send, schema, inserts);
    if (table.highest > 0n) {
      send(`update ${this.#name("$schemas")} set highest = $2 where name = $1 and highest < $2`, [
        name,
        String(table.highest),
      ]);
    }
  }

  #sendInserts(send: Send, schema: TableSchema, rows: readonly Row[]): void {
    const { columns } = schema;
    const wide = rows.map((row) => widenValues(row.values, schema));
    const parameters = columns.map((column, i) => arrayParameter(column.type, i + 1));
    const aliases = columns.map((_, i) => `c${i}`);
    const names = columns.map((column) => quoteName(column.name));
    const selected = columns.map((column, i) => fromElement(column.type, `u.c${i}`));
    send(
      `insert into ${this.#name(schema.name)} (${names.join(", ")}, ${quoteName(HEIGHT_COLUMN)}) select ${selected.join(", ")}, u.h from unnest(${parameters.join(", ")}, $${columns.length + 1}::bigint[]) as u(${aliases.join(", ")}, h)`,
      [
        ...columns.map((column, c) => encodeArray(column.type, rows.length, (i) => wide[i]![c]!)),
        encodeArray("int", rows.length, (i) => BigInt(rows[i]!.height)),
      ],
    );
  }

  #sendKv(send: Send, net: NetChanges): void {
    const put = [...net.kv.values()].filter((entry) => entry.after !== undefined);
    const removed = [...net.kv.values()].filter((entry) => entry.after === undefined);
    if (put.length > 0) {
      const n = put.length;
      send(
        `insert into ${this.#name("$kv")} (namespace, key, value, height, index)
         select n, k, v, h, i from unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[]) as u(n, k, v, h, i)
         on conflict (namespace, key) do update set value = excluded.value, height = excluded.height, index = excluded.index`,
        [
          encodeArray("text", n, (i) => put[i]!.namespace),
          encodeArray("bytes", n, (i) => put[i]!.key),
          encodeArray("bytes", n, (i) => put[i]!.after!.value),
          encodeArray("int", n, (i) => BigInt(put[i]!.after!.version.height)),
          encodeArray("int", n, (i) => BigInt(put[i]!.after!.version.index)),
        ],
      );
    }
    if (removed.length > 0) {
      send(
        `delete from ${this.#name("$kv")} t using unnest($1::text[], $2::bytea[]) as u(n, k) where t.namespace = u.n and t.key = u.k`,
        [
          encodeArray("text", removed.length, (i) => removed[i]!.namespace),
          encodeArray("bytes", removed.length, (i) => removed[i]!.key),
        ],
      );
    }
  }

  #sendSegments(send: Send, { put, remove }: SegmentWrites): void {
    if (remove.length > 0) {
      send(`delete from ${this.#name("$tree")} where segment = any($1::bigint[])`, [
        encodeArray("int", remove.length, (i) => BigInt(remove[i]!)),
      ]);
    }
    if (put.length > 0) {
      send(
        `insert into ${this.#name("$tree")} (segment, leaves) select s, l from unnest($1::bigint[], $2::bytea[]) as u(s, l)
         on conflict (segment) do update set leaves = excluded.leaves`,
        [
          encodeArray("int", put.length, (i) => BigInt(put[i]!.segment)),
          encodeArray("bytes", put.length, (i) => put[i]!.leaves),
        ],
      );
    }
  }

  #sendBlock(send: Send, { row, changes, segments, removals }: PreparedBlock): void {
    if (removals.length > 0) {
      send(
        `insert into ${this.#name("$removed")} (name, key, height)
         select n, k, $3::bigint from unnest($1::text[], $2::bytea[]) as u(n, k) on conflict do nothing`,
        [
          encodeArray("text", removals.length, (i) => removals[i]!.table),
          encodeArray("bytes", removals.length, (i) => encodeCbor(removals[i]!.key as string)),
          row.height,
        ],
      );
    }
    this.#sendKept(send, row, changes);
    send(
      `update ${this.#name("$meta")} set height = $1, state_root = $2, results_root = $3, block_hash = $4,
       tree_depth = $5, tree_from = $6, index_part = $7, index_count = $8, genesis = coalesce($9, genesis)`,
      [
        row.height,
        bytes(row.stateRoot),
        bytes(row.resultsRoot),
        bytes(row.hash),
        segments.depth,
        segments.from,
        this.index.part,
        this.index.count,
        row.genesis === undefined ? null : bytes(row.genesis),
      ],
    );
  }

  /** The block itself and its place in the index of ids. */
  #sendKept(send: Send, row: BlockRow, changes: Uint8Array): void {
    if (row.transactions > 0) {
      if (this.index.count + row.transactions > INDEX_PART_TRANSACTIONS && this.index.count > 0) {
        this.index.part++;
        this.index.count = 0;
        send(createIndexPart(this.#schemaName, this.index.part));
      }
      this.index.count += row.transactions;
      const ids = bytes(row.ids);
      send(
        `insert into ${this.#name(indexPartName(this.index.part))} (prefix, height, index)
         select p, $2::bigint, i - 1 from unnest($1::bigint[]) with ordinality as u(p, i)`,
        [encodeArray("int", row.transactions, (i) => ids.readBigInt64BE(i * 32)), row.height],
      );
    }
    send(
      `insert into ${this.#name("$blocks")} (height, hash, time, valid_until_max, transactions, ids, senders, valid_until, block, certificate, outcomes, views, changes)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
      [
        row.height,
        bytes(row.hash),
        row.time,
        row.validUntilMax,
        row.transactions,
        bytes(row.ids),
        bytes(row.senders),
        bytes(row.validUntil),
        bytes(row.block),
        bytes(row.certificate),
        bytes(row.outcomes),
        bytes(row.views),
        bytes(changes),
      ],
    );
  }

  /** Parts of a snapshot while it is being loaded: rows of one table, entries, blocks. */
  async writeLoaded(part: {
    readonly rows?: { readonly schema: TableSchema; readonly list: readonly Row[] };
    readonly entries?: NetChanges;
    readonly blocks?: readonly BlockRow[];
    /** The last of the blocks is the head from now on. */
    readonly isHead?: boolean;
  }): Promise<void> {
    const statements: Statement[] = [];
    const send = (text: string, values?: readonly unknown[]) => {
      statements.push({ text, values });
    };
    if (part.rows !== undefined) this.#sendInserts(send, part.rows.schema, part.rows.list);
    if (part.entries !== undefined) this.#sendKv(send, part.entries);
    for (const block of part.blocks ?? []) this.#sendKept(send, block, new Uint8Array(0));
    const head = part.isHead === true ? part.blocks?.at(-1) : undefined;
    if (head !== undefined) {
      send(`update ${this.#name("$meta")} set height = $1, results_root = $2, block_hash = $3`, [
        head.height,
        bytes(head.resultsRoot),
        bytes(head.hash),
      ]);
    }
    await this.#transact(statements);
  }
}

/**
 * What an engine sees of a ledger's state. Every read is synchronous: the storage adapter answers
 * from its row cache and otherwise blocks the executing thread for one database round trip;
 * `prefetch` fills the cache for a whole block at once, so that blocking stays rare.
 */
import type { Bytes, Hash } from "@hanse/protocol";

/** Types of columns. Floats are kept but never hashed as numbers: their leaf holds the 8 IEEE bytes. */
export type ColumnType =
  | "int" // signed 64-bit: bigint
  | "text" // well-formed Unicode without U+0000: string
  | "bytes" // Uint8Array
  | "bool" // boolean
  | "money" // decimal text, canonical: no exponent, no leading or trailing zeros: string
  | "json" // canonical JSON text: string
  | "time" // milliseconds since 1970: bigint
  | "float"; // IEEE double: number

export type ColumnValue = null | bigint | string | Uint8Array | boolean | number;

export interface ColumnSchema {
  /** Lower case, `[a-z_][a-z0-9_]{0,62}`. */
  readonly name: string;
  readonly type: ColumnType;
}

export interface TableSchema {
  /** Lower case, at most 63 bytes, e.g. `1_keys`. */
  readonly name: string;
  /** The first column is the primary key, of type `int` or `text` or `bytes`, never null. */
  readonly columns: readonly ColumnSchema[];
  /** Names of columns with a secondary index. */
  readonly indexes: readonly string[];
}

export type RowKey = bigint | string | Uint8Array;

/** A row as it stands; values in the order of the schema's columns. Never mutated. */
export interface Row {
  readonly values: readonly ColumnValue[];
  /** Height of its last change. */
  readonly height: number;
}

export type Comparison = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

/** A condition on a row, as data; SQL's three-valued logic: a comparison with null is not true. */
export type Condition =
  | { readonly op: Comparison; readonly column: string; readonly value: ColumnValue }
  | {
      readonly op: "in" | "notIn";
      readonly column: string;
      readonly values: readonly ColumnValue[];
    }
  /** `%` and `_` as in SQL LIKE, `\` escapes; `ilike` folds ASCII letters only. */
  | { readonly op: "like" | "ilike"; readonly column: string; readonly pattern: string }
  | { readonly op: "isNull" | "notNull"; readonly column: string }
  | {
      /** Text found at a path inside a `json` column (`->` steps, last one `->>`) compared. */
      readonly op: "json";
      readonly column: string;
      readonly path: readonly string[];
      readonly compare: Comparison;
      readonly value: string | null;
    }
  | { readonly op: "and" | "or"; readonly of: readonly Condition[] }
  | { readonly op: "not"; readonly of: Condition };

export interface Order {
  readonly column: string;
  readonly descending?: boolean;
}

export interface Query {
  readonly table: string;
  readonly where?: Condition;
  /** Nulls last ascending, first descending, as PostgreSQL; the primary key always ends the order. */
  readonly order?: readonly Order[];
  /** 1 to 10 000. */
  readonly limit: number;
  readonly offset?: number;
}

export const QUERY_LIMIT_MAX = 10_000;

export interface KvEntry {
  readonly key: Bytes;
  readonly value: Bytes;
  /** Height and index in its block of the transaction that wrote it: the version, as in Fabric. */
  readonly version: { readonly height: number; readonly index: number };
}

export interface StateView {
  tables(): readonly string[];
  schema(table: string): TableSchema | undefined;
  /** The row with this primary key. @throws HanseError `STATE_NO_TABLE` */
  getRow(table: string, key: RowKey): Row | undefined;
  /** Rows in a total order. @throws HanseError `STATE_NO_TABLE`, `STATE_NO_COLUMN`, `STATE_QUERY` */
  find(query: Query): readonly Row[];
  /** How many rows match, ignoring order, limit and offset. */
  count(query: Pick<Query, "table" | "where">): number;
  /** Next free integer key of a table, deterministic: one above the highest ever given. */
  nextId(table: string): bigint;
  getKv(namespace: string, key: Bytes): KvEntry | undefined;
  /** Entries with from <= key < to in byte order. */
  rangeKv(namespace: string, from: Bytes, to: Bytes | undefined, limit: number): readonly KvEntry[];
}

export interface RowRef {
  readonly table: string;
  readonly key: RowKey;
}
export interface KvRef {
  readonly namespace: string;
  readonly key: Bytes;
}

/** State after the last executed block; the storage adapter implements it. */
export interface CommittedState extends StateView {
  /** Loads what is not yet in memory, in one database query per table. Never fails on absent keys. */
  prefetch(refs: {
    readonly rows: readonly RowRef[];
    readonly kv: readonly KvRef[];
  }): Promise<void>;
  /** Whether a `getRow` would be answered from memory. */
  hasRow(table: string, key: RowKey): boolean;
  hasKv(namespace: string, key: Bytes): boolean;
}

/** One change, as history and the database see it. `index` = transaction's place in its block. */
export type StateChange =
  | {
      readonly kind: "row";
      readonly table: string;
      readonly key: RowKey;
      readonly before: Row | undefined;
      /** Undefined = removed. */
      readonly after: Row | undefined;
      readonly index: number;
    }
  | {
      readonly kind: "kv";
      readonly namespace: string;
      readonly key: Bytes;
      readonly before: KvEntry | undefined;
      readonly after: KvEntry | undefined;
      readonly index: number;
    }
  | {
      readonly kind: "schema";
      readonly table: string;
      readonly before: TableSchema | undefined;
      readonly after: TableSchema;
      readonly index: number;
    };

export type Savepoint = number & { readonly brand: "savepoint" };

export interface ReadSet {
  readonly rows: readonly { readonly ref: RowRef; readonly height: number | undefined }[];
  readonly kv: readonly { readonly ref: KvRef; readonly version: KvEntry["version"] | undefined }[];
  readonly ranges: readonly {
    readonly namespace: string;
    readonly from: Bytes;
    readonly to: Bytes | undefined;
  }[];
  readonly queries: readonly Query[];
}

/**
 * Uncommitted changes over a view: a block overlay over committed state, with a savepoint per
 * transaction (and per nested contract call).
 */
export interface StateOverlay extends StateView {
  /** Begins transaction `index` of the block: versions and history carry it; read sets restart. */
  begin(index: number): void;
  /** @throws HanseError `STATE_DUPLICATE_KEY`, `STATE_VALUE` naming the column. */
  insert(table: string, values: readonly ColumnValue[]): void;
  /** Replaces the named columns. @throws HanseError `STATE_NO_ROW`, `STATE_VALUE`, `STATE_NO_COLUMN` */
  update(table: string, key: RowKey, values: Readonly<Record<string, ColumnValue>>): void;
  remove(table: string, key: RowKey): void;
  putKv(namespace: string, key: Bytes, value: Bytes): void;
  removeKv(namespace: string, key: Bytes): void;
  /** @throws HanseError `STATE_TABLE_EXISTS`, `STATE_SCHEMA` */
  createTable(schema: TableSchema): void;
  /** Adds a column, null in existing rows. @throws HanseError `STATE_SCHEMA` */
  addColumn(table: string, column: ColumnSchema): void;
  addIndex(table: string, column: string): void;
  savepoint(): Savepoint;
  /** Undoes everything since. */
  rollbackTo(savepoint: Savepoint): void;
  /** Reads since `begin`. */
  readSet(): ReadSet;
  /** Changes since `begin`, first touch first, last value wins. */
  writeSet(): readonly StateChange[];
  /** All changes of the block, per transaction in order: what history records. */
  changes(): readonly StateChange[];
}

/** Outcome of folding a block's changes into the authenticated tree. */
export interface SealedState {
  readonly root: Hash;
}

/**
 * Columns in PostgreSQL: real types, open to SQL readers. Values travel as binary arrays, one for
 * each column of a batch, and come back as text, which `pg` alone can read.
 */
import type { ColumnSchema, ColumnType, ColumnValue, Row, RowKey, TableSchema } from "@hanse/state";
import { ByteReader, ByteWriter } from "../changes/byte-writer.ts";

interface PostgresType {
  /** In `create table`. */
  readonly declared: string;
  /** Element type of the array a batch sends, and its object id. */
  readonly sent: string;
  readonly oid: number;
}

const TEXT: Pick<PostgresType, "sent" | "oid"> = { sent: "text", oid: 25 };

/** Money is sent and read as text: numeric keeps it exactly. JSON stays the canonical text it is. */
const TYPES: Readonly<Record<ColumnType, PostgresType>> = {
  int: { declared: "bigint", sent: "bigint", oid: 20 },
  time: { declared: "bigint", sent: "bigint", oid: 20 },
  text: { declared: 'text collate "C"', ...TEXT },
  json: { declared: 'text collate "C"', ...TEXT },
  money: { declared: "numeric", ...TEXT },
  bytes: { declared: "bytea", sent: "bytea", oid: 17 },
  bool: { declared: "boolean", sent: "boolean", oid: 16 },
  float: { declared: "double precision", sent: "double precision", oid: 701 },
};

export const HEIGHT_COLUMN = "_height";

/** An identifier in quotes. Names come from validated schemas; quotes inside are doubled all the same. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function declaredType(type: ColumnType): string {
  return TYPES[type].declared;
}

/** `$3::bigint[]`: the array of a column's values as parameter. */
export function arrayParameter(type: ColumnType, place: number): string {
  return `$${place}::${TYPES[type].sent}[]`;
}

/** How an element of that array becomes the column's value. */
export function fromElement(type: ColumnType, expression: string): string {
  return type === "money" ? `${expression}::numeric` : expression;
}

/** How a column is selected so that `decodeColumn` reads it. */
export function selectColumn(column: ColumnSchema, alias = ""): string {
  const name = `${alias}${quoteName(column.name)}`;
  return column.type === "money" ? `${name}::text` : name;
}

/** All columns of a table, then the height. */
export function selectList(schema: TableSchema, alias = ""): string {
  const columns = schema.columns.map((column) => selectColumn(column, alias));
  return [...columns, `${alias}${quoteName(HEIGHT_COLUMN)}`].join(", ");
}

/** A batch of one column's values in PostgreSQL's binary array form. */
export function encodeArray(
  type: ColumnType,
  count: number,
  valueAt: (i: number) => ColumnValue,
): Buffer {
  const writer = new ByteWriter(24 + count * 16);
  writer.int32(count === 0 ? 0 : 1);
  writer.int32(1);
  writer.int32(TYPES[type].oid);
  if (count > 0) {
    writer.int32(count);
    writer.int32(1);
  }
  for (let i = 0; i < count; i++) {
    const value = valueAt(i);
    if (value === null) writer.int32(-1);
    else writeElement(writer, value);
  }
  return writer.take();
}

function writeElement(writer: ByteWriter, value: Exclude<ColumnValue, null>): void {
  switch (typeof value) {
    case "bigint":
      writer.int32(8);
      writer.int64(value);
      return;
    case "string":
      writer.text32(value);
      return;
    case "boolean":
      writer.int32(1);
      writer.byte(value ? 1 : 0);
      return;
    case "number":
      writer.int32(8);
      writer.float64(value);
      return;
    default:
      writer.int32(value.length);
      writer.raw(value);
  }
}

/** Bytes from PostgreSQL's text form, `\\x…`. */
export function decodeBytea(text: string): Buffer {
  return Buffer.from(text.slice(2), "hex");
}

/** A column's value from PostgreSQL's text form. */
export function decodeColumn(type: ColumnType, text: string | null): ColumnValue {
  if (text === null) return null;
  switch (type) {
    case "int":
    case "time":
      return BigInt(text);
    case "text":
    case "json":
    case "money":
      return text;
    case "bytes":
      // A plain copy: small Buffers share one pool, which must not travel between threads.
      return new Uint8Array(decodeBytea(text));
    case "bool":
      return text === "t";
    case "float":
      // PostgreSQL writes the shortest text that reads back as the same double.
      return Number(text);
  }
}

/** A row's values in the order of the columns, then its height, all as the database sent them. */
function decodeRow(schema: TableSchema, textAt: (column: number) => string | null): Row {
  const { columns } = schema;
  const values: ColumnValue[] = new Array(columns.length);
  for (let i = 0; i < columns.length; i++) values[i] = decodeColumn(columns[i]!.type, textAt(i));
  return { values, height: Number(textAt(columns.length)) };
}

export function decodeRows(
  schema: TableSchema,
  rows: readonly (readonly (string | null)[])[],
): Row[] {
  return rows.map((row) => decodeRow(schema, (column) => row[column]!));
}

/**
 * Rows on their way between threads: one block of bytes, which moves without a copy. Cloning
 * thousands of small arrays costs more than reading them from the database.
 */
export function packRows(rows: readonly (readonly (string | null)[])[]): Uint8Array {
  const writer = new ByteWriter(16 + rows.length * 64);
  writer.uint(rows.length);
  for (const row of rows) {
    for (const text of row) {
      writer.byte(text === null ? 0 : 1);
      if (text !== null) writer.text(text);
    }
  }
  return writer.take();
}

export function unpackRows(schema: TableSchema, packed: Uint8Array): Row[] {
  const reader = new ByteReader(packed);
  const rows: Row[] = [];
  // Columns are asked for in order, so the reader just goes on.
  const next = () => (reader.byte() === 0 ? null : reader.text());
  for (let left = reader.uint(); left > 0; left--) rows.push(decodeRow(schema, next));
  return rows;
}

/** Keys as the array parameter of `= any(…)`. */
export function encodeKeys(schema: TableSchema, keys: readonly RowKey[]): Buffer {
  return encodeArray(schema.columns[0]!.type, keys.length, (i) => keys[i]!);
}

/**
 * The values under the leaves of the state tree (spec/state.md). A leaf carries the height of its
 * last change, so that versions are certified together with contents.
 */
import { type Bytes, compareText } from "../encoding/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes, asText, asUint, asUint64 } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";

/** Types of columns; the schema's leaf names them (spec/state.md). */
export const STATE_COLUMN_TYPES = [
  "int", // signed 64-bit: bigint
  "text", // well-formed Unicode without U+0000: string
  "bytes",
  "bool",
  "money", // canonical decimal text: string
  "json", // canonical JSON text: string
  "time", // milliseconds since 1970: bigint
  "float", // IEEE double: number
] as const;

export type StateColumnType = (typeof STATE_COLUMN_TYPES)[number];

export interface StateColumn {
  readonly name: string;
  readonly type: StateColumnType;
}

export type StateColumnValue = null | bigint | string | Bytes | boolean | number;

/** A row as its leaf holds it. */
export interface StateRow {
  /** Height of its last change. */
  readonly height: number;
  /** In the order of the table's columns. */
  readonly values: readonly StateColumnValue[];
}

/** A table as its schema leaf describes it. */
export interface StateSchema {
  readonly columns: readonly StateColumn[];
  /** Names of columns with a secondary index. */
  readonly indexes: readonly string[];
}

/** A key-value entry as its leaf holds it. */
export interface StateEntry {
  readonly value: Bytes;
  /** Height and index of the transaction that wrote it. */
  readonly version: { readonly height: number; readonly index: number };
}

/** Columns of a schema that are read at all. */
export const STATE_COLUMNS_MAX = 1024;

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

function wrong(column: StateColumn, expected: string): never {
  throw new HanseError("STATE_VALUE", "malformed", `column ${column.name}: expected ${expected}`, {
    details: { column: column.name },
  });
}

/** Big-endian IEEE 754 double. One NaN for all; -0 stays apart from 0. */
function floatToBytes(value: number): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  if (Number.isNaN(value)) bytes.set([0x7f, 0xf8, 0, 0, 0, 0, 0, 0]);
  return bytes;
}

function cellFromCbor(column: StateColumn, value: CborValue): StateColumnValue {
  if (value === null) return null;
  switch (column.type) {
    case "int":
    case "time": {
      const number = typeof value === "number" ? BigInt(value) : value;
      if (typeof number !== "bigint" || number < INT64_MIN || number > INT64_MAX) {
        wrong(column, "a 64-bit integer");
      }
      return number;
    }
    case "text":
    case "money":
    case "json":
      return asText(value, column.name);
    case "bytes":
      return asBytes(value, column.name);
    case "bool":
      if (typeof value !== "boolean") wrong(column, "true or false");
      return value;
    case "float": {
      const bytes = asBytes(value, column.name, 8);
      return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0);
    }
  }
}

/**
 * Value bytes of a row's leaf: `[height, [value, …]]`. Nulls at the end are left out, so that a
 * column added to a table changes no leaf of its rows.
 * @throws HanseError `CBOR_*` on a value that has no encoding.
 */
export function encodeRowValue(row: StateRow): Bytes {
  let count = row.values.length;
  while (count > 0 && row.values[count - 1] === null) count--;
  const cells: CborValue[] = new Array(count);
  for (let i = 0; i < count; i++) {
    const value = row.values[i]!;
    cells[i] = typeof value === "number" ? floatToBytes(value) : value;
  }
  return encodeCbor([row.height, cells]);
}

/**
 * Reads a row's leaf by its table's schema; columns not written are null.
 * @throws HanseError `STATE_VALUE`, `FIELD_INVALID` or `CBOR_*` when the leaf does not fit.
 */
export function decodeRowValue(columns: readonly StateColumn[], bytes: Bytes): StateRow {
  const [height, cells] = asArray(decodeCbor(bytes), "row", 2);
  const list = asArray(cells, "row.cells");
  if (list.length > columns.length) {
    const message = `the row has ${list.length} columns, its table ${columns.length}`;
    throw new HanseError("STATE_VALUE", "malformed", message);
  }
  if (list.length > 0 && list[list.length - 1] === null) {
    throw new HanseError("STATE_VALUE", "malformed", "the row ends with a null");
  }
  const values = columns.map((column, i) =>
    i < list.length ? cellFromCbor(column, list[i]!) : null,
  );
  return { height: asUint(height, "row.height"), values };
}

/** Value bytes of a key-value leaf: `[height, index, value]`. */
export function encodeKvValue({ value, version }: StateEntry): Bytes {
  return encodeCbor([version.height, version.index, value]);
}

/** @throws HanseError `FIELD_INVALID` or `CBOR_*`. */
export function decodeKvValue(bytes: Bytes): StateEntry {
  const [height, index, value] = asArray(decodeCbor(bytes), "entry", 3);
  return {
    value: asBytes(value, "entry.value"),
    version: { height: asUint(height, "entry.height"), index: asUint(index, "entry.index") },
  };
}

/** Value bytes of a schema leaf: `[[[column, type], …], [indexed columns in text order]]`. */
export function encodeSchemaValue(schema: StateSchema): Bytes {
  return encodeCbor([
    schema.columns.map((column) => [column.name, column.type]),
    [...schema.indexes].sort(compareText),
  ]);
}

/** @throws HanseError `STATE_VALUE`, `FIELD_INVALID` or `CBOR_*`. */
export function decodeSchemaValue(bytes: Bytes): StateSchema {
  const [columns, indexes] = asArray(decodeCbor(bytes), "schema", 2);
  const list = asArray(columns, "schema.columns");
  if (list.length > STATE_COLUMNS_MAX) {
    throw new HanseError("STATE_VALUE", "malformed", `more than ${STATE_COLUMNS_MAX} columns`);
  }
  return {
    columns: list.map((item, i) => {
      const [name, typeText] = asArray(item, `schema.columns[${i}]`, 2);
      const type = STATE_COLUMN_TYPES.find((known) => known === typeText);
      if (type === undefined) {
        throw new HanseError("STATE_VALUE", "malformed", `schema.columns[${i}].type: unknown`);
      }
      return { name: asText(name, `schema.columns[${i}].name`), type };
    }),
    indexes: asArray(indexes, "schema.indexes").map((name, i) =>
      asText(name, `schema.indexes[${i}]`),
    ),
  };
}

/** Value bytes of a table's sequence leaf: the next integer key. */
export function encodeSequenceValue(next: bigint): Bytes {
  if (next < 1n) {
    throw new HanseError("STATE_VALUE", "malformed", "sequence: the next key is at least 1");
  }
  return encodeCbor(next);
}

/** @throws HanseError `FIELD_INVALID` or `CBOR_*`. */
export function decodeSequenceValue(bytes: Bytes): bigint {
  return asUint64(decodeCbor(bytes), "sequence");
}

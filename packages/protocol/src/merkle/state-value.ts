/**
 * The values under the leaves of the state tree (spec/state.md). A leaf carries the height of its
 * last change, so that versions are certified together with contents.
 */
import { type Bytes, compareText } from "../encoding/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes, asText, asUint } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";

/** Numbers of the column types in a row's leaf; a number is never reused. */
export const COLUMN_TYPE_NUMBERS = {
  /** Signed 64-bit: bigint. */
  int: 1,
  /** Well-formed Unicode without U+0000: string. */
  text: 2,
  bytes: 3,
  bool: 4,
  /** Canonical decimal text: string. */
  money: 5,
  /** Canonical JSON text: string. */
  json: 6,
  /** Milliseconds since 1970: bigint. */
  time: 7,
  /** IEEE double: number; its 8 bytes stand in the leaf. */
  float: 8,
} as const;

export type StateColumnType = keyof typeof COLUMN_TYPE_NUMBERS;

export interface StateColumn {
  readonly name: string;
  readonly type: StateColumnType;
}

export type StateColumnValue = null | bigint | string | Bytes | boolean | number;

/** A table as its schema leaf describes it. */
export interface StateSchema {
  readonly columns: readonly StateColumn[];
  /** Names of columns with a secondary index. */
  readonly indexes: readonly string[];
}

export const COLUMNS_MAX = 1024;

const NAMES = new Map<number, StateColumnType>(
  Object.entries(COLUMN_TYPE_NUMBERS).map(([name, number]) => [number, name as StateColumnType]),
);
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

function cellToCbor(column: StateColumn, value: StateColumnValue): CborValue {
  if (value === null) return null;
  switch (column.type) {
    case "int":
    case "time":
      if (typeof value !== "bigint" || value < INT64_MIN || value > INT64_MAX) {
        wrong(column, "a 64-bit bigint");
      }
      return value;
    case "text":
    case "money":
    case "json":
      if (typeof value !== "string") wrong(column, "a string");
      return value;
    case "bytes":
      if (!(value instanceof Uint8Array)) wrong(column, "bytes");
      return value;
    case "bool":
      if (typeof value !== "boolean") wrong(column, "true or false");
      return value;
    case "float":
      if (typeof value !== "number") wrong(column, "a number");
      return floatToBytes(value);
  }
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
 * Value bytes of a row's leaf: `[height, types, cells]`, height = the row's last change, types = one
 * byte per column, cells in the schema's order. Nulls at the end are not written, neither their
 * types, so that adding a column changes no leaf.
 * @throws HanseError `STATE_VALUE` naming the column.
 */
export function encodeRowValue(
  columns: readonly StateColumn[],
  values: readonly StateColumnValue[],
  height: number,
): Bytes {
  if (values.length > columns.length) {
    const message = `${values.length} values for ${columns.length} columns`;
    throw new HanseError("STATE_VALUE", "malformed", message);
  }
  let count = values.length;
  while (count > 0 && values[count - 1] === null) count--;
  const types = new Uint8Array(count);
  const cells: CborValue[] = new Array(count);
  for (let i = 0; i < count; i++) {
    types[i] = COLUMN_TYPE_NUMBERS[columns[i]!.type];
    cells[i] = cellToCbor(columns[i]!, values[i]!);
  }
  return encodeCbor([height, types, cells]);
}

/**
 * Reads a row's leaf by its table's schema; columns not written are null.
 * @throws HanseError `STATE_VALUE`, `FIELD_INVALID` or `CBOR_*` when the leaf does not fit.
 */
export function decodeRowValue(
  columns: readonly StateColumn[],
  bytes: Bytes,
): { readonly height: number; readonly values: readonly StateColumnValue[] } {
  const [height, types, cells] = asArray(decodeCbor(bytes), "row", 3);
  const numbers = asBytes(types, "row.types");
  const list = asArray(cells, "row.cells", numbers.length);
  if (numbers.length > columns.length) {
    const message = `the row has ${numbers.length} columns, its table ${columns.length}`;
    throw new HanseError("STATE_VALUE", "malformed", message);
  }
  if (list.length > 0 && list[list.length - 1] === null) {
    throw new HanseError("STATE_VALUE", "malformed", "the row ends with a null");
  }
  const values = columns.map((column, i): StateColumnValue => {
    if (i >= list.length) return null;
    if (numbers[i] !== COLUMN_TYPE_NUMBERS[column.type]) {
      wrong(column, `type ${column.type}, the row has ${NAMES.get(numbers[i]!) ?? numbers[i]}`);
    }
    return cellFromCbor(column, list[i]!);
  });
  return { height: asUint(height, "row.height"), values };
}

/** A key-value entry's version: height and index of the transaction that wrote it. */
export interface StateVersion {
  readonly height: number;
  readonly index: number;
}

/** Value bytes of a key-value leaf: `[height, index, value]`. */
export function encodeKvValue(value: Bytes, version: StateVersion): Bytes {
  return encodeCbor([version.height, version.index, value]);
}

/** @throws HanseError `FIELD_INVALID` or `CBOR_*`. */
export function decodeKvValue(bytes: Bytes): {
  readonly value: Bytes;
  readonly version: StateVersion;
} {
  const [height, index, value] = asArray(decodeCbor(bytes), "entry", 3);
  return {
    value: asBytes(value, "entry.value"),
    version: { height: asUint(height, "entry.height"), index: asUint(index, "entry.index") },
  };
}

/** Value bytes of a schema leaf: `[[[name, type number], …], [indexed column, … in text order]]`. */
export function encodeSchemaValue(schema: StateSchema): Bytes {
  return encodeCbor([
    schema.columns.map((column) => [column.name, COLUMN_TYPE_NUMBERS[column.type]]),
    [...schema.indexes].sort(compareText),
  ]);
}

/** @throws HanseError `STATE_VALUE`, `FIELD_INVALID` or `CBOR_*`. */
export function decodeSchemaValue(bytes: Bytes): StateSchema {
  const [columns, indexes] = asArray(decodeCbor(bytes), "schema", 2);
  const list = asArray(columns, "schema.columns");
  if (list.length > COLUMNS_MAX) {
    throw new HanseError("STATE_VALUE", "malformed", `more than ${COLUMNS_MAX} columns`);
  }
  return {
    columns: list.map((item, i) => {
      const [name, number] = asArray(item, `schema.columns[${i}]`, 2);
      const type = NAMES.get(asUint(number, `schema.columns[${i}].type`));
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

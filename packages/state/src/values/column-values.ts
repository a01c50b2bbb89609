/** What each type of column may hold, and the order of its values. */
import { compareBytes, compareText, HanseError } from "@hanse/protocol";
import type {
  ColumnSchema,
  ColumnType,
  ColumnValue,
  RowKey,
  TableSchema,
} from "../view/state-view.ts";
import { isCanonicalJson } from "./canonical-json.ts";

export const INT64_MIN = -(2n ** 63n);
export const INT64_MAX = 2n ** 63n - 1n;
/** Digits of a money value, before and after the point together. */
export const MONEY_DIGITS_MAX = 200;
/** Bytes of a primary key or of the key of a key-value entry. */
export const KEY_BYTES_MAX = 1_024;
/** Bytes (UTF-16 units for text) of any single value. */
export const VALUE_BYTES_MAX = 16 * 1024 * 1024;
/** Columns of one table. */
export const COLUMNS_MAX = 250;
/** Secondary indexes of one table. */
export const INDEXES_MAX = 32;

const MONEY = /^(?:0|-?(?:[1-9][0-9]*(?:\.[0-9]*[1-9])?|0\.[0-9]*[1-9]))$/;

/** Whether a text is money in canonical form: `0`, `-12.5`, never `1.0`, `01`, `1e3`, `-0`. */
export function isCanonicalMoney(text: string): boolean {
  return text.length <= MONEY_DIGITS_MAX + 2 && MONEY.test(text);
}

function isPlainText(text: string): boolean {
  return text.length <= VALUE_BYTES_MAX && text.isWellFormed() && !text.includes("\0");
}

/** What is wrong with a value for a type; undefined = nothing. Null is fine here. */
export function valueFault(type: ColumnType, value: ColumnValue): string | undefined {
  if (value === null) return undefined;
  switch (type) {
    case "int":
    case "time":
      if (typeof value !== "bigint") return "a bigint";
      return value >= INT64_MIN && value <= INT64_MAX ? undefined : "within 64 bits, signed";
    case "text":
      if (typeof value !== "string") return "a text";
      return isPlainText(value) ? undefined : "well-formed text without U+0000";
    case "money":
      return typeof value === "string" && isCanonicalMoney(value)
        ? undefined
        : `a canonical decimal text of at most ${MONEY_DIGITS_MAX} digits`;
    case "json":
      return typeof value === "string" && value.length <= VALUE_BYTES_MAX && isCanonicalJson(value)
        ? undefined
        : "canonical JSON text";
    case "bytes":
      return value instanceof Uint8Array && value.length <= VALUE_BYTES_MAX ? undefined : "bytes";
    case "bool":
      return typeof value === "boolean" ? undefined : "true or false";
    case "float":
      return typeof value === "number" && Number.isFinite(value) && !Object.is(value, -0)
        ? undefined
        : "a finite number other than -0";
  }
}

/** @throws HanseError `STATE_VALUE` naming table and column. */
export function validateValue(table: string, column: ColumnSchema, value: ColumnValue): void {
  const fault = valueFault(column.type, value);
  if (fault === undefined) return;
  throw new HanseError(
    "STATE_VALUE",
    "rejected",
    `${table}.${column.name}: expected ${fault} (column type ${column.type})`,
    { details: { table, column: column.name, type: column.type } },
  );
}

/** @throws HanseError `STATE_VALUE` for a null, a wrong type or a key above KEY_BYTES_MAX. */
export function validateKey(
  table: string,
  column: ColumnSchema,
  key: ColumnValue | undefined,
): RowKey {
  if (key === null || key === undefined || typeof key === "boolean" || typeof key === "number") {
    throw new HanseError("STATE_VALUE", "rejected", `${table}.${column.name}: a key is needed`, {
      details: { table, column: column.name },
    });
  }
  validateValue(table, column, key);
  // UTF-8 needs at most 3 bytes per UTF-16 unit: only long texts have to be measured.
  const tooLong =
    typeof key === "string"
      ? key.length * 3 > KEY_BYTES_MAX && new TextEncoder().encode(key).length > KEY_BYTES_MAX
      : typeof key !== "bigint" && key.length > KEY_BYTES_MAX;
  if (tooLong) {
    throw new HanseError(
      "STATE_VALUE",
      "rejected",
      `${table}.${column.name}: a key has at most ${KEY_BYTES_MAX} bytes`,
      { details: { table, column: column.name } },
    );
  }
  return key;
}

/** Order of two canonical decimal texts by value. */
export function compareMoney(a: string, b: string): number {
  if (a === b) return 0;
  const aNegative = a.charCodeAt(0) === 45;
  const bNegative = b.charCodeAt(0) === 45;
  if (aNegative !== bNegative) return aNegative ? -1 : 1;
  const sign = aNegative ? -1 : 1;
  const [aWhole = "", aPart = ""] = (aNegative ? a.slice(1) : a).split(".");
  const [bWhole = "", bPart = ""] = (bNegative ? b.slice(1) : b).split(".");
  if (aWhole.length !== bWhole.length) return aWhole.length < bWhole.length ? -sign : sign;
  if (aWhole !== bWhole) return aWhole < bWhole ? -sign : sign;
  // No trailing zeros: a prefix is the smaller fraction.
  return aPart < bPart ? -sign : sign;
}

/**
 * Order of two values of one type, as PostgreSQL orders them with collation "C"; nulls equal each
 * other and stand above everything.
 */
export function compareValues(type: ColumnType, a: ColumnValue, b: ColumnValue): number {
  if (a === null) return b === null ? 0 : 1;
  if (b === null) return -1;
  switch (type) {
    case "text":
    case "json":
      return compareText(a as string, b as string);
    case "money":
      return compareMoney(a as string, b as string);
    case "bytes":
      return compareBytes(a as Uint8Array, b as Uint8Array);
    default:
      return a === b ? 0 : (a as bigint) < (b as bigint) ? -1 : 1;
  }
}

const NAME = /^[a-z_][a-z0-9_]{0,62}$/;
const TABLE_NAME = /^[a-z0-9_]{1,63}$/;
const TYPES: readonly string[] = ["int", "text", "bytes", "bool", "money", "json", "time", "float"];
/** Taken by storage: height of a row's last change. */
const RESERVED = "_height";

function broken(table: string, message: string): never {
  throw new HanseError("STATE_SCHEMA", "rejected", `table ${table}: ${message}`, {
    details: { table },
  });
}

/** @throws HanseError `STATE_SCHEMA` saying what to mend. */
export function validateColumn(table: string, column: ColumnSchema): void {
  if (!NAME.test(column.name) || column.name === RESERVED) {
    broken(
      table,
      `"${column.name}" cannot name a column: use a-z, 0-9, _, at most 63, no leading digit`,
    );
  }
  if (!TYPES.includes(column.type))
    broken(table, `${column.name}: no column type "${column.type}"`);
}

/** @throws HanseError `STATE_SCHEMA` saying what to mend. */
export function validateSchema(schema: TableSchema): void {
  const { name, columns, indexes } = schema;
  if (!TABLE_NAME.test(name)) broken(name, "a name has 1 to 63 of a-z, 0-9, _");
  const primary = columns[0];
  if (primary === undefined) broken(name, "needs at least its key column");
  if (primary.type !== "int" && primary.type !== "text" && primary.type !== "bytes") {
    broken(name, `the key column ${primary.name} must be int, text or bytes`);
  }
  if (columns.length > COLUMNS_MAX) broken(name, `more than ${COLUMNS_MAX} columns`);
  if (indexes.length > INDEXES_MAX) broken(name, `more than ${INDEXES_MAX} indexes`);
  const names = new Set<string>();
  for (const column of columns) {
    validateColumn(name, column);
    if (names.has(column.name)) broken(name, `column ${column.name} stands twice`);
    names.add(column.name);
  }
  for (const [i, index] of indexes.entries()) {
    if (!names.has(index)) broken(name, `no column ${index} to index`);
    if (indexes.indexOf(index) !== i) broken(name, `index ${index} stands twice`);
  }
}

/** What a row's key is in a JS Map: numbers and texts as they are, bytes as one character each. */
export function mapKey(key: RowKey): bigint | string {
  return typeof key === "object" ? bytesKey(key) : key;
}

/** One character per byte, so that text order is byte order. */
export function bytesKey(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

/** A row read under a schema that has grown: columns it lacks are null. */
export function widenValues(
  values: readonly ColumnValue[],
  schema: TableSchema,
): readonly ColumnValue[] {
  if (values.length >= schema.columns.length) return values;
  const wide = values.slice();
  while (wide.length < schema.columns.length) wide.push(null);
  return wide;
}

/** Our values as the JSON of the API (packages/api/src/routes/forms.ts), and keys back from text. */
import {
  type BlockHeader,
  type Bytes,
  fromHex,
  HanseError,
  type Outcome,
  toHex,
} from "@hanse/protocol";
import type { ColumnSchema, ColumnType, ColumnValue, RowKey, TableSchema } from "@hanse/state";
import { INT64_MAX, INT64_MIN } from "@hanse/state";

export type JsonValue = null | string | number | boolean;

export function valueToJson(value: ColumnValue, type: ColumnType): JsonValue {
  if (value === null) return null;
  if (typeof value === "bigint") {
    if (type !== "time") return value.toString();
    const time = Number(value);
    return Number.isSafeInteger(time) ? time : value.toString();
  }
  if (value instanceof Uint8Array) return toHex(value);
  return value;
}

export function valuesToJson(
  columns: readonly ColumnSchema[],
  values: readonly ColumnValue[],
): Record<string, JsonValue> {
  const row: Record<string, JsonValue> = {};
  for (const [i, { name, type }] of columns.entries()) row[name] = valueToJson(values[i]!, type);
  return row;
}

function wrong(field: string, expected: string): never {
  throw new HanseError("API_VALUE", "malformed", `${field}: expected ${expected}`, {
    details: { field },
  });
}

/** A value of a request as the column has it. @throws HanseError `API_VALUE` naming the field. */
export function valueFromJson(value: unknown, type: ColumnType, field: string): ColumnValue {
  if (value === null) return null;
  switch (type) {
    case "int":
    case "time": {
      const text = typeof value === "number" ? String(value) : value;
      if (typeof text !== "string" || !/^-?[0-9]{1,19}$/.test(text)) {
        return wrong(field, "a whole number, as decimal text or number");
      }
      const number = BigInt(text);
      if (number < INT64_MIN || number > INT64_MAX) wrong(field, "a 64-bit number");
      return number;
    }
    case "bytes":
      if (typeof value !== "string" || !/^([0-9a-fA-F]{2})*$/.test(value)) {
        return wrong(field, "bytes in hex");
      }
      return fromHex(value);
    case "bool":
      return typeof value === "boolean" ? value : wrong(field, "true or false");
    case "float":
      return typeof value === "number" ? value : wrong(field, "a number");
    default:
      return typeof value === "string" ? value : wrong(field, "a text");
  }
}

/** A primary key as a path or query has it. @throws HanseError `API_VALUE` */
export function keyFromText(text: string, schema: TableSchema): RowKey {
  const column = schema.columns[0]!;
  return valueFromJson(text, column.type, column.name) as RowKey;
}

export function parseHash(text: string, field: string): Bytes {
  if (!/^[0-9a-f]{64}$/.test(text)) wrong(field, "64 lower-case hex digits");
  return fromHex(text);
}

/** Events carry canonical JSON; anything else is shown as text. */
export function eventDataToJson(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

export function outcomeToJson(outcome: Outcome) {
  return {
    code: outcome.code,
    result: outcome.result,
    error: outcome.error,
    fuelUsed: outcome.fuelUsed.toString(),
    events: outcome.events.map(({ name, data }) => ({ name, data: eventDataToJson(data) })),
  };
}

export function headerToJson(header: BlockHeader) {
  const json: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(header) as [string, string | number | Bytes][]) {
    json[name] = value instanceof Uint8Array ? toHex(value) : value;
  }
  return json;
}

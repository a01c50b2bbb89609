/** Types of columns as contracts name them, and what each is in state. */
import { HanseError } from "@hanse/protocol";
import type { ColumnType, ColumnValue } from "@hanse/state";

export interface NeedleColumnType {
  readonly name: string;
  readonly state: ColumnType;
  /** What a row gets when an insert does not name the column. */
  readonly initial: ColumnValue;
  /** Most characters of a text. */
  readonly lengthMax?: number;
}

const EMPTY = new Uint8Array(0);

export const COLUMN_TYPES: ReadonlyMap<string, NeedleColumnType> = new Map(
  (
    [
      { name: "varchar", state: "text", initial: null, lengthMax: 102_400 },
      { name: "character", state: "text", initial: "0", lengthMax: 1 },
      { name: "text", state: "text", initial: null },
      { name: "number", state: "int", initial: 0n },
      { name: "money", state: "money", initial: "0" },
      { name: "json", state: "json", initial: null },
      { name: "boolean", state: "bool", initial: false },
      { name: "datetime", state: "time", initial: null },
      { name: "double", state: "float", initial: null },
      { name: "bytea", state: "bytes", initial: EMPTY },
    ] satisfies readonly NeedleColumnType[]
  ).map((type) => [type.name, type]),
);

/** Most columns of a table beside `id`. */
export const TABLE_COLUMNS_MAX = 50;

/** @throws HanseError `ECOSYSTEM_COLUMN_TYPE` naming the field and the types there are. */
export function columnTypeOf(name: string, field: string): NeedleColumnType {
  const type = COLUMN_TYPES.get(name);
  if (type !== undefined) return type;
  throw new HanseError(
    "ECOSYSTEM_COLUMN_TYPE",
    "malformed",
    `${field}: Type '${name}' of columns is not supported; use one of ${[...COLUMN_TYPES.keys()].join(", ")}`,
    { details: { field } },
  );
}

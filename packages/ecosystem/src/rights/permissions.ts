/**
 * Permissions of a table as stored in the `tables` registry:
 * `{"insert","update","new_column","read"?,"filter"?,"rows"?}` and per column either a condition
 * or `{"update","read"?}` (also as JSON text inside the JSON text, as older exports have it).
 */
import { HanseError } from "@hanse/protocol";
import { parseRight, type Right } from "./rights.ts";

/** One way to see rows: who fulfils all of `if` sees the rows that match `where` (all without). */
export interface RowRule {
  readonly if: readonly Right[];
  /** Column to value; `$org`, `$key_id`, `$account_id` stand for the caller's. */
  readonly where: ReadonlyMap<string, string | bigint | boolean>;
}

export interface TablePermissions {
  readonly insert: Right;
  readonly update: Right;
  readonly newColumn: Right;
  readonly read: Right;
  /** Evaluated once over the selected rows in `$data`; may blank values. */
  readonly filter: Right | undefined;
  /** Undefined: every row. Otherwise a row is visible when one of the rules admits it. */
  readonly rows: readonly RowRule[] | undefined;
}

export interface ColumnPermissions {
  readonly update: Right;
  /** Undefined: readable by everyone who may read the table. */
  readonly read: Right | undefined;
}

/** Most row rules of a table. */
export const ROW_RULES_MAX = 32;

const TABLE_KEYS = new Set(["insert", "update", "new_column", "read", "filter", "rows"]);

function fail(field: string, message: string): never {
  throw new HanseError("ECOSYSTEM_PERMISSIONS", "malformed", `${field}: ${message}`, {
    details: { field },
  });
}

export function asObject(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    fail(field, "expected an object");
  }
  return value as Readonly<Record<string, unknown>>;
}

function right(value: unknown, field: string): Right {
  if (typeof value !== "string") fail(field, "expected a condition as text");
  return parseRight(value);
}

function parseRows(value: unknown, field: string): readonly RowRule[] {
  if (!Array.isArray(value)) fail(field, 'expected a list of {"if", "where"}');
  if (value.length > ROW_RULES_MAX) fail(field, `at most ${ROW_RULES_MAX} rules`);
  return value.map((item: unknown, at) => {
    const rule = asObject(item, `${field}[${at}]`);
    for (const key of Object.keys(rule)) {
      if (key !== "if" && key !== "where") fail(`${field}[${at}].${key}`, "no such key");
    }
    const where = new Map<string, string | bigint | boolean>();
    const source = rule.where === undefined ? {} : asObject(rule.where, `${field}[${at}]`);
    for (const [column, wanted] of Object.entries(source)) {
      const place = `${field}[${at}].where.${column}`;
      if (typeof wanted === "number") {
        if (!Number.isSafeInteger(wanted)) fail(place, "expected a whole number");
        where.set(column, BigInt(wanted));
      } else if (typeof wanted === "string" || typeof wanted === "boolean") {
        where.set(column, wanted);
      } else {
        fail(place, "expected a text, a number, true or false");
      }
    }
    const list: readonly unknown[] = Array.isArray(rule.if) ? rule.if : [rule.if];
    if (list.length === 0) fail(`${field}[${at}].if`, "expected a condition or a list of them");
    return { if: list.map((item) => right(item, `${field}[${at}].if`)), where };
  });
}

/** @throws HanseError `ECOSYSTEM_PERMISSIONS` naming the field. */
export function parseTablePermissions(value: unknown, field: string): TablePermissions {
  const source = asObject(value, field);
  for (const key of Object.keys(source)) {
    if (!TABLE_KEYS.has(key)) fail(`${field}.${key}`, "no such permission");
  }
  return {
    insert: right(source.insert, `${field}.insert`),
    update: right(source.update, `${field}.update`),
    newColumn: right(source.new_column, `${field}.new_column`),
    read: source.read === undefined ? parseRight("") : right(source.read, `${field}.read`),
    filter:
      source.filter === undefined || source.filter === ""
        ? undefined
        : right(source.filter, `${field}.filter`),
    rows: source.rows === undefined ? undefined : parseRows(source.rows, `${field}.rows`),
  };
}

/** @throws HanseError `ECOSYSTEM_PERMISSIONS` naming the field. */
export function parseColumnPermissions(value: unknown, field: string): ColumnPermissions {
  let source = value;
  if (typeof source === "string") {
    if (!source.trimStart().startsWith("{")) {
      return { update: parseRight(source), read: undefined };
    }
    try {
      source = JSON.parse(source);
    } catch {
      fail(field, "looks like JSON but is not");
    }
  }
  const object = asObject(source, field);
  for (const key of Object.keys(object)) {
    if (key !== "update" && key !== "read") fail(`${field}.${key}`, "no such permission");
  }
  const read = object.read;
  return {
    update: right(object.update ?? "", `${field}.update`),
    read: read === undefined || read === "" ? undefined : right(read, `${field}.read`),
  };
}

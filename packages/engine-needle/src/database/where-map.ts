/**
 * Where-maps of the language as conditions of state: data from the first step to the last, so that
 * no value of a caller ever becomes part of a query's text.
 */
import type { CatalogColumn, CatalogTable } from "@hanse/ecosystem";
import { NeedleArray, NeedleMap, type NeedleValue } from "@hanse/needle";
import { HanseError } from "@hanse/protocol";
import type { Comparison, Condition } from "@hanse/state";
import { toComparedValue } from "./column-values.ts";

/** Nesting of `$and` and `$or`. */
export const WHERE_DEPTH_MAX = 32;

const COMPARISONS: ReadonlyMap<string, Comparison> = new Map([
  ["$eq", "eq"],
  ["$neq", "ne"],
  ["$gt", "gt"],
  ["$gte", "ge"],
  ["$lt", "lt"],
  ["$lte", "le"],
]);

/** Operator to what stands before and behind the value in a LIKE pattern, and case folding. */
const PATTERNS: ReadonlyMap<string, readonly [string, string, "like" | "ilike"]> = new Map([
  ["$like", ["%", "%", "like"]],
  ["$begin", ["", "%", "like"]],
  ["$end", ["%", "", "like"]],
  ["$ilike", ["%", "%", "ilike"]],
  ["$ibegin", ["", "%", "ilike"]],
  ["$iend", ["%", "", "ilike"]],
]);

function wrong(message: string): never {
  throw new HanseError("NEEDLE_WHERE", "rejected", `where: ${message}`);
}

/** A key as older code may write it: other characters dropped, lower case. */
export function sanitizeKey(key: string): string {
  return key.replace(/[^\p{L}\p{N}_\->$]/gu, "").toLowerCase();
}

/** `doc->a->b` is column `doc` with path `a`, `b`. */
export interface ColumnPath {
  readonly column: CatalogColumn;
  readonly path: readonly string[];
}

/** @throws HanseError `NEEDLE_NO_COLUMN` naming table and column. */
export function resolveColumn(table: CatalogTable, key: string): ColumnPath {
  const steps = key.split("->");
  const name = steps[0]!.trim();
  const column = table.columns.get(name);
  if (column === undefined) {
    throw new HanseError(
      "NEEDLE_NO_COLUMN",
      "notFound",
      `table ${table.full} has no column '${name.slice(0, 80)}'; it has ${table.columnNames.join(", ")}`,
      { details: { table: table.full, column: name.slice(0, 80) } },
    );
  }
  const path = steps.slice(1).map((step) => step.trim());
  if (path.length > 0 && column.state !== "json") {
    wrong(`column ${name} is ${column.type.name}, a path with -> needs json`);
  }
  return { column, path };
}

class WhereReader {
  readonly #table: CatalogTable;
  /** Columns the condition looks at: a caller must be allowed to read them. */
  readonly columns = new Set<string>();
  /** Values in lists. */
  listed = 0;

  constructor(table: CatalogTable) {
    this.#table = table;
  }

  map(where: NeedleMap, depth: number): Condition | undefined {
    if (depth > WHERE_DEPTH_MAX) wrong(`nested deeper than ${WHERE_DEPTH_MAX}`);
    const parts: Condition[] = [];
    for (const [rawKey, value] of where.entries) {
      const key = sanitizeKey(rawKey);
      const part =
        key === "$or" || key === "$and"
          ? this.#group(key === "$or" ? "or" : "and", value, depth)
          : this.#entry(key, value);
      if (part !== undefined) parts.push(part);
    }
    return joined("and", parts);
  }

  #group(op: "and" | "or", value: NeedleValue, depth: number): Condition | undefined {
    if (!(value instanceof NeedleArray)) wrong(`$${op}: expected a list of maps`);
    const parts: Condition[] = [];
    for (const item of value) {
      if (!(item instanceof NeedleMap)) continue;
      const part = this.map(item, depth + 1);
      // An empty map holds for every row.
      if (part === undefined && op === "or") return undefined;
      if (part !== undefined) parts.push(part);
    }
    return joined(op, parts);
  }

  #entry(key: string, value: NeedleValue): Condition | undefined {
    const target = resolveColumn(this.#table, key);
    this.columns.add(target.column.name);
    if (value instanceof NeedleMap) return this.#operators(target, value);
    if (value instanceof NeedleArray) {
      const parts: Condition[] = [];
      for (const item of value) {
        const part =
          item instanceof NeedleMap
            ? this.#operators(target, item)
            : this.#comparison(target, "eq", item);
        if (part !== undefined) parts.push(part);
      }
      return joined("and", parts);
    }
    return this.#comparison(target, "eq", value);
  }

  #operators(target: ColumnPath, operators: NeedleMap): Condition | undefined {
    const parts: Condition[] = [];
    for (const [rawOperator, value] of operators.entries) {
      const operator = rawOperator.trim().toLowerCase();
      const comparison = COMPARISONS.get(operator);
      const pattern = PATTERNS.get(operator);
      if (comparison !== undefined) parts.push(this.#comparison(target, comparison, value));
      else if (pattern !== undefined) parts.push(this.#pattern(target, pattern, value));
      else if (operator === "$in" || operator === "$nin") {
        parts.push(this.#list(target, operator === "$in", value));
      } else {
        wrong(
          `unknown operator '${rawOperator.slice(0, 40)}'; use ${[...COMPARISONS.keys(), ...PATTERNS.keys(), "$in", "$nin"].join(", ")}`,
        );
      }
    }
    return joined("and", parts);
  }

  #comparison(target: ColumnPath, compare: Comparison, value: NeedleValue): Condition {
    const { column, path } = target;
    const text = typeof value === "string" ? value.toLowerCase() : "";
    if (text === "$isnull" && path.length === 0) {
      return { op: compare === "ne" ? "notNull" : "isNull", column: column.name };
    }
    if (path.length > 0) {
      return { op: "json", column: column.name, path, compare, value: jsonText(value) };
    }
    return { op: compare, column: column.name, value: toComparedValue(value, column) };
  }

  #pattern(
    target: ColumnPath,
    [before, behind, op]: readonly [string, string, "like" | "ilike"],
    value: NeedleValue,
  ): Condition {
    const { column, path } = target;
    if (path.length > 0 || column.state !== "text") {
      wrong(`column ${column.name} is ${column.type.name}; patterns need text`);
    }
    const text = toComparedValue(value, column) as string;
    return { op, column: column.name, pattern: `${before}${text}${behind}` };
  }

  #list(target: ColumnPath, isIn: boolean, value: NeedleValue): Condition {
    if (!(value instanceof NeedleArray)) {
      if (value === "" || value === null) return NOTHING;
      wrong("$in and $nin take a list of values");
    }
    // An empty list matches nothing, in both directions.
    if (value.length === 0) return NOTHING;
    this.listed += value.length;
    const { column, path } = target;
    if (path.length > 0) {
      const parts: Condition[] = [];
      for (const item of value) {
        parts.push({ op: "json", column: column.name, path, compare: "eq", value: jsonText(item) });
      }
      return isIn ? { op: "or", of: parts } : { op: "not", of: { op: "or", of: parts } };
    }
    const values = value.toItems().map((item) => toComparedValue(item, column));
    return { op: isIn ? "in" : "notIn", column: column.name, values };
  }
}

const NOTHING: Condition = { op: "or", of: [] };

function jsonText(value: NeedleValue): string {
  if (typeof value === "string") return value;
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  return wrong("a path with -> is compared with a text, a whole number, true or false");
}

function joined(op: "and" | "or", parts: readonly Condition[]): Condition | undefined {
  if (parts.length === 0) return undefined;
  return parts.length === 1 ? parts[0]! : { op, of: parts };
}

export interface Where {
  /** Undefined: every row. */
  readonly condition: Condition | undefined;
  readonly columns: ReadonlySet<string>;
  /** Values that stand in lists of `$in` and `$nin`. */
  readonly listed: number;
}

/** @throws HanseError `NEEDLE_WHERE`, `NEEDLE_NO_COLUMN`, `NEEDLE_COLUMN_VALUE`. */
export function translateWhere(table: CatalogTable, where: NeedleMap): Where {
  const reader = new WhereReader(table);
  const condition = reader.map(where, 0);
  return { condition, columns: reader.columns, listed: reader.listed };
}

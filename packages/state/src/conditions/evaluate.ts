/**
 * Conditions over rows in memory, with the verdicts PostgreSQL gives under collation "C": three
 * values, true, false and unknown (null), where a comparison with null is unknown.
 */
import { HanseError } from "@hanse/protocol";
import { jsonTextAt } from "../values/canonical-json.ts";
import { compareValues, valueFault } from "../values/column-values.ts";
import type {
  ColumnSchema,
  ColumnValue,
  Comparison,
  Condition,
  Query,
  TableSchema,
} from "../view/state-view.ts";
import { QUERY_LIMIT_MAX } from "../view/state-view.ts";
import { createLikeMatcher } from "./like.ts";

/** Nodes of one condition, values of lists included. */
export const CONDITION_NODES_MAX = 10_000;
export const CONDITION_DEPTH_MAX = 64;
/** Rows a query may skip. */
export const QUERY_OFFSET_MAX = 100_000;
export const ORDER_COLUMNS_MAX = 16;
export const JSON_PATH_MAX = 16;

type Verdict = boolean | null;
export type RowTest = (values: readonly ColumnValue[]) => Verdict;

function wrong(table: string, message: string): never {
  throw new HanseError("STATE_QUERY", "rejected", `query on ${table}: ${message}`, {
    details: { table },
  });
}

/** Place of a column in its table. @throws HanseError `STATE_NO_COLUMN` */
export function columnIndex(schema: TableSchema, name: string): number {
  const columns = schema.columns;
  for (let i = 0; i < columns.length; i++) if (columns[i]!.name === name) return i;
  throw new HanseError(
    "STATE_NO_COLUMN",
    "notFound",
    `table ${schema.name} has no column ${name}`,
    {
      details: { table: schema.name, column: name },
    },
  );
}

function isHolding(compare: Comparison, order: number): boolean {
  switch (compare) {
    case "eq":
      return order === 0;
    case "ne":
      return order !== 0;
    case "lt":
      return order < 0;
    case "le":
      return order <= 0;
    case "gt":
      return order > 0;
    case "ge":
      return order >= 0;
  }
}

interface Count {
  nodes: number;
}

function checkValue(schema: TableSchema, column: ColumnSchema, value: ColumnValue): void {
  const fault = valueFault(column.type, value);
  if (fault !== undefined) wrong(schema.name, `${column.name}: compared value must be ${fault}`);
}

function compile(schema: TableSchema, at: Condition, depth: number, count: Count): RowTest {
  if (depth > CONDITION_DEPTH_MAX) wrong(schema.name, `nests above ${CONDITION_DEPTH_MAX}`);
  count.nodes += at.op === "in" || at.op === "notIn" ? at.values.length + 1 : 1;
  if (count.nodes > CONDITION_NODES_MAX) wrong(schema.name, `above ${CONDITION_NODES_MAX} parts`);
  switch (at.op) {
    case "and":
    case "or": {
      const tests = at.of.map((inner) => compile(schema, inner, depth + 1, count));
      const end = at.op === "or";
      return (values) => {
        let verdict: Verdict = !end;
        for (const test of tests) {
          const one = test(values);
          if (one === end) return end;
          if (one === null) verdict = null;
        }
        return verdict;
      };
    }
    case "not": {
      const test = compile(schema, at.of, depth + 1, count);
      return (values) => {
        const verdict = test(values);
        return verdict === null ? null : !verdict;
      };
    }
  }
  const index = columnIndex(schema, at.column);
  const column = schema.columns[index]!;
  const type = column.type;
  switch (at.op) {
    case "isNull":
      return (values) => (values[index] ?? null) === null;
    case "notNull":
      return (values) => (values[index] ?? null) !== null;
    case "in":
    case "notIn": {
      for (const value of at.values) checkValue(schema, column, value);
      const found = at.op === "in";
      const list = at.values.filter((value) => value !== null);
      const hasNull = list.length < at.values.length;
      if (at.values.length === 0) return () => !found;
      return (values) => {
        const value = values[index] ?? null;
        if (value === null) return null;
        for (const item of list) if (compareValues(type, value, item) === 0) return found;
        return hasNull ? null : !found;
      };
    }
    case "like":
    case "ilike": {
      if (type !== "text") wrong(schema.name, `${column.name}: like needs a text column`);
      const matches = createLikeMatcher(at.pattern, at.op === "ilike");
      if (matches === undefined) {
        wrong(schema.name, `${column.name}: the pattern is no plain text or ends with its escape`);
      }
      return (values) => {
        const value = values[index] ?? null;
        return value === null ? null : matches(value as string);
      };
    }
    case "json": {
      if (type !== "json") wrong(schema.name, `${column.name}: a path needs a json column`);
      const { path, compare, value: wanted } = at;
      if (path.length < 1 || path.length > JSON_PATH_MAX) {
        wrong(schema.name, `${column.name}: a path has 1 to ${JSON_PATH_MAX} steps`);
      }
      for (const step of path) {
        if (valueFault("text", step) !== undefined) wrong(schema.name, "path steps are plain text");
      }
      if (wanted !== null && valueFault("text", wanted) !== undefined) {
        wrong(schema.name, `${column.name}: compared value must be plain text`);
      }
      return (values) => {
        const value = values[index] ?? null;
        if (value === null || wanted === null) return null;
        const text = jsonTextAt(value as string, path);
        return text === undefined ? null : isHolding(compare, compareValues("text", text, wanted));
      };
    }
  }
  const { op, value: wanted } = at;
  checkValue(schema, column, wanted);
  if (wanted === null) return () => null;
  return (values) => {
    const value = values[index] ?? null;
    return value === null ? null : isHolding(op, compareValues(type, value, wanted));
  };
}

/**
 * Turns a condition into a test on a row's values.
 * @throws HanseError `STATE_NO_COLUMN`, `STATE_QUERY` when it does not fit the table.
 */
export function compileCondition(schema: TableSchema, condition: Condition | undefined): RowTest {
  if (condition === undefined) return () => true;
  return compile(schema, condition, 0, { nodes: 0 });
}

/** Whether a row meets a condition (unknown counts as no). @throws HanseError as compileCondition. */
export function evaluateCondition(
  schema: TableSchema,
  condition: Condition | undefined,
  values: readonly ColumnValue[],
): boolean {
  return compileCondition(schema, condition)(values) === true;
}

/** The total order of a query's result: its own order, then the primary key. */
export function createRowOrder(
  schema: TableSchema,
  order: Query["order"],
): (a: readonly ColumnValue[], b: readonly ColumnValue[]) => number {
  if ((order?.length ?? 0) > ORDER_COLUMNS_MAX) {
    wrong(schema.name, `orders by more than ${ORDER_COLUMNS_MAX} columns`);
  }
  const parts = (order ?? []).map((part) => {
    const index = columnIndex(schema, part.column);
    return { index, type: schema.columns[index]!.type, sign: part.descending === true ? -1 : 1 };
  });
  parts.push({ index: 0, type: schema.columns[0]!.type, sign: 1 });
  return (a, b) => {
    for (const { index, type, sign } of parts) {
      const difference = compareValues(type, a[index] ?? null, b[index] ?? null);
      if (difference !== 0) return difference * sign;
    }
    return 0;
  };
}

/** @throws HanseError `STATE_QUERY` when limit or offset is out of bounds. */
export function validatePage(query: Query): { readonly limit: number; readonly offset: number } {
  const { limit, offset = 0 } = query;
  if (!Number.isInteger(limit) || limit < 1 || limit > QUERY_LIMIT_MAX) {
    wrong(query.table, `limit must be 1 to ${QUERY_LIMIT_MAX}`);
  }
  if (!Number.isInteger(offset) || offset < 0 || offset > QUERY_OFFSET_MAX) {
    wrong(query.table, `offset must be 0 to ${QUERY_OFFSET_MAX}`);
  }
  return { limit, offset };
}

/**
 * The keys a condition pins its rows to, when it does: `key = x` or `key in (…)`, alone or among
 * the parts of an `and`. Such a query needs no search.
 */
export function keysOf(
  schema: TableSchema,
  condition: Condition | undefined,
): readonly ColumnValue[] | undefined {
  if (condition === undefined) return undefined;
  const primary = schema.columns[0]!.name;
  if (condition.op === "eq" && condition.column === primary) return [condition.value];
  if (condition.op === "in" && condition.column === primary) return condition.values;
  if (condition.op === "and") {
    for (const part of condition.of) {
      const keys = keysOf(schema, part);
      if (keys !== undefined) return keys;
    }
  }
  return undefined;
}

/** Queries over a view with rows changed on top of it. */
import { HanseError } from "@hanse/protocol";
import { createRowOrder, type RowTest } from "../conditions/evaluate.ts";
import { mapKey, widenValues } from "../values/column-values.ts";
import type { Condition, Query, Row, RowKey, StateView, TableSchema } from "../view/state-view.ts";
import { QUERY_LIMIT_MAX } from "../view/state-view.ts";

/** A row as the view below has it and as it stands now. */
export interface TouchedRow {
  readonly key: RowKey;
  readonly base: Row | undefined;
  /** Further forms the view below may still or already show, when that is not known for sure. */
  readonly others?: readonly (Row | undefined)[];
  readonly current: Row | undefined;
}

/** The view below, as far as queries need it. */
export interface Below {
  readonly base: Pick<StateView, "find" | "count">;
  /** Undefined: the view below has no such table. */
  readonly baseSchema: TableSchema | undefined;
  readonly schema: TableSchema;
}

const TRUE: Condition = { op: "and", of: [] };
const FALSE: Condition = { op: "or", of: [] };

/**
 * The condition as the view below can answer it: a column it does not have yet is null in all of
 * its rows.
 */
function rebase(condition: Condition, below: TableSchema): Condition {
  switch (condition.op) {
    case "and":
    case "or":
      return { op: condition.op, of: condition.of.map((part) => rebase(part, below)) };
    case "not":
      return { op: "not", of: rebase(condition.of, below) };
  }
  if (below.columns.some((column) => column.name === condition.column)) return condition;
  if (condition.op === "isNull") return TRUE;
  if (condition.op === "notNull") return FALSE;
  if ((condition.op === "in" || condition.op === "notIn") && condition.values.length === 0) {
    return condition.op === "in" ? FALSE : TRUE;
  }
  // Unknown: a comparison with null.
  return { op: "eq", column: below.columns[0]!.name, value: null };
}

function rebaseQuery(at: Below, below: TableSchema, query: Query): Query {
  if (below === at.schema) return query;
  const has = (name: string) => below.columns.some((column) => column.name === name);
  return {
    ...query,
    ...(query.where === undefined ? {} : { where: rebase(query.where, below) }),
    order: (query.order ?? []).filter((part) => has(part.column)),
  };
}

/** Fetches `count` rows from below, in as many steps as its limit asks for. */
function fetch(at: Below, query: Query, count: number): Row[] {
  const rows: Row[] = [];
  if (at.baseSchema === undefined) return rows;
  const rebased = rebaseQuery(at, at.baseSchema, query);
  const first = query.offset ?? 0;
  while (rows.length < count) {
    const limit = Math.min(count - rows.length, QUERY_LIMIT_MAX);
    const some = at.base.find({ ...rebased, limit, offset: first + rows.length });
    for (const row of some) rows.push(row);
    if (some.length < limit) break;
  }
  if (at.baseSchema.columns.length === at.schema.columns.length) return rows;
  return rows.map((row) => ({ values: widenValues(row.values, at.schema), height: row.height }));
}

function sift(at: Below, touched: Iterable<TouchedRow>, test: RowTest) {
  const added: Row[] = [];
  const keys = new Set<bigint | string>();
  let hidden = 0;
  const isMatch = (row: Row | undefined) =>
    row !== undefined && test(widenValues(row.values, at.schema)) === true;
  for (const { key, base, current, others } of touched) {
    if (base === current && others === undefined) continue;
    if (isMatch(base) || others?.some(isMatch) === true) {
      hidden++;
      keys.add(mapKey(key));
    }
    if (current === undefined) continue;
    const values = widenValues(current.values, at.schema);
    if (test(values) === true) added.push({ values, height: current.height });
  }
  return { added, keys, hidden };
}

/**
 * Rows of a query in its total order. `candidates`, when given, are all rows that can match (a
 * query by key): the view below is then not asked.
 */
export function mergeFind(
  at: Below,
  candidates: Row[] | undefined,
  touched: Iterable<TouchedRow>,
  test: RowTest,
  query: Query,
): readonly Row[] {
  const { limit, offset = 0 } = query;
  const order = createRowOrder(at.schema, query.order);
  let rows: Row[];
  if (candidates !== undefined) {
    rows = candidates.filter((row) => test(row.values) === true);
  } else {
    const { added, keys, hidden } = sift(at, touched, test);
    // Nothing on top matters for this query: the page below is the page.
    if (added.length === 0 && hidden === 0) return fetch(at, query, limit);
    if (at.baseSchema === undefined) rows = added;
    else {
      const below = fetch(at, { ...query, offset: 0 }, offset + limit + hidden);
      rows = below.filter((row) => !keys.has(mapKey(row.values[0] as RowKey)));
      for (const row of added) rows.push(row);
    }
  }
  rows.sort((a, b) => order(a.values, b.values));
  return rows.slice(offset, offset + limit);
}

export function mergeCount(
  at: Below,
  touched: Iterable<TouchedRow>,
  test: RowTest,
  query: Pick<Query, "table" | "where">,
): number {
  const { added, hidden } = sift(at, touched, test);
  if (at.baseSchema === undefined) return added.length;
  const below = at.base.count(rebaseQuery(at, at.baseSchema, { ...query, limit: 1 }));
  if (below < hidden) {
    throw new HanseError("INVARIANT", "corrupt", "broken invariant: count below changed rows");
  }
  return below - hidden + added.length;
}

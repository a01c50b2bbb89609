/**
 * `Select` and `Group` of DBFind: a closed list of aggregates over columns, never a piece of a
 * query language.
 */
import type { CatalogColumn, CatalogTable } from "@hanse/ecosystem";
import { Money } from "@hanse/needle";
import { HanseError } from "@hanse/protocol";
import { type ColumnValue, compareValues, type Row } from "@hanse/state";
import { columnText, toMoney } from "./column-values.ts";
import { resolveColumn } from "./where-map.ts";

type AggregateName = "count" | "sum" | "min" | "max" | "avg";

interface SelectItem {
  readonly alias: string;
  readonly aggregate: AggregateName | undefined;
  /** Undefined for `count(*)`. */
  readonly column: CatalogColumn | undefined;
}

export interface SelectList {
  readonly items: readonly SelectItem[];
  readonly columns: ReadonlySet<string>;
  readonly aggregated: boolean;
}

const ITEM =
  /^(?:(count|sum|min|max|avg)\s*\(\s*(\*|"?[a-z_][a-z0-9_]*"?)\s*\)|"?([a-z_][a-z0-9_]*)"?)(?:\s+as\s+"?([a-z_][a-z0-9_]*)"?)?$/i;

/** Digits behind the point of an average. */
const AVERAGE_DIGITS = 16;

/** @throws HanseError `NEEDLE_SELECT`, `NEEDLE_NO_COLUMN`. */
export function parseSelectList(table: CatalogTable, text: string): SelectList {
  const columns = new Set<string>();
  const items = text.split(",").map((part): SelectItem => {
    const match = ITEM.exec(part.trim());
    if (match === null) {
      throw new HanseError(
        "NEEDLE_SELECT",
        "rejected",
        `select: '${part.trim().slice(0, 60)}' is neither a column nor count, sum, min, max or avg of one`,
      );
    }
    const aggregate = match[1]?.toLowerCase() as AggregateName | undefined;
    const name = (match[2] ?? match[3])!.replaceAll('"', "").toLowerCase();
    if (name === "*" && aggregate !== "count") {
      throw new HanseError("NEEDLE_SELECT", "rejected", "select: only count takes *");
    }
    const column = name === "*" ? undefined : resolveColumn(table, name).column;
    if (column !== undefined) columns.add(column.name);
    const alias = (match[4] ?? aggregate ?? name).toLowerCase();
    return { alias, aggregate, column };
  });
  return { items, columns, aggregated: items.some((item) => item.aggregate !== undefined) };
}

function sum(column: CatalogColumn, values: readonly ColumnValue[]): string {
  if (values.length === 0) return "";
  if (column.state === "float") {
    let total = 0;
    for (const value of values) total += value as number;
    return columnText(total, column);
  }
  return total(column, values).toText();
}

function total(column: CatalogColumn, values: readonly ColumnValue[]): Money {
  let result = Money.fromInt(0n);
  for (const value of values) {
    const next = result.plus(toMoney(value as bigint | string, column));
    if (next === undefined) {
      throw new HanseError("NEEDLE_SELECT", "rejected", `sum(${column.name}): too many digits`);
    }
    result = next;
  }
  return result;
}

function average(column: CatalogColumn, values: readonly ColumnValue[]): string {
  if (values.length === 0) return "";
  if (column.state === "float") {
    let total = 0;
    for (const value of values) total += value as number;
    return columnText(total / values.length, column);
  }
  const count = Money.fromInt(BigInt(values.length));
  return total(column, values).dividedRounded(count, AVERAGE_DIGITS)?.toText() ?? "";
}

function evaluate(item: SelectItem, rows: readonly Row[]): string {
  const { column } = item;
  if (item.aggregate === undefined) {
    return columnText(rows[0]?.values[column!.at] ?? null, column!);
  }
  if (column === undefined) return String(rows.length);
  const values: ColumnValue[] = [];
  for (const row of rows) {
    const value = row.values[column.at] ?? null;
    if (value !== null) values.push(value);
  }
  if (item.aggregate === "count") return String(values.length);
  if (item.aggregate === "min" || item.aggregate === "max") {
    const sign = item.aggregate === "min" ? 1 : -1;
    let best: ColumnValue = null;
    for (const value of values) {
      if (best === null || compareValues(column.state, value, best) * sign < 0) best = value;
    }
    return columnText(best, column);
  }
  if (column.state !== "int" && column.state !== "money" && column.state !== "float") {
    throw new HanseError(
      "NEEDLE_SELECT",
      "rejected",
      `${item.aggregate}(${column.name}): a column of type ${column.type.name} has none`,
    );
  }
  return item.aggregate === "sum" ? sum(column, values) : average(column, values);
}

/** Result rows of a select list over rows in order; groups appear where their first row stood. */
export function aggregateRows(
  select: SelectList,
  group: CatalogColumn | undefined,
  rows: readonly Row[],
): readonly ReadonlyMap<string, string>[] {
  if (!select.aggregated && group === undefined) {
    return rows.map((row) => lineOf(select, [row]));
  }
  for (const item of select.items) {
    if (item.aggregate === undefined && item.column !== group) {
      throw new HanseError(
        "NEEDLE_SELECT",
        "rejected",
        `select: column ${item.alias} must be grouped by or inside count, sum, min, max or avg`,
      );
    }
  }
  if (group === undefined) return [lineOf(select, rows)];
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const value = row.values[group.at] ?? null;
    const key = value === null ? "null" : `=${columnText(value, group)}`;
    const list = groups.get(key);
    if (list === undefined) groups.set(key, [row]);
    else list.push(row);
  }
  return [...groups.values()].map((list) => lineOf(select, list));
}

function lineOf(select: SelectList, rows: readonly Row[]): ReadonlyMap<string, string> {
  return new Map(select.items.map((item) => [item.alias, evaluate(item, rows)]));
}

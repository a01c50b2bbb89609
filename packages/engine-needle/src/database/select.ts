/** Selects of the language: DBFind, DBRow, DBSelect, DBCount, with the rights of who asks. */
import { type CatalogTable, readableColumns, requireReadable, visibleRows } from "@hanse/ecosystem";
import { NeedleArray, NeedleMap, type NeedleValue } from "@hanse/needle";
import { HanseError } from "@hanse/protocol";
import {
  type Condition,
  evaluateCondition,
  jsonTextAt,
  type Order,
  QUERY_LIMIT_MAX,
  type Row,
} from "@hanse/state";
import { aggregateRows, parseSelectList } from "./aggregate.ts";
import { columnText } from "./column-values.ts";
import { FUEL_KEY, FUEL_ROW, FUEL_SEARCH } from "./data-fuel.ts";
import { type DatabaseSession, openTable, type ResolvedTable } from "./database-session.ts";
import {
  type ColumnPath,
  resolveColumn,
  sanitizeKey,
  translateWhere,
  type Where,
} from "./where-map.ts";

/** Rows without a Limit. */
export const SELECT_LIMIT_DEFAULT = 25;
/** Rows an aggregate may go over. */
export const AGGREGATE_ROWS_MAX = 100_000;

export interface Select {
  readonly table: string;
  /** Comma text or list; empty: all. */
  readonly columns: NeedleValue;
  readonly where: NeedleMap | undefined;
  /** Above or below 0: this row alone. */
  readonly id: bigint;
  readonly order: NeedleValue;
  /** 0: the default; below 0 or above 10 000: 10 000. */
  readonly limit: bigint;
  readonly offset: bigint;
  readonly group: string;
  /** Select list of aggregates; empty: the columns. */
  readonly select: string;
  readonly all: boolean;
}

interface Output {
  readonly key: string;
  readonly target: ColumnPath;
}

/** Parsed column lists per table and text: contracts ask with few different ones. */
const OUTPUT_CACHE_MAX = 256;
const outputs = new WeakMap<CatalogTable, Map<string, readonly Output[]>>();

function parseOutputs(table: CatalogTable, columns: NeedleValue): readonly Output[] {
  if (typeof columns !== "string" && columns !== null) return outputList(table, columns);
  const text = columns ?? "";
  let known = outputs.get(table);
  if (known === undefined) {
    known = new Map();
    outputs.set(table, known);
  }
  let list = known.get(text);
  if (list === undefined) {
    list = outputList(table, text);
    if (known.size >= OUTPUT_CACHE_MAX) known.clear();
    known.set(text, list);
  }
  return list;
}

function outputList(table: CatalogTable, columns: NeedleValue): readonly Output[] {
  let names: string[];
  if (columns instanceof NeedleArray) {
    names = columns.toItems().map((item) => (typeof item === "string" ? item : ""));
  } else if (typeof columns === "string") {
    names = columns.split(",");
  } else {
    throw new HanseError(
      "NEEDLE_SELECT",
      "rejected",
      "columns: expected a text or a list of texts",
    );
  }
  const list: Output[] = [];
  for (const name of names) {
    const key = sanitizeKey(name);
    if (key === "") continue;
    if (key === "*") break;
    const target = resolveColumn(table, key);
    list.push({ key: [target.column.name, ...target.path].join("."), target });
  }
  if (list.length > 0) return list;
  return [...table.columns.values()].map((column) => ({
    key: column.name,
    target: { column, path: [] },
  }));
}

function orderOf(table: CatalogTable, order: NeedleValue): Order[] {
  const list: Order[] = [];
  const add = (key: string, descending: boolean): void => {
    if (sanitizeKey(key) === "") return;
    const { column, path } = resolveColumn(table, sanitizeKey(key));
    if (path.length > 0) {
      throw new HanseError("NEEDLE_SELECT", "rejected", `order: ${key} is a path, not a column`);
    }
    if (list.some((item) => item.column === column.name)) return;
    list.push({ column: column.name, descending });
  };
  const addItem = (item: NeedleValue): void => {
    if (typeof item === "string") {
      for (const part of item.split(",")) add(part, false);
    } else if (item instanceof NeedleMap) {
      for (const [key, value] of item.entries) {
        add(key, value === "-1" || value === -1n || value === -1);
      }
    } else if (item !== null) {
      throw new HanseError(
        "NEEDLE_SELECT",
        "rejected",
        "order: expected texts and {column: 1 or -1}",
      );
    }
  };
  if (order instanceof NeedleArray) for (const item of order) addItem(item);
  else addItem(order);
  return list;
}

function both(left: Condition | undefined, right: Condition | "all"): Condition | undefined {
  if (right === "all") return left;
  return left === undefined ? right : { op: "and", of: [left, right] };
}

function cell(row: Row, target: ColumnPath): string {
  const value = row.values[target.column.at] ?? null;
  if (target.path.length === 0) return columnText(value, target.column);
  return value === null ? "" : (jsonTextAt(value as string, target.path) ?? "");
}

/**
 * Rows as maps from column to text.
 * @throws HanseError `NEEDLE_NO_TABLE`, `NEEDLE_NO_COLUMN`, `NEEDLE_WHERE`, `NEEDLE_SELECT`,
 * `NEEDLE_COLUMN_VALUE`, `NEEDLE_ACCESS_DENIED`.
 */
export function selectRows(
  session: DatabaseSession,
  ecosystem: number,
  select: Select,
): NeedleArray {
  const opened = openTable(session, select.table, ecosystem, false);
  if (select.select !== "" || select.group !== "") {
    return selectAggregates(session, opened, select);
  }
  const { table, home } = opened;
  const wanted = parseOutputs(table, select.columns);
  let shown = wanted;
  const { permissions } = table;
  if (permissions.read.kind !== "always" || table.hasColumnReads) {
    const allowed = new Set(
      readableColumns(
        table,
        wanted.map((output) => output.target.column.name),
        home,
        session.rights,
      ),
    );
    shown = wanted.filter((output) => allowed.has(output.target.column.name));
  }
  const rows = findRows(session, opened, select);
  const maps: NeedleValue[] = new Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const entries = new Map<string, NeedleValue>();
    for (const { key, target } of shown) entries.set(key, cell(rows[i]!, target));
    maps[i] = new NeedleMap(entries);
  }
  return release(session, opened, NeedleArray.of(maps));
}

function release(
  session: DatabaseSession,
  { table, home }: ResolvedTable,
  data: NeedleArray,
): NeedleArray {
  const { filter } = table.permissions;
  if (filter === undefined || session.rights.releases(filter, home, table.appId, data)) return data;
  throw new HanseError("NEEDLE_ACCESS_DENIED", "denied", `access denied (${table.full} filter)`, {
    details: { what: `${table.full} filter` },
  });
}

function pageOf(select: Select): { readonly limit: number; readonly offset: number } {
  if (select.all) return { limit: QUERY_LIMIT_MAX, offset: 0 };
  const limit =
    select.limit === 0n
      ? SELECT_LIMIT_DEFAULT
      : select.limit < 0n || select.limit > BigInt(QUERY_LIMIT_MAX)
        ? QUERY_LIMIT_MAX
        : Number(select.limit);
  return { limit, offset: select.offset < 0n ? 0 : Number(select.offset) };
}

function findRows(
  session: DatabaseSession,
  { table, home }: ResolvedTable,
  select: Select,
): readonly Row[] {
  const visible = visibleRows(table, home, session.rights);
  if (select.id !== 0n) {
    session.chargeFuel(FUEL_KEY);
    session.noteRow(table.full, select.id);
    const row = session.state.getRow(table.full, select.id);
    if (row === undefined) return [];
    if (visible !== "all" && !evaluateCondition(table.schema, visible, row.values)) return [];
    return [row];
  }
  const where = select.where === undefined ? undefined : translateWhere(table, select.where);
  const order = select.order === null || select.order === "" ? [] : orderOf(table, select.order);
  if (table.hasColumnReads) {
    const used = new Set(where?.columns);
    for (const item of order) used.add(item.column);
    requireReadable(table, used, home, session.rights);
  }
  const condition = both(where?.condition, visible);
  chargeSearch(session, where);
  const rows = session.state.find({
    table: table.full,
    ...(condition === undefined ? {} : { where: condition }),
    ...(order.length === 0 ? {} : { order }),
    ...pageOf(select),
  });
  session.chargeFuel(rows.length * FUEL_ROW);
  return rows;
}

function chargeSearch(session: DatabaseSession, where: Where | undefined): void {
  session.chargeFuel(FUEL_SEARCH + (where?.listed ?? 0) * FUEL_ROW);
}

function selectAggregates(
  session: DatabaseSession,
  opened: ResolvedTable,
  select: Select,
): NeedleArray {
  const { table, home } = opened;
  const { rights } = session;
  const group = select.group === "" ? undefined : resolveColumn(table, sanitizeKey(select.group));
  const list = parseSelectList(
    table,
    select.select !== ""
      ? select.select
      : parseOutputs(table, select.columns)
          .map((output) => output.target.column.name)
          .join(","),
  );
  const used = new Set(list.columns);
  if (group !== undefined) used.add(group.column.name);
  const where = select.where === undefined ? undefined : translateWhere(table, select.where);
  for (const name of where?.columns ?? []) used.add(name);
  readableColumns(table, undefined, home, rights);
  requireReadable(table, used, home, rights);
  const byId: Condition | undefined =
    select.id === 0n ? undefined : { op: "eq", column: "id", value: select.id };
  const condition = both(byId ?? where?.condition, visibleRows(table, home, rights));
  const order = select.order === null || select.order === "" ? [] : orderOf(table, select.order);
  requireReadable(
    table,
    order.map((item) => item.column),
    home,
    rights,
  );
  const rows: Row[] = [];
  for (let offset = 0; ; offset += QUERY_LIMIT_MAX) {
    if (offset >= AGGREGATE_ROWS_MAX) {
      throw new HanseError(
        "NEEDLE_SELECT",
        "limit",
        `select: more than ${AGGREGATE_ROWS_MAX} rows to go over; narrow the where`,
      );
    }
    chargeSearch(session, where);
    const page = session.state.find({
      table: table.full,
      ...(condition === undefined ? {} : { where: condition }),
      ...(order.length === 0 ? {} : { order }),
      limit: QUERY_LIMIT_MAX,
      offset,
    });
    session.chargeFuel(page.length * FUEL_ROW);
    rows.push(...page);
    if (page.length < QUERY_LIMIT_MAX) break;
  }
  const { limit, offset } = pageOf(select);
  const lines = aggregateRows(list, group?.column, rows).slice(offset, offset + limit);
  const maps = lines.map((line): NeedleValue => NeedleMap.of(line));
  return release(session, opened, NeedleArray.of(maps));
}

/** Number of rows that match and that the caller may see. */
export function countRows(
  session: DatabaseSession,
  ecosystem: number,
  tableText: string,
  where: NeedleMap | undefined,
): bigint {
  const { table, home } = openTable(session, tableText, ecosystem, false);
  readableColumns(table, undefined, home, session.rights);
  const translated = where === undefined ? undefined : translateWhere(table, where);
  requireReadable(table, translated?.columns ?? [], home, session.rights);
  const condition = both(translated?.condition, visibleRows(table, home, session.rights));
  chargeSearch(session, translated);
  const count = session.state.count({
    table: table.full,
    ...(condition === undefined ? {} : { where: condition }),
  });
  return BigInt(count);
}

/** Inserts and updates of the language, with the rights of the contract that does them. */
import {
  CATALOG_TABLES,
  type CatalogColumn,
  type CatalogTable,
  noteCatalogChange,
  requireInsert,
  requireReadable,
  requireUpdate,
} from "@hanse/ecosystem";
import { encodeJson, NeedleArray, NeedleMap, type NeedleValue } from "@hanse/needle";
import { HanseError } from "@hanse/protocol";
import {
  type ColumnValue,
  type Condition,
  canonicalJson,
  INT64_MAX,
  INT64_MIN,
  QUERY_LIMIT_MAX,
  type Row,
} from "@hanse/state";
import { toColumnValue, toMoney, UNMETERED } from "./column-values.ts";
import { FUEL_KEY, FUEL_ROW, FUEL_SEARCH, SIZE_PER_FUEL } from "./data-fuel.ts";
import { type DatabaseSession, openTable, type ResolvedTable } from "./database-session.ts";
import { resolveColumn, translateWhere } from "./where-map.ts";

/** What a key of a value map asks for: `col`, `+col`, `-col`, `col->key`, `timestamp col`. */
interface Target {
  readonly column: CatalogColumn;
  readonly operation: "set" | "add" | "subtract" | "timestamp" | "member";
  /** Key inside a json column. */
  readonly member: string;
}

function wrong(message: string): never {
  throw new HanseError("NEEDLE_VALUES", "rejected", message);
}

const TARGET_CACHE_MAX = 256;
const targets = new WeakMap<CatalogTable, Map<string, Target>>();

function targetOf(table: CatalogTable, key: string): Target {
  let known = targets.get(table);
  if (known === undefined) {
    known = new Map();
    targets.set(table, known);
  }
  let target = known.get(key);
  if (target === undefined) {
    target = parseTarget(table, key);
    if (known.size >= TARGET_CACHE_MAX) known.clear();
    known.set(key, target);
  }
  return target;
}

function parseTarget(table: CatalogTable, source: string): Target {
  const key = source
    .replace(/[^\p{L}\p{N}_ \->+]/gu, "")
    .toLowerCase()
    .trim();
  if (key.startsWith("timestamp ")) {
    const { column } = resolveColumn(table, key.slice("timestamp ".length));
    if (column.state !== "time")
      wrong(`column ${column.name} is ${column.type.name}, not datetime`);
    return { column, operation: "timestamp", member: "" };
  }
  const sign = key[0];
  if (sign === "+" || sign === "-") {
    const { column } = resolveColumn(table, key.slice(1));
    if (column.state !== "int" && column.state !== "money" && column.state !== "float") {
      wrong(`column ${column.name} is ${column.type.name}; + and - need a number`);
    }
    return { column, operation: sign === "+" ? "add" : "subtract", member: "" };
  }
  const { column, path } = resolveColumn(table, key);
  if (path.length > 1) wrong(`${key}: one step behind the column can be written`);
  if (path.length === 1) return { column, operation: "member", member: path[0]! };
  return { column, operation: "set", member: "" };
}

function entriesOf(values: NeedleMap): ReadonlyMap<string, NeedleValue> {
  if (values.size === 0) wrong("values are undefined");
  return values.entries;
}

function isPositive(value: ColumnValue): value is bigint {
  return typeof value === "bigint" && value > 0n;
}

/** Ecosystem that rows of a shared table belong to when a write does not say. */
function sharedEcosystem(session: DatabaseSession, { name }: ResolvedTable): bigint {
  return BigInt(session.ecosystem === 1 ? name.ecosystem : session.ecosystem);
}

/** Adds a member to the JSON object of a column; members keep their JSON types. */
function withMember(
  column: CatalogColumn,
  before: ColumnValue,
  member: string,
  value: NeedleValue,
): string {
  const text = typeof before === "string" && before !== "" ? before : "{}";
  if (!text.startsWith("{")) wrong(`column ${column.name} holds no JSON object`);
  const object = JSON.parse(text) as Record<string, unknown>;
  const merged = Object.fromEntries([
    ...Object.entries(object),
    [member, JSON.parse(encodeJson(value, UNMETERED)) as unknown],
  ]);
  return canonicalJson(JSON.stringify(merged));
}

function timestamp(column: CatalogColumn, value: NeedleValue): ColumnValue {
  if (value === null || value === "") return null;
  const seconds = typeof value === "string" && /^-?\d{1,15}$/.test(value) ? BigInt(value) : value;
  if (typeof seconds !== "bigint") wrong(`timestamp ${column.name}: expected seconds since 1970`);
  return toColumnValue(seconds, column);
}

/** The ecosystem that values for a row of a shared table name, when they name a positive one. */
function namedEcosystem(
  entries: ReadonlyMap<string, NeedleValue>,
  column: CatalogColumn,
): bigint | undefined {
  for (const [key, value] of entries) {
    if (key.trim().toLowerCase() !== column.name) continue;
    const ecosystem = toColumnValue(value, column);
    return isPositive(ecosystem) ? ecosystem : undefined;
  }
  return undefined;
}

/** A row's values, its id empty unless given. */
function rowOf(table: CatalogTable, entries: ReadonlyMap<string, NeedleValue>): ColumnValue[] {
  const row: ColumnValue[] = new Array(table.schema.columns.length);
  for (const column of table.columns.values()) row[column.at] = column.type.initial;
  row[0] = null;
  for (const [key, value] of entries) {
    const { column, operation, member } = targetOf(table, key);
    switch (operation) {
      case "member":
        row[column.at] = withMember(column, row[column.at] ?? null, member, value);
        break;
      case "timestamp":
        row[column.at] = timestamp(column, value);
        break;
      case "set":
        row[column.at] = toColumnValue(value, column);
        break;
      default:
        wrong(`${key}: + and - are for updates`);
    }
  }
  return row;
}

/**
 * Inserts a row and returns its id.
 * @throws HanseError `NEEDLE_NO_TABLE`, `NEEDLE_ACCESS_DENIED`, `NEEDLE_VALUES`,
 * `NEEDLE_NO_COLUMN`, `NEEDLE_COLUMN_VALUE`, `STATE_DUPLICATE_KEY`.
 */
export function insertValues(
  session: DatabaseSession,
  ecosystem: number,
  tableText: string,
  values: NeedleMap,
): bigint {
  const opened = openTable(session, tableText, ecosystem, true);
  const { table, name, home } = opened;
  const entries = entriesOf(values);
  const ecosystemColumn = name.shared ? table.columns.get("ecosystem") : undefined;
  let owner = BigInt(home);
  if (ecosystemColumn !== undefined) {
    owner = namedEcosystem(entries, ecosystemColumn) ?? sharedEcosystem(session, opened);
  }
  requireInsert(table, Number(owner), session.rights);
  const row = rowOf(table, entries);
  if (ecosystemColumn !== undefined) row[ecosystemColumn.at] = owner;
  chargeValues(session, row);
  const id = isPositive(row[0]!) ? row[0] : session.state.nextId(table.full);
  row[0] = id;
  session.state.insert(table.full, row);
  noteWrite(session, table, id);
  return id;
}

function add(column: CatalogColumn, before: ColumnValue, value: NeedleValue, sign: 1 | -1) {
  if (column.state === "money") {
    const left = toMoney(before === null ? 0n : (before as string), column);
    const right = toMoney(value, column);
    const result = sign === 1 ? left.plus(right) : left.minus(right);
    return result?.toText() ?? wrong(`column ${column.name}: too many digits`);
  }
  const change = toColumnValue(value, column);
  if (column.state === "float") {
    return toColumnValue(((before as number | null) ?? 0) + sign * (change as number), column);
  }
  const result = ((before as bigint | null) ?? 0n) + BigInt(sign) * (change as bigint);
  if (result < INT64_MIN || result > INT64_MAX) wrong(`column ${column.name}: exceeds 64 bits`);
  return result;
}

function changesOf(
  table: CatalogTable,
  row: Row,
  values: ReadonlyMap<string, NeedleValue>,
): Record<string, ColumnValue> {
  const changes: Record<string, ColumnValue> = {};
  for (const [key, value] of values) {
    const { column, operation, member } = targetOf(table, key);
    const before = column.name in changes ? changes[column.name]! : (row.values[column.at] ?? null);
    switch (operation) {
      case "set":
        changes[column.name] = toColumnValue(value, column);
        break;
      case "add":
        changes[column.name] = add(column, before, value, 1);
        break;
      case "subtract":
        changes[column.name] = add(column, before, value, -1);
        break;
      case "timestamp":
        changes[column.name] = timestamp(column, value);
        break;
      case "member":
        changes[column.name] = withMember(column, before, member, value);
        break;
    }
  }
  return changes;
}

function requireRights(
  session: DatabaseSession,
  table: CatalogTable,
  entries: ReadonlyMap<string, NeedleValue>,
  ecosystem: number,
): void {
  const columns: string[] = [];
  for (const key of entries.keys()) {
    const { name } = targetOf(table, key).column;
    if (!columns.includes(name)) columns.push(name);
  }
  requireUpdate(table, columns, ecosystem, session.rights);
}

function write(
  session: DatabaseSession,
  table: CatalogTable,
  row: Row,
  entries: ReadonlyMap<string, NeedleValue>,
): void {
  const id = row.values[0] as bigint;
  const changes = changesOf(table, row, entries);
  chargeValues(session, Object.values(changes));
  session.state.update(table.full, id, changes);
  noteWrite(session, table, id);
}

/** What it costs to write a row with these values. */
function chargeValues(session: DatabaseSession, values: readonly ColumnValue[]): void {
  let size = 0;
  for (const value of values) {
    if (typeof value === "string" || value instanceof Uint8Array) size += value.length;
  }
  session.chargeFuel(FUEL_KEY + Math.floor(size / SIZE_PER_FUEL));
}

function noteWrite(session: DatabaseSession, table: CatalogTable, id: bigint): void {
  if (!CATALOG_TABLES.has(table.full)) return;
  noteCatalogChange(session.state, table.full, id);
  session.noteCatalogWrite();
}

const missing = (table: CatalogTable, id: bigint): HanseError =>
  new HanseError(
    "NEEDLE_NO_ROW",
    "notFound",
    `update for not existing record (${table.full} ${id})`,
    { details: { table: table.full } },
  );

/**
 * Changes the row with this id.
 * @throws HanseError as insertValues, and `NEEDLE_NO_ROW`.
 */
export function updateById(
  session: DatabaseSession,
  ecosystem: number,
  tableText: string,
  id: bigint,
  values: NeedleMap,
): void {
  const opened = openTable(session, tableText, ecosystem, true);
  const { table, name } = opened;
  const entries = entriesOf(values);
  let rowEcosystem = opened.home;
  const ecosystemColumn = name.shared ? table.columns.get("ecosystem") : undefined;
  if (ecosystemColumn !== undefined) rowEcosystem = Number(sharedEcosystem(session, opened));
  requireRights(session, table, entries, rowEcosystem);
  session.chargeFuel(FUEL_KEY);
  session.noteRow(table.full, id);
  const row = session.state.getRow(table.full, id);
  if (row === undefined) throw missing(table, id);
  if (ecosystemColumn !== undefined && row.values[ecosystemColumn.at] !== BigInt(rowEcosystem)) {
    throw missing(table, id);
  }
  write(session, table, row, entries);
}

/**
 * Changes every row that matches.
 * @throws HanseError as updateById, `NEEDLE_WHERE`; `NEEDLE_VALUES` above QUERY_LIMIT_MAX rows.
 */
export function updateWhere(
  session: DatabaseSession,
  ecosystem: number,
  tableText: string,
  where: NeedleMap,
  values: NeedleMap,
): void {
  const opened = openTable(session, tableText, ecosystem, true);
  const { table, name, home } = opened;
  const entries = entriesOf(values);
  const translated = translateWhere(table, where);
  let { condition } = translated;
  if (condition === undefined) wrong("there is not Where in Update request");
  const own = name.shared ? sharedEcosystem(session, opened) : BigInt(home);
  const ecosystemColumn = name.shared ? table.columns.get("ecosystem") : undefined;
  if (ecosystemColumn !== undefined && !translated.columns.has("ecosystem")) {
    const mine: Condition = { op: "eq", column: "ecosystem", value: own };
    condition = { op: "and", of: [mine, condition] };
  }
  requireRights(session, table, entries, Number(own));
  requireReadable(table, translated.columns, home, session.rights);
  session.chargeFuel(FUEL_SEARCH + translated.listed * FUEL_ROW);
  const rows = session.state.find({ table: table.full, where: condition, limit: QUERY_LIMIT_MAX });
  session.chargeFuel(rows.length * FUEL_ROW);
  if (rows.length === 0) {
    throw new HanseError(
      "NEEDLE_NO_ROW",
      "notFound",
      `update for not existing record (${table.full})`,
      { details: { table: table.full } },
    );
  }
  if (rows.length === QUERY_LIMIT_MAX) {
    wrong(`update of ${table.full}: ${QUERY_LIMIT_MAX} rows or more match; narrow the where`);
  }
  const allowed = new Set([own]);
  for (const row of rows) {
    // A where may name another ecosystem's rows: that ecosystem's rights decide.
    const owner = ecosystemColumn === undefined ? own : (row.values[ecosystemColumn.at] as bigint);
    if (!allowed.has(owner)) {
      requireRights(session, table, entries, Number(owner));
      allowed.add(owner);
    }
    write(session, table, row, entries);
  }
}

/** Values of older contracts: the first value is a list that supplies all values. */
export function spreadFirstArray(values: NeedleMap): NeedleMap {
  const [first] = values.entries.values();
  if (!(first instanceof NeedleArray) || first.length !== values.size) return values;
  let at = 0;
  return NeedleMap.of([...values.entries.keys()].map((key) => [key, first.get(at++)] as const));
}

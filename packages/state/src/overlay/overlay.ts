/**
 * Uncommitted changes over a view. One journal of undo entries serves transactions, savepoints
 * and nested calls alike: a savepoint is a place in the journal. Read sets are noted as they come
 * and only sorted out when somebody asks.
 */
import { type Bytes, compareText, HanseError } from "@hanse/protocol";
import { columnIndex, compileCondition, keysOf, validatePage } from "../conditions/evaluate.ts";
import {
  bytesKey,
  KEY_BYTES_MAX,
  mapKey,
  VALUE_BYTES_MAX,
  validateColumn,
  validateKey,
  validateSchema,
  validateValue,
  widenValues,
} from "../values/column-values.ts";
import type {
  ColumnSchema,
  ColumnValue,
  KvEntry,
  Query,
  ReadSet,
  Row,
  RowKey,
  Savepoint,
  StateChange,
  StateOverlay,
  StateView,
  TableSchema,
} from "../view/state-view.ts";
import { QUERY_LIMIT_MAX } from "../view/state-view.ts";
import { mergeCount, mergeFind, type TouchedRow } from "./merged-query.ts";
import { mergeRange, validateRange } from "./merged-range.ts";
import { ReadLog } from "./read-log.ts";

interface RowCell extends TouchedRow {
  readonly key: RowKey;
  current: Row | undefined;
  /** Value when the transaction `mark` began. */
  atBegin: Row | undefined;
  mark: number;
}

interface TableCell {
  readonly name: string;
  readonly rows: Map<bigint | string, RowCell>;
  /** What the view below knows of the table; undefined when it was made here. */
  readonly baseSchema: TableSchema | undefined;
  schema: TableSchema;
  schemaAtBegin: TableSchema | undefined;
  schemaMark: number;
  /** Highest integer key given by finished transactions, and by the one that runs. */
  closedKey: bigint;
  liveKey: bigint;
}

interface KvCell {
  readonly namespace: string;
  readonly key: Bytes;
  readonly base: KvEntry | undefined;
  current: KvEntry | undefined;
  atBegin: KvEntry | undefined;
  mark: number;
}

type Touch =
  | { readonly kind: "row"; readonly table: TableCell; readonly cell: RowCell }
  | { readonly kind: "kv"; readonly cell: KvCell }
  | { readonly kind: "schema"; readonly table: TableCell };

type Undo =
  | { readonly kind: "row"; readonly cell: RowCell; readonly previous: Row | undefined }
  | { readonly kind: "kv"; readonly cell: KvCell; readonly previous: KvEntry | undefined }
  | {
      readonly kind: "schema";
      readonly table: TableCell;
      readonly previous: TableSchema | undefined;
    }
  | { readonly kind: "sequence"; readonly table: TableCell; readonly previous: bigint };

const noTable = (table: string) =>
  new HanseError("STATE_NO_TABLE", "notFound", `there is no table ${table}`, {
    details: { table },
  });

class Overlay implements StateOverlay {
  readonly #base: StateView;
  readonly #height: number;
  readonly #tables = new Map<string, TableCell>();
  readonly #namespaces = new Map<string, Map<string, KvCell>>();
  readonly #closed: StateChange[] = [];
  #index = 0;
  /** Counts transactions, so that a cell knows whether this one touched it already. */
  #mark = 1;
  #journal: Undo[] = [];
  #touched: Touch[] = [];
  #reads = new ReadLog();

  constructor(base: StateView, height: number) {
    this.#base = base;
    this.#height = height;
  }

  #table(name: string): TableCell {
    const known = this.#tables.get(name);
    // A table made by a transaction that was undone has no schema any more.
    if (known !== undefined) {
      if (known.schema === undefined) throw noTable(name);
      return known;
    }
    const schema = this.#base.schema(name);
    if (schema === undefined) throw noTable(name);
    const table: TableCell = {
      name,
      rows: new Map(),
      baseSchema: schema,
      schema,
      schemaAtBegin: undefined,
      schemaMark: 0,
      closedKey: 0n,
      liveKey: 0n,
    };
    this.#tables.set(name, table);
    return table;
  }

  #row(table: TableCell, key: RowKey): Row | undefined {
    const cell = table.rows.get(mapKey(key));
    const row =
      cell !== undefined
        ? cell.current
        : table.baseSchema === undefined
          ? undefined
          : this.#base.getRow(table.name, key);
    if (row === undefined || row.values.length === table.schema.columns.length) return row;
    return { values: widenValues(row.values, table.schema), height: row.height };
  }

  #note(table: string, key: RowKey, row: Row | undefined): void {
    this.#reads.row(table, key, row?.height);
  }

  tables(): readonly string[] {
    const names = new Set(this.#base.tables());
    for (const [name, cell] of this.#tables) if (cell.schema !== undefined) names.add(name);
    return [...names].sort(compareText);
  }

  schema(table: string): TableSchema | undefined {
    const cell = this.#tables.get(table);
    return cell === undefined ? this.#base.schema(table) : cell.schema;
  }

  getRow(table: string, key: RowKey): Row | undefined {
    const row = this.#row(this.#table(table), key);
    this.#note(table, key, row);
    return row;
  }

  #rowsByKey(table: TableCell, keys: readonly ColumnValue[]): Row[] {
    const rows: Row[] = [];
    const seen = new Set<bigint | string>();
    for (const value of keys) {
      if (value === null) continue;
      const key = value as RowKey;
      if (seen.has(mapKey(key))) continue;
      seen.add(mapKey(key));
      const row = this.#row(table, key);
      this.#note(table.name, key, row);
      if (row !== undefined) rows.push(row);
    }
    return rows;
  }

  find(query: Query): readonly Row[] {
    const table = this.#table(query.table);
    validatePage(query);
    const keys = keysOf(table.schema, query.where);
    // The test is compiled first: it refuses a key of the wrong type before anything is looked up.
    const test = compileCondition(table.schema, query.where);
    if (keys === undefined) this.#reads.query(query);
    return mergeFind(
      { base: this.#base, baseSchema: table.baseSchema, schema: table.schema },
      keys === undefined ? undefined : this.#rowsByKey(table, keys),
      table.rows.values(),
      test,
      query,
    );
  }

  count(query: Pick<Query, "table" | "where">): number {
    const table = this.#table(query.table);
    const test = compileCondition(table.schema, query.where);
    const keys = keysOf(table.schema, query.where);
    if (keys !== undefined) {
      return this.#rowsByKey(table, keys).filter((row) => test(row.values) === true).length;
    }
    this.#reads.query({ ...query, limit: QUERY_LIMIT_MAX });
    return mergeCount(
      { base: this.#base, baseSchema: table.baseSchema, schema: table.schema },
      table.rows.values(),
      test,
      query,
    );
  }

  nextId(name: string): bigint {
    const table = this.#table(name);
    const below = table.baseSchema === undefined ? 1n : this.#base.nextId(name);
    let next = below;
    if (table.closedKey >= next) next = table.closedKey + 1n;
    if (table.liveKey >= next) next = table.liveKey + 1n;
    return next;
  }

  #kv(namespace: string, key: Bytes): KvEntry | undefined {
    const cell = this.#namespaces.get(namespace)?.get(bytesKey(key));
    return cell === undefined ? this.#base.getKv(namespace, key) : cell.current;
  }

  getKv(namespace: string, key: Bytes): KvEntry | undefined {
    const entry = this.#kv(namespace, key);
    this.#reads.entry({ namespace, key }, entry?.version);
    return entry;
  }

  rangeKv(
    namespace: string,
    from: Bytes,
    to: Bytes | undefined,
    limit: number,
  ): readonly KvEntry[] {
    validateRange(limit);
    this.#reads.range(namespace, from, to);
    const cells = this.#namespaces.get(namespace)?.values() ?? [];
    return mergeRange(this.#base, cells, { namespace, from, to, limit });
  }

  begin(index: number): void {
    if (!Number.isInteger(index) || index < 0) {
      throw new HanseError("STATE_INDEX", "malformed", "a transaction's index is 0 or above");
    }
    for (const change of this.writeSet()) this.#closed.push(change);
    for (const touch of this.#touched) {
      if (touch.kind !== "row") continue;
      const { table, cell } = touch;
      // Keys of rows that came and went inside the transaction leave no trace.
      if (cell.current !== cell.atBegin) raiseClosed(table, cell.key);
      table.liveKey = 0n;
    }
    this.#journal = [];
    this.#touched = [];
    this.#reads = new ReadLog();
    this.#index = index;
    this.#mark++;
  }

  #setRow(table: TableCell, key: RowKey, previous: Row | undefined, next: Row | undefined): void {
    const id = mapKey(key);
    let cell = table.rows.get(id);
    if (cell === undefined) {
      cell = { key, base: previous, current: previous, atBegin: previous, mark: 0 };
      table.rows.set(id, cell);
    }
    if (cell.mark !== this.#mark) {
      cell.mark = this.#mark;
      cell.atBegin = cell.current;
      this.#touched.push({ kind: "row", table, cell });
    }
    this.#journal.push({ kind: "row", cell, previous: cell.current });
    cell.current = next;
  }

  insert(name: string, values: readonly ColumnValue[]): void {
    const table = this.#table(name);
    const { columns } = table.schema;
    if (values.length !== columns.length) {
      throw new HanseError(
        "STATE_VALUE",
        "rejected",
        `${name}: a row has ${columns.length} values, not ${values.length}`,
        { details: { table: name } },
      );
    }
    const key = validateKey(name, columns[0]!, values[0]);
    for (let i = 1; i < columns.length; i++) validateValue(name, columns[i]!, values[i]!);
    const present = this.#row(table, key);
    this.#note(name, key, present);
    if (present !== undefined) {
      throw new HanseError("STATE_DUPLICATE_KEY", "conflict", `${name}: the key is taken`, {
        details: { table: name, key: typeof key === "object" ? "bytes" : String(key).slice(0, 80) },
      });
    }
    this.#setRow(table, key, undefined, { values: values.slice(), height: this.#height });
    if (typeof key === "bigint" && key > table.liveKey) {
      this.#journal.push({ kind: "sequence", table, previous: table.liveKey });
      table.liveKey = key;
    }
  }

  #present(table: TableCell, key: RowKey): Row {
    const row = this.#row(table, key);
    this.#note(table.name, key, row);
    if (row !== undefined) return row;
    throw new HanseError("STATE_NO_ROW", "notFound", `${table.name}: no row with this key`, {
      details: {
        table: table.name,
        key: typeof key === "object" ? "bytes" : String(key).slice(0, 80),
      },
    });
  }

  update(name: string, key: RowKey, values: Readonly<Record<string, ColumnValue>>): void {
    const table = this.#table(name);
    const row = this.#present(table, key);
    const next = row.values.slice();
    for (const column in values) {
      const index = columnIndex(table.schema, column);
      if (index === 0) {
        throw new HanseError("STATE_VALUE", "rejected", `${name}.${column}: a key never changes`, {
          details: { table: name, column },
        });
      }
      const value = values[column]!;
      validateValue(name, table.schema.columns[index]!, value);
      next[index] = value;
    }
    this.#setRow(table, key, row, { values: next, height: this.#height });
  }

  remove(name: string, key: RowKey): void {
    const table = this.#table(name);
    this.#setRow(table, key, this.#present(table, key), undefined);
  }

  #setKv(namespace: string, key: Bytes, value: Bytes | undefined): void {
    let cells = this.#namespaces.get(namespace);
    if (cells === undefined) {
      cells = new Map();
      this.#namespaces.set(namespace, cells);
    }
    const id = bytesKey(key);
    let cell = cells.get(id);
    if (cell === undefined) {
      const base = this.#base.getKv(namespace, key);
      cell = { namespace, key, base, current: base, atBegin: base, mark: 0 };
      cells.set(id, cell);
    }
    if (cell.mark !== this.#mark) {
      cell.mark = this.#mark;
      cell.atBegin = cell.current;
      this.#touched.push({ kind: "kv", cell });
    }
    this.#journal.push({ kind: "kv", cell, previous: cell.current });
    const version = { height: this.#height, index: this.#index };
    cell.current = value === undefined ? undefined : { key: cell.key, value, version };
  }

  putKv(namespace: string, key: Bytes, value: Bytes): void {
    validateText(namespace);
    if (key.length > KEY_BYTES_MAX || value.length > VALUE_BYTES_MAX) {
      throw new HanseError(
        "STATE_VALUE",
        "rejected",
        `${namespace}: a key has at most ${KEY_BYTES_MAX} bytes, a value ${VALUE_BYTES_MAX}`,
        { details: { namespace } },
      );
    }
    this.#setKv(namespace, key, value);
  }

  removeKv(namespace: string, key: Bytes): void {
    if (this.#kv(namespace, key) !== undefined) this.#setKv(namespace, key, undefined);
  }

  #setSchema(table: TableCell, next: TableSchema): void {
    if (table.schemaMark !== this.#mark) {
      table.schemaMark = this.#mark;
      table.schemaAtBegin = table.schema;
      this.#touched.push({ kind: "schema", table });
    }
    this.#journal.push({ kind: "schema", table, previous: table.schema });
    table.schema = next;
  }

  createTable(schema: TableSchema): void {
    validateSchema(schema);
    if (this.schema(schema.name) !== undefined) {
      throw new HanseError("STATE_TABLE_EXISTS", "conflict", `table ${schema.name} exists`, {
        details: { table: schema.name },
      });
    }
    let table = this.#tables.get(schema.name);
    if (table === undefined) {
      table = {
        name: schema.name,
        rows: new Map(),
        baseSchema: undefined,
        schema: undefined as unknown as TableSchema,
        schemaAtBegin: undefined,
        schemaMark: 0,
        closedKey: 0n,
        liveKey: 0n,
      };
      this.#tables.set(schema.name, table);
    }
    this.#setSchema(table, schema);
  }

  addColumn(name: string, column: ColumnSchema): void {
    const table = this.#table(name);
    const schema = { ...table.schema, columns: [...table.schema.columns, column] };
    validateColumn(name, column);
    validateSchema(schema);
    this.#setSchema(table, schema);
  }

  addIndex(name: string, column: string): void {
    const table = this.#table(name);
    columnIndex(table.schema, column);
    const schema = { ...table.schema, indexes: [...table.schema.indexes, column] };
    validateSchema(schema);
    this.#setSchema(table, schema);
  }

  savepoint(): Savepoint {
    return this.#journal.length as Savepoint;
  }

  rollbackTo(savepoint: Savepoint): void {
    if (savepoint > this.#journal.length) {
      throw new HanseError("STATE_SAVEPOINT", "malformed", "the savepoint is already undone");
    }
    while (this.#journal.length > savepoint) {
      const undo = this.#journal.pop()!;
      if (undo.kind === "row") undo.cell.current = undo.previous;
      else if (undo.kind === "kv") undo.cell.current = undo.previous;
      else if (undo.kind === "schema") undo.table.schema = undo.previous as TableSchema;
      else undo.table.liveKey = undo.previous;
    }
  }

  readSet(): ReadSet {
    return this.#reads.toSet();
  }

  writeSet(): readonly StateChange[] {
    const changes: StateChange[] = [];
    const index = this.#index;
    for (const touch of this.#touched) {
      if (touch.kind === "row") {
        const { atBegin: before, current: after, key } = touch.cell;
        if (before === after) continue;
        changes.push({ kind: "row", table: touch.table.name, key, before, after, index });
      } else if (touch.kind === "kv") {
        const { atBegin: before, current: after, namespace, key } = touch.cell;
        if (before === after) continue;
        changes.push({ kind: "kv", namespace, key, before, after, index });
      } else {
        const { schemaAtBegin: before, schema: after, name } = touch.table;
        if (before === after || after === undefined) continue;
        changes.push({ kind: "schema", table: name, before, after, index });
      }
    }
    return changes;
  }

  changes(): readonly StateChange[] {
    return [...this.#closed, ...this.writeSet()];
  }
}

function raiseClosed(table: TableCell, key: RowKey): void {
  if (typeof key === "bigint" && key > table.closedKey) table.closedKey = key;
}

function validateText(namespace: string): void {
  if (namespace.length > 255 || !namespace.isWellFormed() || namespace.includes("\0")) {
    throw new HanseError("STATE_VALUE", "rejected", "a namespace is plain text of at most 255");
  }
}

/**
 * An overlay over a view; the changes it makes carry `height`, the height of the block that is
 * being executed (versions of rows and entries). Overlays stack.
 */
export function createOverlay(view: StateView, height: number): StateOverlay {
  return new Overlay(view, height);
}

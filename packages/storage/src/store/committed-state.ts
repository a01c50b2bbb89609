/** State after the last applied block: row cache, blocks on their way, database, in this order. */
import { type Bytes, compareBytes, compareText, HanseError } from "@hanse/protocol";
import {
  bytesKey,
  type ColumnValue,
  type CommittedState,
  compileCondition,
  type KvEntry,
  type KvRef,
  keysOf,
  mapKey,
  mergeFind,
  type Query,
  RANGE_LIMIT_MAX,
  type Row,
  type RowKey,
  type RowRef,
  type StateChange,
  type TableSchema,
  validateKey,
  validatePage,
  widenValues,
} from "@hanse/state";
import { encodeKeys, unpackRows } from "../rows/column-codec.ts";
import type { Answer, Argument, CallName } from "../worker/calls.ts";
import type { OpenedTable } from "../worker/ledger-database.ts";
import type { WireEntry } from "../worker/ledger-reads.ts";
import { PendingChanges } from "./pending-changes.ts";
import { StateCache } from "./state-cache.ts";
import type { WorkerLink } from "./worker-link.ts";

interface Table {
  schema: TableSchema;
  /** As the database surely has it; undefined while its making is on the way. */
  durable: TableSchema | undefined;
  /** Highest integer key ever given: it rises with every row, so no row stands above it. */
  highest: bigint;
}

/** Whether no row can have this key, so that the database need not be asked. */
function isUnborn({ highest }: Table, key: ColumnValue): boolean {
  return typeof key === "bigint" && key > highest;
}

export interface CacheBounds {
  readonly rowsMax: number;
  readonly bytesMax: number;
}

function sizeOfRow(row: Row): number {
  let bytes = 48 + row.values.length * 16;
  for (const value of row.values) {
    if (typeof value === "string") bytes += value.length * 2;
    else if (typeof value === "object" && value !== null) bytes += 96 + value.length;
    else if (typeof value === "bigint") bytes += 16;
  }
  return bytes;
}

function byKey(rows: readonly Row[]): Map<bigint | string, Row> {
  return new Map(rows.map((row) => [mapKey(row.values[0] as RowKey), row]));
}

function toEntry({ key, value, height, index }: WireEntry): KvEntry {
  return { key, value, version: { height, index } };
}

export class PostgresState implements CommittedState {
  readonly #link: WorkerLink;
  readonly #onFailure: (error: HanseError) => void;
  readonly #tables = new Map<string, Table>();
  readonly #rows: StateCache<Row>;
  readonly #kv: StateCache<KvEntry>;
  readonly #pending = new PendingChanges();
  #durable: number;
  #applied: number;
  /** Durable height at the start of each prefetch under way: its answer may be that old. */
  readonly #fetching = new Map<number, number>();
  #fetches = 0;
  /** Times the executing thread stood still for the database. */
  blockingReads = 0;
  /** Reads are for a reader outside, and no block depends on them. */
  #outside = false;

  constructor(
    link: WorkerLink,
    at: { readonly height: number; readonly tables: readonly OpenedTable[] },
    bounds: CacheBounds,
    onFailure: (error: HanseError) => void,
  ) {
    this.#onFailure = onFailure;
    this.#link = link;
    this.#durable = at.height;
    this.#applied = at.height;
    for (const { schema, highest } of at.tables) {
      this.#tables.set(schema.name, { schema, durable: schema, highest });
    }
    this.#rows = new StateCache({
      countMax: bounds.rowsMax,
      bytesMax: bounds.bytesMax,
      sizeOf: sizeOfRow,
    });
    this.#kv = new StateCache({
      countMax: bounds.rowsMax,
      bytesMax: bounds.bytesMax,
      sizeOf: (entry) => 160 + entry.key.length + entry.value.length,
    });
  }

  get cacheSize(): { readonly rows: number; readonly bytes: number } {
    return {
      rows: this.#rows.count + this.#kv.count,
      bytes: this.#rows.bytes + this.#kv.bytes,
    };
  }

  #table(name: string): Table {
    const table = this.#tables.get(name);
    if (table !== undefined) return table;
    throw new HanseError("STATE_NO_TABLE", "notFound", `there is no table ${name}`, {
      details: { table: name },
    });
  }

  /**
   * A question that the database fails to answer must never pass for a contract's own failure, which
   * would differ from node to node: the store is told, and takes no block any more.
   */
  #ask<Name extends CallName>(name: Name, argument: Argument<Name>): Answer<Name> {
    this.blockingReads++;
    try {
      return this.#link.callBlocking(name, argument, this.#outside);
    } catch (error) {
      const isFailure =
        error instanceof HanseError &&
        error.code.startsWith("STORAGE_") &&
        error.code !== "STORAGE_QUERY_TIMEOUT";
      if (isFailure) this.#onFailure(error);
      throw error;
    }
  }

  /**
   * Runs what reads for somebody outside and no block depends on: a search that takes too long then
   * ends with `STORAGE_QUERY_TIMEOUT`, and the store goes on.
   * @param run synchronous: reads of blocks must not come between.
   */
  readOutside<Result>(run: () => Result): Result {
    const before = this.#outside;
    this.#outside = true;
    try {
      return run();
    } finally {
      this.#outside = before;
    }
  }

  tables(): readonly string[] {
    return [...this.#tables.keys()].sort(compareText);
  }

  schema(table: string): TableSchema | undefined {
    return this.#tables.get(table)?.schema;
  }

  /**
   * Durable rows of a query without standing still; what was applied and is not durable yet is not
   * among them. @throws HanseError `STORAGE_SEARCH_TIMEOUT`, and as `find`.
   */
  async search(query: Query): Promise<readonly Row[]> {
    const table = this.#table(query.table);
    validatePage(query);
    if (table.durable === undefined) return [];
    compileCondition(table.durable, query.where);
    const schema = table.durable;
    const found = unpackRows(schema, await this.#link.call("search", { schema, query }));
    return found.map((row) => this.#widen(table, row));
  }

  #widen(table: Table, row: Row): Row {
    if (row.values.length >= table.schema.columns.length) return row;
    return { values: widenValues(row.values, table.schema), height: row.height };
  }

  getRow(name: string, key: RowKey): Row | undefined {
    const table = this.#table(name);
    const id = mapKey(key);
    const known = this.#rows.get(name, id);
    if (known !== undefined) {
      return known.value === undefined ? undefined : this.#widen(table, known.value);
    }
    // Rows of a table on its way are all pinned in the cache.
    if (table.durable === undefined) return undefined;
    const schema = table.durable;
    validateKey(name, schema.columns[0]!, key);
    if (isUnborn(table, key)) return undefined;
    const [row] = this.#readRows(schema, [key]);
    this.#rows.fill(name, id, row);
    return row === undefined ? undefined : this.#widen(table, row);
  }

  #readRows(schema: TableSchema, keys: readonly RowKey[]): Row[] {
    const packed = encodeKeys(schema, keys);
    return unpackRows(schema, this.#ask("rows", { schema, keys: packed }));
  }

  #rowsByKey(name: string, keys: readonly ColumnValue[]): Row[] {
    const table = this.#table(name);
    const rows: Row[] = [];
    // What the cache has is taken first: filling it below may drop some of that again.
    const missing = new Map<bigint | string, RowKey>();
    const seen = new Set<bigint | string>();
    for (const key of keys) {
      if (key === null) continue;
      const id = mapKey(key as RowKey);
      if (seen.has(id)) continue;
      seen.add(id);
      const known = this.#rows.get(name, id);
      if (known === undefined) {
        if (!isUnborn(table, key)) missing.set(id, key as RowKey);
      } else if (known.value !== undefined) rows.push(this.#widen(table, known.value));
    }
    const schema = table.durable;
    if (missing.size === 0 || schema === undefined) return rows;
    const fetched = byKey(this.#readRows(schema, [...missing.values()]));
    for (const id of missing.keys()) {
      const row = fetched.get(id);
      this.#rows.fill(name, id, row);
      if (row !== undefined) rows.push(this.#widen(table, row));
    }
    return rows;
  }

  find(query: Query): readonly Row[] {
    const table = this.#table(query.table);
    validatePage(query);
    const test = compileCondition(table.schema, query.where);
    const keys = keysOf(table.schema, query.where);
    const base = {
      find: (asked: Query) => {
        const schema = table.durable!;
        return unpackRows(schema, this.#ask("find", { schema, query: asked }));
      },
      count: () => 0,
    };
    return mergeFind(
      { base, baseSchema: table.durable, schema: table.schema },
      keys === undefined ? undefined : this.#rowsByKey(query.table, keys),
      this.#pending.rows(query.table),
      test,
      query,
    );
  }

  count(query: Pick<Query, "table" | "where">): number {
    const { durable, schema } = this.#table(query.table);
    const test = compileCondition(schema, query.where);
    const isMatch = (row: Row) => test(widenValues(row.values, schema)) === true;
    const keys = keysOf(schema, query.where);
    if (keys !== undefined) return this.#rowsByKey(query.table, keys).filter(isMatch).length;
    if (durable === undefined) return this.#pending.countAbove(query.table, -1, isMatch);
    if (durable.columns.length < schema.columns.length && query.where !== undefined) {
      // Columns on their way: rare and short, so the rows are counted by reading them.
      let sum = 0;
      for (let offset = 0; ; offset += 1_000) {
        const rows = this.find({ ...query, limit: 1_000, offset });
        sum += rows.length;
        if (rows.length < 1_000) return sum;
      }
    }
    const { height, count } = this.#ask("count", {
      schema: durable,
      query: query.where === undefined ? {} : { where: query.where },
    });
    return count + this.#pending.countAbove(query.table, height, isMatch);
  }

  nextId(table: string): bigint {
    return this.#table(table).highest + 1n;
  }

  getKv(namespace: string, key: Bytes): KvEntry | undefined {
    const id = bytesKey(key);
    const known = this.#kv.get(namespace, id);
    if (known !== undefined) return known.value;
    const [wire] = this.#ask("entries", [{ namespace, key }]);
    const entry = wire === undefined ? undefined : toEntry(wire);
    this.#kv.fill(namespace, id, entry);
    return entry;
  }

  rangeKv(
    namespace: string,
    from: Bytes,
    to: Bytes | undefined,
    limit: number,
  ): readonly KvEntry[] {
    if (!Number.isInteger(limit) || limit < 1 || limit > RANGE_LIMIT_MAX) {
      throw new HanseError("STATE_QUERY", "rejected", `a range's limit is 1 to ${RANGE_LIMIT_MAX}`);
    }
    const mine = [...this.#pending.entries(namespace)].filter(
      ({ key }) => compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0),
    );
    const asked = limit + mine.length;
    const below = this.#ask("range", { namespace, from, to, limit: asked }).map(toEntry);
    if (mine.length === 0) return below;
    const changed = new Set(mine.map(({ key }) => bytesKey(key)));
    const merged = below.filter((entry) => !changed.has(bytesKey(entry.key)));
    for (const { current } of mine) if (current !== undefined) merged.push(current);
    return merged.sort((a, b) => compareBytes(a.key, b.key)).slice(0, limit);
  }

  hasRow(table: string, key: RowKey): boolean {
    if (this.#rows.has(table, mapKey(key))) return true;
    const at = this.#tables.get(table);
    return at?.durable === undefined || isUnborn(at, key);
  }

  hasKv(namespace: string, key: Bytes): boolean {
    return this.#kv.has(namespace, bytesKey(key));
  }

  async prefetch(refs: {
    readonly rows: readonly RowRef[];
    readonly kv: readonly KvRef[];
  }): Promise<void> {
    const wanted = new Map<string, Map<bigint | string, RowKey>>();
    for (const { table, key } of refs.rows) {
      // What is here must not make room for what is fetched.
      if (this.#rows.pin(table, mapKey(key), this.#applied + 1)) continue;
      const at = this.#tables.get(table);
      if (at !== undefined && isUnborn(at, key)) continue;
      let keys = wanted.get(table);
      if (keys === undefined) {
        keys = new Map();
        wanted.set(table, keys);
      }
      keys.set(mapKey(key), key);
    }
    const kv = new Map<string, KvRef>();
    for (const ref of refs.kv) {
      const id = bytesKey(ref.key);
      if (this.#kv.pin(ref.namespace, id, this.#applied + 1)) continue;
      kv.set(`${ref.namespace}\0${id}`, ref);
    }
    if (wanted.size === 0 && kv.size === 0) return;
    const fetch = ++this.#fetches;
    this.#fetching.set(fetch, this.#durable);
    this.#updateEvictable();
    try {
      await Promise.all([
        ...[...wanted].map(([table, keys]) => this.#fetchRows(table, keys)),
        this.#fetchKv([...kv.values()]),
      ]);
    } finally {
      this.#fetching.delete(fetch);
      this.#updateEvictable();
    }
  }

  async #fetchRows(name: string, keys: ReadonlyMap<bigint | string, RowKey>): Promise<void> {
    const schema = this.#tables.get(name)?.durable;
    if (schema === undefined) return;
    const packed = encodeKeys(schema, [...keys.values()]);
    const answer = await this.#link.call("rows", { schema, keys: packed });
    const found = byKey(unpackRows(schema, answer));
    for (const id of keys.keys()) this.#rows.fill(name, id, found.get(id), this.#applied + 1);
  }

  async #fetchKv(refs: readonly KvRef[]): Promise<void> {
    if (refs.length === 0) return;
    const plain = refs.map(({ namespace, key }) => ({ namespace, key }));
    const wires = await this.#link.call("entries", plain);
    const found = new Map(wires.map((wire) => [`${wire.namespace}\0${bytesKey(wire.key)}`, wire]));
    for (const { namespace, key } of refs) {
      const wire = found.get(`${namespace}\0${bytesKey(key)}`);
      const entry = wire === undefined ? undefined : toEntry(wire);
      this.#kv.fill(namespace, bytesKey(key), entry, this.#applied + 1);
    }
  }

  /** What an answer still under way might show in an older form stays in the cache until it is here. */
  #updateEvictable(): void {
    let height = this.#durable;
    for (const since of this.#fetching.values()) height = Math.min(height, since);
    this.#rows.setEvictable(height);
    this.#kv.setEvictable(height);
  }

  /** Makes a block's changes visible. */
  apply(height: number, changes: readonly StateChange[]): void {
    this.#applied = height;
    this.#updateEvictable();
    for (const change of changes) {
      if (change.kind === "row") {
        const { table, key, after } = change;
        this.#rows.set(table, mapKey(key), after, height);
        const at = this.#table(table);
        if (typeof key === "bigint" && key > at.highest) at.highest = key;
      } else if (change.kind === "kv") {
        this.#kv.set(change.namespace, bytesKey(change.key), change.after, height);
      } else {
        const known = this.#tables.get(change.table);
        if (known !== undefined) known.schema = change.after;
        else {
          this.#tables.set(change.table, {
            schema: change.after,
            durable: undefined,
            highest: 0n,
          });
        }
      }
    }
    this.#pending.add(height, changes, bytesKey);
  }

  /** The database has this height, with these schemas. */
  settle(height: number, schemas: readonly TableSchema[]): void {
    this.#durable = height;
    for (const schema of schemas) this.#table(schema.name).durable = schema;
    this.#pending.settle(height);
    this.#updateEvictable();
  }

  /** Rows were loaded behind the cache's back. */
  loaded(table: string, highest: bigint): void {
    const at = this.#table(table);
    if (highest > at.highest) at.highest = highest;
  }

  get applied(): number {
    return this.#applied;
  }
}

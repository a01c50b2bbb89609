/** Committed state that lives in memory alone: for simulation and tests; nothing is durable. */
import { type Bytes, compareBytes, compareText, HanseError } from "@hanse/protocol";
import { compileCondition, createRowOrder, validatePage } from "../conditions/evaluate.ts";
import { validateRange } from "../overlay/merged-range.ts";
import { bytesKey, mapKey, widenValues } from "../values/column-values.ts";
import type {
  CommittedState,
  KvEntry,
  Query,
  Row,
  RowKey,
  StateChange,
  TableSchema,
} from "../view/state-view.ts";

interface Table {
  schema: TableSchema;
  readonly rows: Map<bigint | string, Row>;
  /** Highest integer key ever given. */
  highest: bigint;
}

/** State after the last applied block, held whole in memory. */
export interface MemoryState extends CommittedState {
  /** Makes a block's changes visible; `height` must rise by any step. */
  apply(height: number, changes: readonly StateChange[]): void;
  /** Height of the last block applied, 0 before any. */
  readonly height: number;
}

class Memory implements MemoryState {
  readonly #tables = new Map<string, Table>();
  readonly #namespaces = new Map<string, Map<string, KvEntry>>();
  #height = 0;

  get height(): number {
    return this.#height;
  }

  #table(name: string): Table {
    const table = this.#tables.get(name);
    if (table !== undefined) return table;
    throw new HanseError("STATE_NO_TABLE", "notFound", `there is no table ${name}`, {
      details: { table: name },
    });
  }

  tables(): readonly string[] {
    return [...this.#tables.keys()].sort(compareText);
  }

  schema(table: string): TableSchema | undefined {
    return this.#tables.get(table)?.schema;
  }

  getRow(table: string, key: RowKey): Row | undefined {
    const { rows, schema } = this.#table(table);
    const row = rows.get(mapKey(key));
    if (row === undefined || row.values.length === schema.columns.length) return row;
    return { values: widenValues(row.values, schema), height: row.height };
  }

  #matching(query: Pick<Query, "table" | "where">): Row[] {
    const { rows, schema } = this.#table(query.table);
    const test = compileCondition(schema, query.where);
    const found: Row[] = [];
    for (const row of rows.values()) {
      const values = widenValues(row.values, schema);
      if (test(values) === true) found.push({ values, height: row.height });
    }
    return found;
  }

  find(query: Query): readonly Row[] {
    const { limit, offset } = validatePage(query);
    const rows = this.#matching(query);
    const order = createRowOrder(this.#table(query.table).schema, query.order);
    rows.sort((a, b) => order(a.values, b.values));
    return rows.slice(offset, offset + limit);
  }

  count(query: Pick<Query, "table" | "where">): number {
    return this.#matching(query).length;
  }

  nextId(table: string): bigint {
    return this.#table(table).highest + 1n;
  }

  getKv(namespace: string, key: Bytes): KvEntry | undefined {
    return this.#namespaces.get(namespace)?.get(bytesKey(key));
  }

  rangeKv(
    namespace: string,
    from: Bytes,
    to: Bytes | undefined,
    limit: number,
  ): readonly KvEntry[] {
    validateRange(limit);
    const entries: KvEntry[] = [];
    for (const entry of this.#namespaces.get(namespace)?.values() ?? []) {
      if (compareBytes(entry.key, from) < 0) continue;
      if (to === undefined || compareBytes(entry.key, to) < 0) entries.push(entry);
    }
    return entries.sort((a, b) => compareBytes(a.key, b.key)).slice(0, limit);
  }

  async prefetch(): Promise<void> {}

  hasRow(): boolean {
    return true;
  }

  hasKv(): boolean {
    return true;
  }

  apply(height: number, changes: readonly StateChange[]): void {
    if (!Number.isInteger(height) || height < this.#height) {
      throw new HanseError("STATE_HEIGHT", "conflict", `height ${height} is below ${this.#height}`);
    }
    for (const change of changes) {
      if (change.kind === "schema") {
        const table = this.#tables.get(change.table);
        if (table !== undefined) table.schema = change.after;
        else {
          this.#tables.set(change.table, { schema: change.after, rows: new Map(), highest: 0n });
        }
      } else if (change.kind === "row") {
        const table = this.#table(change.table);
        if (change.after === undefined) table.rows.delete(mapKey(change.key));
        else table.rows.set(mapKey(change.key), change.after);
        if (typeof change.key === "bigint" && change.key > table.highest) {
          table.highest = change.key;
        }
      } else {
        let entries = this.#namespaces.get(change.namespace);
        if (entries === undefined) {
          entries = new Map();
          this.#namespaces.set(change.namespace, entries);
        }
        if (change.after === undefined) entries.delete(bytesKey(change.key));
        else entries.set(bytesKey(change.key), change.after);
      }
    }
    this.#height = height;
  }
}

export function createMemoryState(): MemoryState {
  return new Memory();
}

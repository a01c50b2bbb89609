/**
 * Changes of blocks that are applied but not yet known to be durable. The database may or may not
 * have them when a query runs, so queries are answered from both: its rows, and these on top.
 */
import {
  type KvEntry,
  mapKey,
  type Row,
  type RowKey,
  type StateChange,
  type TouchedRow,
} from "@hanse/state";

interface Version {
  /** Height from which on the row stood so; -1 = before the oldest pending block. */
  readonly from: number;
  readonly row: Row | undefined;
}

interface PendingRow extends TouchedRow {
  readonly key: RowKey;
  readonly base: Row | undefined;
  current: Row | undefined;
  others: (Row | undefined)[];
  readonly versions: Version[];
  last: number;
}

interface PendingEntry {
  readonly key: Uint8Array;
  current: KvEntry | undefined;
  last: number;
}

export class PendingChanges {
  readonly #tables = new Map<string, Map<bigint | string, PendingRow>>();
  readonly #namespaces = new Map<string, Map<string, PendingEntry>>();

  add(
    height: number,
    changes: readonly StateChange[],
    bytesKey: (key: Uint8Array) => string,
  ): void {
    for (const change of changes) {
      if (change.kind === "row") this.#addRow(height, change);
      else if (change.kind === "kv") {
        let entries = this.#namespaces.get(change.namespace);
        if (entries === undefined) {
          entries = new Map();
          this.#namespaces.set(change.namespace, entries);
        }
        entries.set(bytesKey(change.key), {
          key: change.key,
          current: change.after,
          last: height,
        });
      }
    }
  }

  #addRow(height: number, change: Extract<StateChange, { kind: "row" }>): void {
    let rows = this.#tables.get(change.table);
    if (rows === undefined) {
      rows = new Map();
      this.#tables.set(change.table, rows);
    }
    const id = mapKey(change.key);
    const known = rows.get(id);
    if (known === undefined) {
      rows.set(id, {
        key: change.key,
        base: change.before,
        current: change.after,
        others: [change.after],
        versions: [
          { from: -1, row: change.before },
          { from: height, row: change.after },
        ],
        last: height,
      });
      return;
    }
    known.current = change.after;
    known.others.push(change.after);
    known.versions.push({ from: height, row: change.after });
    known.last = height;
  }

  /** The database has all up to this height. */
  settle(height: number): void {
    for (const [name, rows] of this.#tables) {
      for (const [id, row] of rows) if (row.last <= height) rows.delete(id);
      if (rows.size === 0) this.#tables.delete(name);
    }
    for (const [name, entries] of this.#namespaces) {
      for (const [id, entry] of entries) if (entry.last <= height) entries.delete(id);
      if (entries.size === 0) this.#namespaces.delete(name);
    }
  }

  rows(table: string): Iterable<TouchedRow> {
    return this.#tables.get(table)?.values() ?? [];
  }

  /** How many rows that pass a test the pending blocks add to the database as of a height. */
  countAbove(table: string, height: number, test: (row: Row) => boolean): number {
    let sum = 0;
    for (const row of this.#tables.get(table)?.values() ?? []) {
      let then: Row | undefined;
      for (const version of row.versions) if (version.from <= height) then = version.row;
      if (row.current !== undefined && test(row.current)) sum++;
      if (then !== undefined && test(then)) sum--;
    }
    return sum;
  }

  entries(
    namespace: string,
  ): Iterable<{ readonly key: Uint8Array; readonly current: KvEntry | undefined }> {
    return this.#namespaces.get(namespace)?.values() ?? [];
  }
}

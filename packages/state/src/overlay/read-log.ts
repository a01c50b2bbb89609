/** What a transaction read, noted as it comes and sorted out only when somebody asks. */
import type { Bytes } from "@hanse/protocol";
import { bytesKey, mapKey } from "../values/column-values.ts";
import type { KvEntry, KvRef, Query, ReadSet, RowKey, RowRef } from "../view/state-view.ts";

export class ReadLog {
  /** Table, key and height in turn: no object per read. */
  readonly #rows: (string | RowKey | number | undefined)[] = [];
  readonly #kv: { ref: KvRef; version: KvEntry["version"] | undefined }[] = [];
  readonly #ranges: { namespace: string; from: Bytes; to: Bytes | undefined }[] = [];
  readonly #queries: Query[] = [];

  row(table: string, key: RowKey, height: number | undefined): void {
    this.#rows.push(table, key, height);
  }

  entry(ref: KvRef, version: KvEntry["version"] | undefined): void {
    this.#kv.push({ ref, version });
  }

  range(namespace: string, from: Bytes, to: Bytes | undefined): void {
    this.#ranges.push({ namespace, from, to });
  }

  query(query: Query): void {
    this.#queries.push(query);
  }

  /** First reads of each row and entry, in their order. */
  toSet(): ReadSet {
    const known = new Map<string, Set<bigint | string>>();
    const rows: { ref: RowRef; height: number | undefined }[] = [];
    for (let i = 0; i < this.#rows.length; i += 3) {
      const table = this.#rows[i] as string;
      const key = this.#rows[i + 1] as RowKey;
      let keys = known.get(table);
      if (keys === undefined) {
        keys = new Set();
        known.set(table, keys);
      }
      const id = mapKey(key);
      if (keys.has(id)) continue;
      keys.add(id);
      rows.push({ ref: { table, key }, height: this.#rows[i + 2] as number | undefined });
    }
    const seen = new Set<string>();
    const kv = this.#kv.filter(({ ref }) => {
      const id = `${ref.namespace}\0${bytesKey(ref.key)}`;
      return !seen.has(id) && seen.add(id);
    });
    return { rows, kv, ranges: this.#ranges.slice(), queries: this.#queries.slice() };
  }
}

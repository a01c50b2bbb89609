/** From changes of rows, entries and schemas to leaves of the state tree. */
import {
  concatBytes,
  encodeKvValue,
  encodeRowValue,
  encodeSchemaValue,
  encodeSequenceValue,
  HASH_BYTES,
  type Hash,
  stateKeyHash,
  stateValueHash,
} from "@hanse/protocol";
import { bytesKey, mapKey } from "../values/column-values.ts";
import type { KvEntry, Row, RowKey, StateChange, TableSchema } from "../view/state-view.ts";
import type { StateTreeUpdate } from "./state-tree.ts";

/** What a block leaves behind of one table: the last word on each row, in order of first change. */
export interface NetTable {
  readonly rows: Map<
    bigint | string,
    { readonly key: RowKey; readonly before: Row | undefined; after: Row | undefined }
  >;
  /** Highest integer key among the changed rows, 0 when there is none above. */
  highest: bigint;
}

export interface NetChanges {
  readonly tables: Map<string, NetTable>;
  readonly kv: Map<
    string,
    {
      readonly namespace: string;
      readonly key: Uint8Array;
      readonly before: KvEntry | undefined;
      after: KvEntry | undefined;
    }
  >;
  readonly schemas: Map<string, { readonly before: TableSchema | undefined; after: TableSchema }>;
}

/** Sums up a block's changes: per row, entry and schema the first before and the last after. */
export function netChanges(changes: readonly StateChange[]): NetChanges {
  const net: NetChanges = { tables: new Map(), kv: new Map(), schemas: new Map() };
  for (const change of changes) {
    if (change.kind === "row") {
      let table = net.tables.get(change.table);
      if (table === undefined) {
        table = { rows: new Map(), highest: 0n };
        net.tables.set(change.table, table);
      }
      const { key, before, after } = change;
      if (typeof key === "bigint" && key > table.highest) table.highest = key;
      const id = mapKey(key);
      const known = table.rows.get(id);
      if (known === undefined) table.rows.set(id, { key, before, after });
      else known.after = after;
    } else if (change.kind === "kv") {
      const { namespace, key, before, after } = change;
      const id = `${namespace}\0${bytesKey(key)}`;
      const known = net.kv.get(id);
      if (known === undefined) net.kv.set(id, { namespace, key, before, after });
      else known.after = after;
    } else {
      const known = net.schemas.get(change.table);
      if (known === undefined) {
        net.schemas.set(change.table, { before: change.before, after: change.after });
      } else known.after = change.after;
    }
  }
  return net;
}

/**
 * The leaves that net changes set and remove. `sequences` holds each table's highest integer key
 * ever given; it is brought up to date.
 */
export function leavesOf(net: NetChanges, sequences: Map<string, bigint>): StateTreeUpdate {
  const keys: Hash[] = [];
  const values: Hash[] = [];
  const removed = new Uint8Array(HASH_BYTES);
  for (const [table, schema] of net.schemas) {
    keys.push(stateKeyHash({ kind: "schema", table }));
    values.push(stateValueHash(encodeSchemaValue(schema.after)));
  }
  for (const [table, { rows, highest }] of net.tables) {
    for (const { key, after } of rows.values()) {
      keys.push(stateKeyHash({ kind: "row", table, key }));
      values.push(after === undefined ? removed : stateValueHash(encodeRowValue(after)));
    }
    if (highest > (sequences.get(table) ?? 0n)) {
      sequences.set(table, highest);
      keys.push(stateKeyHash({ kind: "sequence", table }));
      values.push(stateValueHash(encodeSequenceValue(highest + 1n)));
    }
  }
  for (const { namespace, key, after } of net.kv.values()) {
    keys.push(stateKeyHash({ kind: "kv", namespace, key }));
    values.push(after === undefined ? removed : stateValueHash(encodeKvValue(after)));
  }
  return { keyHashes: concatBytes(...keys), valueHashes: concatBytes(...values) };
}

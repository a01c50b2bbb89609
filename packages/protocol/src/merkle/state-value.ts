/**
 * What the leaves of the state tree say (spec/state.md): the key hash names a row, a key-value
 * entry, a table's schema or a table's key sequence; the value hash covers all that is kept there,
 * with the version, so that a snapshot cannot lie about versions either.
 */
import type { Bytes } from "../encoding/bytes.ts";
import { type CborValue, encodeCbor } from "../encoding/cbor.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { DOMAINS, type Hash, hashWithDomain } from "../hash/domain.ts";

/** What one leaf of the state tree stands for. */
export type StateKey =
  | { readonly kind: "row"; readonly table: string; readonly key: bigint | string | Bytes }
  | { readonly kind: "kv"; readonly namespace: string; readonly key: Bytes }
  | { readonly kind: "schema"; readonly table: string }
  | { readonly kind: "sequence"; readonly table: string };

/** The CBOR array `[kind, table or namespace]` or `[kind, table or namespace, key]`. */
export function encodeStateKey(key: StateKey): Bytes {
  switch (key.kind) {
    case "row":
      return encodeCbor(["row", key.table, key.key]);
    case "kv":
      return encodeCbor(["kv", key.namespace, key.key]);
    default:
      return encodeCbor([key.kind, key.table]);
  }
}

/** Place of a key in the tree: the path follows its bits, most significant first. */
export function stateKeyHash(key: StateKey): Hash {
  return hashWithDomain(DOMAINS.stateKey, encodeStateKey(key));
}

/** A column's value as the leaf holds it; a float (JS number) is its 8 IEEE bytes, big-endian. */
export type StateColumnValue = null | bigint | string | Bytes | boolean | number;

function columnToCbor(value: StateColumnValue): CborValue {
  if (typeof value !== "number") return value;
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

/**
 * A row: `[height of its last change, [values in the order of the table's columns]]`. Nulls at the
 * end are left out, so that a column added to a table changes no leaf of its rows.
 */
export function encodeRowValue(row: {
  readonly height: number;
  readonly values: readonly StateColumnValue[];
}): Bytes {
  let length = row.values.length;
  while (length > 0 && row.values[length - 1] === null) length--;
  const values: CborValue[] = new Array(length);
  for (let i = 0; i < length; i++) values[i] = columnToCbor(row.values[i]!);
  return encodeCbor([row.height, values]);
}

/** A key-value entry: `[height, index of the transaction in its block, value]`. */
export function encodeKvValue(entry: {
  readonly version: { readonly height: number; readonly index: number };
  readonly value: Bytes;
}): Bytes {
  return encodeCbor([entry.version.height, entry.version.index, entry.value]);
}

/** A table's schema: `[[[column, type], …], [names of indexed columns]]`. */
export function encodeSchemaValue(schema: {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly indexes: readonly string[];
}): Bytes {
  return encodeCbor([
    schema.columns.map((column) => [column.name, column.type]),
    schema.indexes as string[],
  ]);
}

/** A table's key sequence: the next integer key. */
export function encodeSequenceValue(next: bigint): Bytes {
  if (next < 1n) {
    throw new HanseError("FIELD_INVALID", "malformed", "sequence: the next key is at least 1");
  }
  return encodeCbor(next);
}

/** Hash of an encoded value (`encodeRowValue` and its siblings). */
export function stateValueHash(encoded: Bytes): Hash {
  return hashWithDomain(DOMAINS.stateValue, encoded);
}

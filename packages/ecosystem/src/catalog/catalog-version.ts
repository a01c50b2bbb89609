/**
 * The catalog (contracts, tables with rights, parameters, languages, applications) is read for
 * every call, so it is kept in memory between blocks. One entry of the key-value state says which
 * content it has: a hash chained over every change ever made to a catalog table. Two states with
 * the same version hold the same catalog, also after a rolled-back savepoint or on another branch.
 */
import {
  type Bytes,
  type CborValue,
  encodeCbor,
  type Hash,
  sha256,
  toHex,
  utf8,
} from "@hanse/protocol";
import type { ColumnValue, KvEntry, StateOverlay, StateView } from "@hanse/state";

export const CATALOG_NAMESPACE = "needle";
export const CATALOG_KEY: Bytes = utf8("catalog");

const DOMAIN = utf8("hanse/needle-catalog/1\0");

/** Version of the catalog in a state; `""` before the ecosystem was seeded. */
export function catalogVersionOf(view: StateView): string {
  const entry = view.getKv(CATALOG_NAMESPACE, CATALOG_KEY);
  if (entry === undefined) return "";
  return versionText(entry);
}

const texts = new WeakMap<KvEntry, string>();

function versionText(entry: KvEntry): string {
  const known = texts.get(entry);
  if (known !== undefined) return known;
  const text = toHex(entry.value);
  texts.set(entry, text);
  return text;
}

function encodable(value: ColumnValue): CborValue {
  if (typeof value !== "number") return value;
  // Floats never reach a hash as numbers: their eight IEEE bytes do.
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

/**
 * Starts the next version after a row of a catalog table got these values; call it in the same
 * savepoint as the change.
 */
export function advanceCatalog(
  overlay: StateOverlay,
  table: string,
  row: readonly ColumnValue[],
): Hash {
  const before = overlay.getKv(CATALOG_NAMESPACE, CATALOG_KEY)?.value ?? new Uint8Array(0);
  const change = encodeCbor([before, table, row.map(encodable)]);
  const message = new Uint8Array(DOMAIN.length + change.length);
  message.set(DOMAIN);
  message.set(change, DOMAIN.length);
  const version = sha256(message);
  overlay.putKv(CATALOG_NAMESPACE, CATALOG_KEY, version);
  return version;
}

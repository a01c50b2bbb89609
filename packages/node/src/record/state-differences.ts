/** Naming what in a node's tables is not what its state tree holds. */
import { CATALOG_NAMESPACE } from "@hanse/ecosystem";
import { GOVERNANCE_KV, NOTES_NAMESPACE } from "@hanse/modules";
import {
  type Bytes,
  concatBytes,
  encodeKvValue,
  encodeRowValue,
  encodeSchemaValue,
  encodeSequenceValue,
  equalBytes,
  type StateKey,
  stateValueHash,
  toHex,
} from "@hanse/protocol";
import type { RowKey, StateView } from "@hanse/state";
import type { PostgresLedgerStore } from "@hanse/storage";
import type { RecordDifference } from "./check-record.ts";

/** Leaves compared at once. */
const PAGE = 1_000;
/** Integer keys of one table that are looked at for rows that are gone. */
const GAPS_MAX = 1_000_000;
/** Namespaces of the engines; a state view lists no others. */
const NAMESPACES: readonly string[] = [NOTES_NAMESPACE, GOVERNANCE_KV, CATALOG_NAMESPACE];

interface Place {
  readonly key: StateKey;
  /** What the database holds; undefined = nothing. */
  readonly value: Bytes | undefined;
}

/** Every leaf that the database gives, table by table, and integer keys that no row has. */
function* placesOf(state: StateView): Generator<Place> {
  for (const table of state.tables()) {
    const schema = state.schema(table)!;
    yield { key: { kind: "schema", table }, value: encodeSchemaValue(schema) };
    const next = state.nextId(table);
    yield {
      key: { kind: "sequence", table },
      value: next > 1n ? encodeSequenceValue(next) : undefined,
    };
    const column = schema.columns[0]!.name;
    let last: RowKey | undefined;
    let expected = 1n;
    let gaps = 0;
    function* missingUpTo(end: bigint): Generator<Place> {
      for (; expected < end && gaps < GAPS_MAX; expected++, gaps++) {
        yield { key: { kind: "row", table, key: expected }, value: undefined };
      }
    }
    for (;;) {
      const rows = state.find({
        table,
        ...(last === undefined ? {} : { where: { op: "gt", column, value: last } as const }),
        order: [{ column }],
        limit: PAGE,
      });
      for (const row of rows) {
        const key = row.values[0] as RowKey;
        if (typeof key === "bigint" && key > 0n) {
          yield* missingUpTo(key);
          expected = key + 1n;
        }
        yield { key: { kind: "row", table, key }, value: encodeRowValue(row) };
        last = key;
      }
      if (rows.length < PAGE) break;
    }
    yield* missingUpTo(next);
  }
  for (const namespace of NAMESPACES) {
    let from: Bytes = new Uint8Array(0);
    for (;;) {
      const entries = state.rangeKv(namespace, from, undefined, PAGE);
      for (const entry of entries) {
        const key = { kind: "kv", namespace, key: entry.key } as const;
        yield { key, value: encodeKvValue(entry) };
        from = concatBytes(entry.key, new Uint8Array(1));
      }
      if (entries.length < PAGE) break;
    }
  }
}

function textOf(key: StateKey): string {
  const table = key.kind === "kv" ? key.namespace : key.table;
  if (!("key" in key)) return `${table}: ${key.kind}`;
  return `${table}: ${key.key instanceof Uint8Array ? toHex(key.key) : key.key}`;
}

/**
 * Differences between tables and state tree, at most `countMax`, by table and key. A row that is
 * gone can be named where keys are integers; others are counted.
 */
export async function findStateDifferences(
  store: PostgresLedgerStore,
  countMax: number,
): Promise<readonly RecordDifference[]> {
  const found: RecordDifference[] = [];
  let leavesSeen = 0;
  async function compare(places: readonly Place[]): Promise<void> {
    const { proofs } = await store.proveState(places.map(({ key }) => key));
    for (const [i, { leaf, keyHash }] of proofs.entries()) {
      const { key, value } = places[i]!;
      const isHeld = leaf !== undefined && equalBytes(leaf.keyHash, keyHash);
      if (isHeld) leavesSeen++;
      if (!isHeld && value === undefined) continue;
      if (isHeld && value !== undefined && equalBytes(stateValueHash(value), leaf.valueHash))
        continue;
      const what = !isHeld
        ? "is in the database alone: it was added by hand"
        : value === undefined
          ? "is gone from the database"
          : "has another value than the state tree";
      if (found.length < countMax) found.push({ place: textOf(key), what });
    }
  }
  let page: Place[] = [];
  for (const place of placesOf(store.state)) {
    page.push(place);
    if (page.length < PAGE) continue;
    await compare(page);
    page = [];
  }
  await compare(page);
  const { treeLeaves } = await store.figures();
  if (treeLeaves > leavesSeen) {
    const place = "tables with keys that are no integers";
    found.push({ place, what: `${treeLeaves - leavesSeen} rows are gone from the database` });
  }
  return found;
}

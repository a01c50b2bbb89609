/** Ranges of entries over a view with entries changed on top of it. */
import { type Bytes, compareBytes, HanseError } from "@hanse/protocol";
import { bytesKey } from "../values/column-values.ts";
import type { KvEntry, StateView } from "../view/state-view.ts";

/** Entries one range read may return. */
export const RANGE_LIMIT_MAX = 10_000;

export function validateRange(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > RANGE_LIMIT_MAX) {
    throw new HanseError("STATE_QUERY", "rejected", `a range's limit is 1 to ${RANGE_LIMIT_MAX}`);
  }
}

/** Reads a range in steps that the view below allows. */
function rangeOf(
  view: StateView,
  namespace: string,
  from: Bytes,
  to: Bytes | undefined,
  count: number,
): KvEntry[] {
  const entries: KvEntry[] = [];
  let start = from;
  while (entries.length < count) {
    const step = Math.min(count - entries.length, RANGE_LIMIT_MAX);
    const some = view.rangeKv(namespace, start, to, step);
    for (const entry of some) entries.push(entry);
    if (some.length < step) break;
    const last = some[some.length - 1]!.key;
    // The next key after `last` in byte order.
    start = new Uint8Array(last.length + 1);
    start.set(last);
  }
  return entries;
}

/** Entries in byte order, those on top in place of those below. */
export function mergeRange(
  base: StateView,
  cells: Iterable<{
    readonly key: Bytes;
    readonly base: KvEntry | undefined;
    readonly current: KvEntry | undefined;
  }>,
  range: {
    readonly namespace: string;
    readonly from: Bytes;
    readonly to: Bytes | undefined;
    readonly limit: number;
  },
): readonly KvEntry[] {
  const { namespace, from, to, limit } = range;
  const changed = new Set<string>();
  const added: KvEntry[] = [];
  let hidden = 0;
  for (const cell of cells) {
    if (compareBytes(cell.key, from) < 0 || cell.current === cell.base) continue;
    if (to !== undefined && compareBytes(cell.key, to) >= 0) continue;
    changed.add(bytesKey(cell.key));
    if (cell.base !== undefined) hidden++;
    if (cell.current !== undefined) added.push(cell.current);
  }
  const below = rangeOf(base, namespace, from, to, limit + hidden);
  if (changed.size === 0) return below;
  const merged = below.filter((entry) => !changed.has(bytesKey(entry.key)));
  for (const entry of added) merged.push(entry);
  merged.sort((a, b) => compareBytes(a.key, b.key));
  return merged.slice(0, limit);
}

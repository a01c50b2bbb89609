/**
 * Whether a transaction is in the chain already: exact for the newest blocks, a filter in memory
 * for the validity window, the store's index where the filter says perhaps.
 */
import type { Hash } from "@hanse/protocol";
import type { LedgerStore } from "../pipeline/interfaces.ts";
import { createCommittedIds } from "./committed-ids.ts";

/** Newest blocks whose ids are kept exactly, beside all that are not durable yet. */
const EXACT_BLOCKS = 16;
/** Buckets over the validity window, at most; none narrower than a second. */
const BUCKETS = 1_440;
const BUCKET_MS_MIN = 1_000;
/** Ids read at once at a start. */
const LOAD_PAGE = 20_000;
/** Ids asked of the store at once. */
const LOOKUP_PAGE = 5_000;
/** Repeats of a look-up that blocks have overtaken. */
const LOOKUPS_MAX = 8;

export interface CommittedPlace {
  readonly height: number;
  readonly index: number;
}

interface Identified {
  readonly id: Hash;
  readonly validUntil: number;
}

export interface CommittedIndex {
  /** Fills the filter with what the store has committed and the time of its last block has not passed. */
  load(tip: { readonly height: number; readonly time: number }): Promise<void>;
  /** Ids of a block that was executed. */
  add(height: number, transactions: readonly (Identified & { readonly key: string })[]): void;
  /** Blocks up to this height are durable; those whose time has passed need no remembering. */
  settle(height: number): void;
  dropBefore(blockTime: number): void;
  /** Certain where it answers a place or `no`; `perhaps` needs `committed`. */
  check(key: string, transaction: Identified): CommittedPlace | "no" | "perhaps";
  /** Height of the newest block whose ids are here. */
  readonly newest: number;
  /** Whether it is in one of the newest blocks, durable or not. */
  isExecuted(key: string): boolean;
  /** Which of these are committed, for sure, at the tip as it is when this resolves. */
  committed(transactions: readonly (Identified & { readonly key: string })[]): Promise<boolean[]>;
  readonly memory: {
    readonly count: number;
    readonly bytes: number;
    readonly spilledBuckets: number;
  };
}

export interface CommittedIndexOptions {
  readonly store: LedgerStore;
  readonly validityWindowMs: number;
  readonly capacity: number;
}

export function createCommittedIndex(options: CommittedIndexOptions): CommittedIndex {
  const { store, capacity } = options;
  const bucketMs = Math.max(BUCKET_MS_MIN, Math.ceil(options.validityWindowMs / BUCKETS));
  const ids = createCommittedIds({ bucketMs, capacity });
  const exact = new Map<string, CommittedPlace>();
  /** Height -> keys of its transactions, oldest first. */
  const blocks = new Map<number, readonly string[]>();
  let newest = 0;
  let durable = 0;

  async function askStore(list: readonly Hash[]): Promise<readonly boolean[]> {
    if (store.committedOf !== undefined) {
      const found: boolean[] = [];
      for (let i = 0; i < list.length; i += LOOKUP_PAGE) {
        found.push(...(await store.committedOf(list.slice(i, i + LOOKUP_PAGE))));
      }
      return found;
    }
    const found = await Promise.all(list.map((id) => store.transaction(id)));
    return found.map((transaction) => transaction !== undefined);
  }

  return {
    async load({ height, time }) {
      newest = height;
      durable = height;
      const latest = time + options.validityWindowMs;
      for (let since = time; ; ) {
        const page = await store.recentTransactionIds(since, LOAD_PAGE);
        for (const { id, validUntil } of page) ids.add(id, validUntil);
        const last = page.at(-1);
        if (last === undefined || page.length < LOAD_PAGE) return;
        // Full, or one moment has more than a page: the rest is asked of the store.
        if (ids.count + LOAD_PAGE > capacity || last.validUntil === since) {
          ids.spill(last.validUntil, latest);
          return;
        }
        since = last.validUntil;
      }
    },
    add(height, transactions) {
      newest = height;
      for (const [index, { key, id, validUntil }] of transactions.entries()) {
        exact.set(key, { height, index });
        ids.add(id, validUntil);
      }
      blocks.set(
        height,
        transactions.map((item) => item.key),
      );
    },
    settle(height) {
      durable = Math.max(durable, height);
      for (const [at, keys] of blocks) {
        if (at > durable || at > newest - EXACT_BLOCKS) break;
        for (const key of keys) exact.delete(key);
        blocks.delete(at);
      }
    },
    dropBefore: (blockTime) => ids.dropBefore(blockTime),
    check: (key, { id, validUntil }) => exact.get(key) ?? ids.check(id, validUntil),
    get newest() {
      return newest;
    },
    isExecuted: (key) => exact.has(key),
    async committed(transactions) {
      for (let attempt = 0; attempt < LOOKUPS_MAX; attempt++) {
        const since = newest;
        const found = await askStore(transactions.map((item) => item.id));
        // What became final meanwhile is known exactly, unless more blocks passed than are kept.
        if (newest - since > EXACT_BLOCKS) continue;
        return transactions.map((item, i) => found[i] === true || exact.has(item.key));
      }
      // Never seen but under a flood of blocks; calling it committed refuses, which is safe.
      return transactions.map(() => true);
    },
    get memory() {
      return { count: ids.count, bytes: ids.bytes, spilledBuckets: ids.spilledBuckets };
    },
  };
}

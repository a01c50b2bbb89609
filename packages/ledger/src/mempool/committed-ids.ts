/**
 * Which transaction ids may already be in the chain, in bounded memory. An id can only come again
 * while its `validUntil` is not past, so ids are kept in buckets by `validUntil` and a bucket is
 * forgotten when block time has passed it. A bucket holds 8-byte fingerprints in an open-addressing
 * table: no fingerprint = certainly new, a fingerprint = the store's index is asked, so neither
 * chance nor a made-up collision refuses a new transaction. When more fingerprints come than the
 * capacity, the buckets furthest ahead are spilled: their ids are always asked for. At 10 000
 * transactions a second with two minutes of validity that is 1.2 million fingerprints, 20 MB.
 */
import type { Hash } from "@hanse/protocol";

const SLOTS_MIN = 64;

class FingerprintSet {
  #table = new Uint32Array(2 * SLOTS_MIN);
  #slots = SLOTS_MIN;
  count = 0;

  get bytes(): number {
    return this.#table.byteLength;
  }

  /** Slot of the fingerprint, or of the free place where it belongs. */
  #find(low: number, high: number): number {
    const table = this.#table;
    const mask = this.#slots - 1;
    for (let slot = Math.imul(low ^ (high >>> 15), 0x9e3779b1) >>> 7; ; slot++) {
      const at = 2 * (slot & mask);
      const a = table[at]!;
      const b = table[at + 1]!;
      if ((a === low && b === high) || (a === 0 && b === 0)) return at;
    }
  }

  has(low: number, high: number): boolean {
    const at = this.#find(low, high);
    return this.#table[at] !== 0 || this.#table[at + 1] !== 0;
  }

  /** Whether it was new. */
  add(low: number, high: number): boolean {
    const at = this.#find(low, high);
    if (this.#table[at] !== 0 || this.#table[at + 1] !== 0) return false;
    this.#table[at] = low;
    this.#table[at + 1] = high;
    this.count++;
    if (this.count * 5 > this.#slots * 3) this.#grow();
    return true;
  }

  #grow(): void {
    const old = this.#table;
    this.#slots *= 2;
    this.#table = new Uint32Array(2 * this.#slots);
    for (let i = 0; i < old.length; i += 2) {
      const low = old[i]!;
      const high = old[i + 1]!;
      if (low === 0 && high === 0) continue;
      const at = this.#find(low, high);
      this.#table[at] = low;
      this.#table[at + 1] = high;
    }
  }
}

export interface CommittedIdsOptions {
  /** Width of a bucket of `validUntil`, milliseconds. */
  readonly bucketMs: number;
  /** Fingerprints kept in memory; 8 bytes each at 30 to 60 % load. */
  readonly capacity: number;
}

export interface CommittedIds {
  /** `no` is certain; `perhaps` means that the store has to be asked. */
  check(id: Hash, validUntil: number): "no" | "perhaps";
  add(id: Hash, validUntil: number): void;
  /** Forgets ids that can no longer come again: blocks from now on are later than `time`. */
  dropBefore(time: number): void;
  /** From now on every id with validUntil in from..to is `perhaps`. */
  spill(from: number, to: number): void;
  readonly count: number;
  readonly bytes: number;
  readonly spilledBuckets: number;
}

export function createCommittedIds({ bucketMs, capacity }: CommittedIdsOptions): CommittedIds {
  const buckets = new Map<number, FingerprintSet>();
  const spilled = new Set<number>();
  let count = 0;

  const bucketOf = (validUntil: number) => Math.floor(validUntil / bucketMs);
  const low = (id: Hash) => ((id[0]! << 24) | (id[1]! << 16) | (id[2]! << 8) | id[3]!) >>> 0;
  // The all-zero fingerprint marks a free slot; bit 0 of `high` is given up so that it never occurs.
  const high = (id: Hash) => ((id[4]! << 24) | (id[5]! << 16) | (id[6]! << 8) | id[7]! | 1) >>> 0;

  function spillBucket(index: number): void {
    const bucket = buckets.get(index);
    if (bucket !== undefined) {
      count -= bucket.count;
      buckets.delete(index);
    }
    spilled.add(index);
  }

  return {
    check(id, validUntil) {
      const index = bucketOf(validUntil);
      if (spilled.size > 0 && spilled.has(index)) return "perhaps";
      return buckets.get(index)?.has(low(id), high(id)) === true ? "perhaps" : "no";
    },
    add(id, validUntil) {
      const index = bucketOf(validUntil);
      if (spilled.has(index)) return;
      let bucket = buckets.get(index);
      if (bucket === undefined) {
        bucket = new FingerprintSet();
        buckets.set(index, bucket);
      }
      if (!bucket.add(low(id), high(id))) return;
      count++;
      while (count > capacity) spillBucket(Math.max(...buckets.keys()));
    },
    dropBefore(time) {
      const least = bucketOf(time);
      for (const [index, bucket] of buckets) {
        if (index >= least) continue;
        count -= bucket.count;
        buckets.delete(index);
      }
      for (const index of spilled) if (index < least) spilled.delete(index);
    },
    spill(from, to) {
      for (let index = bucketOf(from); index <= bucketOf(to); index++) spillBucket(index);
    },
    get count() {
      return count;
    },
    get bytes() {
      let bytes = 0;
      for (const bucket of buckets.values()) bytes += bucket.bytes;
      return bytes;
    },
    get spilledBuckets() {
      return spilled.size;
    },
  };
}

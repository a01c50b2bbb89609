/**
 * The authenticated state tree (protocol: merkle/state-proof.ts), whole in memory: leaves stand in
 * buckets of one or two under a binary trie, in typed arrays outside the garbage-collected heap,
 * about 115 bytes per leaf. A block's changes are sorted by key and folded in one descent; hashing
 * then goes level by level through a batch hasher. The root depends on the leaves alone, never on
 * the order of insertion or the layout of buckets.
 */
import {
  type Bytes,
  equalBytes,
  HASH_BYTES,
  HanseError,
  type Hash,
  joinBytes,
  type StateProof,
  ZERO_HASH,
} from "@hanse/protocol";
import { hashPairs } from "#pair-hasher";
import {
  bytesToWords,
  compareKeyWords,
  copyWords,
  keyWord,
  RecordPool,
  WORDS,
  wordsToBytes,
} from "./hash-words.ts";
import { SORT_KEYS_MAX, sortKeys } from "./key-sort.ts";
import { bitOf, hashLeafWords, subtreeHash } from "./small-subtree.ts";

/**
 * Leaves of one bucket; more make it split. At a million leaves, one to four cost 154, 114, 99 and
 * 92 bytes per leaf; from two on each costs more time: neighbours in a bucket are hashed anew.
 */
const BUCKET_MAX = 2;
/** Words of a leaf: key hash and value hash. */
const LEAF_WORDS = 2 * WORDS;
/** Pairs hashed in one call at most: bounds the batch buffers. */
const PAIRS_MAX = 8_192;
/** Leaves of one tree: references are 31-bit integers. */
export const TREE_LEAVES_MAX = 200_000_000;

/*
 * A reference to a subtree: 0 empty; above 0 an inner node; below 0 a bucket, -(4 * record + size - 1)
 * with one pool of records per size. In hash jobs TEMPORARY + i is a hash inside a bucket.
 */
const TEMPORARY = 0x4000_0000;

/** Inner node: left, right, hash. */
const NODE_WORDS = 2 + WORDS;

const bucketSize = (ref: number) => (-ref & 3) + 1;
const bucketRecord = (ref: number) => -ref >> 2;
const bucketRef = (record: number, size: number) => -((record << 2) | (size - 1));

export interface StateTreeUpdate {
  /** Concatenated, 32 bytes each; every key at most once. */
  readonly keyHashes: Bytes;
  /** Concatenated, 32 bytes each; zeros (no SHA-256 value is known to be) remove the leaf. */
  readonly valueHashes: Bytes;
}

export class StateTree {
  readonly #nodes = new RecordPool(NODE_WORDS);
  /** By size - 1: leaves in key order, then the bucket's hash. */
  readonly #buckets = Array.from(
    { length: BUCKET_MAX },
    (_, i) => new RecordPool((i + 1) * LEAF_WORDS + WORDS),
  );
  #rootRef = 0;
  #size = 0;
  #root: Hash = ZERO_HASH;

  // What one update works with.
  #leaves = new Uint32Array(0);
  #leafCount = 0;
  #order: Int32Array = new Int32Array(0);
  #orderCount = 0;
  #temporary = new Uint32Array(1024 * WORDS);
  #temporaryCount = 0;
  /**
   * Records given up in this update. They are used again only after it: a hash job of their earlier
   * life may still write to them.
   */
  readonly #freed: { readonly pool: RecordPool; readonly id: number }[] = [];
  /** By depth: target, left, right of each pair to hash. */
  readonly #jobs: number[][] = [];
  readonly #pairs = new Uint32Array(PAIRS_MAX * 2 * WORDS);
  readonly #hashes = new Uint32Array(PAIRS_MAX * WORDS);

  /** Leaves in the tree. */
  get size(): number {
    return this.#size;
  }

  /** Root over all leaves; zeros when there are none. */
  get root(): Hash {
    return this.#root;
  }

  /** Memory of nodes and buckets, in bytes. */
  get bytes(): number {
    return this.#buckets.reduce((sum, pool) => sum + pool.bytes, this.#nodes.bytes);
  }

  /**
   * Sets and removes leaves, in one batch; removing what is not there changes nothing.
   * @returns the new root.
   * @throws HanseError `STATE_TREE_INPUT` when a key stands twice or lengths differ.
   */
  update({ keyHashes, valueHashes }: StateTreeUpdate): Hash {
    const count = keyHashes.length / HASH_BYTES;
    if (!Number.isInteger(count) || valueHashes.length !== keyHashes.length) {
      throw new HanseError(
        "STATE_TREE_INPUT",
        "malformed",
        "one value hash per key hash is needed",
      );
    }
    for (let from = 0; from < count; from += SORT_KEYS_MAX) {
      const to = Math.min(count, from + SORT_KEYS_MAX);
      this.#updateSome(
        keyHashes.subarray(from * HASH_BYTES, to * HASH_BYTES),
        valueHashes.subarray(from * HASH_BYTES, to * HASH_BYTES),
      );
    }
    return this.#root;
  }

  #updateSome(keyHashes: Bytes, valueHashes: Bytes): void {
    const count = keyHashes.length / HASH_BYTES;
    if (this.#size + count > TREE_LEAVES_MAX) {
      throw new HanseError("STATE_TREE_FULL", "limit", `more than ${TREE_LEAVES_MAX} leaves`);
    }
    // Old leaves of touched buckets join the changes in the same arrays: room for them as well.
    this.#leaves = new Uint32Array(count * (BUCKET_MAX + 1) * LEAF_WORDS);
    const keys = new Uint32Array(count * WORDS);
    const values = new Uint32Array(count * WORDS);
    bytesToWords(keyHashes, keys, 0);
    bytesToWords(valueHashes, values, 0);
    for (let i = 0; i < count; i++) {
      copyWords(keys, i * WORDS, this.#leaves, i * LEAF_WORDS, WORDS);
      copyWords(values, i * WORDS, this.#leaves, i * LEAF_WORDS + WORDS, WORDS);
    }
    this.#leafCount = count;
    this.#order = new Int32Array(count * (BUCKET_MAX + 2));
    this.#order.set(sortKeys(keyHashes));
    this.#orderCount = count;
    for (let i = 1; i < count; i++) {
      if (this.#compareKeys(this.#order[i - 1]!, this.#order[i]!) === 0) {
        throw new HanseError("STATE_TREE_INPUT", "malformed", "a key stands twice in one update");
      }
    }
    this.#temporaryCount = 0;
    this.#rootRef = this.#fold(this.#rootRef, 0, 0, count);
    this.#hashAll();
    this.#root = this.#rootRef === 0 ? ZERO_HASH : this.#hashOf(this.#rootRef);
    this.#leaves = new Uint32Array(0);
    this.#order = new Int32Array(0);
    for (const { pool, id } of this.#freed) pool.give(id);
    this.#freed.length = 0;
  }

  #bit(leaf: number, depth: number): number {
    return (keyWord(this.#leaves, leaf * LEAF_WORDS + (depth >> 5)) >>> (31 - (depth & 31))) & 1;
  }

  #compareKeys(a: number, b: number): number {
    return compareKeyWords(this.#leaves, a * LEAF_WORDS, this.#leaves, b * LEAF_WORDS);
  }

  #isRemoval(leaf: number): boolean {
    const at = leaf * LEAF_WORDS + WORDS;
    for (let i = 0; i < WORDS; i++) if (this.#leaves[at + i] !== 0) return false;
    return true;
  }

  /** First place in order[from, to) whose key has a one at this depth. */
  #split(from: number, to: number, depth: number): number {
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#bit(this.#order[middle]!, depth) === 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Folds the sorted changes order[from, to) into a subtree; gives its new reference. */
  #fold(ref: number, depth: number, from: number, to: number): number {
    if (from === to) return ref;
    if (ref <= 0) return this.#foldBucket(ref, depth, from, to);
    const split = this.#split(from, to, depth);
    const chunk = this.#nodes.chunk(ref);
    const at = this.#nodes.offset(ref);
    const left = this.#fold(chunk[at]! | 0, depth + 1, from, split);
    const right = this.#fold(chunk[at + 1]! | 0, depth + 1, split, to);
    if (left <= 0 && right <= 0) {
      const size = (left === 0 ? 0 : bucketSize(left)) + (right === 0 ? 0 : bucketSize(right));
      if (size <= BUCKET_MAX) {
        this.#freed.push({ pool: this.#nodes, id: ref });
        return this.#join(left, right, depth);
      }
    }
    chunk[at] = left;
    chunk[at + 1] = right;
    this.#job(depth, ref, left, right);
    return ref;
  }

  /** Merges a bucket (or nothing) with the changes that fall on it. */
  #foldBucket(ref: number, depth: number, from: number, to: number): number {
    const first = this.#orderCount;
    let at = from;
    if (ref !== 0) {
      const size = bucketSize(ref);
      const old = this.#takeLeaves(ref);
      this.#size -= size;
      for (let i = 0; i < size; i++) {
        while (at < to && this.#compareKeys(this.#order[at]!, old + i) < 0) {
          if (!this.#isRemoval(this.#order[at]!))
            this.#order[this.#orderCount++] = this.#order[at]!;
          at++;
        }
        // A change of the same key takes the old leaf's place, in the next round.
        if (at < to && this.#compareKeys(this.#order[at]!, old + i) === 0) continue;
        this.#order[this.#orderCount++] = old + i;
      }
    }
    for (; at < to; at++) {
      if (!this.#isRemoval(this.#order[at]!)) this.#order[this.#orderCount++] = this.#order[at]!;
    }
    const last = this.#orderCount;
    this.#size += last - first;
    const built = this.#build(depth, first, last);
    this.#orderCount = first;
    return built;
  }

  /** Two small neighbours become one bucket. */
  #join(left: number, right: number, depth: number): number {
    if (left === 0 && right === 0) return 0;
    const first = this.#orderCount;
    for (const ref of [left, right]) {
      if (ref === 0) continue;
      const size = bucketSize(ref);
      const old = this.#takeLeaves(ref);
      for (let i = 0; i < size; i++) this.#order[this.#orderCount++] = old + i;
    }
    const built = this.#build(depth, first, this.#orderCount);
    this.#orderCount = first;
    return built;
  }

  /** Copies a bucket's leaves behind the changes and frees its record. */
  #takeLeaves(ref: number): number {
    const size = bucketSize(ref);
    const pool = this.#buckets[size - 1]!;
    const record = bucketRecord(ref);
    const first = this.#leafCount;
    const end = (first + size) * LEAF_WORDS;
    if (end > this.#leaves.length) {
      // Joining after removals can copy a leaf again: grow rather than count the worst case.
      const grown = new Uint32Array(Math.max(end, this.#leaves.length * 2));
      grown.set(this.#leaves);
      this.#leaves = grown;
    }
    if (this.#orderCount + size > this.#order.length) {
      const grown = new Int32Array(Math.max(this.#orderCount + size, this.#order.length * 2));
      grown.set(this.#order);
      this.#order = grown;
    }
    copyWords(
      pool.chunk(record),
      pool.offset(record),
      this.#leaves,
      first * LEAF_WORDS,
      size * LEAF_WORDS,
    );
    this.#freed.push({ pool, id: record });
    this.#leafCount += size;
    return first;
  }

  /** A subtree of the sorted leaves order[from, to). */
  #build(depth: number, from: number, to: number): number {
    const size = to - from;
    if (size === 0) return 0;
    if (size > BUCKET_MAX) {
      const split = this.#split(from, to, depth);
      const left = this.#build(depth + 1, from, split);
      const right = this.#build(depth + 1, split, to);
      const node = this.#nodes.take();
      const chunk = this.#nodes.chunk(node);
      const at = this.#nodes.offset(node);
      chunk[at] = left;
      chunk[at + 1] = right;
      this.#job(depth, node, left, right);
      return node;
    }
    const pool = this.#buckets[size - 1]!;
    const record = pool.take();
    const chunk = pool.chunk(record);
    const at = pool.offset(record);
    for (let i = 0; i < size; i++) {
      const leaf = this.#order[from + i]! * LEAF_WORDS;
      copyWords(this.#leaves, leaf, chunk, at + i * LEAF_WORDS, LEAF_WORDS);
    }
    const ref = bucketRef(record, size);
    if (size === 1) {
      hashLeafWords(chunk, at, chunk, at + LEAF_WORDS);
    } else {
      this.#bucketJobs(ref, chunk, at, depth, 0, size);
    }
    return ref;
  }

  /** Plans the hashes of a bucket's leaves [from, to) as the subtree at this depth. */
  #bucketJobs(
    target: number,
    chunk: Uint32Array,
    at: number,
    depth: number,
    from: number,
    to: number,
  ): number {
    if (from === to) return 0;
    if (target === 0) {
      target = TEMPORARY + this.#takeTemporary();
      if (to - from === 1) {
        const place = (target - TEMPORARY) * WORDS;
        hashLeafWords(chunk, at + from * LEAF_WORDS, this.#temporary, place);
        return target;
      }
    }
    let split = from;
    const shift = 31 - (depth & 31);
    while (
      split < to &&
      ((keyWord(chunk, at + split * LEAF_WORDS + (depth >> 5)) >>> shift) & 1) === 0
    ) {
      split++;
    }
    const left = this.#bucketJobs(0, chunk, at, depth + 1, from, split);
    const right = this.#bucketJobs(0, chunk, at, depth + 1, split, to);
    this.#job(depth, target, left, right);
    return target;
  }

  #takeTemporary(): number {
    const id = this.#temporaryCount++;
    if ((id + 1) * WORDS > this.#temporary.length) {
      const grown = new Uint32Array(this.#temporary.length * 2);
      grown.set(this.#temporary);
      this.#temporary = grown;
    }
    return id;
  }

  #job(depth: number, target: number, left: number, right: number): void {
    let jobs = this.#jobs[depth];
    if (jobs === undefined) {
      while (this.#jobs.length <= depth) this.#jobs.push([]);
      jobs = this.#jobs[depth]!;
    }
    jobs.push(target, left, right);
  }

  #loadHash(ref: number, to: Uint32Array, at: number): void {
    if (ref === 0) to.fill(0, at, at + WORDS);
    else if (ref >= TEMPORARY) copyWords(this.#temporary, (ref - TEMPORARY) * WORDS, to, at, WORDS);
    else if (ref > 0) {
      copyWords(this.#nodes.chunk(ref), this.#nodes.offset(ref) + 2, to, at, WORDS);
    } else {
      const size = bucketSize(ref);
      const pool = this.#buckets[size - 1]!;
      const record = bucketRecord(ref);
      copyWords(pool.chunk(record), pool.offset(record) + size * LEAF_WORDS, to, at, WORDS);
    }
  }

  #storeHash(ref: number, from: Uint32Array, at: number): void {
    if (ref >= TEMPORARY) copyWords(from, at, this.#temporary, (ref - TEMPORARY) * WORDS, WORDS);
    else if (ref > 0) {
      copyWords(from, at, this.#nodes.chunk(ref), this.#nodes.offset(ref) + 2, WORDS);
    } else {
      const size = bucketSize(ref);
      const pool = this.#buckets[size - 1]!;
      const record = bucketRecord(ref);
      copyWords(from, at, pool.chunk(record), pool.offset(record) + size * LEAF_WORDS, WORDS);
    }
  }

  /** Deepest level first: every pair finds its children hashed. */
  #hashAll(): void {
    const pairBytes = new Uint8Array(this.#pairs.buffer);
    const hashBytes = new Uint8Array(this.#hashes.buffer);
    for (let depth = this.#jobs.length - 1; depth >= 0; depth--) {
      const jobs = this.#jobs[depth]!;
      for (let from = 0; from < jobs.length; from += PAIRS_MAX * 3) {
        const count = Math.min(PAIRS_MAX, (jobs.length - from) / 3);
        for (let i = 0; i < count; i++) {
          this.#loadHash(jobs[from + 3 * i + 1]!, this.#pairs, i * 2 * WORDS);
          this.#loadHash(jobs[from + 3 * i + 2]!, this.#pairs, (i * 2 + 1) * WORDS);
        }
        hashPairs(pairBytes.subarray(0, count * 64), hashBytes.subarray(0, count * 32));
        for (let i = 0; i < count; i++) {
          this.#storeHash(jobs[from + 3 * i]!, this.#hashes, i * WORDS);
        }
      }
      this.#jobs[depth] = [];
    }
  }

  #hashOf(ref: number): Hash {
    const words = new Uint32Array(WORDS);
    this.#loadHash(ref, words, 0);
    return wordsToBytes(words, 0, WORDS);
  }

  /** Leaves of a bucket as bytes, in key order. */
  #bucketLeaves(ref: number): { keyHash: Hash; valueHash: Hash }[] {
    const size = bucketSize(ref);
    const pool = this.#buckets[size - 1]!;
    const chunk = pool.chunk(bucketRecord(ref));
    const at = pool.offset(bucketRecord(ref));
    return Array.from({ length: size }, (_, i) => ({
      keyHash: wordsToBytes(chunk, at + i * LEAF_WORDS, WORDS),
      valueHash: wordsToBytes(chunk, at + i * LEAF_WORDS + WORDS, WORDS),
    }));
  }

  /** The value hash of a key; undefined when it has no leaf. */
  get(keyHash: Hash): Hash | undefined {
    const { ref } = this.#descend(keyHash);
    if (ref === 0) return undefined;
    const leaf = this.#bucketLeaves(ref).find((one) => equalBytes(one.keyHash, keyHash));
    return leaf?.valueHash;
  }

  #descend(keyHash: Hash): { readonly ref: number; readonly siblings: Hash[] } {
    let ref = this.#rootRef;
    const siblings: Hash[] = [];
    while (ref > 0) {
      const chunk = this.#nodes.chunk(ref);
      const at = this.#nodes.offset(ref);
      const bit = bitOf(keyHash, siblings.length);
      siblings.push(this.#hashOf(chunk[at + 1 - bit]! | 0));
      ref = chunk[at + bit]! | 0;
    }
    return { ref, siblings };
  }

  /** Proof of a key's leaf, or of its absence, under the present root. */
  prove(keyHash: Hash): StateProof {
    const { ref, siblings } = this.#descend(keyHash);
    let leaves = ref === 0 ? [] : this.#bucketLeaves(ref);
    while (leaves.length > 1) {
      const depth = siblings.length;
      const bit = bitOf(keyHash, depth);
      const away = leaves.filter((leaf) => bitOf(leaf.keyHash, depth) !== bit);
      siblings.push(subtreeHash(away, depth + 1));
      leaves = leaves.filter((leaf) => bitOf(leaf.keyHash, depth) === bit);
    }
    return { keyHash, leaf: leaves[0], siblings: siblings.reverse() };
  }

  /**
   * All leaves whose key hash begins with the `depth` bits of `prefix`, in key order: 64 bytes each,
   * key hash and value hash.
   */
  exportLeaves(prefix: number, depth: number): Bytes {
    if (!Number.isInteger(depth) || depth < 0 || depth > 30 || prefix < 0 || prefix >= 2 ** depth) {
      throw new HanseError("STATE_TREE_INPUT", "malformed", "a prefix has 0 to 30 bits");
    }
    const parts: Uint8Array[] = [];
    let ref = this.#rootRef;
    let level = 0;
    while (ref > 0 && level < depth) {
      const bit = (prefix >>> (depth - 1 - level)) & 1;
      ref = this.#nodes.chunk(ref)[this.#nodes.offset(ref) + bit]! | 0;
      level++;
    }
    this.#collect(ref, parts);
    const leaves = parts.length === 1 ? parts[0]! : joinBytes(parts);
    if (level === depth) return leaves;
    // The bucket stands above the prefix: only some of its leaves are below it.
    const some: Uint8Array[] = [];
    for (let at = 0; at < leaves.length; at += 64) {
      const leaf = leaves.subarray(at, at + 64);
      const bits = ((leaf[0]! << 24) | (leaf[1]! << 16) | (leaf[2]! << 8) | leaf[3]!) >>> 0;
      if (depth === 0 || bits >>> (32 - depth) === prefix) some.push(leaf);
    }
    return joinBytes(some);
  }

  #collect(ref: number, parts: Uint8Array[]): void {
    if (ref === 0) return;
    if (ref < 0) {
      const size = bucketSize(ref);
      const pool = this.#buckets[size - 1]!;
      const record = bucketRecord(ref);
      parts.push(wordsToBytes(pool.chunk(record), pool.offset(record), size * LEAF_WORDS));
      return;
    }
    const chunk = this.#nodes.chunk(ref);
    const at = this.#nodes.offset(ref);
    this.#collect(chunk[at]! | 0, parts);
    this.#collect(chunk[at + 1]! | 0, parts);
  }
}

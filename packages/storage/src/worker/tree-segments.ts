/**
 * The state tree between memory and database. The tree is derived from the rows, so its leaves need
 * not be written with every block: they are kept in segments (all leaves under one prefix of their
 * key hash), a segment is written some hundred thousand changed leaves after its first change, and
 * at start what the segments lack is folded in again from the history of the last blocks. A block
 * thus writes a few segments in turn, never all at once, and nothing at all per changed leaf.
 */
import { HASH_BYTES, type Hash } from "@hanse/protocol";
import { StateTree, type StateTreeUpdate } from "@hanse/state";

/** Leaves of a segment on average, at most: 64 bytes each. */
const SEGMENT_LEAVES = 128;
const DEPTH_MAX = 22;
/** Changed leaves between a segment's first change and its writing: bounds the work of a restart. */
const LAG_LEAVES_MIN = 200_000;
/** A large tree is written less often: at most a share of it is folded in again at start. */
const LAG_SHARE = 4;
/** Segments one block writes at most, so that none takes long; the lag may grow by it. */
const SEGMENTS_PER_BLOCK_MAX = 4_096;
/** Folding a changed leaf in at start costs about as much as writing so many leaves of segments. */
const REPLAY_COST = 8;

export interface SegmentWrites {
  /** Number of a segment: a one, then the bits of its prefix. */
  readonly put: readonly { readonly segment: number; readonly leaves: Uint8Array }[];
  readonly remove: readonly number[];
  /** Bits of a prefix now. */
  readonly depth: number;
  /** First height whose changes the segments may lack. */
  readonly from: number;
}

interface Dirt {
  /** Height of the first change that the stored segment lacks, and the count of leaves by then. */
  readonly height: number;
  readonly since: number;
}

export class TreeSegments {
  readonly tree = new StateTree();
  #depth = 0;
  /** For each segment, the depth of the stored segment that holds its leaves. */
  #storedDepth = new Uint8Array(1);
  /** Segments that differ from what is stored, the longest in front. */
  readonly #dirty = new Map<number, Dirt>();
  #changed = 0;
  readonly #lagLeaves: number;

  /** @param lagLeaves changed leaves between a segment's first change and its writing, at least. */
  constructor(lagLeaves = LAG_LEAVES_MIN) {
    this.#lagLeaves = lagLeaves;
  }

  get depth(): number {
    return this.#depth;
  }

  /** Takes over leaves that are stored at this depth, before anything else. */
  load(depth: number, leaves: Uint8Array): void {
    if (depth !== this.#depth) {
      this.#depth = depth;
      this.#storedDepth = new Uint8Array(2 ** depth).fill(depth);
    }
    const count = leaves.length / (2 * HASH_BYTES);
    const keyHashes = new Uint8Array(count * HASH_BYTES);
    const valueHashes = new Uint8Array(count * HASH_BYTES);
    for (let i = 0; i < count; i++) {
      const at = i * 2 * HASH_BYTES;
      keyHashes.set(leaves.subarray(at, at + HASH_BYTES), i * HASH_BYTES);
      valueHashes.set(leaves.subarray(at + HASH_BYTES, at + 2 * HASH_BYTES), i * HASH_BYTES);
    }
    this.tree.update({ keyHashes, valueHashes });
  }

  /** Notes that a segment stands in the database under a shorter prefix than the present depth. */
  loadedAt(segment: number): void {
    const depth = Math.floor(Math.log2(segment));
    const shift = this.#depth - depth;
    if (shift <= 0) return;
    const first = (segment - 2 ** depth) * 2 ** shift;
    this.#storedDepth.fill(depth, first, first + 2 ** shift);
  }

  /** Folds a block's leaves in. */
  update(height: number, leaves: StateTreeUpdate): Hash {
    const root = this.tree.update(leaves);
    const { keyHashes } = leaves;
    this.#grow();
    const shift = 32 - this.#depth;
    for (let at = 0; at < keyHashes.length; at += HASH_BYTES) {
      this.#changed++;
      const bits =
        ((keyHashes[at]! << 24) |
          (keyHashes[at + 1]! << 16) |
          (keyHashes[at + 2]! << 8) |
          keyHashes[at + 3]!) >>>
        0;
      const prefix = this.#depth === 0 ? 0 : bits >>> shift;
      if (!this.#dirty.has(prefix)) this.#dirty.set(prefix, { height, since: this.#changed });
    }
    return root;
  }

  /** Splits every segment in two when they have become too full; nothing is written for it. */
  #grow(): void {
    while (this.#depth < DEPTH_MAX && this.tree.size > SEGMENT_LEAVES * 2 ** this.#depth) {
      const old = this.#storedDepth;
      this.#depth++;
      this.#storedDepth = new Uint8Array(2 ** this.#depth);
      for (let i = 0; i < this.#storedDepth.length; i++) this.#storedDepth[i] = old[i >> 1]!;
      const dirty = [...this.#dirty];
      this.#dirty.clear();
      for (const [prefix, dirt] of dirty) {
        this.#dirty.set(prefix * 2, dirt);
        this.#dirty.set(prefix * 2 + 1, dirt);
      }
    }
  }

  /**
   * Whether writing all that differs costs less than folding it in again at the next start. Few
   * changes spread over a large tree touch most of its segments: they are not worth hundreds of
   * megabytes at every stop.
   */
  get isWorthWriting(): boolean {
    const oldest = this.#dirty.values().next().value;
    if (oldest === undefined) return false;
    const lag = this.#changed - oldest.since + 1;
    return lag * REPLAY_COST >= this.#dirty.size * Math.min(SEGMENT_LEAVES, this.tree.size);
  }

  /**
   * The segments due for writing, as they stand now: to be called right after the fold of a height
   * and written in that height's database transaction.
   * @param all everything that differs, as at an orderly end.
   */
  due(height: number, all = false): SegmentWrites {
    const put: { segment: number; leaves: Uint8Array }[] = [];
    const remove: number[] = [];
    const lag = Math.max(this.#lagLeaves, Math.floor(this.tree.size / LAG_SHARE));
    for (const [prefix, dirt] of this.#dirty) {
      if (!all && (this.#changed - dirt.since < lag || put.length >= SEGMENTS_PER_BLOCK_MAX)) break;
      if (!this.#dirty.has(prefix)) continue;
      const stored = this.#storedDepth[prefix]!;
      const shift = this.#depth - stored;
      // Stored under a shorter prefix: all that came out of it is written, and it goes.
      const first = (prefix >> shift) << shift;
      for (let i = first; i < first + 2 ** shift; i++) {
        put.push({ segment: 2 ** this.#depth + i, leaves: this.tree.exportLeaves(i, this.#depth) });
        this.#dirty.delete(i);
        this.#storedDepth[i] = this.#depth;
      }
      if (shift > 0) remove.push(2 ** stored + (prefix >> shift));
    }
    const oldest = this.#dirty.values().next().value;
    return { put, remove, depth: this.#depth, from: oldest?.height ?? height + 1 };
  }
}

/** Hashes as eight 32-bit words in arrays that grow piece by piece, without ever being copied. */

/** Words of a hash. */
export const WORDS = 8;
const SLOTS_PER_CHUNK_BITS = 12;
const SLOTS_PER_CHUNK = 1 << SLOTS_PER_CHUNK_BITS;

/** Fixed-size records of `width` words, addressed by a small integer; freed ones are used again. */
export class RecordPool {
  readonly #chunks: Uint32Array[] = [];
  readonly #width: number;
  readonly #free: number[] = [];
  #next = 1;

  constructor(width: number) {
    this.#width = width;
  }

  /** A record to write to; 0 is never given. Contents are whatever was there. */
  take(): number {
    const freed = this.#free.pop();
    if (freed !== undefined) return freed;
    const id = this.#next++;
    if (id >> SLOTS_PER_CHUNK_BITS >= this.#chunks.length) {
      this.#chunks.push(new Uint32Array(SLOTS_PER_CHUNK * this.#width));
    }
    return id;
  }

  give(id: number): void {
    this.#free.push(id);
  }

  chunk(id: number): Uint32Array {
    return this.#chunks[id >> SLOTS_PER_CHUNK_BITS]!;
  }

  offset(id: number): number {
    return (id & (SLOTS_PER_CHUNK - 1)) * this.#width;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#chunks.length * SLOTS_PER_CHUNK * this.#width * 4;
  }
}

export function copyWords(
  from: Uint32Array,
  fromAt: number,
  to: Uint32Array,
  toAt: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) to[toAt + i] = from[fromAt + i]!;
}

/** Copies bytes into words, in the machine's own order: the words are only ever copied back. */
export function bytesToWords(bytes: Uint8Array, words: Uint32Array, at: number): void {
  new Uint8Array(words.buffer, words.byteOffset + at * 4, bytes.length).set(bytes);
}

export function wordsToBytes(words: Uint32Array, at: number, count: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset + at * 4, count * 4).slice();
}

const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** A word as the number its bytes write, first byte most significant. */
export function keyWord(words: Uint32Array, at: number): number {
  const word = words[at]!;
  if (!isLittleEndian) return word;
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

/** Byte order of two hashes. */
export function compareKeyWords(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): number {
  for (let i = 0; i < WORDS; i++) {
    if (a[aAt + i] === b[bAt + i]) continue;
    return keyWord(a, aAt + i) < keyWord(b, bAt + i) ? -1 : 1;
  }
  return 0;
}

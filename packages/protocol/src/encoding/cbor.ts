/**
 * Deterministic CBOR (RFC 8949, section 4.2.1): one encoding per value, the decoder refuses any
 * other. The subset: unsigned and negative integers of 64 bits, byte and text strings, arrays,
 * maps with text keys, false, true, null. No floats, tags or indefinite lengths: no floating
 * point ever reaches a hash (spec/encoding.md).
 */
import { HanseError } from "../errors/hanse-error.ts";
import { type Bytes, compareBytes, fromUtf8, utf8 } from "./bytes.ts";

export type CborValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Bytes
  | readonly CborValue[]
  | ReadonlyMap<string, CborValue>;

/** Nesting deeper than this is refused in both directions. */
export const CBOR_DEPTH_MAX = 64;

/** Texts up to this length are read and written character by character while they are ASCII. */
const SHORT_TEXT_MAX = 40;

/** Writers kept for reuse, and the largest buffer one of them may keep. */
const POOL_MAX = 8;
const POOLED_BYTES_MAX = 1024 * 1024;

const UINT64_MAX = 0xffff_ffff_ffff_ffffn;

function fail(code: string, message: string): never {
  throw new HanseError(code, "malformed", message);
}

class Writer {
  #bytes = new Uint8Array(512);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  head(major: number, argument: number | bigint): void {
    this.#reserve(9);
    const top = major << 5;
    if (typeof argument === "bigint") {
      if (argument <= 0xffff_ffffn) {
        this.head(major, Number(argument));
        return;
      }
      this.#bytes[this.#at] = top | 27;
      this.#view.setBigUint64(this.#at + 1, argument);
      this.#at += 9;
    } else if (argument < 24) {
      this.#bytes[this.#at++] = top | argument;
    } else if (argument < 0x100) {
      this.#bytes[this.#at++] = top | 24;
      this.#bytes[this.#at++] = argument;
    } else if (argument < 0x1_0000) {
      this.#bytes[this.#at] = top | 25;
      this.#view.setUint16(this.#at + 1, argument);
      this.#at += 3;
    } else if (argument < 0x1_0000_0000) {
      this.#bytes[this.#at] = top | 26;
      this.#view.setUint32(this.#at + 1, argument);
      this.#at += 5;
    } else {
      this.#bytes[this.#at] = top | 27;
      this.#view.setUint32(this.#at + 1, Math.floor(argument / 0x1_0000_0000));
      this.#view.setUint32(this.#at + 5, argument >>> 0);
      this.#at += 9;
    }
  }

  /** A text; short ASCII, which nearly all texts are, is written without a TextEncoder. */
  text(value: string): void {
    const { length } = value;
    if (length <= SHORT_TEXT_MAX) {
      this.#reserve(length + 2);
      const start = this.#at;
      this.head(3, length);
      let i = 0;
      for (; i < length; i++) {
        const unit = value.charCodeAt(i);
        if (unit >= 0x80) break;
        this.#bytes[this.#at++] = unit;
      }
      if (i === length) return;
      this.#at = start;
    }
    if (!value.isWellFormed()) fail("CBOR_TEXT", "text holds a lone surrogate");
    const bytes = utf8(value);
    this.head(3, bytes.length);
    this.raw(bytes);
  }

  raw(bytes: Bytes): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  simple(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = byte;
  }

  take(): Bytes {
    return this.#bytes.slice(0, this.#at);
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  reset(): void {
    this.#at = 0;
  }
}

function write(writer: Writer, value: CborValue, depth: number): void {
  if (depth > CBOR_DEPTH_MAX) fail("CBOR_TOO_DEEP", `nesting deeper than ${CBOR_DEPTH_MAX}`);
  switch (typeof value) {
    case "number":
      if (!Number.isSafeInteger(value)) {
        fail("CBOR_NOT_INTEGER", `${value} is not a safe integer; floats are not encodable`);
      }
      // -0 encodes as 0: both are the same integer.
      if (value >= 0) writer.head(0, value);
      else writer.head(1, -1 - value);
      return;
    case "bigint":
      if (value >= 0n) {
        if (value > UINT64_MAX) fail("CBOR_INTEGER_RANGE", "integer above 2^64-1");
        writer.head(0, value);
      } else {
        const argument = -1n - value;
        if (argument > UINT64_MAX) fail("CBOR_INTEGER_RANGE", "integer below -2^64");
        writer.head(1, argument);
      }
      return;
    case "string":
      writer.text(value);
      return;
    case "boolean":
      writer.simple(value ? 0xf5 : 0xf4);
      return;
    case "object":
      break;
    default:
      fail("CBOR_TYPE", `a ${typeof value} has no encoding`);
  }
  if (value === null) {
    writer.simple(0xf6);
  } else if (value instanceof Uint8Array) {
    writer.head(2, value.length);
    writer.raw(value);
  } else if (Array.isArray(value)) {
    writer.head(4, value.length);
    for (const item of value) write(writer, item, depth + 1);
  } else if (value instanceof Map) {
    const entries: [Bytes, CborValue][] = [];
    for (const [key, item] of value as ReadonlyMap<string, CborValue>) {
      entries.push([encodeCbor(key), item]);
    }
    entries.sort((a, b) => compareBytes(a[0], b[0]));
    writer.head(5, entries.length);
    for (const [key, item] of entries) {
      writer.raw(key);
      write(writer, item, depth + 1);
    }
  } else {
    fail("CBOR_TYPE", "only null, booleans, integers, text, bytes, arrays and Maps are encodable");
  }
}

const pool: Writer[] = [];

/**
 * The one deterministic encoding of a value. Numbers must be safe integers.
 * @throws HanseError `CBOR_*` when the value has no encoding.
 */
export function encodeCbor(value: CborValue): Bytes {
  const writer = pool.pop() ?? new Writer();
  writer.reset();
  try {
    write(writer, value, 0);
    return writer.take();
  } finally {
    if (pool.length < POOL_MAX && writer.capacity <= POOLED_BYTES_MAX) pool.push(writer);
  }
}

class Reader {
  readonly #bytes: Bytes;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.at;
  }

  #need(count: number): void {
    if (this.left < count) fail("CBOR_TRUNCATED", `input ends inside a value at byte ${this.at}`);
  }

  #argument(info: number): number | bigint {
    if (info < 24) return info;
    let value: number | bigint;
    let least: number | bigint;
    switch (info) {
      case 24:
        this.#need(1);
        value = this.#view.getUint8(this.at);
        this.at += 1;
        least = 24;
        break;
      case 25:
        this.#need(2);
        value = this.#view.getUint16(this.at);
        this.at += 2;
        least = 0x100;
        break;
      case 26:
        this.#need(4);
        value = this.#view.getUint32(this.at);
        this.at += 4;
        least = 0x1_0000;
        break;
      case 27: {
        this.#need(8);
        const wide = this.#view.getBigUint64(this.at);
        this.at += 8;
        if (wide <= 0xffff_ffffn) {
          fail("CBOR_NOT_SHORTEST", `integer at byte ${this.at} not shortest`);
        }
        return wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide;
      }
      default:
        fail("CBOR_UNSUPPORTED", "indefinite lengths and reserved heads are refused");
    }
    if (value < least)
      fail("CBOR_NOT_SHORTEST", `length or integer at byte ${this.at} not shortest`);
    return value;
  }

  #length(info: number): number {
    const length = this.#argument(info);
    if (typeof length === "bigint" || length > this.left) {
      fail("CBOR_TRUNCATED", `a length of ${length} exceeds the ${this.left} bytes left`);
    }
    return length;
  }

  #text(length: number): string {
    const end = this.at + length;
    if (length <= SHORT_TEXT_MAX) {
      let text = "";
      let i = this.at;
      for (; i < end; i++) {
        const byte = this.#bytes[i]!;
        if (byte >= 0x80) break;
        text += String.fromCharCode(byte);
      }
      if (i === end) {
        this.at = end;
        return text;
      }
    }
    const text = fromUtf8(this.#bytes.subarray(this.at, end));
    this.at = end;
    return text;
  }

  read(depth: number): CborValue {
    if (depth > CBOR_DEPTH_MAX) fail("CBOR_TOO_DEEP", `nesting deeper than ${CBOR_DEPTH_MAX}`);
    this.#need(1);
    const head = this.#bytes[this.at++]!;
    const info = head & 31;
    switch (head >> 5) {
      case 0:
        return this.#argument(info);
      case 1: {
        const argument = this.#argument(info);
        if (typeof argument === "bigint") return -1n - argument;
        return argument === Number.MAX_SAFE_INTEGER ? -1n - BigInt(argument) : -1 - argument;
      }
      case 2: {
        const length = this.#length(info);
        const bytes = this.#bytes.subarray(this.at, this.at + length);
        this.at += length;
        return bytes;
      }
      case 3:
        return this.#text(this.#length(info));
      case 4: {
        const length = this.#length(info);
        const items: CborValue[] = [];
        for (let i = 0; i < length; i++) items.push(this.read(depth + 1));
        return items;
      }
      case 5: {
        const length = this.#length(info);
        const map = new Map<string, CborValue>();
        let previous: Bytes | undefined;
        for (let i = 0; i < length; i++) {
          const from = this.at;
          const key = this.read(depth + 1);
          if (typeof key !== "string") fail("CBOR_MAP_KEY", "map keys must be text");
          const encoded = this.#bytes.subarray(from, this.at);
          if (previous !== undefined && compareBytes(previous, encoded) >= 0) {
            fail("CBOR_MAP_ORDER", `map key "${key.slice(0, 32)}" repeated or out of order`);
          }
          previous = encoded;
          map.set(key, this.read(depth + 1));
        }
        return map;
      }
      default:
        if (head === 0xf4) return false;
        if (head === 0xf5) return true;
        if (head === 0xf6) return null;
        return fail("CBOR_UNSUPPORTED", `head 0x${head.toString(16)} is not in the profile`);
    }
  }
}

/**
 * Decodes exactly one value; byte strings are views into the input, integers are numbers where
 * safe and bigints beyond.
 * @throws HanseError `CBOR_*` on anything but the one deterministic encoding of a value.
 */
export function decodeCbor(bytes: Bytes): CborValue {
  const reader = new Reader(bytes);
  const value = reader.read(0);
  if (reader.left > 0) fail("CBOR_TRAILING", `${reader.left} bytes after the value`);
  return value;
}

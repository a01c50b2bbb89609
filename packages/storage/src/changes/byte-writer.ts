/** Bytes written and read one after the other, without an object per field. */

export class ByteWriter {
  #bytes: Buffer;
  #at = 0;

  constructor(capacity = 1024) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
  }

  get length(): number {
    return this.#at;
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  /** A safe unsigned integer, 7 bits at a time, lowest first. */
  uint(value: number): void {
    this.#reserve(8);
    while (value >= 0x80) {
      this.#bytes[this.#at++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#bytes[this.#at++] = value;
  }

  int32(value: number): void {
    this.#reserve(4);
    this.#at = this.#bytes.writeInt32BE(value, this.#at);
  }

  int64(value: bigint): void {
    this.#reserve(8);
    this.#at = this.#bytes.writeBigInt64BE(value, this.#at);
  }

  float64(value: number): void {
    this.#reserve(8);
    this.#at = this.#bytes.writeDoubleBE(value, this.#at);
  }

  /** Without a length. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  bytes(bytes: Uint8Array): void {
    this.uint(bytes.length);
    this.raw(bytes);
  }

  text(text: string): void {
    const length = Buffer.byteLength(text);
    this.uint(length);
    this.#reserve(length);
    this.#at += this.#bytes.write(text, this.#at, "utf8");
  }

  /** Text with its byte length as int32 in front, as PostgreSQL's binary form wants it. */
  text32(text: string): void {
    const length = Buffer.byteLength(text);
    this.int32(length);
    this.#reserve(length);
    this.#at += this.#bytes.write(text, this.#at, "utf8");
  }

  setInt32(at: number, value: number): void {
    this.#bytes.writeInt32BE(value, at);
  }

  /** What was written; the writer must not be used afterwards. Owns its memory: may be transferred. */
  take(): Buffer {
    // A buffer much larger than its content is not worth moving to another thread.
    if (this.#at * 2 < this.#bytes.length) {
      const exact = Buffer.allocUnsafeSlow(this.#at);
      this.#bytes.copy(exact, 0, 0, this.#at);
      return exact;
    }
    return this.#bytes.subarray(0, this.#at);
  }
}

export class ByteReader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  byte(): number {
    return this.#bytes.readUInt8(this.at++);
  }

  uint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  int64(): bigint {
    const value = this.#bytes.readBigInt64BE(this.at);
    this.at += 8;
    return value;
  }

  float64(): number {
    const value = this.#bytes.readDoubleBE(this.at);
    this.at += 8;
    return value;
  }

  /** A copy: it outlives the record. */
  bytes(): Uint8Array {
    const length = this.uint();
    const bytes = new Uint8Array(this.#bytes.subarray(this.at, this.at + length));
    this.at += length;
    return bytes;
  }

  text(): string {
    const length = this.uint();
    const text = this.#bytes.toString("utf8", this.at, this.at + length);
    this.at += length;
    return text;
  }
}

/** A list of byte strings, each with its length in front. */
export function packList(parts: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter(64 + parts.reduce((sum, part) => sum + part.length + 4, 0));
  for (const part of parts) writer.bytes(part);
  return writer.take();
}

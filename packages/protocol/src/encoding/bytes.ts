import { HanseError } from "../errors/hanse-error.ts";

export type Bytes = Uint8Array;

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, "0"),
);
const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Lower-case hexadecimal text. */
export function toHex(bytes: Bytes): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i]!];
  return text;
}

/**
 * Bytes of a hexadecimal text (either case, no prefix).
 * @throws HanseError `ENCODING_HEX` on an odd length or a character outside 0-9a-f.
 */
export function fromHex(text: string): Bytes {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new HanseError("ENCODING_HEX", "malformed", "expected an even number of hex digits");
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** @throws HanseError `ENCODING_UTF8` on ill-formed input. */
export function fromUtf8(bytes: Bytes): string {
  try {
    return strictDecoder.decode(bytes);
  } catch (cause) {
    throw new HanseError("ENCODING_UTF8", "malformed", "text is not valid UTF-8", { cause });
  }
}

export function concatBytes(...parts: readonly Bytes[]): Bytes {
  return joinBytes(parts);
}

/** As `concatBytes`, for more parts than a call may have arguments. */
export function joinBytes(parts: readonly Bytes[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function equalBytes(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Order by unsigned byte value, a prefix before what it is a prefix of. */
export function compareBytes(a: Bytes, b: Bytes): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
}

/** Order of texts by code point, the same in every locale (PostgreSQL collation "C"). */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // UTF-16 puts surrogates below U+E000..U+FFFF; UTF-8 and code points put them above.
    if (x >= 0xd800 && y >= 0xd800) {
      x = x >= 0xe000 ? x - 0x800 : x + 0x2000;
      y = y >= 0xe000 ? y - 0x800 : y + 0x2000;
    }
    return x < y ? -1 : 1;
  }
  return a.length < b.length ? -1 : 1;
}

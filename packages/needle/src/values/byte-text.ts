/**
 * Texts of Needle are strings of bytes, UTF-8 by convention. They are kept as JavaScript strings:
 * well-formed Unicode as itself, every byte that is no part of valid UTF-8 as the lone surrogate
 * U+DC00 + byte (the "surrogate escape" of Python's PEP 383). Each byte string has exactly one such
 * form, so equality of texts is equality of bytes.
 */
import { compareText, utf8 } from "@hanse/protocol";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isEscape(unit: number): boolean {
  return unit >= 0xdc80 && unit <= 0xdcff;
}

/** Length in bytes. */
export function byteLength(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit <= 0xdbff) {
      bytes += 4;
      i++;
    } else bytes += isEscape(unit) ? 1 : 3;
  }
  return bytes;
}

export function textToBytes(text: string): Uint8Array {
  if (text.isWellFormed()) return utf8(text);
  const bytes = new Uint8Array(byteLength(text));
  let at = 0;
  let from = 0;
  for (let i = 0; i <= text.length; i++) {
    const unit = i < text.length ? text.charCodeAt(i) : 0;
    if (unit >= 0xd800 && unit <= 0xdbff) {
      i++;
      continue;
    }
    if (i < text.length && !isEscape(unit)) continue;
    const part = utf8(text.slice(from, i));
    bytes.set(part, at);
    at += part.length;
    if (i < text.length) bytes[at++] = unit - 0xdc00;
    from = i + 1;
  }
  return bytes;
}

/** Bytes of the UTF-8 sequence at `at`, 0 when it is not valid there (Unicode 16, table 3-7). */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (at + length > bytes.length) return 0;
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (bytes[at + 1]! < low || bytes[at + 1]! > high) return 0;
  for (let i = 2; i < length; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return 0;
  return length;
}

export function bytesToText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    const parts: string[] = [];
    let from = 0;
    let at = 0;
    while (at < bytes.length) {
      const length = sequenceLength(bytes, at);
      if (length > 0) {
        at += length;
        continue;
      }
      if (at > from) parts.push(decoder.decode(bytes.subarray(from, at)));
      parts.push(String.fromCharCode(0xdc00 + bytes[at]!));
      at += 1;
      from = at;
    }
    if (at > from) parts.push(decoder.decode(bytes.subarray(from, at)));
    return parts.join("");
  }
}

/** Brings a text put together from several back into its one form. */
export function normaliseText(text: string): string {
  return text.isWellFormed() ? text : bytesToText(textToBytes(text));
}

/**
 * A part of a text as a text of its own. Engines keep parts as views of the whole: a short part of
 * a long text would hold all its memory, which nobody accounts.
 */
export function detached(part: string, whole: string): string {
  if (whole.length <= 4_096 || part.length === whole.length) return part;
  return bytesToText(textToBytes(part));
}

export function concatTexts(left: string, right: string): string {
  // Only a text that begins with an escaped byte can complete a sequence begun before it.
  return right.length > 0 && isEscape(right.charCodeAt(0))
    ? normaliseText(left + right)
    : left + right;
}

/** Order by bytes. */
export function compareTexts(left: string, right: string): number {
  if (left.isWellFormed() && right.isWellFormed()) return compareText(left, right);
  const a = textToBytes(left);
  const b = textToBytes(right);
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1;
  return a.length - b.length;
}

/** Bytes offset..offset+length as a text of its own; may cut characters apart. */
export function sliceBytes(text: string, offset: number, length: number): string {
  const bytes = textToBytes(text);
  return bytesToText(bytes.subarray(offset, Math.min(bytes.length, offset + length)));
}

/** One character per byte: the form in which searching works byte by byte. */
export function toBinary(text: string): string {
  const bytes = textToBytes(text);
  let binary = "";
  for (let i = 0; i < bytes.length; i += 4096) {
    binary += String.fromCharCode(...bytes.subarray(i, i + 4096));
  }
  return binary;
}

export function fromBinary(binary: string): string {
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytesToText(bytes);
}

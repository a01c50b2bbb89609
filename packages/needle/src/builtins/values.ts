/** Built-ins: conversions, texts and bytes. */

import { limitFault, panic } from "../runtime/fault.ts";
import {
  FUEL_BYTES,
  FUEL_ELEMENTS,
  MEMORY_ELEMENT,
  MEMORY_TEXT,
  MEMORY_TEXT_UNIT,
} from "../runtime/limits.ts";
import type { NeedleRun } from "../runtime/run.ts";
import {
  byteLength,
  bytesToText,
  detached,
  fromBinary,
  normaliseText,
  sliceBytes,
  textToBytes,
  toBinary,
} from "../values/byte-text.ts";
import { toFloat, toInt, toMoney, toText, typeText } from "../values/convert.ts";
import { NeedleArray } from "../values/value.ts";
import { type Builtin, builtin, parameter as p, variadicBuiltin } from "./builtin.ts";
import { lowerText, trimSpace, upperText } from "./letters.ts";
import { formatText } from "./sprintf.ts";

/** Longest text a built-in makes, in UTF-16 units: half of what the engine can hold. */
const TEXT_UNITS_MAX = 1 << 28;

/** Charges for going through this many bytes or characters. */
export function chargeWork(run: NeedleRun, size: number): void {
  if (size >= FUEL_BYTES) run.useFuel(Math.floor(size / FUEL_BYTES));
}

/** Accounts a text before it is made. */
export function reserveText(run: NeedleRun, units: number): void {
  run.useMemory(MEMORY_TEXT + MEMORY_TEXT_UNIT * units);
  if (units > TEXT_UNITS_MAX) throw limitFault("NEEDLE_TEXT_SIZE", "text is too long");
}

/** Accounts a text that a built-in gives back and counts the work of making it. */
export function newText(run: NeedleRun, text: string): string {
  reserveText(run, text.length);
  chargeWork(run, text.length);
  return text;
}

/** Runs a search on texts; byte by byte when one of them is not valid UTF-8. */
function searching<T>(texts: readonly string[], work: (texts: readonly string[]) => T): T {
  return texts.every((text) => text.isWellFormed()) ? work(texts) : work(texts.map(toBinary));
}

function countOccurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count += 1;
  return count;
}

/** Every character (or single byte that is none) as a text of its own. */
function characters(text: string): string[] {
  return Array.from(text);
}

function replaceAll(run: NeedleRun, text: string, old: string, replacement: string): string {
  chargeWork(run, text.length);
  if (old === "") {
    // Before every character and at the end, as everywhere between bytes of no text.
    const parts = characters(text);
    reserveText(run, text.length + (parts.length + 1) * replacement.length);
    run.useFuel(Math.floor(parts.length / FUEL_ELEMENTS));
    return normaliseText(replacement + parts.map((part) => part + replacement).join(""));
  }
  const wellFormed = [text, old, replacement].every((part) => part.isWellFormed());
  const [t, o, r] = wellFormed
    ? [text, old, replacement]
    : ([toBinary(text), toBinary(old), toBinary(replacement)] as const);
  const count = countOccurrences(t, o);
  if (count === 0) return text;
  const units = t.length + count * (r.length - o.length);
  reserveText(run, units);
  chargeWork(run, units);
  const made = t.split(o).join(r);
  return wellFormed ? made : fromBinary(made);
}

function split(run: NeedleRun, text: string, separator: string): NeedleArray {
  chargeWork(run, text.length);
  let parts: string[];
  if (separator === "") parts = characters(text);
  else {
    const count = searching([text, separator], ([t, s]) => countOccurrences(t!, s!)) + 1;
    run.useMemory(count * (MEMORY_ELEMENT + MEMORY_TEXT));
    const wellFormed = text.isWellFormed() && separator.isWellFormed();
    parts = wellFormed
      ? text.split(separator).map((part) => detached(part, text))
      : toBinary(text).split(toBinary(separator)).map(fromBinary);
  }
  run.useMemory(parts.length * (MEMORY_ELEMENT + MEMORY_TEXT) + 2 * text.length);
  run.useFuel(Math.floor(parts.length / FUEL_ELEMENTS));
  return NeedleArray.of(parts);
}

function join(run: NeedleRun, items: NeedleArray, separator: string): string {
  run.useFuel(Math.floor(items.length / FUEL_ELEMENTS));
  const parts: string[] = [];
  let units = 0;
  for (const item of items) {
    const part = item === null ? "<nil>" : toText(item, run);
    units += part.length + separator.length;
    if (units > TEXT_UNITS_MAX) throw limitFault("NEEDLE_TEXT_SIZE", "text is too long");
    parts.push(part);
  }
  reserveText(run, units);
  chargeWork(run, units);
  return normaliseText(parts.join(separator));
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** RFC 4648 section 4, with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const bits =
      (bytes[i]! << 16) | ((left > 1 ? bytes[i + 1]! : 0) << 8) | (left > 2 ? bytes[i + 2]! : 0);
    text += BASE64[bits >> 18]! + BASE64[(bits >> 12) & 63]!;
    text += left > 1 ? BASE64[(bits >> 6) & 63]! : "=";
    text += left > 2 ? BASE64[bits & 63]! : "=";
  }
  return text;
}

/** Line feeds and carriage returns are passed over. Undefined when the text is no base64. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const clean = text.replaceAll("\n", "").replaceAll("\r", "");
  if (clean.length % 4 !== 0) return undefined;
  const padding = clean.endsWith("==") ? 2 : clean.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((clean.length / 4) * 3 - padding);
  let at = 0;
  for (let i = 0; i < clean.length; i += 4) {
    let bits = 0;
    for (let j = 0; j < 4; j++) {
      const sign = clean[i + j]!;
      const padded = i + j >= clean.length - padding;
      const value = padded ? 0 : BASE64.indexOf(sign);
      if (value < 0) return undefined;
      bits = (bits << 6) | value;
    }
    if (at < bytes.length) bytes[at++] = bits >> 16;
    if (at < bytes.length) bytes[at++] = (bits >> 8) & 255;
    if (at < bytes.length) bytes[at++] = bits & 255;
  }
  return bytes;
}

export function decodeHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw panic("NEEDLE_HEX", "text is not hexadecimal: an even number of digits 0-9, a-f needed");
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

function newBytes(run: NeedleRun, bytes: Uint8Array): Uint8Array {
  run.useMemory(MEMORY_TEXT + bytes.length);
  chargeWork(run, bytes.length);
  return bytes;
}

const value = p("value", "any");
const s = p("s", "string");
const bytes = p("bytes", "bytes");

export const VALUE_BUILTINS: readonly Builtin[] = [
  builtin("Int", [value], "int", "Integer of a value.", {}, (_, v) => toInt(v)),
  builtin(
    "Float",
    [value],
    "float",
    "Float of a value; 0 for a text that is no number.",
    {},
    (_, v) => toFloat(v),
  ),
  builtin("Str", [value], "string", "Text of a value.", {}, (run, v) =>
    typeof v === "string" ? v : newText(run, toText(v, run)),
  ),
  builtin(
    "Money",
    [value],
    "money",
    "Whole amount of money of a value, rounded down.",
    {},
    (_, v) => toMoney(v),
  ),
  builtin("GetType", [value], "string", "Name of the type of a value.", {}, (_, v) => typeText(v)),
  builtin("Size", [s], "int", "Length of a text in bytes.", { fuel: 10 }, (run, text) => {
    chargeWork(run, text.length);
    return BigInt(byteLength(text));
  }),
  builtin(
    "Substr",
    [s, p("offset", "int"), p("length", "int")],
    "string",
    "Bytes of a text from an offset; empty when offset or length are negative or behind the end.",
    { fuel: 10 },
    (run, text, offset, length) => {
      if (offset < 0n || length < 0n || offset > BigInt(3 * text.length)) return "";
      chargeWork(run, text.length);
      const count = length > BigInt(3 * text.length) ? 3 * text.length : Number(length);
      return newText(run, sliceBytes(text, Number(offset), count));
    },
  ),
  builtin(
    "Contains",
    [s, p("part", "string")],
    "bool",
    "Whether a text has another in it.",
    { fuel: 10 },
    (run, text, part) => {
      chargeWork(run, text.length);
      return searching([text, part], ([t, q]) => t!.includes(q!));
    },
  ),
  builtin(
    "HasPrefix",
    [s, p("prefix", "string")],
    "bool",
    "Whether a text begins with another.",
    { fuel: 10 },
    (run, text, prefix) => {
      chargeWork(run, prefix.length);
      return searching([text, prefix], ([t, q]) => t!.startsWith(q!));
    },
  ),
  builtin(
    "Replace",
    [s, p("old", "string"), p("new", "string")],
    "string",
    "Text with all occurrences of a part replaced.",
    { fuel: 10 },
    replaceAll,
  ),
  builtin(
    "Split",
    [s, p("separator", "string")],
    "array",
    "Parts of a text; its characters when the separator is empty.",
    {},
    split,
  ),
  builtin(
    "Join",
    [p("items", "array"), p("separator", "string")],
    "string",
    "Texts of the items with a separator between them.",
    { fuel: 10 },
    join,
  ),
  builtin("TrimSpace", [s], "string", "Text without white space around it.", {}, (run, text) =>
    newText(run, detached(trimSpace(text), text)),
  ),
  builtin(
    "ToLower",
    [s],
    "string",
    "Text in lower case (fixed table of letters).",
    {},
    (run, text) => newText(run, lowerText(text)),
  ),
  builtin(
    "ToUpper",
    [s],
    "string",
    "Text in upper case (fixed table of letters).",
    {},
    (run, text) => newText(run, upperText(text)),
  ),
  variadicBuiltin(
    "Sprintf",
    [p("format", "string"), p("values", "any")],
    "string",
    "Text with values put into a format (verbs of Go's package fmt).",
    {},
    (run, [format, ...values]) => newText(run, formatText(run, format as string, values)),
  ),
  variadicBuiltin(
    "Println",
    [p("values", "any")],
    "none",
    "Does nothing on a ledger; kept for programs that print while they are written.",
    {},
    () => undefined,
  ),
  builtin("StringToBytes", [s], "bytes", "Bytes of a text.", {}, (run, text) =>
    newBytes(run, textToBytes(text)),
  ),
  builtin(
    "BytesToString",
    [bytes],
    "string",
    "Text of bytes, without a byte order mark when the rest is valid UTF-8.",
    {},
    (run, given) => {
      const text = bytesToText(given);
      const marked = text.startsWith("\ufeff") && text.isWellFormed();
      return newText(run, marked ? text.slice(1) : text);
    },
  ),
  builtin("HexToBytes", [s], "bytes", "Bytes of a hexadecimal text.", {}, (run, text) => {
    chargeWork(run, 8 * text.length);
    return newBytes(run, decodeHex(text));
  }),
  builtin("EncodeBase64", [s], "string", "Base64 of the bytes of a text.", {}, (run, text) => {
    reserveText(run, 4 * text.length);
    chargeWork(run, 8 * text.length);
    return encodeBase64(textToBytes(text));
  }),
  builtin("DecodeBase64", [s], "string", "Text of the bytes in base64.", {}, (run, text) => {
    chargeWork(run, 8 * text.length);
    const decoded = decodeBase64(text);
    if (decoded === undefined) throw panic("NEEDLE_BASE64", "text is not base64 with padding");
    return newText(run, bytesToText(decoded));
  }),
  builtin(
    "CheckNumberChars",
    [s],
    "bool",
    "Whether a text has only ASCII letters and digits.",
    {},
    (run, text) => {
      chargeWork(run, text.length);
      return /^[0-9A-Za-z]*$/.test(text);
    },
  ),
  builtin("MemoryUsage", [], "int", "Bytes accounted so far in this run.", {}, (run) =>
    BigInt(run.memory),
  ),
];

/** `Sprintf`: the verbs of Go's package fmt for the types of the language. */
import { VALUE_DEPTH_MAX } from "../runtime/limits.ts";
import type { NeedleRun } from "../runtime/run.ts";
import { bytesToText, normaliseText, textToBytes } from "../values/byte-text.ts";
import { tooDeep, toText, typeText } from "../values/convert.ts";
import { Money } from "../values/money.ts";
import {
  exactParts,
  exponentText,
  floatToFixed,
  floatToText,
  plainDecimal,
  shortestDigits,
} from "../values/number-text.ts";
import { JsonNumber, NeedleArray, NeedleMap, type NeedleValue } from "../values/value.ts";

/** Widths and precisions beyond it are not obeyed. */
export const FORMAT_WIDTH_MAX = 10_000;

interface Format {
  minus: boolean;
  plus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  width: number | undefined;
  precision: number | undefined;
}

/** Text of values by a format; what does not fit shows as `%!verb(type=value)`. */
export function formatText(run: NeedleRun, text: string, values: readonly NeedleValue[]): string {
  const formatter = new Formatter(run, values);
  const made = formatter.run(text);
  return normaliseText(made);
}

class Formatter {
  readonly #run: NeedleRun;
  readonly #values: readonly NeedleValue[];
  #next = 0;
  #reordered = false;
  readonly #parts: string[] = [];

  constructor(run: NeedleRun, values: readonly NeedleValue[]) {
    this.#run = run;
    this.#values = values;
  }

  #emit(text: string): void {
    this.#run.useMemory(2 * text.length);
    this.#run.useFuel(text.length >> 6);
    this.#parts.push(text);
  }

  run(text: string): string {
    let from = 0;
    for (;;) {
      const at = text.indexOf("%", from);
      if (at < 0) break;
      if (at > from) this.#emit(text.slice(from, at));
      from = this.#verb(text, at + 1);
    }
    if (from < text.length) this.#emit(text.slice(from));
    if (!this.#reordered && this.#next < this.#values.length) {
      const extra = this.#values
        .slice(this.#next)
        .map((value) =>
          value === null ? "<nil>" : `${typeText(value)}=${this.#any(value, plain(), 0)}`,
        );
      this.#emit(`%!(EXTRA ${extra.join(", ")})`);
    }
    return this.#parts.join("");
  }

  /** One verb from behind its `%`; gives the place behind it. */
  #verb(text: string, from: number): number {
    let at = from;
    const format = plain();
    for (; ; at++) {
      const sign = text[at];
      if (sign === "-") {
        format.minus = true;
        format.zero = false;
      } else if (sign === "+") format.plus = true;
      else if (sign === "#") format.sharp = true;
      else if (sign === " ") format.space = true;
      else if (sign === "0") format.zero = !format.minus;
      else break;
    }
    let indexed = this.#index(text, at);
    at = indexed;
    if (text[at] === "*") {
      at += 1;
      const width = this.#star("%!(BADWIDTH)");
      if (width !== undefined && width < 0) {
        format.minus = true;
        format.zero = false;
      }
      format.width = width === undefined ? undefined : Math.abs(width);
    } else {
      const width = digitsAt(text, at);
      if (width !== undefined) {
        format.width = width.value;
        at = width.end;
      }
    }
    if (text[at] === ".") {
      at += 1;
      indexed = this.#index(text, at);
      at = indexed;
      if (text[at] === "*") {
        at += 1;
        const precision = this.#star("%!(BADPREC)");
        format.precision = precision !== undefined && precision < 0 ? undefined : precision;
      } else {
        const precision = digitsAt(text, at);
        format.precision = precision?.value ?? 0;
        at = precision?.end ?? at;
      }
    }
    at = this.#index(text, at);
    const code = text.codePointAt(at);
    if (code === undefined) {
      this.#emit("%!(NOVERB)");
      return at;
    }
    const verb = String.fromCodePoint(code);
    at += verb.length;
    if (verb === "%") this.#emit("%");
    else if (this.#next >= this.#values.length) this.#emit(`%!${verb}(MISSING)`);
    else this.#value(verb, this.#values[this.#next++]!, format);
    return at;
  }

  /** `[2]`: the next verb takes that argument. */
  #index(text: string, at: number): number {
    if (text[at] !== "[") return at;
    const match = /^\[([0-9]{1,6})\]/.exec(text.slice(at, at + 8));
    if (match === null) return at;
    this.#reordered = true;
    const position = Number(match[1]);
    this.#next =
      position >= 1 && position <= this.#values.length ? position - 1 : this.#values.length;
    return at + match[0].length;
  }

  #star(bad: string): number | undefined {
    const value = this.#values[this.#next++];
    if (typeof value === "bigint" && value <= FORMAT_WIDTH_MAX && value >= -FORMAT_WIDTH_MAX) {
      return Number(value);
    }
    this.#emit(bad);
    return undefined;
  }

  #value(verb: string, value: NeedleValue, format: Format): void {
    if (value === null) {
      if (verb === "v") this.#emit(pad("<nil>", format));
      else this.#emit(verb === "T" ? "<nil>" : `%!${verb}(<nil>)`);
      return;
    }
    if (verb === "T") this.#emit(pad(typeText(value), format));
    else this.#emit(this.#formatted(verb, value, format, 0));
  }

  #formatted(verb: string, value: NeedleValue, format: Format, depth: number): string {
    if (depth > VALUE_DEPTH_MAX) throw tooDeep();
    this.#run.useFuel(1);
    if (format.width !== undefined) this.#run.useMemory(2 * format.width);
    if (format.precision !== undefined) this.#run.useMemory(2 * format.precision);
    if (verb === "v") return this.#any(value, format, depth);
    let made: string | undefined;
    switch (typeof value) {
      case "string":
        made = this.#text(verb, value, format);
        break;
      case "bigint":
        made = integer(verb, value, format);
        break;
      case "number":
        made = float(verb, value, format);
        break;
      case "boolean":
        made = verb === "t" ? pad(String(value), format) : undefined;
        break;
      default:
        if (value instanceof NeedleArray || value instanceof NeedleMap) {
          return this.#nested(value, depth, (item) =>
            item === null
              ? `%!${verb}(<nil>)`
              : this.#formatted(verb, item, { ...format }, depth + 1),
          );
        }
        if (value instanceof Uint8Array) made = this.#bytes(verb, value, format);
        else if (value instanceof Money || value instanceof JsonNumber) {
          const text = value instanceof Money ? value.toText() : value.text;
          made = this.#text(verb, text, format);
        }
    }
    return made ?? `%!${verb}(${value === null ? "nil" : typeText(value)}=${this.#shown(value)})`;
  }

  #shown(value: NeedleValue): string {
    return this.#any(value, plain(), 0);
  }

  #nested(
    value: NeedleArray | NeedleMap,
    depth: number,
    item: (value: NeedleValue) => string,
  ): string {
    if (depth > VALUE_DEPTH_MAX) throw tooDeep();
    const parts: string[] = [];
    let units = 0;
    const add = (text: string) => {
      this.#run.useMemory(2 * text.length);
      units += text.length;
      parts.push(text);
    };
    if (value instanceof NeedleArray) for (const one of value) add(item(one));
    else for (const [key, one] of value.entries) add(`${key}:${item(one)}`);
    this.#run.useFuel(units >> 6);
    const inside = parts.join(" ");
    return value instanceof NeedleArray ? `[${inside}]` : `map[${inside}]`;
  }

  /** `%v`. */
  #any(value: NeedleValue, format: Format, depth: number): string {
    switch (typeof value) {
      case "string":
        return pad(value, format);
      case "bigint":
        return integer("d", value, format)!;
      case "number":
        return format.precision === undefined
          ? padNumber(signed(floatToText(value), format), format)
          : float("g", value, format)!;
      case "boolean":
        return pad(String(value), format);
    }
    if (value === null) return pad("<nil>", format);
    if (value instanceof NeedleArray || value instanceof NeedleMap) {
      this.#run.useFuel(1);
      return this.#nested(value, depth, (item) => this.#any(item, { ...format }, depth + 1));
    }
    return pad(toText(value, this.#run), format);
  }

  #text(verb: string, value: string, format: Format): string | undefined {
    switch (verb) {
      case "s":
        return pad(cut(value, format.precision), format);
      case "q": {
        const text = cut(value, format.precision);
        const raw = format.sharp && !text.includes("`") && !/[^\t\u0020-\uffff]/u.test(text);
        return pad(raw ? `\`${text}\`` : quoted(text, '"'), format);
      }
      case "x":
      case "X":
        return this.#bytes(verb, textToBytes(value), format);
      default:
        return undefined;
    }
  }

  #bytes(verb: string, value: Uint8Array, format: Format): string | undefined {
    this.#run.useMemory(4 * value.length);
    this.#run.useFuel(value.length >> 3);
    switch (verb) {
      case "s":
      case "q":
        return this.#text(verb, bytesToText(value), format);
      case "d":
        return `[${value.join(" ")}]`;
      case "x":
      case "X": {
        const count = format.precision ?? value.length;
        const parts: string[] = [];
        for (const byte of value.subarray(0, count)) {
          parts.push(byte.toString(16).padStart(2, "0"));
        }
        const joined = format.space ? parts.join(format.sharp ? " 0x" : " ") : parts.join("");
        const text = format.sharp && parts.length > 0 ? `0x${joined}` : joined;
        return pad(verb === "X" ? text.toUpperCase() : text, { ...format, zero: false });
      }
      default:
        return undefined;
    }
  }
}

function plain(): Format {
  return {
    minus: false,
    plus: false,
    sharp: false,
    space: false,
    zero: false,
    width: undefined,
    precision: undefined,
  };
}

function digitsAt(
  text: string,
  at: number,
): { readonly value: number | undefined; readonly end: number } | undefined {
  let end = at;
  while (text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end += 1;
  if (end === at) return undefined;
  const value = end - at > 5 ? FORMAT_WIDTH_MAX + 1 : Number(text.slice(at, end));
  return { value: value > FORMAT_WIDTH_MAX ? undefined : value, end };
}

function cut(text: string, precision: number | undefined): string {
  if (precision === undefined) return text;
  return Array.from(text).slice(0, precision).join("");
}

function characterCount(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function pad(text: string, format: Format): string {
  const missing = (format.width ?? 0) - characterCount(text);
  if (missing <= 0) return text;
  if (format.minus) return text + " ".repeat(missing);
  return (format.zero ? "0" : " ").repeat(missing) + text;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\\", "\\\\"],
  ["\u0007", "\\a"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\v", "\\v"],
]);

/** A literal: controls and bytes that are no text as escapes. */
function quoted(text: string, quote: string): string {
  let made = quote;
  for (const sign of text) {
    const unit = sign.charCodeAt(0);
    const known = ESCAPES.get(sign);
    if (sign === quote) made += `\\${quote}`;
    else if (known !== undefined) made += known;
    else if (unit < 32 || unit === 127) made += `\\x${hexadecimal(unit, 2)}`;
    else if (sign.length === 1 && unit >= 0xdc80 && unit <= 0xdcff) {
      made += `\\x${hexadecimal(unit - 0xdc00, 2)}`;
    } else if ((unit >= 128 && unit <= 160) || unit === 0x2028 || unit === 0x2029) {
      made += `\\u${hexadecimal(unit, 4)}`;
    } else made += sign;
  }
  return made + quote;
}

function hexadecimal(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

/** Zeros go between sign and digits. */
function padNumber(text: string, format: Format): string {
  const missing = (format.width ?? 0) - text.length;
  if (missing <= 0) return text;
  if (format.minus) return text + " ".repeat(missing);
  if (!format.zero || !/[0-9]/.test(text)) return " ".repeat(missing) + text;
  const sign = /^[-+ ]/.test(text) ? text[0]! : "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

function signed(text: string, format: Format): string {
  if (text.startsWith("-") || text.startsWith("+")) {
    return text.startsWith("+") && !format.plus && text !== "+Inf" ? text.slice(1) : text;
  }
  if (format.plus) return `+${text}`;
  return format.space ? ` ${text}` : text;
}

const RADIX: { readonly [verb: string]: readonly [number, string] } = {
  b: [2, "0b"],
  o: [8, "0"],
  O: [8, "0o"],
  d: [10, ""],
  x: [16, "0x"],
  X: [16, "0X"],
};

function integer(verb: string, value: bigint, format: Format): string | undefined {
  if (verb === "c" || verb === "q" || verb === "U") return character(verb, value, format);
  const radix = "boOdxX".includes(verb) ? RADIX[verb] : undefined;
  if (radix === undefined) return undefined;
  const size = value < 0n ? -value : value;
  let digits = size.toString(radix[0]);
  if (verb === "X") digits = digits.toUpperCase();
  if (format.precision !== undefined) {
    if (format.precision === 0 && value === 0n) return pad("", { ...format, zero: false });
    digits = digits.padStart(format.precision, "0");
  }
  if (format.sharp || verb === "O") digits = radix[1] + digits;
  const text = signed(value < 0n ? `-${digits}` : digits, format);
  return format.precision === undefined
    ? padNumber(text, format)
    : padNumber(text, { ...format, zero: false });
}

function character(verb: string, value: bigint, format: Format): string {
  const valid = value >= 0n && value <= 0x10ffffn && !(value >= 0xd800n && value <= 0xdfffn);
  const sign = valid ? String.fromCodePoint(Number(value)) : "\ufffd";
  if (verb === "c") return pad(sign, format);
  if (verb === "U") {
    const digits = (value < 0n ? BigInt.asUintN(64, value) : value).toString(16).toUpperCase();
    const shown = format.sharp && valid ? ` '${sign}'` : "";
    return pad(`U+${digits.padStart(4, "0")}${shown}`, { ...format, zero: false });
  }
  return pad(quoted(sign, "'"), format);
}

function float(verb: string, value: number, format: Format): string | undefined {
  if (!"eEfFgG".includes(verb)) return undefined;
  if (!Number.isFinite(value)) {
    return padNumber(signed(floatToText(value), format), { ...format, zero: false });
  }
  let text: string;
  const precision = format.precision ?? 6;
  if (verb === "f" || verb === "F") text = floatToFixed(value, precision);
  else if (verb === "e" || verb === "E") text = exponentForm(value, precision);
  else text = generalForm(value, format.precision);
  if (verb === "E" || verb === "G") text = text.replace("e", "E");
  return padNumber(signed(text, format), format);
}

/** `d.ddde±dd` with so many digits behind the point. */
function exponentForm(value: number, precision: number): string {
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const { digits, exponent } = roundedDigits(Math.abs(value), precision + 1);
  const fraction = precision > 0 ? `.${digits.slice(1)}` : "";
  return `${sign}${digits[0]}${fraction}${exponentText(exponent)}`;
}

/** `%g`: shortest digits, or at most `precision` of them. */
function generalForm(value: number, precision: number | undefined): string {
  if (precision === undefined) return floatToText(value);
  const count = Math.max(1, precision);
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  if (value === 0) return `${sign}0`;
  const { digits, exponent } = roundedDigits(Math.abs(value), count);
  const short = digits.replace(/0+$/, "") || "0";
  if (exponent < -4 || exponent >= count) {
    const fraction = short.length > 1 ? `.${short.slice(1)}` : "";
    return `${sign}${short[0]}${fraction}${exponentText(exponent)}`;
  }
  return sign + plainDecimal(short, exponent);
}

/** The exact value rounded to so many digits, half to even. */
function roundedDigits(
  value: number,
  count: number,
): { readonly digits: string; readonly exponent: number } {
  if (value === 0) return { digits: "0".repeat(count), exponent: 0 };
  // The shortest digits may have been rounded up to the next power of ten.
  const first = shortestDigits(value).exponent - 1;
  const parts = exactParts(value);
  for (let guess = first; ; guess++) {
    const shift = count - 1 - guess;
    let numerator = parts.mantissa;
    let denominator = 1n;
    if (shift >= 0) numerator *= 10n ** BigInt(shift);
    else denominator *= 10n ** BigInt(-shift);
    if (parts.exponent >= 0) numerator <<= BigInt(parts.exponent);
    else denominator <<= BigInt(-parts.exponent);
    let quotient = numerator / denominator;
    const rest = 2n * (numerator % denominator);
    if (rest > denominator || (rest === denominator && (quotient & 1n) === 1n)) quotient += 1n;
    const digits = quotient.toString();
    if (digits.length === count) return { digits, exponent: guess };
    // Rounding up gave one digit more: 9.99 became 10.0.
  }
}

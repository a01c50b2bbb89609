/** JSON texts (RFC 8259) of values and back, deterministic, bounded in depth and size. */
import { panic } from "../runtime/fault.ts";
import {
  MEMORY_CONTAINER,
  MEMORY_ELEMENT,
  MEMORY_ENTRY,
  MEMORY_NUMBER,
  MEMORY_TEXT,
  MEMORY_TEXT_UNIT,
  VALUE_DEPTH_MAX,
} from "../runtime/limits.ts";
import { compareTexts, detached } from "../values/byte-text.ts";
import { type Meter, tooDeep, UNMETERED } from "../values/convert.ts";
import { Money } from "../values/money.ts";
import { floatToJson, parseInt64 } from "../values/number-text.ts";
import { JsonNumber, NeedleArray, NeedleMap, type NeedleValue } from "../values/value.ts";
import { encodeBase64 } from "./values.ts";

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\u2028", "\\u2028"],
  ["\u2029", "\\u2029"],
]);

/** A JSON string; bytes that are no text become U+FFFD. */
export function quoteJson(text: string): string {
  const safe = text.toWellFormed();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones JSON must escape
  const escaped = safe.replace(/["\\\u0000-\u001f\u2028\u2029]/g, (sign) => {
    const known = ESCAPES.get(sign);
    return known ?? `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}

/**
 * JSON of a value: maps keep their order, money is a string, bytes are base64. With an indent the
 * text goes over several lines.
 */
export function encodeJson(value: NeedleValue, meter: Meter = UNMETERED, indent = ""): string {
  const parts: string[] = [];
  write(value, parts, meter, indent, 0);
  return parts.join("");
}

function emit(parts: string[], text: string, meter: Meter): void {
  meter.useMemory(MEMORY_TEXT_UNIT * text.length);
  meter.useFuel(text.length >> 6);
  parts.push(text);
}

function scalarJson(value: Exclude<NeedleValue, NeedleArray | NeedleMap>, meter: Meter): string {
  switch (typeof value) {
    case "string":
      meter.useMemory(MEMORY_TEXT_UNIT * value.length);
      return quoteJson(value);
    case "bigint":
      return value.toString();
    case "boolean":
      return value ? "true" : "false";
    case "number": {
      const text = floatToJson(value);
      if (text === undefined) throw panic("NEEDLE_JSON", "NaN and infinity have no JSON");
      return text;
    }
  }
  if (value === null) return "null";
  if (value instanceof Money) return `"${value.toText()}"`;
  if (value instanceof JsonNumber) return value.text;
  meter.useMemory(2 * value.length);
  return `"${encodeBase64(value)}"`;
}

function write(
  value: NeedleValue,
  parts: string[],
  meter: Meter,
  indent: string,
  depth: number,
): void {
  if (depth > VALUE_DEPTH_MAX) throw tooDeep();
  meter.useFuel(1);
  const isArray = value instanceof NeedleArray;
  if (!isArray && !(value instanceof NeedleMap)) {
    emit(parts, scalarJson(value, meter), meter);
    return;
  }
  const count = isArray ? value.length : value.size;
  if (count === 0) {
    emit(parts, isArray ? "[]" : "{}", meter);
    return;
  }
  const newline = (level: number) => {
    if (indent !== "") {
      meter.useMemory(MEMORY_TEXT_UNIT * indent.length * level);
      emit(parts, `\n${indent.repeat(level)}`, meter);
    }
  };
  emit(parts, isArray ? "[" : "{", meter);
  let first = true;
  const begin = () => {
    if (!first) emit(parts, ",", meter);
    first = false;
    newline(depth + 1);
  };
  if (isArray) {
    for (const item of value) {
      begin();
      write(item, parts, meter, indent, depth + 1);
    }
  } else {
    for (const [key, item] of value.entries) {
      begin();
      emit(parts, `${quoteJson(key)}:${indent === "" ? "" : " "}`, meter);
      write(item, parts, meter, indent, depth + 1);
    }
  }
  newline(depth);
  emit(parts, isArray ? "]" : "}", meter);
}

/**
 * The first value of a JSON text; what follows it is not looked at. Objects become maps with sorted
 * keys; a number directly inside an object becomes an int or float, elsewhere it stays text.
 * @throws NeedleFault `NEEDLE_JSON` when the text is no JSON.
 */
export function decodeJson(text: string, meter: Meter = UNMETERED): NeedleValue {
  return new JsonReader(text, meter).read(0, false);
}

class JsonReader {
  readonly #text: string;
  readonly #meter: Meter;
  #at = 0;

  constructor(text: string, meter: Meter) {
    this.#text = text;
    this.#meter = meter;
  }

  #fail(): never {
    const found =
      this.#at < this.#text.length
        ? `unexpected ${quoteJson(this.#text[this.#at]!)} at ${this.#at}`
        : "unexpected end of JSON input";
    throw panic("NEEDLE_JSON", `unmarshalling json: ${found}`);
  }

  #skipSpace(): void {
    for (;;) {
      const unit = this.#text.charCodeAt(this.#at);
      if (unit !== 32 && unit !== 10 && unit !== 13 && unit !== 9) return;
      this.#at += 1;
    }
  }

  #take(sign: string): boolean {
    if (this.#text[this.#at] !== sign) return false;
    this.#at += 1;
    return true;
  }

  read(depth: number, inObject: boolean): NeedleValue {
    if (depth > VALUE_DEPTH_MAX) throw tooDeep();
    this.#meter.useFuel(1);
    this.#skipSpace();
    const sign = this.#text[this.#at];
    switch (sign) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number(inObject);
    }
  }

  #word(word: string, value: NeedleValue): NeedleValue {
    if (!this.#text.startsWith(word, this.#at)) this.#fail();
    this.#at += word.length;
    return value;
  }

  #object(depth: number): NeedleMap {
    this.#at += 1;
    this.#meter.useMemory(MEMORY_CONTAINER);
    const entries: [string, NeedleValue][] = [];
    this.#skipSpace();
    if (!this.#take("}")) {
      do {
        this.#skipSpace();
        if (this.#text[this.#at] !== '"') this.#fail();
        const key = this.#string();
        this.#skipSpace();
        if (!this.#take(":")) this.#fail();
        this.#meter.useMemory(MEMORY_ENTRY);
        entries.push([key, this.read(depth + 1, true)]);
        this.#skipSpace();
      } while (this.#take(","));
      if (!this.#take("}")) this.#fail();
    }
    // Of a key given twice the last value counts.
    const map = new Map(entries);
    this.#meter.useFuel(map.size >> 1);
    return new NeedleMap(new Map([...map].sort((a, b) => compareTexts(a[0], b[0]))));
  }

  #array(depth: number): NeedleArray {
    this.#at += 1;
    this.#meter.useMemory(MEMORY_CONTAINER);
    const items: NeedleValue[] = [];
    this.#skipSpace();
    if (!this.#take("]")) {
      do {
        this.#meter.useMemory(MEMORY_ELEMENT);
        items.push(this.read(depth + 1, false));
        this.#skipSpace();
      } while (this.#take(","));
      if (!this.#take("]")) this.#fail();
    }
    return NeedleArray.of(items);
  }

  #number(inObject: boolean): NeedleValue {
    const from = this.#at;
    this.#take("-");
    if (!this.#take("0") && !this.#digits()) this.#fail();
    let integral = true;
    if (this.#take(".")) {
      integral = false;
      if (!this.#digits()) this.#fail();
    }
    if (this.#take("e") || this.#take("E")) {
      integral = false;
      if (!this.#take("+")) this.#take("-");
      if (!this.#digits()) this.#fail();
    }
    const text = detached(this.#text.slice(from, this.#at), this.#text);
    this.#meter.useMemory(MEMORY_NUMBER + text.length);
    if (!inObject) return new JsonNumber(text);
    if (integral) {
      const parsed = parseInt64(text);
      if ("value" in parsed) return parsed.value;
    }
    const value = Number(text);
    if (!Number.isFinite(value)) {
      throw panic("NEEDLE_JSON", `unmarshalling json: number out of range at ${from}`);
    }
    return value;
  }

  #digits(): boolean {
    const from = this.#at;
    for (;;) {
      const unit = this.#text.charCodeAt(this.#at);
      if (!(unit >= 48 && unit <= 57)) break;
      this.#at += 1;
    }
    return this.#at > from;
  }

  #string(): string {
    this.#at += 1;
    const parts: string[] = [];
    let from = this.#at;
    for (;;) {
      const unit = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(unit) || unit < 32) this.#fail();
      if (unit === 34) break;
      if (unit !== 92) {
        this.#at += 1;
        continue;
      }
      parts.push(this.#text.slice(from, this.#at));
      parts.push(this.#escape());
      from = this.#at;
    }
    parts.push(this.#text.slice(from, this.#at));
    this.#at += 1;
    // Halves of characters and bytes that are no text become U+FFFD.
    const text = detached(parts.join("").toWellFormed(), this.#text);
    this.#meter.useMemory(MEMORY_TEXT + MEMORY_TEXT_UNIT * text.length);
    return text;
  }

  #escape(): string {
    const sign = this.#text[this.#at + 1];
    this.#at += 2;
    switch (sign) {
      case '"':
      case "\\":
      case "/":
        return sign;
      case "b":
        return "\b";
      case "f":
        return "\f";
      case "n":
        return "\n";
      case "r":
        return "\r";
      case "t":
        return "\t";
      case "u": {
        const digits = this.#text.slice(this.#at, this.#at + 4);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail();
        this.#at += 4;
        return String.fromCharCode(Number.parseInt(digits, 16));
      }
      default:
        this.#at -= 1;
        return this.#fail();
    }
  }
}

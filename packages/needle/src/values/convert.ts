/** Type names, truth, conversions and the text form of values. */
import { limitFault, panic } from "../runtime/fault.ts";
import { VALUE_DEPTH_MAX } from "../runtime/limits.ts";
import { Money } from "./money.ts";
import { floatToText, parseFloat64, parseInt64 } from "./number-text.ts";
import { JsonNumber, NeedleArray, NeedleMap, type NeedleValue, type TypeName } from "./value.ts";

/** What counts the work of going through a value. */
export interface Meter {
  useFuel(units: number): void;
  useMemory(bytes: number): void;
}

/** For callers outside of a run: counts nothing; depth stays bounded. */
export const UNMETERED: Meter = { useFuel: () => undefined, useMemory: () => undefined };

/** The text that `GetType` and messages use. */
export function typeText(value: NeedleValue): string {
  switch (typeof value) {
    case "bigint":
      return "int64";
    case "string":
      return "string";
    case "boolean":
      return "bool";
    case "number":
      return "float64";
  }
  if (value === null) return "nil";
  if (value instanceof NeedleMap) return "*types.Map";
  if (value instanceof NeedleArray) return "[]interface {}";
  if (value instanceof Money) return "decimal.Decimal";
  if (value instanceof JsonNumber) return "json.Number";
  return "[]uint8";
}

const DECLARED: { readonly [type in TypeName]: string } = {
  bool: "bool",
  bytes: "[]uint8",
  int: "int64",
  address: "int64",
  float: "float64",
  money: "decimal.Decimal",
  string: "string",
  array: "[]interface {}",
  map: "*types.Map",
  file: "*types.Map",
};

/** The text of a declared type in messages. */
export function declaredTypeText(type: TypeName): string {
  return DECLARED[type];
}

/** Whether a value has a declared type exactly. */
export function hasType(value: NeedleValue, type: TypeName): boolean {
  switch (type) {
    case "int":
    case "address":
      return typeof value === "bigint";
    case "string":
      return typeof value === "string";
    case "bool":
      return typeof value === "boolean";
    case "float":
      return typeof value === "number";
    case "map":
    case "file":
      return value instanceof NeedleMap;
    case "array":
      return value instanceof NeedleArray;
    case "money":
      return value instanceof Money;
    case "bytes":
      return value instanceof Uint8Array;
  }
}

export const MONEY_ZERO = Money.fromInt(0n);

export function zeroValue(type: TypeName): NeedleValue {
  switch (type) {
    case "int":
    case "address":
      return 0n;
    case "string":
      return "";
    case "bool":
      return false;
    case "float":
      return 0;
    case "money":
      return MONEY_ZERO;
    case "bytes":
      return new Uint8Array(0);
    case "array":
      return NeedleArray.of([]);
    case "map":
    case "file":
      return new NeedleMap();
  }
}

/** What `if`, `while`, `!`, `&&`, `||` and conditions take for true. */
export function isTruthy(value: NeedleValue): boolean {
  switch (typeof value) {
    case "boolean":
      return value;
    case "bigint":
      return value !== 0n;
    case "string":
      return value !== "";
    case "number":
      return value !== 0;
  }
  if (value === null) return false;
  if (value instanceof NeedleMap) return value.size > 0;
  if (value instanceof Money) return !value.isZero();
  if (value instanceof JsonNumber) return true;
  return value.length > 0;
}

/** `Int` of a text. */
export function textToInt(text: string): bigint {
  if (text === "") return 0n;
  const parsed = parseInt64(text);
  if ("value" in parsed) return parsed.value;
  throw panic("NEEDLE_INTEGER", `${shorten(text)} is not a valid integer : ${parsed.problem}`);
}

export function floatToInt(value: number): bigint {
  const whole = Math.trunc(value);
  if (!(whole >= -(2 ** 63) && whole < 2 ** 63)) {
    throw panic("NEEDLE_FLOAT", `${floatToText(value)} is out of the range of integers`);
  }
  return BigInt(whole);
}

export function toInt(value: NeedleValue): bigint {
  switch (typeof value) {
    case "bigint":
      return value;
    case "string":
      return textToInt(value);
    case "number":
      return floatToInt(value);
  }
  if (value === null) return 0n;
  if (value instanceof Money) return BigInt.asIntN(64, value.integerPart());
  if (value instanceof JsonNumber) return textToInt(value.text);
  throw panic("NEEDLE_CONVERSION", `${typeText(value)} cannot be converted to an integer`);
}

export function toFloat(value: NeedleValue): number {
  switch (typeof value) {
    case "bigint":
      return Number(value);
    case "string":
      return parseFloat64(value) ?? 0;
    case "number":
      return value;
  }
  if (value === null) return 0;
  if (value instanceof Money) return value.toNumber();
  if (value instanceof JsonNumber) return parseFloat64(value.text) ?? 0;
  throw panic("NEEDLE_CONVERSION", `${typeText(value)} cannot be converted to a float`);
}

export function toMoney(value: NeedleValue): Money {
  if (value instanceof Money) return value;
  if (typeof value === "bigint") return Money.fromInt(value);
  let text: string | undefined;
  if (typeof value === "string") text = value;
  else if (typeof value === "number") text = String(value);
  else if (value instanceof JsonNumber) text = value.text;
  const money = text === undefined ? undefined : Money.parse(text);
  if (money === undefined) {
    const shown = text === undefined ? typeText(value) : shorten(text);
    throw panic("NEEDLE_MONEY", `can't convert ${shown} to decimal`);
  }
  return money.floor();
}

export function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60).toWellFormed()}...` : text;
}

/** The text form of `Str`, of `error` and of results. */
export function toText(value: NeedleValue, meter: Meter = UNMETERED): string {
  switch (typeof value) {
    case "string":
      return value;
    case "bigint":
      return value.toString();
    case "boolean":
      return value ? "true" : "false";
    case "number":
      return floatToText(value);
  }
  if (value === null) return "";
  if (value instanceof Money) return value.toText();
  if (value instanceof JsonNumber) return value.text;
  const parts: string[] = [];
  writeNested(value, parts, meter, 0);
  return parts.join("");
}

/** Text of an item inside a container: as `toText`, but nil shows as `<nil>`. */
export function itemToText(value: NeedleValue, meter: Meter): string {
  return value === null ? "<nil>" : toText(value, meter);
}

function emit(parts: string[], text: string, meter: Meter): void {
  meter.useMemory(2 * text.length);
  parts.push(text);
}

function writeNested(value: NeedleValue, parts: string[], meter: Meter, depth: number): void {
  if (depth > VALUE_DEPTH_MAX) throw tooDeep();
  meter.useFuel(1);
  if (value instanceof NeedleArray) {
    emit(parts, "[", meter);
    for (let i = 0; i < value.length; i++) {
      if (i > 0) emit(parts, " ", meter);
      writeNested(value.get(i), parts, meter, depth + 1);
    }
    emit(parts, "]", meter);
  } else if (value instanceof NeedleMap) {
    emit(parts, "map[", meter);
    let first = true;
    for (const [key, item] of value.entries) {
      emit(parts, first ? `${key}:` : ` ${key}:`, meter);
      first = false;
      writeNested(item, parts, meter, depth + 1);
    }
    emit(parts, "]", meter);
  } else if (value instanceof Uint8Array) {
    meter.useFuel(value.length >> 3);
    meter.useMemory(8 * value.length);
    parts.push(`[${value.join(" ")}]`);
  } else emit(parts, itemToText(value, meter), meter);
}

export function tooDeep() {
  return limitFault(
    "NEEDLE_VALUE_DEPTH",
    `value is nested deeper than ${VALUE_DEPTH_MAX} levels, or holds itself`,
  );
}

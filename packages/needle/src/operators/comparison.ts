/** Equality and order; both look at the type of the left operand first. */

import { VALUE_DEPTH_MAX } from "../runtime/limits.ts";
import { compareTexts } from "../values/byte-text.ts";
import { type Meter, textToInt, toFloat, toMoney, tooDeep } from "../values/convert.ts";
import { Money } from "../values/money.ts";
import { JsonNumber, NeedleArray, NeedleMap, type NeedleValue } from "../values/value.ts";
import { unsupported } from "./arithmetic.ts";

/** `==`. @throws NeedleFault for combinations that have no equality. */
export function areEqual(a: NeedleValue, b: NeedleValue): boolean {
  if (a === null || b === null) return a === b;
  switch (typeof a) {
    case "bigint":
      if (typeof b === "bigint") return a === b;
      if (typeof b === "number") return Number(a) === b;
      break;
    case "string":
      if (typeof b === "string") return a === b;
      if (typeof b === "bigint") return textToInt(a) === b;
      if (typeof b === "number") return toFloat(a) === b;
      if (b instanceof Money) return toMoney(a).compare(b) === 0;
      break;
    case "boolean":
      if (typeof b === "boolean") return a === b;
      break;
    case "number":
      if (isNumeric(b)) return a === toFloat(b);
      break;
    default:
      if (a instanceof Money && isNumeric(b)) return a.compare(toMoney(b)) === 0;
  }
  throw unsupported();
}

function isNumeric(value: NeedleValue): value is bigint | number | string | Money {
  const type = typeof value;
  return type === "bigint" || type === "number" || type === "string" || value instanceof Money;
}

/**
 * Negative, zero or positive as left is less than, equal to or greater than right; undefined for
 * NaN, which is none of these. @throws NeedleFault for combinations without order.
 */
export function compareValues(a: NeedleValue, b: NeedleValue): number | undefined {
  switch (typeof a) {
    case "bigint":
      if (typeof b === "bigint") return a < b ? -1 : a > b ? 1 : 0;
      if (typeof b === "number") return compareFloats(Number(a), b);
      break;
    case "string":
      if (typeof b === "string") return compareTexts(a, b);
      if (typeof b === "bigint") {
        const left = textToInt(a);
        return left < b ? -1 : left > b ? 1 : 0;
      }
      if (typeof b === "number") return compareFloats(toFloat(a), b);
      if (b instanceof Money) return toMoney(a).compare(b);
      break;
    case "number":
      if (isNumeric(b)) return compareFloats(a, toFloat(b));
      break;
    case "object":
      if (a instanceof Money && isNumeric(b)) return a.compare(toMoney(b));
  }
  throw unsupported();
}

function compareFloats(a: number, b: number): number | undefined {
  return a < b ? -1 : a > b ? 1 : a === b ? 0 : undefined;
}

/** Same type and same contents all the way down (`HasSlice`). */
export function isDeepEqual(a: NeedleValue, b: NeedleValue, meter: Meter, depth = 0): boolean {
  if (depth > VALUE_DEPTH_MAX) throw tooDeep();
  meter.useFuel(1);
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (a instanceof Money) return b instanceof Money && a.compare(b) === 0;
  if (a instanceof JsonNumber) return b instanceof JsonNumber && a.text === b.text;
  if (a instanceof Uint8Array) {
    if (!(b instanceof Uint8Array) || a.length !== b.length) return false;
    meter.useFuel(a.length >> 6);
    return a.every((byte, i) => byte === b[i]);
  }
  if (a instanceof NeedleArray) {
    if (!(b instanceof NeedleArray) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) {
      if (!isDeepEqual(a.get(i), b.get(i), meter, depth + 1)) return false;
    }
    return true;
  }
  if (!(b instanceof NeedleMap) || a.size !== b.size) return false;
  for (const [key, item] of a.entries) {
    const other = b.entries.get(key);
    if (other === undefined || !isDeepEqual(item, other, meter, depth + 1)) return false;
  }
  return true;
}

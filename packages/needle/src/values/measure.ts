/** How much memory a value is accounted with. */
import {
  MEMORY_CONTAINER,
  MEMORY_ELEMENT,
  MEMORY_ENTRY,
  MEMORY_NUMBER,
  MEMORY_TEXT,
  MEMORY_TEXT_UNIT,
} from "../runtime/limits.ts";
import { Money } from "./money.ts";
import { JsonNumber, NeedleArray, NeedleMap, type NeedleValue } from "./value.ts";

/** What a decimal takes: most are small, the largest have MONEY_DIGITS_MAX digits. */
export function moneyBytes(value: Money): number {
  return BigInt.asIntN(64, value.coefficient) === value.coefficient ? MEMORY_CONTAINER : 512;
}

/**
 * Bytes of a value with everything in it. Containers in `seen` count nothing; those met are added.
 * Works with a list of its own, so that depth costs no stack.
 */
export function measureValue(root: NeedleValue, seen: Set<object> = new Set()): number {
  let bytes = 0;
  const waiting: NeedleValue[] = [root];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    switch (typeof value) {
      case "string":
        bytes += MEMORY_TEXT + MEMORY_TEXT_UNIT * value.length;
        continue;
      case "bigint":
      case "number":
        bytes += MEMORY_NUMBER;
        continue;
      case "boolean":
        continue;
    }
    if (value === null || seen.has(value)) continue;
    if (value instanceof NeedleArray) {
      seen.add(value);
      bytes += MEMORY_CONTAINER + MEMORY_ELEMENT * value.capacity;
      for (let i = 0; i < value.length; i++) waiting.push(value.get(i));
    } else if (value instanceof NeedleMap) {
      seen.add(value);
      bytes += MEMORY_CONTAINER;
      for (const [key, item] of value.entries) {
        bytes += MEMORY_ENTRY + MEMORY_TEXT_UNIT * key.length;
        waiting.push(item);
      }
    } else if (value instanceof Uint8Array) bytes += MEMORY_CONTAINER + value.length;
    else if (value instanceof Money) bytes += moneyBytes(value);
    else if (value instanceof JsonNumber) bytes += MEMORY_TEXT + value.text.length;
  }
  return bytes;
}

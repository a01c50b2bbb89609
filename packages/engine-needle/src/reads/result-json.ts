/** Results of read-only calls as JSON values. */
import { JsonNumber, Money, NeedleArray, type NeedleValue } from "@hanse/needle";
import { HanseError, toHex } from "@hanse/protocol";

/** Nesting of a result. */
export const RESULT_DEPTH_MAX = 64;

/** Whole numbers beyond 2^53 and money are texts, bytes hexadecimal text, nil is null. */
export function resultJson(value: NeedleValue, depth = 0): unknown {
  if (depth > RESULT_DEPTH_MAX) {
    throw new HanseError("NEEDLE_RESULT", "limit", `result nested deeper than ${RESULT_DEPTH_MAX}`);
  }
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (value instanceof Uint8Array) return toHex(value);
  if (value instanceof Money) return value.toText();
  if (value instanceof JsonNumber) return value.text;
  if (value instanceof NeedleArray) {
    return value.toItems().map((item) => resultJson(item, depth + 1));
  }
  return Object.fromEntries(
    [...value.entries].map(([key, item]) => [key.toWellFormed(), resultJson(item, depth + 1)]),
  );
}

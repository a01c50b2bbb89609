/** Typed access to decoded CBOR: every breach names the field, so that callers can say what to mend. */
import { HanseError } from "../errors/hanse-error.ts";
import type { Bytes } from "./bytes.ts";
import type { CborValue } from "./cbor.ts";

function wrong(field: string, expected: string): never {
  throw new HanseError("FIELD_INVALID", "malformed", `${field}: expected ${expected}`, {
    details: { field, expected },
  });
}

export function asArray(value: CborValue | undefined, field: string, length?: number) {
  if (!Array.isArray(value)) wrong(field, "an array");
  if (length !== undefined && value.length !== length) wrong(field, `an array of ${length} items`);
  return value as readonly CborValue[];
}

export function asMap(value: CborValue | undefined, field: string): ReadonlyMap<string, CborValue> {
  if (!(value instanceof Map)) wrong(field, "a map");
  return value;
}

export function asText(value: CborValue | undefined, field: string): string {
  if (typeof value !== "string") wrong(field, "a text");
  return value;
}

export function asBoolean(value: CborValue | undefined, field: string): boolean {
  if (typeof value !== "boolean") wrong(field, "true or false");
  return value;
}

export function asBytes(value: CborValue | undefined, field: string, length?: number): Bytes {
  if (!(value instanceof Uint8Array)) wrong(field, "bytes");
  if (length !== undefined && value.length !== length) wrong(field, `${length} bytes`);
  return value;
}

/** A safe non-negative integer. */
export function asUint(value: CborValue | undefined, field: string): number {
  if (typeof value !== "number" || value < 0) wrong(field, "an unsigned integer below 2^53");
  return value;
}

/** A safe integer of either sign. */
export function asInt(value: CborValue | undefined, field: string): number {
  if (typeof value !== "number") wrong(field, "an integer between -2^53 and 2^53");
  return value;
}

export function asUint64(value: CborValue | undefined, field: string): bigint {
  if (typeof value === "number" && value >= 0) return BigInt(value);
  if (typeof value === "bigint" && value >= 0n) return value;
  return wrong(field, "an unsigned 64-bit integer");
}

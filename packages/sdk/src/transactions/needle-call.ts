/**
 * The payload of a call of a Needle contract (spec/applications.md, section 5): deterministic CBOR
 * `[name, params]`, or `[name, params, ecosystem]` outside ecosystem 1.
 */
import { type Bytes, type CborValue, encodeCbor, HanseError } from "@hanse/protocol";

/** What a contract takes; plain objects become maps, fractions become decimal text. */
export type CallValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Bytes
  | readonly CallValue[]
  | { readonly [key: string]: CallValue };

function toCbor(value: CallValue, field: string): CborValue {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return value;
    if (Number.isFinite(value)) return String(value);
    throw new HanseError("SDK_CALL_PARAMS", "malformed", `${field}: not a finite number`, {
      details: { field },
    });
  }
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) {
    return value.map((item: CallValue, i) => toCbor(item, `${field}[${i}]`));
  }
  return new Map(
    Object.entries(value).map(([name, item]) => [name, toCbor(item, `${field}.${name}`)]),
  );
}

/** @throws HanseError `SDK_CALL_PARAMS`, `CBOR_*` naming the parameter. */
export function encodeNeedleCall(
  contract: string,
  params: Readonly<Record<string, CallValue>>,
  ecosystem = 1,
): Bytes {
  const values = toCbor(params, "params");
  return encodeCbor(ecosystem === 1 ? [contract, values] : [contract, values, ecosystem]);
}

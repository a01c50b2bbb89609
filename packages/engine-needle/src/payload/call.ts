/**
 * The payload of a transaction for the engine `needle`: deterministic CBOR `[name, params]` or
 * `[name, params, ecosystem]` (spec/applications.md, section 5).
 */
import {
  asArray,
  asMap,
  asText,
  asUint,
  type Bytes,
  type CborValue,
  decodeCbor,
  encodeCbor,
  HanseError,
} from "@hanse/protocol";

export interface NeedleCall {
  /** Contract as written, e.g. `Transfer` or `@2Transfer`, or a reserved name with a dot. */
  readonly name: string;
  readonly params: ReadonlyMap<string, CborValue>;
  /** Ecosystem of the transaction, 1 unless said. */
  readonly ecosystem: number;
}

/** Reserved names: no contract can take them, theirs have no dot. */
export const SYSTEM_CALLS = { install: "app.install", upgrade: "app.upgrade" } as const;

export const CALL_NAME_CHARS_MAX = 120;
const ECOSYSTEM_MAX = 999_999_999;

/** What a caller may hand over; plain objects become maps, fractions become decimal text. */
export type CallValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Bytes
  | readonly CallValue[]
  | ReadonlyMap<string, CallValue>
  | { readonly [key: string]: CallValue };

function toCbor(value: CallValue, field: string): CborValue {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return value;
    if (Number.isFinite(value)) return String(value);
    throw new HanseError("NEEDLE_PARAMS", "malformed", `${field}: not a finite number`);
  }
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) {
    return (value as readonly CallValue[]).map((item, at) => toCbor(item, `${field}[${at}]`));
  }
  const entries =
    value instanceof Map
      ? [...(value as ReadonlyMap<string, CallValue>)]
      : Object.entries(value as { readonly [key: string]: CallValue });
  return new Map(entries.map(([key, item]) => [key, toCbor(item, `${field}.${key}`)]));
}

/** Bytes to put into a transaction. @throws HanseError `NEEDLE_PARAMS`, `CBOR_*`. */
export function encodeCall(
  name: string,
  params: Readonly<Record<string, CallValue>> | ReadonlyMap<string, CallValue> = {},
  ecosystem = 1,
): Bytes {
  const map = toCbor(params, "params");
  return encodeCbor(ecosystem === 1 ? [name, map] : [name, map, ecosystem]);
}

/** @throws HanseError `CBOR_*`, `FIELD_INVALID`, `NEEDLE_CALL` naming the field. */
export function decodeCall(payload: Bytes): NeedleCall {
  const fields = asArray(decodeCbor(payload), "payload");
  if (fields.length !== 2 && fields.length !== 3) {
    throw new HanseError("NEEDLE_CALL", "malformed", "payload: expected [name, params]");
  }
  const name = asText(fields[0], "payload.name");
  if (name === "" || name.length > CALL_NAME_CHARS_MAX) {
    throw new HanseError(
      "NEEDLE_CALL",
      "malformed",
      `payload.name: expected 1 to ${CALL_NAME_CHARS_MAX} characters`,
    );
  }
  const params = asMap(fields[1], "payload.params");
  let ecosystem = 1;
  if (fields.length === 3) {
    ecosystem = asUint(fields[2], "payload.ecosystem");
    // One form per call: ecosystem 1 is not written.
    if (ecosystem < 2 || ecosystem > ECOSYSTEM_MAX) {
      throw new HanseError(
        "NEEDLE_CALL",
        "malformed",
        "payload.ecosystem: expected 2 to 999999999; leave it out for ecosystem 1",
      );
    }
  }
  return { name, params, ecosystem };
}

/**
 * The signing state: what a validator signed last, in two files written in turns, so that a torn
 * write always leaves the one before (spec/ordering.md, section "Signing state").
 */
import {
  asArray,
  asBytes,
  asInt,
  asText,
  asUint,
  type Bytes,
  decodeCbor,
  encodeCbor,
  HASH_BYTES,
  type Hash,
  SIGNATURE_BYTES,
} from "@hanse/protocol";
import type { Height, SignedPlace, SignPlace, View } from "../engine/interfaces.ts";
import { crc32c } from "../wal/crc32c.ts";

export const SLOT_NAMES = ["sign-state-a", "sign-state-b"] as const;

const FORMAT = 1;

export interface SignedEntry extends SignedPlace {
  readonly messageHash: Hash;
}

export interface SignState {
  /** Counts writes; slot = counter mod 2. */
  readonly counter: number;
  /** Last record of the log that was durable when this was written: the log must still hold it. */
  readonly logSequence: number;
  readonly ledgerId: Hash;
  /** Account id of the consensus key: another key's state is not ours. */
  readonly keyId: Hash;
  readonly floor: Height;
  readonly height: Height;
  readonly view: View;
  /** What was signed at (height, view) and in the last view before it at the same height. */
  readonly entries: readonly SignedEntry[];
}

/** CRC-32C (4 bytes, big-endian) || CBOR. */
export function encodeSignState(state: SignState): Bytes {
  const body = encodeCbor([
    FORMAT,
    state.counter,
    state.logSequence,
    state.ledgerId,
    state.keyId,
    state.floor,
    state.height,
    state.view,
    state.entries.map((e) => [
      e.kind,
      e.height,
      e.view,
      e.blockHash ?? null,
      e.parentView ?? null,
      e.messageHash,
      e.signature,
    ]),
  ]);
  const bytes = new Uint8Array(body.length + 4);
  bytes.set(body, 4);
  new DataView(bytes.buffer).setUint32(0, crc32c(body));
  return bytes;
}

/** Undefined on any damage. */
export function decodeSignState(bytes: Bytes | undefined): SignState | undefined {
  if (bytes === undefined || bytes.length < 5) return undefined;
  const body = bytes.subarray(4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (crc32c(body) !== view.getUint32(0)) return undefined;
  try {
    const f = asArray(decodeCbor(body), "signState", 9);
    if (f[0] !== FORMAT) return undefined;
    return {
      counter: asUint(f[1], "counter"),
      logSequence: asUint(f[2], "logSequence"),
      ledgerId: asBytes(f[3], "ledgerId", HASH_BYTES),
      keyId: asBytes(f[4], "keyId", HASH_BYTES),
      floor: asUint(f[5], "floor"),
      height: asUint(f[6], "height"),
      view: asInt(f[7], "view"),
      entries: asArray(f[8], "entries").map((item) => {
        const e = asArray(item, "entry", 7);
        return {
          kind: asText(e[0], "kind") as SignPlace["kind"],
          height: asUint(e[1], "height"),
          view: asUint(e[2], "view"),
          ...(e[3] === null ? {} : { blockHash: asBytes(e[3], "blockHash", HASH_BYTES) }),
          ...(e[4] === null ? {} : { parentView: asInt(e[4], "parentView") }),
          messageHash: asBytes(e[5], "messageHash", HASH_BYTES),
          signature: asBytes(e[6], "signature", SIGNATURE_BYTES),
        };
      }),
    };
  } catch {
    return undefined;
  }
}

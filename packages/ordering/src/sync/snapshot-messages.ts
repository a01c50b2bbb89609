/**
 * Messages by which nodes hand snapshots to each other, on the channel `sync` beside those of the
 * ordering engine, whose types end below 24 (spec/sync.md). Decoding is total.
 */
import {
  asArray,
  asBytes,
  asUint,
  type Bytes,
  type CborValue,
  decodeCbor,
  encodeCbor,
  HASH_BYTES,
  HanseError,
  type Hash,
} from "@hanse/protocol";
import type { Height } from "../engine/interfaces.ts";
import { isProbeMessage } from "../probing/probe-messages.ts";
import { CHUNK_BYTES, MANIFEST_BYTES_MAX } from "./snapshot-manifest.ts";

/** Snapshots that one answer may name. */
export const OFFERS_MAX = 8;

export interface SnapshotOffer {
  readonly height: Height;
  readonly id: Hash;
}

export type SnapshotMessage =
  | { readonly t: "getOffers" }
  | {
      readonly t: "offers";
      /** Lowest block that the sender keeps. */
      readonly lowest: Height;
      readonly offers: readonly SnapshotOffer[];
    }
  | { readonly t: "getManifest"; readonly id: Hash }
  /** Empty bytes: the sender has it no more. */
  | { readonly t: "manifest"; readonly id: Hash; readonly manifest: Bytes }
  | { readonly t: "getChunk"; readonly id: Hash; readonly index: number }
  /** Empty bytes: the sender has it no more. */
  | { readonly t: "chunk"; readonly id: Hash; readonly index: number; readonly bytes: Bytes };

/** Type numbers on the wire; never reused. */
export const SNAPSHOT_TYPES = {
  getOffers: 32,
  offers: 33,
  getManifest: 34,
  manifest: 35,
  getChunk: 36,
  chunk: 37,
} as const satisfies Record<SnapshotMessage["t"], number>;

/** Whether a message of the channel is one of these, told from its first bytes. */
export function isSnapshotMessage(bytes: Bytes): boolean {
  // A short array whose first item is an unsigned integer of one byte, 24 or above.
  return (bytes[0] ?? 0) >> 5 === 4 && bytes[1] === 0x18 && !isProbeMessage(bytes);
}

export function encodeSnapshotMessage(m: SnapshotMessage): Bytes {
  return encodeCbor([SNAPSHOT_TYPES[m.t], ...fieldsOf(m)]);
}

function fieldsOf(m: SnapshotMessage): CborValue[] {
  switch (m.t) {
    case "getOffers":
      return [];
    case "offers":
      return [m.lowest, m.offers.map(({ height, id }) => [height, id])];
    case "getManifest":
      return [m.id];
    case "manifest":
      return [m.id, m.manifest];
    case "getChunk":
      return [m.id, m.index];
    case "chunk":
      return [m.id, m.index, m.bytes];
  }
}

/** @throws HanseError `SYNC_MESSAGE`, `CBOR_*` or `FIELD_INVALID`; nothing else on any bytes. */
export function decodeSnapshotMessage(bytes: Bytes): SnapshotMessage {
  const f = asArray(decodeCbor(bytes), "message");
  const fields = (count: number) => asArray(f, "message", count + 1);
  const id = () => asBytes(f[1], "message.id", HASH_BYTES);
  const bounded = (value: CborValue | undefined, field: string, most: number) => {
    const part = asBytes(value, field);
    if (part.length > most) tooLarge(field, most);
    return part;
  };
  switch (f[0]) {
    case SNAPSHOT_TYPES.getOffers:
      fields(0);
      return { t: "getOffers" };
    case SNAPSHOT_TYPES.offers: {
      fields(2);
      const offers = asArray(f[2], "offers.offers");
      if (offers.length > OFFERS_MAX) tooLarge("offers.offers", OFFERS_MAX);
      return {
        t: "offers",
        lowest: asUint(f[1], "offers.lowest"),
        offers: offers.map((item, i) => {
          const [height, hash] = asArray(item, `offers.offers[${i}]`, 2);
          return {
            height: asUint(height, `offers.offers[${i}].height`),
            id: asBytes(hash, `offers.offers[${i}].id`, HASH_BYTES),
          };
        }),
      };
    }
    case SNAPSHOT_TYPES.getManifest:
      fields(1);
      return { t: "getManifest", id: id() };
    case SNAPSHOT_TYPES.manifest:
      fields(2);
      return {
        t: "manifest",
        id: id(),
        manifest: bounded(f[2], "manifest.manifest", MANIFEST_BYTES_MAX),
      };
    case SNAPSHOT_TYPES.getChunk:
      fields(2);
      return { t: "getChunk", id: id(), index: asUint(f[2], "getChunk.index") };
    case SNAPSHOT_TYPES.chunk:
      fields(3);
      return {
        t: "chunk",
        id: id(),
        index: asUint(f[2], "chunk.index"),
        bytes: bounded(f[3], "chunk.bytes", CHUNK_BYTES),
      };
    default:
      throw new HanseError("SYNC_MESSAGE", "malformed", "message: unknown type");
  }
}

function tooLarge(field: string, max: number): never {
  throw new HanseError("SYNC_MESSAGE", "tooLarge", `${field}: more than ${max}`);
}

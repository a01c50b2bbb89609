/**
 * Messages between members whose order etcd keeps (spec/etcd.md): CBOR arrays whose first item is
 * the type. Decoding is total: anything else than a well-formed message within the bounds throws a
 * HanseError of kind `malformed`.
 */

import type { Channel, Height } from "@hanse/ordering";
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
  SIGNATURE_BYTES,
} from "@hanse/protocol";

/** Blocks in one range answer. */
export const RANGE_BLOCKS_MAX = 64;
/** Bytes of blocks in one range answer (one block always fits). */
export const RANGE_BYTES_MAX = 8 * 1024 * 1024;
/** Heights that one question for attestations may span. */
export const ATTESTATIONS_ASKED_MAX = 64;

export type WireMessage =
  /** A leader's block, to be kept durably before it is put in order. */
  | { readonly t: "offer"; readonly term: number; readonly block: Bytes; readonly signature: Bytes }
  /** "The block is valid and on my disk." */
  | { readonly t: "stored"; readonly height: Height; readonly hash: Hash }
  | { readonly t: "getBlock"; readonly height: Height; readonly hash: Hash }
  | { readonly t: "block"; readonly block: Bytes }
  | { readonly t: "getRange"; readonly from: Height; readonly to: Height }
  | {
      readonly t: "range";
      readonly from: Height;
      /** Block and its stored proof, which may be empty. */
      readonly blocks: readonly { readonly block: Bytes; readonly proof: Bytes }[];
    }
  | {
      readonly t: "attest";
      readonly height: Height;
      readonly blockHash: Hash;
      readonly stateRoot: Hash;
      readonly signature: Bytes;
    }
  | { readonly t: "getAttestations"; readonly from: Height; readonly to: Height }
  /** Last height durable at the sender. */
  | { readonly t: "status"; readonly height: Height };

/**
 * Type numbers on the wire, between those of the built-in engine and those about snapshots (24 and
 * above), which share a channel; never reused.
 */
export const WIRE_TYPES = {
  offer: 15,
  stored: 16,
  getBlock: 17,
  block: 18,
  getRange: 19,
  range: 20,
  attest: 21,
  getAttestations: 22,
  status: 23,
} as const satisfies Record<WireMessage["t"], number>;

export function channelOf(message: WireMessage): Channel {
  switch (message.t) {
    case "getRange":
    case "range":
    case "attest":
    case "getAttestations":
      return "sync";
    default:
      return "consensus";
  }
}

function fieldsOf(m: WireMessage): CborValue[] {
  switch (m.t) {
    case "offer":
      return [m.term, m.block, m.signature];
    case "stored":
    case "getBlock":
      return [m.height, m.hash];
    case "block":
      return [m.block];
    case "getRange":
    case "getAttestations":
      return [m.from, m.to];
    case "range":
      return [m.from, m.blocks.map(({ block, proof }) => [block, proof])];
    case "attest":
      return [m.height, m.blockHash, m.stateRoot, m.signature];
    case "status":
      return [m.height];
  }
}

/** Every message of an engine names ledger epoch first, so that a switched engine's are told apart. */
export function encodeMessage(engineEpoch: number, message: WireMessage): Bytes {
  return encodeCbor([WIRE_TYPES[message.t], engineEpoch, ...fieldsOf(message)]);
}

function malformed(message: string): never {
  throw new HanseError("ETCD_MESSAGE", "malformed", message);
}

function span(from: number, to: number, max: number, what: string) {
  if (from < 1 || to < from || to - from >= max) malformed(`${what}: 1 to ${max} heights`);
  return { from, to };
}

/**
 * Undefined when the message belongs to another engine or epoch.
 * @throws HanseError `ETCD_MESSAGE`, `CBOR_*` or `FIELD_INVALID`, all of kind `malformed`.
 */
export function decodeMessage(engineEpoch: number, bytes: Bytes): WireMessage | undefined {
  const fields = asArray(decodeCbor(bytes), "message");
  const type = asUint(fields[0], "message.type");
  const entry = Object.entries(WIRE_TYPES).find(([, number]) => number === type);
  if (entry === undefined || asUint(fields[1], "message.epoch") !== engineEpoch) return undefined;
  const t = entry[0] as WireMessage["t"];
  const count = (n: number) => asArray(fields, t, n + 2);
  const [, , a, b, c, d] = fields;
  switch (t) {
    case "offer":
      count(3);
      return {
        t,
        term: asUint(a, "offer.term"),
        block: asBytes(b, "offer.block"),
        signature: asBytes(c, "offer.signature", SIGNATURE_BYTES),
      };
    case "stored":
    case "getBlock":
      count(2);
      return { t, height: asUint(a, `${t}.height`), hash: asBytes(b, `${t}.hash`, HASH_BYTES) };
    case "block":
      count(1);
      return { t, block: asBytes(a, "block.block") };
    case "getRange":
      count(2);
      return {
        t,
        ...span(asUint(a, "getRange.from"), asUint(b, "getRange.to"), RANGE_BLOCKS_MAX, t),
      };
    case "getAttestations":
      count(2);
      return {
        t,
        ...span(asUint(a, `${t}.from`), asUint(b, `${t}.to`), ATTESTATIONS_ASKED_MAX, t),
      };
    case "range": {
      count(2);
      const items = asArray(b, "range.blocks");
      if (items.length > RANGE_BLOCKS_MAX) malformed(`range: at most ${RANGE_BLOCKS_MAX} blocks`);
      return {
        t,
        from: asUint(a, "range.from"),
        blocks: items.map((item, i) => {
          const [block, proof] = asArray(item, `range.blocks[${i}]`, 2);
          return {
            block: asBytes(block, `range.blocks[${i}].block`),
            proof: asBytes(proof, `range.blocks[${i}].proof`),
          };
        }),
      };
    }
    case "attest":
      count(4);
      return {
        t,
        height: asUint(a, "attest.height"),
        blockHash: asBytes(b, "attest.blockHash", HASH_BYTES),
        stateRoot: asBytes(c, "attest.stateRoot", HASH_BYTES),
        signature: asBytes(d, "attest.signature", SIGNATURE_BYTES),
      };
    case "status":
      count(1);
      return { t, height: asUint(a, "status.height") };
  }
}

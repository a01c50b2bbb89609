/** Block headers (spec/blocks.md): the tag byte 0x00 and a CBOR array of fixed order. */
import type { Bytes } from "../encoding/bytes.ts";
import { decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes, asText, asUint } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { DOMAINS, HASH_BYTES, type Hash, hashWithDomain } from "../hash/domain.ts";
import type { ValidatorId } from "./validator-set.ts";

export const HEADER_VERSION = 1;

export interface BlockHeader {
  readonly ledgerId: Hash;
  /** Counts engine switches and recoveries; starts at 0. */
  readonly engineEpoch: number;
  /** 1, 2, 3…; 0 is genesis, which has no header. */
  readonly height: number;
  /** Milliseconds since 1970; strictly above the parent's. */
  readonly time: number;
  readonly proposer: ValidatorId;
  /** Hash of the header below; the ledger id at height 1. */
  readonly parentHash: Hash;
  /** RFC 9162 root over the block's transactions, as submitted. */
  readonly txRoot: Hash;
  readonly txCount: number;
  /** Hash of the certificate of height-1 that the block carries; zeros at height 1. */
  readonly lastCertHash: Hash;
  /** State root after height-1. */
  readonly prevStateRoot: Hash;
  /** Root over the outcomes of height-1. */
  readonly prevResultsRoot: Hash;
  readonly validatorsHash: Hash;
  readonly nextValidatorsHash: Hash;
  readonly paramsHash: Hash;
  readonly evidenceHash: Hash;
  /** Last height at or below this one at which the validator set took effect; 1 at first. */
  readonly lastSetChangeHeight: number;
  /** Belongs to the validator policy (e.g. a slot number); at most 64 bytes. */
  readonly policyExtra: Bytes;
}

export function encodeHeader(h: BlockHeader): Bytes {
  const body = encodeCbor([
    HEADER_VERSION,
    h.ledgerId,
    h.engineEpoch,
    h.height,
    h.time,
    h.proposer,
    h.parentHash,
    h.txRoot,
    h.txCount,
    h.lastCertHash,
    h.prevStateRoot,
    h.prevResultsRoot,
    h.validatorsHash,
    h.nextValidatorsHash,
    h.paramsHash,
    h.evidenceHash,
    h.lastSetChangeHeight,
    h.policyExtra,
  ]);
  const bytes = new Uint8Array(body.length + 1);
  bytes.set(body, 1);
  return bytes;
}

/** @throws HanseError `HEADER_VERSION`, `CBOR_*` or `FIELD_INVALID` naming the field. */
export function decodeHeader(bytes: Bytes): BlockHeader {
  if (bytes[0] !== 0) {
    throw new HanseError("HEADER_VERSION", "malformed", "header: the first byte must be 0");
  }
  const f = asArray(decodeCbor(bytes.subarray(1)), "header", 18);
  if (asUint(f[0], "header.version") !== HEADER_VERSION) {
    throw new HanseError("HEADER_VERSION", "malformed", "header.version: only 1 is known here");
  }
  const policyExtra = asBytes(f[17], "header.policyExtra");
  if (policyExtra.length > 64) {
    throw new HanseError("FIELD_INVALID", "malformed", "header.policyExtra: at most 64 bytes");
  }
  return {
    ledgerId: asBytes(f[1], "header.ledgerId", HASH_BYTES),
    engineEpoch: asUint(f[2], "header.engineEpoch"),
    height: asUint(f[3], "header.height"),
    time: asUint(f[4], "header.time"),
    proposer: asText(f[5], "header.proposer"),
    parentHash: asBytes(f[6], "header.parentHash", HASH_BYTES),
    txRoot: asBytes(f[7], "header.txRoot", HASH_BYTES),
    txCount: asUint(f[8], "header.txCount"),
    lastCertHash: asBytes(f[9], "header.lastCertHash", HASH_BYTES),
    prevStateRoot: asBytes(f[10], "header.prevStateRoot", HASH_BYTES),
    prevResultsRoot: asBytes(f[11], "header.prevResultsRoot", HASH_BYTES),
    validatorsHash: asBytes(f[12], "header.validatorsHash", HASH_BYTES),
    nextValidatorsHash: asBytes(f[13], "header.nextValidatorsHash", HASH_BYTES),
    paramsHash: asBytes(f[14], "header.paramsHash", HASH_BYTES),
    evidenceHash: asBytes(f[15], "header.evidenceHash", HASH_BYTES),
    lastSetChangeHeight: asUint(f[16], "header.lastSetChangeHeight"),
    policyExtra,
  };
}

/** The block's hash. */
export function hashHeader(header: BlockHeader): Hash {
  return hashWithDomain(DOMAINS.header, encodeHeader(header));
}

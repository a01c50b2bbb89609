/** Records of the ordering log and their bytes (spec/ordering.md, section "Log"). */
import {
  asArray,
  asBytes,
  asInt,
  asMap,
  asText,
  asUint,
  type Bytes,
  type CborValue,
  decodeCbor,
  encodeCbor,
  HASH_BYTES,
  HanseError,
  type Hash,
  SIGNATURE_BYTES,
  type ValidatorSet,
  type VoteKind,
  validatorSetFromCbor,
  validatorSetToCbor,
} from "@hanse/protocol";
import type { Height, OrderingEra, View } from "../engine/interfaces.ts";
import { crc32c } from "./crc32c.ts";

export type WalRecord =
  /** First record of each segment: number of the record after it. */
  | { readonly t: "base"; readonly sequence: number; readonly ledgerId: Hash }
  | {
      readonly t: "vote";
      readonly kind: VoteKind;
      readonly height: Height;
      readonly view: View;
      readonly blockHash?: Hash;
      readonly parentView?: number;
      readonly signature: Bytes;
    }
  | {
      readonly t: "proposal";
      readonly height: Height;
      readonly view: View;
      readonly blockHash: Hash;
      readonly parentView: number;
      readonly signature: Bytes;
    }
  /** A block that this node votes for or knows to be final. */
  | { readonly t: "body"; readonly height: Height; readonly block: Bytes }
  /** A certificate of an open height. */
  | { readonly t: "certificate"; readonly height: Height; readonly certificate: Bytes }
  /** Height decided; its body stands before it in the log. */
  | {
      readonly t: "final";
      readonly height: Height;
      readonly blockHash: Hash;
      readonly certificate: Bytes;
    }
  /** The validator set in force from `height` on. */
  | { readonly t: "set"; readonly height: Height; readonly set: ValidatorSet }
  /** A decided era: engine, epoch and policy from `height` on. */
  | ({ readonly t: "era" } & OrderingEra);

const TYPES = {
  base: 1,
  vote: 2,
  proposal: 3,
  body: 4,
  certificate: 5,
  final: 6,
  set: 7,
  era: 8,
} as const satisfies Record<WalRecord["t"], number>;

const KINDS: readonly VoteKind[] = ["notarize", "nullify", "finalize"];

/** Bytes before the payload: length (4, of type and payload), CRC-32C (4, over the same). */
export const RECORD_HEAD_BYTES = 8;
/** No record is longer; a length field above it is damage. */
export const RECORD_BYTES_MAX = 256 * 1024 * 1024;

function payloadOf(r: WalRecord): Bytes {
  switch (r.t) {
    case "base":
      return encodeCbor([r.sequence, r.ledgerId]);
    case "vote":
      return encodeCbor([
        KINDS.indexOf(r.kind),
        r.height,
        r.view,
        r.blockHash ?? null,
        r.parentView ?? null,
        r.signature,
      ]);
    case "proposal":
      return encodeCbor([r.height, r.view, r.blockHash, r.parentView, r.signature]);
    case "body":
      return encodeCbor([r.height, r.block]);
    case "certificate":
      return encodeCbor([r.height, r.certificate]);
    case "final":
      return encodeCbor([r.height, r.blockHash, r.certificate]);
    case "set":
      return encodeCbor([r.height, validatorSetToCbor(r.set)]);
    case "era":
      return encodeCbor([
        r.height,
        r.engineEpoch,
        r.kind,
        r.policy,
        r.policyParams === undefined ? null : new Map(Object.entries(r.policyParams)),
      ]);
  }
}

/** length || CRC-32C || type || payload, integers big-endian. */
export function encodeRecord(record: WalRecord): Bytes {
  const payload = payloadOf(record);
  const bytes = new Uint8Array(RECORD_HEAD_BYTES + 1 + payload.length);
  bytes[RECORD_HEAD_BYTES] = TYPES[record.t];
  bytes.set(payload, RECORD_HEAD_BYTES + 1);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length + 1);
  view.setUint32(4, crc32c(bytes.subarray(RECORD_HEAD_BYTES)));
  return bytes;
}

/** @throws HanseError on a payload that its checksum holds and its type does not: never our own. */
export function decodeRecord(body: Bytes): WalRecord {
  const payload = decodeCbor(body.subarray(1));
  switch (body[0]) {
    case TYPES.base: {
      const f = asArray(payload, "base", 2);
      return {
        t: "base",
        sequence: asUint(f[0], "base.sequence"),
        ledgerId: asBytes(f[1], "base.ledgerId", HASH_BYTES),
      };
    }
    case TYPES.vote: {
      const f = asArray(payload, "vote", 6);
      const kind = KINDS[asUint(f[0], "vote.kind")];
      if (kind === undefined) break;
      return {
        t: "vote",
        kind,
        height: asUint(f[1], "vote.height"),
        view: asUint(f[2], "vote.view"),
        ...(f[3] === null ? {} : { blockHash: asBytes(f[3], "vote.blockHash", HASH_BYTES) }),
        ...(f[4] === null ? {} : { parentView: asInt(f[4], "vote.parentView") }),
        signature: asBytes(f[5], "vote.signature", SIGNATURE_BYTES),
      };
    }
    case TYPES.proposal: {
      const f = asArray(payload, "proposal", 5);
      return {
        t: "proposal",
        height: asUint(f[0], "proposal.height"),
        view: asUint(f[1], "proposal.view"),
        blockHash: asBytes(f[2], "proposal.blockHash", HASH_BYTES),
        parentView: asInt(f[3], "proposal.parentView"),
        signature: asBytes(f[4], "proposal.signature", SIGNATURE_BYTES),
      };
    }
    case TYPES.body: {
      const f = asArray(payload, "body", 2);
      return {
        t: "body",
        height: asUint(f[0], "body.height"),
        block: asBytes(f[1], "body.block"),
      };
    }
    case TYPES.certificate: {
      const f = asArray(payload, "certificate", 2);
      return {
        t: "certificate",
        height: asUint(f[0], "certificate.height"),
        certificate: asBytes(f[1], "certificate.certificate"),
      };
    }
    case TYPES.final: {
      const f = asArray(payload, "final", 3);
      return {
        t: "final",
        height: asUint(f[0], "final.height"),
        blockHash: asBytes(f[1], "final.blockHash", HASH_BYTES),
        certificate: asBytes(f[2], "final.certificate"),
      };
    }
    case TYPES.set: {
      const f = asArray(payload, "set", 2);
      return {
        t: "set",
        height: asUint(f[0], "set.height"),
        set: validatorSetFromCbor(f[1], "set.set"),
      };
    }
  }
  if (body[0] === TYPES.era) return eraFromCbor(payload);
  throw new HanseError("WAL_RECORD", "corrupt", `log record of unknown type ${body[0]}`);
}

function eraFromCbor(payload: CborValue): WalRecord {
  const f = asArray(payload, "era", 5);
  const params = f[4] === null ? undefined : asMap(f[4], "era.policyParams");
  return {
    t: "era",
    height: asUint(f[0], "era.height"),
    engineEpoch: asUint(f[1], "era.engineEpoch"),
    kind: asText(f[2], "era.kind") as OrderingEra["kind"],
    policy: asText(f[3], "era.policy") as OrderingEra["policy"],
    ...(params === undefined
      ? {}
      : {
          policyParams: Object.fromEntries(
            [...params].map(([name, value]) => [name, asUint(value, "era.policyParams")]),
          ),
        }),
  };
}

export interface Scan {
  readonly records: readonly WalRecord[];
  /** Whether the bytes end with the last record; otherwise something unreadable follows it. */
  readonly whole: boolean;
}

/**
 * Reads records up to the end or to the first that is incomplete or fails its checksum. What lies
 * behind that one is not read even where it looks well: an unsynced batch may survive with holes.
 */
export function scanRecords(bytes: Bytes): Scan {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: WalRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    const left = bytes.length - at - RECORD_HEAD_BYTES;
    const length = left < 0 ? 0 : view.getUint32(at);
    if (length === 0 || length > left || length > RECORD_BYTES_MAX)
      return { records, whole: false };
    const from = at + RECORD_HEAD_BYTES;
    const body = bytes.subarray(from, from + length);
    if (crc32c(body) !== view.getUint32(at + 4)) return { records, whole: false };
    try {
      records.push(decodeRecord(body));
    } catch {
      return { records, whole: false };
    }
    at = from + length;
  }
  return { records, whole: true };
}

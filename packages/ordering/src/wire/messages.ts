/**
 * Messages between ordering nodes (spec/ordering.md, section "Messages"): deterministic CBOR arrays
 * whose first item is the type. Decoding is total: anything else than a well-formed message within
 * the bounds below throws a HanseError, never more.
 */
import {
  asArray,
  asBoolean,
  asBytes,
  asInt,
  asUint,
  type Bytes,
  type CborValue,
  DOMAINS,
  decodeCbor,
  encodeCbor,
  HASH_BYTES,
  HanseError,
  type Hash,
  SIGNATURE_BYTES,
  type VoteKind,
  withDomain,
} from "@hanse/protocol";
import type { Channel, Height, View } from "../engine/interfaces.ts";

/** Certificates in one message: justification of a proposal, answer to a `need`. */
export const CERTIFICATES_PER_MESSAGE_MAX = 512;
/** Blocks in one range answer. */
export const RANGE_BLOCKS_MAX = 64;
/** Bytes of blocks in one range answer (one block always fits). */
export const RANGE_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of an encoded certificate: 1 024 signers of 66 bytes and the fields. */
export const CERTIFICATE_BYTES_MAX = 80 * 1024;

/** Bytes of one encoded piece of evidence: two signed messages and an identifier. */
export const EVIDENCE_BYTES_MAX = 1024;

export interface VoteMessage {
  readonly t: "vote";
  readonly kind: VoteKind;
  readonly engineEpoch: number;
  readonly height: Height;
  readonly view: View;
  /** Absent in `nullify`. */
  readonly blockHash?: Hash;
  /** Only in `notarize`: -1 for a fresh block. */
  readonly parentView?: number;
  readonly signature: Bytes;
}

export interface ProposeMessage {
  readonly t: "propose";
  readonly engineEpoch: number;
  readonly height: Height;
  readonly view: View;
  /** -1: fresh block; else the view whose notarized block is offered again. */
  readonly parentView: number;
  readonly block: Bytes;
  /** Encoded certificates: the notarization of `parentView` and the nullifications in between. */
  readonly justification: readonly Bytes[];
  readonly signature: Bytes;
}

export interface StatusMessage {
  readonly t: "status";
  /** Last final and executed height. */
  readonly height: Height;
  /** Lowest block this node can serve. */
  readonly lowest: Height;
  /** Echo of the question's number; 0 = unasked. */
  readonly nonce: number;
  /** Whether the sender wants a status back. */
  readonly ask: boolean;
}

export type WireMessage =
  | VoteMessage
  | ProposeMessage
  | StatusMessage
  | { readonly t: "certificate"; readonly certificate: Bytes }
  | { readonly t: "need"; readonly height: Height; readonly view: View }
  | { readonly t: "certificates"; readonly certificates: readonly Bytes[] }
  | { readonly t: "getBlock"; readonly height: Height; readonly hash: Hash }
  | { readonly t: "block"; readonly block: Bytes }
  | { readonly t: "getRange"; readonly from: Height; readonly to: Height }
  | {
      readonly t: "range";
      readonly from: Height;
      readonly blocks: readonly Bytes[];
      /** Finality certificate of the last block; empty when there is none. */
      readonly certificate: Bytes;
    }
  | { readonly t: "final"; readonly block: Bytes; readonly certificate: Bytes }
  /** Encoded evidence of an offence that the sender collected. */
  | { readonly t: "evidence"; readonly evidence: Bytes };

/** Type numbers on the wire; never reused. */
export const WIRE_TYPES = {
  vote: 1,
  propose: 2,
  certificate: 3,
  need: 4,
  certificates: 5,
  getBlock: 6,
  block: 7,
  status: 8,
  getRange: 9,
  range: 10,
  final: 11,
  evidence: 12,
} as const satisfies Record<WireMessage["t"], number>;

const VOTE_KINDS: readonly VoteKind[] = ["notarize", "nullify", "finalize"];

export function channelOf(message: WireMessage): Channel {
  return message.t === "getRange" || message.t === "range" ? "sync" : "consensus";
}

export function encodeMessage(m: WireMessage): Bytes {
  return encodeCbor([WIRE_TYPES[m.t], ...fieldsOf(m)]);
}

function fieldsOf(m: WireMessage): CborValue[] {
  switch (m.t) {
    case "vote":
      return [
        VOTE_KINDS.indexOf(m.kind),
        m.engineEpoch,
        m.height,
        m.view,
        m.blockHash ?? null,
        m.parentView ?? null,
        m.signature,
      ];
    case "propose":
      return [
        m.engineEpoch,
        m.height,
        m.view,
        m.parentView,
        m.block,
        m.justification as Bytes[],
        m.signature,
      ];
    case "certificate":
      return [m.certificate];
    case "need":
      return [m.height, m.view];
    case "certificates":
      return [m.certificates as Bytes[]];
    case "getBlock":
      return [m.height, m.hash];
    case "block":
      return [m.block];
    case "status":
      return [m.height, m.lowest, m.nonce, m.ask];
    case "getRange":
      return [m.from, m.to];
    case "range":
      return [m.from, m.blocks as Bytes[], m.certificate];
    case "final":
      return [m.block, m.certificate];
    case "evidence":
      return [m.evidence];
  }
}

/** @throws HanseError `ORDERING_MESSAGE`, `CBOR_*` or `FIELD_INVALID`; nothing else on any bytes. */
export function decodeMessage(bytes: Bytes): WireMessage {
  const f = asArray(decodeCbor(bytes), "message");
  const fields = (count: number) => asArray(f, "message", count + 1);
  switch (f[0]) {
    case WIRE_TYPES.vote:
      fields(7);
      return decodeVote(f);
    case WIRE_TYPES.propose:
      fields(7);
      return {
        t: "propose",
        engineEpoch: asUint(f[1], "propose.engineEpoch"),
        height: asUint(f[2], "propose.height"),
        view: asUint(f[3], "propose.view"),
        parentView: asParentView(f[4], "propose.parentView"),
        block: asBytes(f[5], "propose.block"),
        justification: asCertificates(f[6], "propose.justification"),
        signature: asBytes(f[7], "propose.signature", SIGNATURE_BYTES),
      };
    case WIRE_TYPES.certificate:
      fields(1);
      return { t: "certificate", certificate: asCertificate(f[1], "certificate") };
    case WIRE_TYPES.need:
      fields(2);
      return { t: "need", height: asUint(f[1], "need.height"), view: asUint(f[2], "need.view") };
    case WIRE_TYPES.certificates:
      fields(1);
      return { t: "certificates", certificates: asCertificates(f[1], "certificates") };
    case WIRE_TYPES.getBlock:
      fields(2);
      return {
        t: "getBlock",
        height: asUint(f[1], "getBlock.height"),
        hash: asBytes(f[2], "getBlock.hash", HASH_BYTES),
      };
    case WIRE_TYPES.block:
      fields(1);
      return { t: "block", block: asBytes(f[1], "block") };
    case WIRE_TYPES.status:
      fields(4);
      return {
        t: "status",
        height: asUint(f[1], "status.height"),
        lowest: asUint(f[2], "status.lowest"),
        nonce: asUint(f[3], "status.nonce"),
        ask: asBoolean(f[4], "status.ask"),
      };
    case WIRE_TYPES.getRange:
      fields(2);
      return {
        t: "getRange",
        from: asUint(f[1], "getRange.from"),
        to: asUint(f[2], "getRange.to"),
      };
    case WIRE_TYPES.range: {
      fields(3);
      const blocks = asArray(f[2], "range.blocks");
      if (blocks.length > RANGE_BLOCKS_MAX) bound("range.blocks", RANGE_BLOCKS_MAX);
      const certificate = asBytes(f[3], "range.certificate");
      if (certificate.length > CERTIFICATE_BYTES_MAX) {
        bound("range.certificate", CERTIFICATE_BYTES_MAX);
      }
      return {
        t: "range",
        from: asUint(f[1], "range.from"),
        blocks: blocks.map((block, i) => asBytes(block, `range.blocks[${i}]`)),
        certificate,
      };
    }
    case WIRE_TYPES.final:
      fields(2);
      return {
        t: "final",
        block: asBytes(f[1], "final.block"),
        certificate: asCertificate(f[2], "final.certificate"),
      };
    case WIRE_TYPES.evidence: {
      fields(1);
      const evidence = asBytes(f[1], "evidence");
      if (evidence.length > EVIDENCE_BYTES_MAX) bound("evidence", EVIDENCE_BYTES_MAX);
      return { t: "evidence", evidence };
    }
    default:
      throw new HanseError("ORDERING_MESSAGE", "malformed", "message: unknown type");
  }
}

function decodeVote(f: readonly CborValue[]): VoteMessage {
  const kind = VOTE_KINDS[asUint(f[1], "vote.kind")];
  if (kind === undefined) {
    throw new HanseError("ORDERING_MESSAGE", "malformed", "vote.kind: unknown kind");
  }
  if ((f[5] === null) !== (kind === "nullify") || (f[6] === null) !== (kind !== "notarize")) {
    throw new HanseError("ORDERING_MESSAGE", "malformed", "vote: fields not of its kind");
  }
  return {
    t: "vote",
    kind,
    engineEpoch: asUint(f[2], "vote.engineEpoch"),
    height: asUint(f[3], "vote.height"),
    view: asUint(f[4], "vote.view"),
    ...(f[5] === null ? {} : { blockHash: asBytes(f[5], "vote.blockHash", HASH_BYTES) }),
    ...(f[6] === null ? {} : { parentView: asParentView(f[6], "vote.parentView") }),
    signature: asBytes(f[7], "vote.signature", SIGNATURE_BYTES),
  };
}

function asParentView(value: CborValue | undefined, field: string): number {
  const view = asInt(value, field);
  if (view < -1) throw new HanseError("ORDERING_MESSAGE", "malformed", `${field}: below -1`);
  return view;
}

function asCertificate(value: CborValue | undefined, field: string): Bytes {
  const bytes = asBytes(value, field);
  if (bytes.length > CERTIFICATE_BYTES_MAX) bound(field, CERTIFICATE_BYTES_MAX);
  return bytes;
}

function asCertificates(value: CborValue | undefined, field: string): Bytes[] {
  const list = asArray(value, field);
  if (list.length > CERTIFICATES_PER_MESSAGE_MAX) bound(field, CERTIFICATES_PER_MESSAGE_MAX);
  return list.map((item, i) => asCertificate(item, `${field}[${i}]`));
}

function bound(field: string, max: number): never {
  throw new HanseError("ORDERING_MESSAGE", "tooLarge", `${field}: more than ${max}`);
}

/** The bytes that a leader signs for a proposal. */
export function proposeMessage(subject: {
  readonly ledgerId: Hash;
  readonly engineEpoch: number;
  readonly height: Height;
  readonly view: View;
  readonly validatorsHash: Hash;
  readonly blockHash: Hash;
  readonly parentView: number;
}): Bytes {
  return withDomain(
    DOMAINS.propose,
    encodeCbor([
      subject.ledgerId,
      subject.engineEpoch,
      subject.height,
      subject.view,
      subject.validatorsHash,
      subject.blockHash,
      subject.parentView,
    ]),
  );
}

/**
 * Quorum certificates and the vote messages that they bundle (spec/blocks.md;
 * Simplex, ePrint 2023/463, run once per height).
 */
import type { Bytes } from "../encoding/bytes.ts";
import { decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes, asInt, asText, asUint } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { DOMAINS, HASH_BYTES, type Hash, hashWithDomain, withDomain } from "../hash/domain.ts";
import { SIGNATURE_BYTES } from "../keys/algorithms.ts";
import { VALIDATORS_MAX } from "./validator-set.ts";

export type VoteKind = "notarize" | "nullify" | "finalize";

/** What one vote is about; `blockHash` and `parentView` are absent exactly where noted. */
export interface VoteSubject {
  readonly kind: VoteKind;
  readonly ledgerId: Hash;
  readonly engineEpoch: number;
  readonly height: number;
  readonly view: number;
  readonly validatorsHash: Hash;
  /** Absent in `nullify`. */
  readonly blockHash?: Hash;
  /** View whose notarized block is offered again, -1 for a fresh block; only in `notarize`. */
  readonly parentView?: number;
}

/** The bytes a validator signs for a vote: domain, ledger, epoch, place, set and block. */
export function voteMessage(subject: VoteSubject): Bytes {
  return withDomain(
    DOMAINS[subject.kind],
    encodeCbor([
      subject.ledgerId,
      subject.engineEpoch,
      subject.height,
      subject.view,
      subject.validatorsHash,
      subject.blockHash ?? null,
      subject.parentView ?? null,
    ]),
  );
}

export interface Certificate {
  readonly kind: VoteKind;
  readonly engineEpoch: number;
  readonly height: number;
  readonly view: number;
  readonly validatorsHash: Hash;
  readonly blockHash?: Hash;
  readonly parentView?: number;
  /** Bit i (least significant first in each byte) = member i of the set, sorted by id. */
  readonly signers: Bytes;
  /** One signature for each set bit, in member order; 64 bytes each. */
  readonly signatures: readonly Bytes[];
}

export function encodeCertificate(c: Certificate): Bytes {
  return encodeCbor([
    c.kind,
    c.engineEpoch,
    c.height,
    c.view,
    c.validatorsHash,
    c.blockHash ?? null,
    c.parentView ?? null,
    c.signers,
    c.signatures as Bytes[],
  ]);
}

/** @throws HanseError `CERTIFICATE_INVALID`, `CBOR_*` or `FIELD_INVALID` naming the field. */
export function decodeCertificate(bytes: Bytes): Certificate {
  const f = asArray(decodeCbor(bytes), "certificate", 9);
  const kind = asText(f[0], "certificate.kind");
  if (kind !== "notarize" && kind !== "nullify" && kind !== "finalize") {
    throw new HanseError("CERTIFICATE_INVALID", "malformed", "certificate.kind: unknown kind");
  }
  if ((f[5] === null) !== (kind === "nullify") || (f[6] === null) !== (kind !== "notarize")) {
    throw new HanseError("CERTIFICATE_INVALID", "malformed", "certificate: fields not of its kind");
  }
  const signers = asBytes(f[7], "certificate.signers");
  if (signers.length > Math.ceil(VALIDATORS_MAX / 8)) {
    const message = `certificate.signers: at most ${VALIDATORS_MAX} members`;
    throw new HanseError("CERTIFICATE_INVALID", "malformed", message);
  }
  return {
    kind,
    engineEpoch: asUint(f[1], "certificate.engineEpoch"),
    height: asUint(f[2], "certificate.height"),
    view: asUint(f[3], "certificate.view"),
    validatorsHash: asBytes(f[4], "certificate.validatorsHash", HASH_BYTES),
    ...(f[5] === null ? {} : { blockHash: asBytes(f[5], "certificate.blockHash", HASH_BYTES) }),
    ...(f[6] === null ? {} : { parentView: asInt(f[6], "certificate.parentView") }),
    signers,
    signatures: asArray(f[8], "certificate.signatures").map((s, i) =>
      asBytes(s, `certificate.signatures[${i}]`, SIGNATURE_BYTES),
    ),
  };
}

export function hashCertificate(certificate: Certificate): Hash {
  return hashWithDomain(DOMAINS.certificate, encodeCertificate(certificate));
}

/** Member indices of a signer bitmap, ascending. */
export function bitmapToIndices(bitmap: Bytes): number[] {
  const indices: number[] = [];
  for (let i = 0; i < bitmap.length * 8; i++) {
    if ((bitmap[i >> 3]! >> (i & 7)) & 1) indices.push(i);
  }
  return indices;
}

/** The canonical bitmap (exactly ceil(size/8) bytes) of member indices. */
export function indicesToBitmap(indices: Iterable<number>, size: number): Bytes {
  const bitmap = new Uint8Array(Math.ceil(size / 8));
  for (const i of indices) bitmap[i >> 3]! |= 1 << (i & 7);
  return bitmap;
}

/** What shows an outsider that a block is final, whichever engine ordered it (spec/blocks.md). */

import { type Certificate, decodeCertificate, encodeCertificate } from "../block/certificate.ts";
import type { BlockHeader } from "../block/header.ts";
import type { ValidatorId } from "../block/validator-set.ts";
import type { Bytes } from "../encoding/bytes.ts";
import { decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes, asText } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { DOMAINS, HASH_BYTES, type Hash, withDomain } from "../hash/domain.ts";
import { SIGNATURE_BYTES } from "../keys/algorithms.ts";

/** Built-in engine: a certificate of kind `finalize` over the header's hash. */
export interface QcProof {
  readonly kind: "qc";
  readonly header: BlockHeader;
  readonly certificate: Certificate;
}

/**
 * CometBFT: its signed header of the same height, whose `data_hash` is a tree over our header and
 * the transactions. Signed by the set in force, each member with the key of its votes.
 */
export interface CometProof {
  readonly kind: "comet";
  readonly header: BlockHeader;
  /** Protobuf `tendermint.types.SignedHeader`. */
  readonly signedHeader: Bytes;
  /** From our header, the first leaf, to the root `data_hash`; nearest sibling first. */
  readonly path: readonly Hash[];
}

/** A member's word on a block that an engine without signatures ordered. */
export interface Attestation {
  readonly member: ValidatorId;
  /** Over `attestationMessage`. */
  readonly signature: Bytes;
}

/** etcd: attestations of members that hold more than half of the vote weight. */
export interface AttestedProof {
  readonly kind: "attested";
  readonly header: BlockHeader;
  /** State root after `header.height`, the same in every attestation. */
  readonly stateRoot: Hash;
  readonly attestations: readonly Attestation[];
}

export type FinalityProof = QcProof | CometProof | AttestedProof;

/** The bytes a member signs to attest a block and the state after it. */
export function attestationMessage(subject: {
  readonly ledgerId: Hash;
  readonly engineEpoch: number;
  readonly height: number;
  readonly blockHash: Hash;
  readonly stateRoot: Hash;
}): Bytes {
  const { ledgerId, engineEpoch, height, blockHash, stateRoot } = subject;
  return withDomain(
    DOMAINS.attestation,
    encodeCbor([ledgerId, engineEpoch, height, blockHash, stateRoot]),
  );
}

/** A proof as it is stored beside its block: all but the header. */
export function encodeFinalityProof(proof: FinalityProof): Bytes {
  switch (proof.kind) {
    case "qc":
      return encodeCertificate(proof.certificate);
    case "comet":
      return encodeCbor(["comet", proof.signedHeader, proof.path as Hash[]]);
    case "attested":
      return encodeCbor([
        "attested",
        proof.stateRoot,
        proof.attestations.map(({ member, signature }) => [member, signature]),
      ]);
  }
}

/**
 * Structure only: `header` and every signature are the caller's to check.
 * @throws HanseError `FINALITY_KIND`, `CBOR_*`, `CERTIFICATE_INVALID` or `FIELD_INVALID`.
 */
export function decodeFinalityProof(bytes: Bytes, header: BlockHeader): FinalityProof {
  const fields = asArray(decodeCbor(bytes), "proof");
  const [kind, first, second] = fields;
  switch (asText(kind, "proof.kind")) {
    case "comet":
      asArray(fields, "proof", 3);
      return {
        kind: "comet",
        header,
        signedHeader: asBytes(first, "proof.signedHeader"),
        path: asArray(second, "proof.path").map((item, i) =>
          asBytes(item, `proof.path[${i}]`, HASH_BYTES),
        ),
      };
    case "attested":
      asArray(fields, "proof", 3);
      return {
        kind: "attested",
        header,
        stateRoot: asBytes(first, "proof.stateRoot", HASH_BYTES),
        attestations: asArray(second, "proof.attestations").map((item, i) => {
          const [member, signature] = asArray(item, `proof.attestations[${i}]`, 2);
          return {
            member: asText(member, `proof.attestations[${i}].member`),
            signature: asBytes(signature, `proof.attestations[${i}].signature`, SIGNATURE_BYTES),
          };
        }),
      };
    case "finalize":
      return { kind: "qc", header, certificate: decodeCertificate(bytes) };
    default:
      throw new HanseError(
        "FINALITY_KIND",
        "malformed",
        "proof.kind: a finalize certificate, comet or attested",
      );
  }
}

/**
 * The certificate of a block that the built-in engine ordered.
 * @throws HanseError `FINALITY_KIND` when another engine did.
 */
export function certificateOf(proof: FinalityProof | undefined): Certificate {
  if (proof?.kind === "qc") return proof.certificate;
  throw new HanseError(
    "FINALITY_KIND",
    "rejected",
    `proof: a certificate of the built-in engine is needed, not ${proof?.kind ?? "none"}`,
  );
}

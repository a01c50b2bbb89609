/**
 * Judging finality proofs of every engine by one rule: what makes a block final is a quorum of the
 * set in force, by the set's own quorum rule, whatever message its members sign. So no engine's
 * proof is ever cheaper to forge than another's, and a switch of engines needs no more trust than
 * the set that the old one handed over to (spec/blocks.md).
 */
import { bitmapToIndices } from "../block/certificate.ts";
import { verifyCertificate } from "../block/certificate-verdict.ts";
import { hashHeader } from "../block/header.ts";
import { quorumWeight, type ValidatorSet } from "../block/validator-set.ts";
import { equalBytes } from "../encoding/bytes.ts";
import type { Hash } from "../hash/domain.ts";
import type { PublicKey } from "../keys/algorithms.ts";
import { verifyAttestedProof } from "./attested.ts";
import { verifyCometProof } from "./comet/comet-verdict.ts";
import type { FinalityProof } from "./finality-proof.ts";

/** What a proof is judged against. */
export interface FinalityTrust {
  readonly ledgerId: Hash;
  /** The set in force at the header's height. */
  readonly set: ValidatorSet;
}

export type FinalityVerdict =
  | {
      readonly ok: true;
      /** Vote weight of the signers. */
      readonly weight: number;
      /** Places of the signers in the set, ascending. */
      readonly signers: readonly number[];
    }
  | { readonly ok: false; readonly reason: string };

export interface FinalityOptions {
  /** Replaces the check of one signature, for example by one that remembers verdicts. */
  readonly verify?: (key: PublicKey, message: Uint8Array, signature: Uint8Array) => boolean;
}

/**
 * Whether a quorum of the trusted set made the proof's header final on the ledger.
 * @throws HanseError `KEYS_NOT_READY` alone.
 */
export function verifyFinality(
  proof: FinalityProof,
  trust: FinalityTrust,
  options: FinalityOptions = {},
): FinalityVerdict {
  const { header } = proof;
  const { ledgerId, set } = trust;
  if (!equalBytes(header.ledgerId, ledgerId)) return refuse("it belongs to another ledger");
  if (!equalBytes(header.validatorsHash, set.hash)) {
    return refuse("it was validated by another set");
  }
  const verdict = verifyByKind(proof, trust, options);
  const quorum = quorumWeight(set);
  if (verdict.ok && verdict.weight < quorum) {
    return refuse(`weight ${verdict.weight} is below the quorum of ${quorum}`);
  }
  return verdict;
}

function refuse(reason: string): FinalityVerdict {
  return { ok: false, reason };
}

function verifyByKind(
  proof: FinalityProof,
  { ledgerId, set }: FinalityTrust,
  options: FinalityOptions,
): FinalityVerdict {
  switch (proof.kind) {
    case "qc": {
      const { header, certificate } = proof;
      const { engineEpoch, height } = header;
      const verdict = verifyCertificate(certificate, set, ledgerId, {
        ...options,
        subject: { kind: "finalize", engineEpoch, height, blockHash: hashHeader(header) },
      });
      if (!verdict.ok) return refuse(`certificate: ${verdict.reason}`);
      const signers = bitmapToIndices(certificate.signers);
      return { ok: true, weight: verdict.weight, signers };
    }
    case "attested": {
      const verdict = verifyAttestedProof(proof, ledgerId, set, options.verify);
      if (!verdict.ok) return refuse(`attestations: ${verdict.reason}`);
      const members = new Set(proof.attestations.map(({ member }) => member));
      const signers = [...set.members.keys()].filter((i) => members.has(set.members[i]!.id));
      return { ok: true, weight: verdict.weight, signers };
    }
    case "comet": {
      const verdict = verifyCometProof(proof, { ledgerId, set }, options.verify);
      return verdict.ok ? verdict : refuse(`signed header: ${verdict.reason}`);
    }
  }
}

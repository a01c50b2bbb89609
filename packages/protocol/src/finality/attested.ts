/**
 * Verifying attested proofs: blocks that an engine without signatures (etcd) ordered, shown by the
 * members' own word. Who may lie: whoever hands the proof over, and the engine. A member lies at
 * its own peril: two attestations of one height that differ are signed by its key.
 */
import { hashHeader } from "../block/header.ts";
import { totalWeight, type ValidatorSet } from "../block/validator-set.ts";
import { type Bytes, compareText, equalBytes } from "../encoding/bytes.ts";
import { HASH_BYTES, type Hash } from "../hash/domain.ts";
import { type PublicKey, SIGNATURE_BYTES } from "../keys/algorithms.ts";
import { verifySignature } from "../keys/signatures.ts";
import { type Attestation, type AttestedProof, attestationMessage } from "./finality-proof.ts";

export type AttestedVerdict =
  /** Vote weight of those who attest. */
  { readonly ok: true; readonly weight: number } | { readonly ok: false; readonly reason: string };

/** Least vote weight of an attested proof: more than half, whatever the set's quorum rule. */
export function attestedWeightMin(set: Pick<ValidatorSet, "members">): number {
  return Math.floor(totalWeight(set) / 2) + 1;
}

/**
 * Whether members of `set` with more than half of its vote weight attest the proof's block and the
 * state root after it. Attestations stand in ascending order of their members, so that one set of
 * attestations has one form. `verify` replaces the verification of one signature.
 * @throws HanseError `KEYS_NOT_READY` alone.
 */
export function verifyAttestedProof(
  proof: AttestedProof,
  ledgerId: Hash,
  set: ValidatorSet,
  verify: (key: PublicKey, message: Bytes, signature: Bytes) => boolean = verifySignature,
): AttestedVerdict {
  const refuse = (reason: string): AttestedVerdict => ({ ok: false, reason });
  const { header, stateRoot, attestations } = proof;
  if (!equalBytes(header.ledgerId, ledgerId)) return refuse("its header names another ledger");
  if (!equalBytes(header.validatorsHash, set.hash)) {
    return refuse("its header names another validator set");
  }
  if (stateRoot.length !== HASH_BYTES) return refuse("the state root must be 32 bytes");
  const members = new Map(set.members.map((member) => [member.id, member]));
  let weight = 0;
  for (const [i, { member, signature }] of attestations.entries()) {
    if (i > 0 && compareText(attestations[i - 1]!.member, member) >= 0) {
      return refuse(`${member} stands twice or out of order`);
    }
    const known = members.get(member);
    if (known === undefined) return refuse(`${member} is not in the validator set`);
    if (signature.length !== SIGNATURE_BYTES) {
      return refuse(`the signature of ${member} must have ${SIGNATURE_BYTES} bytes`);
    }
    weight += known.vote;
  }
  const least = attestedWeightMin(set);
  if (weight < least) return refuse(`weight ${weight} is below ${least}, more than half`);
  const message = attestationMessage({
    ledgerId,
    engineEpoch: header.engineEpoch,
    height: header.height,
    blockHash: hashHeader(header),
    stateRoot,
  });
  for (const { member, signature } of attestations) {
    if (!verify(members.get(member)!.key, message, signature)) {
      return refuse(`the signature of ${member} does not hold`);
    }
  }
  return { ok: true, weight };
}

/** Attestations in the order that a proof has them, one for each member. */
export function sortAttestations(attestations: Iterable<Attestation>): Attestation[] {
  const byMember = new Map<string, Attestation>();
  for (const attestation of attestations) byMember.set(attestation.member, attestation);
  return [...byMember.values()].sort((a, b) => compareText(a.member, b.member));
}

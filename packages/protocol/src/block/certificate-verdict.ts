/**
 * Making and verifying quorum certificates. Who may lie: whoever hands a certificate over. It holds
 * only when a quorum of the given set signed exactly this vote on this ledger, and when every
 * signature in it holds, so that no byte of a certificate is without meaning.
 */
import { type Bytes, equalBytes } from "../encoding/bytes.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { HASH_BYTES, type Hash } from "../hash/domain.ts";
import { type PublicKey, SIGNATURE_BYTES } from "../keys/algorithms.ts";
import { verifySignature } from "../keys/signatures.ts";
import {
  bitmapToIndices,
  type Certificate,
  indicesToBitmap,
  type VoteSubject,
  voteMessage,
} from "./certificate.ts";
import { quorumWeight, type ValidatorSet } from "./validator-set.ts";

export type CertificateVerdict =
  /** Vote weight of the signers. */
  { readonly ok: true; readonly weight: number } | { readonly ok: false; readonly reason: string };

export interface CertificateExpectation {
  /** What the certificate must be about; a field left out may be anything. `kind`: `finalize`. */
  readonly subject?: Partial<Omit<VoteSubject, "ledgerId" | "validatorsHash">>;
}

/** One signature that must hold; what a pool of workers gets. */
export interface SignatureCheck {
  readonly key: PublicKey;
  readonly message: Bytes;
  readonly signature: Bytes;
}

type Prepared =
  | { readonly ok: true; readonly weight: number; readonly checks: readonly SignatureCheck[] }
  | { readonly ok: false; readonly reason: string };

/** The vote that the signers of a certificate have signed. */
export function certificateSubject(certificate: Certificate, ledgerId: Hash): VoteSubject {
  const { kind, engineEpoch, height, view, validatorsHash, blockHash, parentView } = certificate;
  return {
    kind,
    ledgerId,
    engineEpoch,
    height,
    view,
    validatorsHash,
    ...(blockHash === undefined ? {} : { blockHash }),
    ...(parentView === undefined ? {} : { parentView }),
  };
}

/** Everything about a certificate but its signatures, and the signatures left to verify. */
export function prepareCertificate(
  certificate: Certificate,
  set: ValidatorSet,
  ledgerId: Hash,
  { subject = {} }: CertificateExpectation = {},
): Prepared {
  const refuse = (reason: string): Prepared => ({ ok: false, reason });
  const { kind = "finalize", blockHash } = subject;
  if (certificate.kind !== kind) return refuse(`a ${certificate.kind} certificate, not ${kind}`);
  if ((certificate.blockHash === undefined) !== (kind === "nullify")) {
    return refuse(`a ${kind} certificate ${kind === "nullify" ? "names a" : "lacks its"} block`);
  }
  if ((certificate.parentView === undefined) !== (kind !== "notarize")) {
    return refuse(
      `a ${kind} certificate ${kind === "notarize" ? "lacks its" : "names a"} parent view`,
    );
  }
  for (const field of ["engineEpoch", "height", "view", "parentView"] as const) {
    const expected = subject[field];
    if (expected !== undefined && certificate[field] !== expected) {
      return refuse(`${field} is ${certificate[field]}, expected ${expected}`);
    }
  }
  if (
    blockHash !== undefined &&
    !equalBytes(certificate.blockHash ?? new Uint8Array(), blockHash)
  ) {
    return refuse("it is about another block");
  }
  if (ledgerId.length !== HASH_BYTES) return refuse("the ledger id must be 32 bytes");
  if (!equalBytes(certificate.validatorsHash, set.hash)) {
    return refuse("it names another validator set");
  }
  const size = set.members.length;
  if (certificate.signers.length !== Math.ceil(size / 8)) {
    return refuse(`the signer bitmap must have ${Math.ceil(size / 8)} bytes for ${size} members`);
  }
  const signers = bitmapToIndices(certificate.signers);
  if (signers.some((index) => index >= size)) {
    return refuse("the signer bitmap names a member that the set does not have");
  }
  if (signers.length !== certificate.signatures.length) {
    return refuse(`${signers.length} signers but ${certificate.signatures.length} signatures`);
  }
  let weight = 0;
  for (const index of signers) weight += set.members[index]!.vote;
  const quorum = quorumWeight(set);
  if (weight < quorum) return refuse(`weight ${weight} is below the quorum of ${quorum}`);
  const message = voteMessage(certificateSubject(certificate, ledgerId));
  const checks = signers.map((index, i) => ({
    key: set.members[index]!.key,
    message,
    signature: certificate.signatures[i]!,
  }));
  return { ok: true, weight, checks };
}

function badSigner(certificate: Certificate, set: ValidatorSet, at: number): CertificateVerdict {
  const member = set.members[bitmapToIndices(certificate.signers)[at]!]!;
  return { ok: false, reason: `the signature of ${member.id} does not hold` };
}

/**
 * Whether a quorum of `set` certified a vote on the ledger. `verify` replaces the verification of
 * one signature (for example by one that remembers verdicts).
 * @throws HanseError `KEYS_NOT_READY` alone.
 */
export function verifyCertificate(
  certificate: Certificate,
  set: ValidatorSet,
  ledgerId: Hash,
  options: CertificateExpectation & {
    readonly verify?: (key: PublicKey, message: Bytes, signature: Bytes) => boolean;
  } = {},
): CertificateVerdict {
  const prepared = prepareCertificate(certificate, set, ledgerId, options);
  if (!prepared.ok) return prepared;
  const verify = options.verify ?? verifySignature;
  const bad = prepared.checks.findIndex((c) => !verify(c.key, c.message, c.signature));
  return bad < 0 ? { ok: true, weight: prepared.weight } : badSigner(certificate, set, bad);
}

/** As `verifyCertificate`, with the signatures verified elsewhere, e.g. by a pool of workers. */
export async function verifyCertificateWith(
  verifyAll: (checks: readonly SignatureCheck[]) => Promise<readonly boolean[]>,
  certificate: Certificate,
  set: ValidatorSet,
  ledgerId: Hash,
  expectation: CertificateExpectation = {},
): Promise<CertificateVerdict> {
  const prepared = prepareCertificate(certificate, set, ledgerId, expectation);
  if (!prepared.ok) return prepared;
  const verdicts = await verifyAll(prepared.checks);
  const bad = prepared.checks.findIndex((_, i) => verdicts[i] !== true);
  return bad < 0 ? { ok: true, weight: prepared.weight } : badSigner(certificate, set, bad);
}

/** A vote whose signature has been verified, by the member's place in the set. */
export interface SignedVote {
  readonly member: number;
  readonly signature: Bytes;
}

/**
 * Bundles verified votes on one subject into a certificate; a member's second vote is left out.
 * @throws HanseError `CERTIFICATE_INVALID` when the set is another one, a member does not exist, or
 * the weight is below the quorum.
 */
export function assembleCertificate(
  subject: VoteSubject,
  set: ValidatorSet,
  votes: Iterable<SignedVote>,
): Certificate {
  const invalid = (message: string): never => {
    throw new HanseError("CERTIFICATE_INVALID", "rejected", message);
  };
  if (!equalBytes(subject.validatorsHash, set.hash)) invalid("the votes are of another set");
  const signatures = new Map<number, Bytes>();
  for (const { member, signature } of votes) {
    if (set.members[member] === undefined) invalid(`no member ${member} in the set`);
    if (signature.length !== SIGNATURE_BYTES)
      invalid(`member ${member}: signature of another size`);
    if (!signatures.has(member)) signatures.set(member, signature);
  }
  const indices = [...signatures.keys()].sort((a, b) => a - b);
  let weight = 0;
  for (const index of indices) weight += set.members[index]!.vote;
  const quorum = quorumWeight(set);
  if (weight < quorum) invalid(`weight ${weight} is below the quorum of ${quorum}`);
  const { kind, engineEpoch, height, view, validatorsHash, blockHash, parentView } = subject;
  return {
    kind,
    engineEpoch,
    height,
    view,
    validatorsHash,
    ...(blockHash === undefined ? {} : { blockHash }),
    ...(parentView === undefined ? {} : { parentView }),
    signers: indicesToBitmap(indices, set.members.length),
    signatures: indices.map((index) => signatures.get(index)!),
  };
}

/** Blocks and certificates as they come from peers: what can be checked without any state. */
import {
  type Block,
  type Bytes,
  bitmapToIndices,
  type Certificate,
  DOMAINS,
  decodeBlock,
  decodeCertificate,
  encodeBlock,
  equalBytes,
  evidenceRoot,
  HanseError,
  type Hash,
  hashHeader,
  hashWithDomain,
  type PublicKey,
  toHex,
  transactionRoot,
  type ValidatorSet,
  voteMessage,
  ZERO_HASH,
} from "@hanse/protocol";
import type { Body } from "../core/events.ts";

/** A block that this node made itself. */
export function bodyOf(block: Block): Body {
  const hash = hashHeader(block.header);
  return { hash, key: toHex(hash), block, bytes: encodeBlock(block) };
}

/**
 * Decodes a block and checks that its body is the one that its header commits to.
 * @throws HanseError `BLOCK_BODY` or a decoding error.
 */
export function bodyFromBytes(bytes: Bytes): Body {
  const block = decodeBlock(bytes);
  const { header } = block;
  const fail = (field: string): never => {
    throw new HanseError("BLOCK_BODY", "malformed", `block: ${field} is not the header's`);
  };
  if (header.txCount !== block.transactions.length) fail("the number of transactions");
  if (!equalBytes(header.txRoot, transactionRoot(block.transactions))) fail("the transaction root");
  if (!equalBytes(header.evidenceHash, evidenceRoot(block.evidence))) fail("the evidence root");
  if (!equalBytes(header.lastCertHash, hashLastCert(block.lastCert))) fail("the last certificate");
  const hash = hashHeader(header);
  return { hash, key: toHex(hash), block, bytes };
}

/** What a header's `lastCertHash` must be: zeros for the empty certificate of height 1. */
export function hashLastCert(lastCert: Bytes): Hash {
  return lastCert.length === 0 ? ZERO_HASH : hashWithDomain(DOMAINS.certificate, lastCert);
}

export interface SignatureCheck {
  readonly key: PublicKey;
  readonly message: Bytes;
  readonly signature: Bytes;
}

/**
 * The signatures that a certificate stands on, or undefined when it cannot be valid for the set:
 * wrong set, bitmap not canonical, too little weight, number of signatures off.
 */
export function certificateChecks(
  c: Certificate,
  set: ValidatorSet,
  quorum: number,
  ledgerId: Hash,
): SignatureCheck[] | undefined {
  if (!equalBytes(c.validatorsHash, set.hash)) return undefined;
  if (c.signers.length !== Math.ceil(set.members.length / 8)) return undefined;
  const indices = bitmapToIndices(c.signers);
  if (indices.length !== c.signatures.length) return undefined;
  let weight = 0;
  for (const index of indices) {
    const member = set.members[index];
    if (member === undefined) return undefined;
    weight += member.vote;
  }
  if (weight < quorum) return undefined;
  const message = voteMessage({ ...c, ledgerId });
  return indices.map((index, i) => ({
    key: set.members[index]!.key,
    message,
    signature: c.signatures[i]!,
  }));
}

/** Undefined when the bytes are no certificate. */
export function tryDecodeCertificate(bytes: Bytes): Certificate | undefined {
  try {
    return decodeCertificate(bytes);
  } catch {
    return undefined;
  }
}

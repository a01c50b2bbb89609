/**
 * Light verification of a block that CometBFT ordered: its signed header of the same height names,
 * by `data_hash`, a list of transactions whose first one is our header (spec/blocks.md). Nothing but
 * our own validator set is trusted: CometBFT's is computed from it.
 */
import type { Block } from "../../block/block.ts";
import { encodeHeader } from "../../block/header.ts";
import type { ValidatorSet } from "../../block/validator-set.ts";
import { equalBytes } from "../../encoding/bytes.ts";
import { toHanseError } from "../../errors/hanse-error.ts";
import type { Hash } from "../../hash/domain.ts";
import type { PublicKey } from "../../keys/algorithms.ts";
import { verifySignature } from "../../keys/signatures.ts";
import { merklePath, rootOfMerklePath } from "../../merkle/transaction-tree.ts";
import type { CometProof } from "../finality-proof.ts";
import {
  COMET_FLAGS,
  COMMIT_SIGNATURE,
  type CometCommit,
  type CometHeader,
  type CometMember,
  cometChainId,
  cometDataLeaves,
  cometMembers,
  cometValidatorsHash,
  hashCometHeader,
  precommitMessage,
  SIGNED_HEADER,
} from "./signed-header.ts";

/** Bytes of a signed header that are read at all: 1024 signatures take about 115 000. */
export const SIGNED_HEADER_BYTES_MAX = 256 * 1024;

export type CometVerdict =
  | {
      readonly ok: true;
      /** Vote weight of those whose signature holds. */
      readonly weight: number;
      /** Their places in the set, ascending. */
      readonly signers: readonly number[];
    }
  | { readonly ok: false; readonly reason: string };

type Verify = (key: PublicKey, message: Uint8Array, signature: Uint8Array) => boolean;

const ABSENT = COMMIT_SIGNATURE.create({ flag: COMET_FLAGS.absent });
const ABSENT_BYTES = COMMIT_SIGNATURE.encode(ABSENT);

function refuse(reason: string): CometVerdict {
  return { ok: false, reason };
}

/**
 * Who of `set`, which is in force at the header's height, signed it through CometBFT. The caller
 * compares the weight with the quorum. Every signature in the proof must hold and those missing have
 * one form, so that no byte of it is without meaning; `createCometProof` sees to that.
 * @throws HanseError `KEYS_NOT_READY` alone.
 */
export function verifyCometProof(
  proof: CometProof,
  trust: { readonly ledgerId: Hash; readonly set: ValidatorSet },
  verify: Verify = verifySignature,
): CometVerdict {
  const { header, path } = proof;
  if (proof.signedHeader.length > SIGNED_HEADER_BYTES_MAX) return refuse("the proof is too large");
  let decoded: ReturnType<typeof SIGNED_HEADER.decode>;
  try {
    decoded = SIGNED_HEADER.decode(proof.signedHeader);
  } catch (thrown) {
    return refuse(toHanseError(thrown).message);
  }
  if (!equalBytes(SIGNED_HEADER.encode(decoded), proof.signedHeader)) {
    return refuse("the signed header is not in its one form");
  }
  const { header: comet, commit } = decoded;
  if (comet === undefined || commit === undefined) return refuse("the signed header is incomplete");
  const chainId = cometChainId(trust.ledgerId, header.engineEpoch);
  if (comet.chainId !== chainId) return refuse("the signed header is of another chain");
  if (comet.height !== header.height || commit.height !== header.height) {
    return refuse(`the signed header is of height ${comet.height}, not ${header.height}`);
  }
  const members = cometMembers(trust.set);
  if (!equalBytes(comet.validatorsHash, cometValidatorsHash(members))) {
    return refuse("another set signed it");
  }
  const at = { index: 0, size: header.txCount + 1 };
  const root = rootOfMerklePath(cometDataLeaves([encodeHeader(header)])[0]!, at, path);
  if (root === undefined || !equalBytes(root, comet.dataHash)) {
    return refuse("the signed header does not name this block");
  }
  if (!equalBytes(commit.blockId.hash, hashCometHeader(comet))) {
    return refuse("the signatures are over another header");
  }
  if (commit.signatures.length !== members.length) {
    return refuse(`${commit.signatures.length} signatures for ${members.length} members`);
  }
  let weight = 0;
  const signers: number[] = [];
  for (const [i, member] of members.entries()) {
    const given = commit.signatures[i]!;
    if (given.flag === COMET_FLAGS.absent) {
      if (equalBytes(COMMIT_SIGNATURE.encode(given), ABSENT_BYTES)) continue;
      return refuse(`what stands for the missing signature of ${member.id} is not empty`);
    }
    if (!holds(given, member, commit, chainId, verify)) {
      return refuse(`the signature of ${member.id} does not hold`);
    }
    weight += member.vote;
    signers.push(member.place);
  }
  return { ok: true, weight, signers: signers.sort((a, b) => a - b) };
}

function holds(
  { flag, validatorAddress, timestamp, signature }: CometCommit["signatures"][number],
  member: CometMember,
  commit: CometCommit,
  chainId: string,
  verify: Verify,
): boolean {
  if (flag !== COMET_FLAGS.commit || !equalBytes(validatorAddress, member.address)) return false;
  return verify(member.key, precommitMessage(commit, timestamp, chainId), signature);
}

/**
 * The proof of a block from what CometBFT recorded. Signatures that do not hold are left out:
 * CometBFT accepts encodings of Ed25519 that we refuse, and no member may spoil the others' proof.
 * @throws HanseError `KEYS_NOT_READY` alone.
 */
export function createCometProof(
  block: Pick<Block, "header" | "transactions">,
  signed: { readonly header: CometHeader; readonly commit: CometCommit },
  set: ValidatorSet,
  verify: Verify = verifySignature,
): CometProof {
  const { header, transactions } = block;
  const { commit } = signed;
  const members = cometMembers(set);
  const signatures = commit.signatures.map((given, i) => {
    const member = members[i];
    return member !== undefined && holds(given, member, commit, signed.header.chainId, verify)
      ? given
      : ABSENT;
  });
  return {
    kind: "comet",
    header,
    signedHeader: SIGNED_HEADER.encode({
      header: signed.header,
      commit: { ...commit, signatures },
    }),
    path: merklePath(cometDataLeaves([encodeHeader(header), ...transactions]), 0),
  };
}

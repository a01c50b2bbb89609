/**
 * What CometBFT 0.38 to 0.40 hash and sign, as their specification of encodings and data structures
 * describes it (spec/core of cometbft/cometbft): our own transcription of the field numbers of
 * `tendermint.types` and `tendermint.crypto`.
 */
import type { ValidatorInfo, ValidatorSet } from "../../block/validator-set.ts";
import { type Bytes, compareBytes, concatBytes, toHex } from "../../encoding/bytes.ts";
import { HanseError } from "../../errors/hanse-error.ts";
import { type Hash, sha256 } from "../../hash/domain.ts";
import { hashLeaf, merkleRoot } from "../../merkle/transaction-tree.ts";
import {
  bytes,
  int32,
  int64,
  type MessageOf,
  message,
  optional,
  repeated,
  sfixed64,
  single,
  text,
  uint32,
  uint64,
} from "./message-codec.ts";

export const TIMESTAMP = message({ seconds: single(1, int64), nanos: single(2, int32) });

export const PUBLIC_KEY = message({ ed25519: optional(1, bytes) });

const PART_SET_HEADER = message({ total: single(1, uint32), hash: single(2, bytes) });

export const BLOCK_ID = message({
  hash: single(1, bytes),
  partSetHeader: single(2, PART_SET_HEADER),
});

const VERSION = message({ block: single(1, uint64), app: single(2, uint64) });

export const HEADER = message({
  version: single(1, VERSION),
  chainId: single(2, text),
  height: single(3, int64),
  time: single(4, TIMESTAMP),
  lastBlockId: single(5, BLOCK_ID),
  lastCommitHash: single(6, bytes),
  dataHash: single(7, bytes),
  validatorsHash: single(8, bytes),
  nextValidatorsHash: single(9, bytes),
  consensusHash: single(10, bytes),
  appHash: single(11, bytes),
  lastResultsHash: single(12, bytes),
  evidenceHash: single(13, bytes),
  proposerAddress: single(14, bytes),
});

/** `BlockIDFlag`: absent, for the block, for nil. */
export const COMET_FLAGS = { absent: 1, commit: 2, nil: 3 } as const;

export const COMMIT_SIGNATURE = message({
  flag: single(1, int32),
  validatorAddress: single(2, bytes),
  timestamp: single(3, TIMESTAMP),
  signature: single(4, bytes),
});

export const COMMIT = message({
  height: single(1, int64),
  round: single(2, int32),
  blockId: single(3, BLOCK_ID),
  signatures: repeated(4, COMMIT_SIGNATURE),
});

export const SIGNED_HEADER = message({
  header: optional(1, HEADER),
  commit: optional(2, COMMIT),
});

export type CometHeader = MessageOf<typeof HEADER>;
export type CometCommit = MessageOf<typeof COMMIT>;
export type CometTime = MessageOf<typeof TIMESTAMP>;

const SIMPLE_VALIDATOR = message({
  publicKey: optional(1, PUBLIC_KEY),
  power: single(2, int64),
});

const CANONICAL_VOTE = message({
  type: single(1, int32),
  height: single(2, sfixed64),
  round: single(3, sfixed64),
  blockId: optional(4, BLOCK_ID),
  timestamp: single(5, TIMESTAMP),
  chainId: single(6, text),
});

const PRECOMMIT = 2;

const TEXT_VALUE = message({ value: single(1, text) });
const INT_VALUE = message({ value: single(1, int64) });
const BYTES_VALUE = message({ value: single(1, bytes) });

/** SHA-256 tree over the encodings of the fields, in the order of their numbers. */
export function hashCometHeader(header: CometHeader): Hash {
  const hashOf = (value: Bytes) => BYTES_VALUE.encode({ value });
  return merkleRoot(
    [
      VERSION.encode(header.version),
      TEXT_VALUE.encode({ value: header.chainId }),
      INT_VALUE.encode({ value: header.height }),
      TIMESTAMP.encode(header.time),
      BLOCK_ID.encode(header.lastBlockId),
      hashOf(header.lastCommitHash),
      hashOf(header.dataHash),
      hashOf(header.validatorsHash),
      hashOf(header.nextValidatorsHash),
      hashOf(header.consensusHash),
      hashOf(header.appHash),
      hashOf(header.lastResultsHash),
      hashOf(header.evidenceHash),
      hashOf(header.proposerAddress),
    ].map(hashLeaf),
  );
}

/** Twenty bytes that stand for a key. */
export function cometAddress(key: Bytes): Bytes {
  return sha256(key).subarray(0, 20);
}

export interface CometMember extends ValidatorInfo {
  readonly address: Bytes;
  /** Place in our set, which is sorted by id. */
  readonly place: number;
}

/** Our set in CometBFT's order: heavier first, then by address. The vote weight is the power. */
export function cometMembers(set: Pick<ValidatorSet, "members">): CometMember[] {
  return set.members
    .map((member, place) => ({ ...member, place, address: cometAddress(member.key.bytes) }))
    .sort((a, b) => b.vote - a.vote || compareBytes(a.address, b.address));
}

/** The hash by which CometBFT's headers name a set. */
export function cometValidatorsHash(members: readonly CometMember[]): Hash {
  return merkleRoot(
    members.map(({ key, vote }) =>
      hashLeaf(SIMPLE_VALIDATOR.encode({ publicKey: { ed25519: key.bytes }, power: vote })),
    ),
  );
}

/**
 * The chain id of a ledger under CometBFT: what binds its votes to the ledger and to one engine
 * epoch. CometBFT allows 50 bytes.
 * @throws HanseError `COMET_EPOCH` above 999 999 999.
 */
export function cometChainId(ledgerId: Hash, engineEpoch: number): string {
  if (!Number.isSafeInteger(engineEpoch) || engineEpoch < 0 || engineEpoch > 999_999_999) {
    throw new HanseError("COMET_EPOCH", "rejected", "engineEpoch: 0 to 999999999 for CometBFT");
  }
  return `${toHex(ledgerId.subarray(0, 20))}.${engineEpoch}`;
}

/**
 * CometBFT's `app_hash` after a block: over the state root after, and the header hash of, the last
 * block that holds transactions. It stays the same over empty ones, so that CometBFT, which makes a
 * block of its own whenever it changes, falls silent on an idle ledger.
 */
export function cometAppHash(stateRoot: Hash, blockHash: Hash): Hash {
  return sha256(concatBytes(stateRoot, blockHash));
}

/** What a validator signs who is for the commit's block: length, then the canonical vote. */
export function precommitMessage(
  commit: CometCommit,
  timestamp: CometTime,
  chainId: string,
): Bytes {
  const { height, round, blockId } = commit;
  const vote = CANONICAL_VOTE.encode({
    type: PRECOMMIT,
    height,
    round,
    blockId,
    timestamp,
    chainId,
  });
  return concatBytes(INT_VALUE.encode({ value: vote.length }).subarray(1), vote);
}

/** Leaves of the tree whose root is a CometBFT header's `dataHash`: hashes of transactions. */
export function cometDataLeaves(transactions: readonly Bytes[]): Hash[] {
  return transactions.map((transaction) => hashLeaf(sha256(transaction)));
}

/**
 * ABCI 2.0 (`tendermint.abci` of CometBFT 0.38 to 0.40): our own transcription of the field numbers
 * in the published protocol definition. Fields that we neither read nor set are left out.
 */
import { type Bytes, cometWire, PUBLIC_KEY, TIMESTAMP } from "@hanse/protocol";

const { bytes, int32, int64, message, optional, repeated, single, text, uint32, uint64 } =
  cometWire;

export type MessageOf<K> = cometWire.MessageOf<K>;

export const VALIDATOR_UPDATE = message({
  publicKey: single(1, PUBLIC_KEY),
  power: single(2, int64),
});

const VALIDATOR = message({ address: single(1, bytes), power: single(3, int64) });

/** Both forms of a vote in a commit: `CommitInfo` has its flag at 3, `ExtendedCommitInfo` at 5. */
const VOTE_INFO = message({ validator: single(1, VALIDATOR), flag: single(3, int32) });
const EXTENDED_VOTE_INFO = message({ validator: single(1, VALIDATOR), flag: single(5, int32) });

const COMMIT_INFO = message({ round: single(1, int32), votes: repeated(2, VOTE_INFO) });
const EXTENDED_COMMIT_INFO = message({
  round: single(1, int32),
  votes: repeated(2, EXTENDED_VOTE_INFO),
});

export type CommitInfo = MessageOf<typeof COMMIT_INFO>;

/** `type`: 1 two votes in one round, 2 an attack on light clients. */
const MISBEHAVIOR = message({
  type: single(1, int32),
  validator: single(2, VALIDATOR),
  height: single(3, int64),
  time: single(4, TIMESTAMP),
});

export type Misbehavior = MessageOf<typeof MISBEHAVIOR>;

const SNAPSHOT = message({
  height: single(1, uint64),
  format: single(2, uint32),
  chunks: single(3, uint32),
  hash: single(4, bytes),
  metadata: single(5, bytes),
});

const ECHO = message({ message: single(1, text) });
const NOTHING = message({});

const INFO_REQUEST = message({
  version: single(1, text),
  blockVersion: single(2, uint64),
  p2pVersion: single(3, uint64),
  abciVersion: single(4, text),
});

const INIT_CHAIN_REQUEST = message({
  time: single(1, TIMESTAMP),
  chainId: single(2, text),
  validators: repeated(4, VALIDATOR_UPDATE),
  initialHeight: single(6, int64),
});

const QUERY_REQUEST = message({ data: single(1, bytes), path: single(2, text) });

/** `type`: 0 new, 1 asked again after a block. */
const CHECK_TX_REQUEST = message({ tx: single(1, bytes), type: single(2, int32) });

const PREPARE_REQUEST = message({
  maxTxBytes: single(1, int64),
  txs: repeated(2, bytes),
  localLastCommit: single(3, EXTENDED_COMMIT_INFO),
  misbehavior: repeated(4, MISBEHAVIOR),
  height: single(5, int64),
  time: single(6, TIMESTAMP),
  nextValidatorsHash: single(7, bytes),
  proposerAddress: single(8, bytes),
});

/** `ProcessProposal` and `FinalizeBlock` have one form; the commit is the one inside the block. */
const BLOCK_REQUEST = message({
  txs: repeated(1, bytes),
  lastCommit: single(2, COMMIT_INFO),
  misbehavior: repeated(3, MISBEHAVIOR),
  hash: single(4, bytes),
  height: single(5, int64),
  time: single(6, TIMESTAMP),
  nextValidatorsHash: single(7, bytes),
  proposerAddress: single(8, bytes),
});

export type PrepareRequest = MessageOf<typeof PREPARE_REQUEST>;
export type BlockRequest = MessageOf<typeof BLOCK_REQUEST>;

const OFFER_REQUEST = message({ snapshot: optional(1, SNAPSHOT), appHash: single(2, bytes) });
const LOAD_CHUNK_REQUEST = message({
  height: single(1, uint64),
  format: single(2, uint32),
  chunk: single(3, uint32),
});
const APPLY_CHUNK_REQUEST = message({
  index: single(1, uint32),
  chunk: single(2, bytes),
  sender: single(3, text),
});
const VERIFY_EXTENSION_REQUEST = message({
  hash: single(1, bytes),
  validatorAddress: single(2, bytes),
  height: single(3, int64),
  extension: single(4, bytes),
});

/** One of these is set. */
export const REQUEST = message({
  echo: optional(1, ECHO),
  flush: optional(2, NOTHING),
  info: optional(3, INFO_REQUEST),
  initChain: optional(5, INIT_CHAIN_REQUEST),
  query: optional(6, QUERY_REQUEST),
  checkTx: optional(8, CHECK_TX_REQUEST),
  commit: optional(11, NOTHING),
  listSnapshots: optional(12, NOTHING),
  offerSnapshot: optional(13, OFFER_REQUEST),
  loadSnapshotChunk: optional(14, LOAD_CHUNK_REQUEST),
  applySnapshotChunk: optional(15, APPLY_CHUNK_REQUEST),
  prepareProposal: optional(16, PREPARE_REQUEST),
  processProposal: optional(17, BLOCK_REQUEST),
  extendVote: optional(18, NOTHING),
  verifyVoteExtension: optional(19, VERIFY_EXTENSION_REQUEST),
  finalizeBlock: optional(20, BLOCK_REQUEST),
});

export type AbciRequest = MessageOf<typeof REQUEST>;

const INFO_RESPONSE = message({
  data: single(1, text),
  version: single(2, text),
  appVersion: single(3, uint64),
  lastBlockHeight: single(4, int64),
  lastBlockAppHash: single(5, bytes),
});

const INIT_CHAIN_RESPONSE = message({
  validators: repeated(2, VALIDATOR_UPDATE),
  appHash: single(3, bytes),
});

const QUERY_RESPONSE = message({
  code: single(1, uint32),
  log: single(3, text),
  value: single(7, bytes),
  height: single(9, int64),
});

const CHECK_TX_RESPONSE = message({
  code: single(1, uint32),
  log: single(3, text),
  codespace: single(8, text),
});

const COMMIT_RESPONSE = message({ retainHeight: single(3, int64) });

const RESULT_RESPONSE = message({ result: single(1, int32) });

const EXEC_TX_RESULT = message({ code: single(1, uint32) });

const FINALIZE_RESPONSE = message({
  txResults: repeated(2, EXEC_TX_RESULT),
  validatorUpdates: repeated(3, VALIDATOR_UPDATE),
  appHash: single(5, bytes),
});

/** One of these is set; `exception` ends the connection on CometBFT's side. */
export const RESPONSE = message({
  exception: optional(1, message({ error: single(1, text) })),
  echo: optional(2, ECHO),
  flush: optional(3, NOTHING),
  info: optional(4, INFO_RESPONSE),
  initChain: optional(6, INIT_CHAIN_RESPONSE),
  query: optional(7, QUERY_RESPONSE),
  checkTx: optional(9, CHECK_TX_RESPONSE),
  commit: optional(12, COMMIT_RESPONSE),
  listSnapshots: optional(13, message({ snapshots: repeated(1, SNAPSHOT) })),
  offerSnapshot: optional(14, RESULT_RESPONSE),
  loadSnapshotChunk: optional(15, message({ chunk: single(1, bytes) })),
  applySnapshotChunk: optional(16, RESULT_RESPONSE),
  prepareProposal: optional(17, message({ txs: repeated(1, bytes) })),
  processProposal: optional(18, RESULT_RESPONSE),
  extendVote: optional(19, message({ extension: single(1, bytes) })),
  verifyVoteExtension: optional(20, RESULT_RESPONSE),
  finalizeBlock: optional(21, FINALIZE_RESPONSE),
});

export type AbciResponse = Partial<MessageOf<typeof RESPONSE>>;

export const CHECK_NEW = 0;
export const CHECK_AGAIN = 1;

/** `ProposalStatus` and `VerifyStatus`. */
export const PROPOSAL = { accept: 1, reject: 2 } as const;

/** `ResponseOfferSnapshot.Result` and `ResponseApplySnapshotChunk.Result`: the whole sync ends. */
export const SNAPSHOT_ABORT = 2;

export type { Bytes };

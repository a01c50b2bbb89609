import type { Block, Hash, LedgerParams } from "@hanse/protocol";

/** The newest executed block, and what its successor has to say about it. */
export interface ChainTip {
  readonly height: number;
  /** Hash of its header; the ledger id at height 0. */
  readonly hash: Hash;
  /** Milliseconds since 1970; the genesis time at height 0. */
  readonly time: number;
  readonly stateRoot: Hash;
  readonly resultsRoot: Hash;
  /** In force for the next block. */
  readonly params: LedgerParams;
  readonly paramsHash: Hash;
  /** Of the block itself, what rules may ask for in its successor; undefined at height 0. */
  readonly block: Pick<Block, "header" | "lastCert"> | undefined;
}

/** What the adapter needs from outside, and its bounds. */
import type { BlockSource, Clock, EngineEvent, Height, LedgerApp } from "@hanse/ordering";
import type { Bytes, Hash, ValidatorId, ValidatorSet } from "@hanse/protocol";
import type { AbciAddress } from "../abci/server.ts";
import type { CometRpc } from "../rpc/comet-rpc.ts";

export interface CometEngineOptions {
  readonly self: ValidatorId;
  readonly ledgerId: Hash;
  readonly engineEpoch?: number;
  /** First height that CometBFT orders: 1, or the one above a switch. */
  readonly initialHeight?: Height;
  /** The set in force at a height, up to two above the last durable one. */
  readonly setAt: (height: Height) => ValidatorSet;
  /** Milliseconds since 1970; block 1 is later. */
  readonly genesisTime: number;
  readonly app: LedgerApp;
  /** Durable blocks, for our own start. */
  readonly blocks: BlockSource;
  readonly clock: Clock;
  /** Least pause between blocks at the open height, milliseconds: a parameter of the ledger. */
  readonly blockIntervalMsMin: () => number;
  readonly blockBytesMax: number;
  /** Where CometBFT finds us. */
  readonly address: AbciAddress;
  readonly rpc: CometRpc;
  /** CometBFT's own process; absent when somebody else starts it. */
  readonly process?: CometControl;
  /** Work waiting for so long without a final block counts as stalled. */
  readonly stalledAfterMs?: number;
  readonly report?: (event: EngineEvent) => void;
}

/** Starts and stops CometBFT beside the node. */
export interface CometControl {
  /** `proxyUrl` is where the application listens. Returns at once; keeps CometBFT running. */
  start(proxyUrl: string): void;
  stop(): Promise<void>;
  /** Why it does not run, when it does not. */
  readonly failure: string | undefined;
}

export const STALLED_AFTER_MS = 15_000;

/** What a block takes in CometBFT's beyond our own bound: lengths, our header, votes, evidence. */
export const BLOCK_OVERHEAD_BYTES = 2 * 1024 * 1024;

/** CometBFT's largest block. */
export const COMET_BLOCK_BYTES_MAX = 100 * 1024 * 1024;

/** `block.max_bytes` of CometBFT's genesis for a ledger. */
export function cometBlockBytesMax(blockBytesMax: number): number {
  return Math.min(COMET_BLOCK_BYTES_MAX, blockBytesMax + BLOCK_OVERHEAD_BYTES);
}

/** Largest ABCI message that is read: a block, and lengths of many small transactions. */
export function frameBytesMax(blockBytesMax: number): number {
  return cometBlockBytesMax(blockBytesMax) + BLOCK_OVERHEAD_BYTES;
}

export type { Bytes };

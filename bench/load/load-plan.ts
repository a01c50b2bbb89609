/** What the load process is told to do, and what it tells afterwards. */
import type { LatencyFigures } from "../measure/percentiles.ts";

export interface LoadPlan {
  /** Base URLs of the nodes; requests go round them. */
  readonly urls: readonly string[];
  /** Hex. */
  readonly ledgerId: string;
  /** Key files of the senders. */
  readonly senderFiles: readonly string[];
  /** Contract that moves money: `Transfer` or one with the same fields. */
  readonly contract: string;
  /** Row of each sender's account, in the order of the files. */
  readonly accountIds: readonly string[];
  /** Rows that money is sent to: 1 to this one. */
  readonly accountIdMax: number;
  /** Set when a sender owns many accounts: from its first, every so many ids one more. */
  readonly accountStride?: number;
  readonly mode: "batch" | "single";
  /** Transactions offered per second, whatever the nodes answer. */
  readonly ratePerSecond: number;
  readonly durationMs: number;
  /** Batch mode: pause between batches. */
  readonly batchEveryMs: number;
  /** Open connections per node. */
  readonly connections: number;
  /** Longest wait for the last transactions after the offering ended. */
  readonly drainMs: number;
}

export interface LoadReport {
  readonly offered: number;
  readonly accepted: number;
  /** Problem code to count. */
  readonly refused: Readonly<Record<string, number>>;
  readonly final: number;
  /** Outcome code other than ok to count. */
  readonly failed: Readonly<Record<string, number>>;
  /** Transactions seen final more than once: must be 0. */
  readonly doubled: number;
  /** Finals over the time from the first planned sending to the last final. */
  readonly finalPerSecond: number;
  /** From the planned moment of sending to the arrival of the block's event. */
  readonly latency: LatencyFigures;
  /** From the planned moment of sending to the answer. */
  readonly answer: LatencyFigures;
  /** Largest delay of a sending behind its plan: above a few ms the load process was the limit. */
  readonly lateMsMax: number;
  readonly signMs: number;
  readonly elapsedMs: number;
}

/** Whether a node can take transactions, and if not, why, in words for an operator. */
import type { Unavailable } from "@hanse/ledger";
import type { OrderingStatus } from "@hanse/ordering";
import { HanseError, quorumWeight, type ValidatorSet } from "@hanse/protocol";

export interface ReadinessSources {
  readonly self: string;
  /** In force for the next block. */
  readonly validators: () => ValidatorSet;
  readonly ordering: () => OrderingStatus;
  readonly connected: () => readonly string[];
  /** Set when something failed for good. */
  readonly failed: () => string | undefined;
  /** Set when the journal cannot be written: clients are refused, everything else goes on. */
  readonly journalFailed: () => string | undefined;
  readonly stopping: () => boolean;
  readonly now: () => number;
  readonly startedAt: number;
}

/** For so long after a start missing peers are expected to come. */
const STARTING_MS = 10_000;
/** A node that executes a few heights after the fastest is not syncing, it is busy. */
const LAG_HEIGHTS = 10;

function notReady(code: string, message: string, retryAfterSeconds: number): HanseError {
  return new HanseError(code, "unavailable", message, { details: { retryAfterSeconds } });
}

/** Votes that can be reached from here, this node's own included. */
function reachable(sources: ReadinessSources, set: ValidatorSet): number {
  const there = new Set([sources.self, ...sources.connected()]);
  let weight = 0;
  for (const member of set.members) if (there.has(member.id)) weight += member.vote;
  return weight;
}

/** Catching up from so far behind that what it knows is of no use to a client. */
function isFarBehind({ syncing, height, peers }: OrderingStatus): boolean {
  if (!syncing) return false;
  let highest = 0;
  for (const peer of peers) highest = Math.max(highest, peer.height);
  return highest - height > LAG_HEIGHTS;
}

export function createReadiness(sources: ReadinessSources): {
  notReady(): HanseError | undefined;
  /** The same for the ledger's admission. */
  unavailable(): Unavailable | undefined;
} {
  return {
    notReady() {
      const failed = sources.failed();
      if (sources.stopping()) return notReady("NODE_STOPPING", "the node is stopping", 5);
      if (failed !== undefined) {
        return notReady("NODE_HALTED", `the node has stopped voting: ${failed}`, 60);
      }
      const status = sources.ordering();
      if (status.quarantined !== undefined) {
        return notReady("NODE_QUARANTINED", `the node does not vote: ${status.quarantined}`, 10);
      }
      const set = sources.validators();
      const needed = quorumWeight(set);
      const weight = reachable(sources, set);
      if (weight < needed) {
        const what = `validators with ${weight} votes are connected, ${needed} are needed`;
        return sources.now() - sources.startedAt < STARTING_MS
          ? notReady("NODE_STARTING", `the node has just started: ${what}`, 1)
          : notReady("NODE_STALLED", `the ledger makes no progress: ${what}`, 5);
      }
      if (isFarBehind(status)) {
        return notReady("NODE_SYNCING", `the node catches up from height ${status.height}`, 2);
      }
      if (status.stalledSince !== undefined) {
        const seconds = Math.round((sources.now() - status.stalledSince) / 1000);
        return notReady("NODE_STALLED", `no block became final for ${seconds} s`, 5);
      }
      const journal = sources.journalFailed();
      if (journal !== undefined) {
        const message = `the node takes no transactions and votes on: ${journal}`;
        return notReady("NODE_JOURNAL_FAILED", message, 60);
      }
      return undefined;
    },
    unavailable() {
      const failed = sources.failed();
      if (failed !== undefined) return { state: "halted", reason: failed };
      const journal = sources.journalFailed();
      if (journal !== undefined) return { state: "journalFailed", reason: journal };
      const status = sources.ordering();
      if (isFarBehind(status)) return { state: "syncing", retryAfterSeconds: 2 };
      if (status.stalledSince !== undefined) return { state: "stalled", retryAfterSeconds: 5 };
      return undefined;
    },
  };
}

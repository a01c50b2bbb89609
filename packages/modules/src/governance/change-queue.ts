/**
 * Approved changes of the validator set on their way into force. No block may move more than a
 * third of the weight (unless it changes a single member), so that a large change goes on over as
 * many blocks as it takes.
 */
import { applyUpdates, type Height, type ValidatorUpdate } from "@hanse/ordering";
import {
  asArray,
  asText,
  asUint,
  decodeCbor,
  encodeCbor,
  HanseError,
  publicKeyFromCbor,
  publicKeyToCbor,
  utf8,
  type ValidatorSet,
} from "@hanse/protocol";
import type { KvEntry, StateOverlay, StateView } from "@hanse/state";
import { GOVERNANCE_KV } from "./tables.ts";

/** Changes of single members that may be on their way at once. */
export const QUEUE_MAX = 256;
const QUEUE_KEY = utf8("queue");

export interface QueuedChange {
  readonly update: ValidatorUpdate;
  /** Not before this block. */
  readonly at: Height;
  /** The proposal that it follows from; 0 = proven evidence. */
  readonly proposal: number;
}

const queues = new WeakMap<KvEntry, readonly QueuedChange[]>();

export function readQueue(view: StateView): readonly QueuedChange[] {
  const entry = view.getKv(GOVERNANCE_KV, QUEUE_KEY);
  if (entry === undefined) return [];
  let queue = queues.get(entry);
  if (queue === undefined) {
    queue = asArray(decodeCbor(entry.value), "queue").map((item, i) => {
      const field = `queue[${i}]`;
      const [proposal, at, id, org, key, vote, propose] = asArray(item, field, 7);
      return {
        proposal: asUint(proposal, `${field}.proposal`),
        at: asUint(at, `${field}.at`),
        update: {
          id: asText(id, `${field}.id`),
          org: asText(org, `${field}.org`),
          key: publicKeyFromCbor(key, `${field}.key`),
          vote: asUint(vote, `${field}.vote`),
          propose: asUint(propose, `${field}.propose`),
        },
      };
    });
    queues.set(entry, queue);
  }
  return queue;
}

/** @throws HanseError `GOVERNANCE_QUEUE_FULL` */
export function putQueue(overlay: StateOverlay, queue: readonly QueuedChange[]): void {
  if (queue.length > QUEUE_MAX) {
    throw new HanseError(
      "GOVERNANCE_QUEUE_FULL",
      "limit",
      `content: more than ${QUEUE_MAX} changes of validators would be on their way: wait for those decided`,
    );
  }
  const items = queue.map(({ proposal, at, update: { id, org, key, vote, propose } }) => [
    proposal,
    at,
    id,
    org,
    publicKeyToCbor(key),
    vote,
    propose,
  ]);
  overlay.putKv(GOVERNANCE_KV, QUEUE_KEY, encodeCbor(items));
}

export interface QueueStep {
  /** What one block changes. */
  readonly updates: readonly ValidatorUpdate[];
  readonly set: ValidatorSet;
  readonly rest: readonly QueuedChange[];
  /** Impossible on this set, also alone: dropped. */
  readonly impossible: readonly { readonly change: QueuedChange; readonly reason: string }[];
}

function isNothing(set: ValidatorSet, { id, key, vote, propose }: ValidatorUpdate): boolean {
  const now = set.members.find((member) => member.id === id);
  if (now === undefined) return vote === 0;
  return (
    now.vote === vote &&
    now.propose === propose &&
    now.key.algorithm === key.algorithm &&
    now.key.bytes.every((byte, i) => byte === key.bytes[i])
  );
}

/** Why a set cannot be changed so; undefined = it can. */
function fault(set: ValidatorSet, updates: readonly ValidatorUpdate[]): string | undefined {
  try {
    applyUpdates(set, updates);
    return undefined;
  } catch (error) {
    if (error instanceof HanseError && error.kind === "rejected") return error.message;
    throw error;
  }
}

/** As much of the queue as the block at this height may put into force, in order. */
export function takeFromQueue(
  queue: readonly QueuedChange[],
  set: ValidatorSet,
  height: Height,
): QueueStep {
  const updates: ValidatorUpdate[] = [];
  const rest: QueuedChange[] = [];
  const impossible: QueueStep["impossible"][number][] = [];
  for (const change of queue) {
    const { update, at } = change;
    // What waits keeps its place before whatever else concerns the same member.
    const waits = at > height || rest.some((other) => other.update.id === update.id);
    if (waits || updates.some((other) => other.id === update.id)) {
      rest.push(change);
    } else if (!isNothing(set, update)) {
      if (fault(set, [...updates, update]) === undefined) updates.push(update);
      else if (updates.length > 0) rest.push(change);
      else {
        const reason = fault(set, [update]);
        if (reason !== undefined) impossible.push({ change, reason });
      }
    }
  }
  return { updates, set: applyUpdates(set, updates), rest, impossible };
}

/**
 * Goes through a queue to its end, as later blocks will.
 * @throws HanseError `GOVERNANCE_SET_IMPOSSIBLE` when a step has no valid or no resilient set.
 */
export function rehearseQueue(queue: readonly QueuedChange[], set: ValidatorSet): ValidatorSet {
  let now = set;
  let left = queue;
  // Each step takes at least one, so that the queue's bound is the loop's.
  while (left.length > 0) {
    const step = takeFromQueue(left, now, Number.MAX_SAFE_INTEGER);
    const [bad] = step.impossible;
    if (bad !== undefined) {
      throw new HanseError(
        "GOVERNANCE_SET_IMPOSSIBLE",
        "rejected",
        `content: ${bad.change.update.id} cannot change so: ${bad.reason}`,
        { details: { validator: bad.change.update.id } },
      );
    }
    now = step.set;
    left = step.rest;
  }
  return now;
}

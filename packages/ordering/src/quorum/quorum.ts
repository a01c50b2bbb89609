/** Quorum arithmetic, the resilience rule for weights, and validator updates (spec/ordering.md). */
import {
  compareText,
  createValidatorSet,
  HanseError,
  quorumWeight,
  totalWeight,
  type ValidatorInfo,
  type ValidatorSet,
} from "@hanse/protocol";
import type { ValidatorUpdate } from "../engine/interfaces.ts";

/** Weight that may fail (crash rule) or lie (byzantine rule) without harm: W - Q. */
export function faultyWeightMax(set: Pick<ValidatorSet, "members" | "quorum">): number {
  return totalWeight(set) - quorumWeight(set);
}

/** Whether the floor((n-1)/3) heaviest members together stay below a third of the weight. */
export function isResilient(members: readonly Pick<ValidatorInfo, "vote">[]): boolean {
  const weights = members.map((member) => member.vote).sort((a, b) => b - a);
  const heaviest = Math.floor((weights.length - 1) / 3);
  let sum = 0;
  for (let i = 0; i < heaviest; i++) sum += weights[i]!;
  let total = 0;
  for (const weight of weights) total += weight;
  return 3 * sum < total;
}

/**
 * Lowers the heaviest weights one by one, ties by id, until the set tolerates as many failures as
 * its number of members promises. Ends because equal weights always satisfy the rule.
 */
export function makeResilient(members: readonly ValidatorInfo[]): ValidatorInfo[] {
  const repaired = members.map((member) => ({ ...member }));
  repaired.sort((a, b) => compareText(a.id, b.id));
  while (!isResilient(repaired)) {
    let heaviest = repaired[0]!;
    for (const member of repaired) if (member.vote > heaviest.vote) heaviest = member;
    // Jumping down to the next lower weight would skip sets that already satisfy the rule.
    repaired[repaired.indexOf(heaviest)] = { ...heaviest, vote: heaviest.vote - 1 };
  }
  return repaired;
}

/**
 * The set two heights later. Every engine calls it with what execution returned, so a breach is
 * the application's bug and stops the node instead of splitting the ledger.
 * @throws HanseError `VALIDATOR_UPDATE_INVALID` when an update removes a stranger, stands twice,
 * changes more than a third of the weight, or leaves no valid or no resilient set.
 */
export function applyUpdates(set: ValidatorSet, updates: readonly ValidatorUpdate[]): ValidatorSet {
  if (updates.length === 0) return set;
  const members = new Map(set.members.map((member) => [member.id, member]));
  const seen = new Set<string>();
  let changed = 0;
  for (const update of updates) {
    if (seen.has(update.id)) invalid(`${update.id} stands twice in one block's updates`);
    seen.add(update.id);
    const old = members.get(update.id);
    if (update.vote === 0) {
      if (old === undefined) invalid(`${update.id} is no validator and cannot leave`);
      members.delete(update.id);
    } else {
      members.set(update.id, {
        id: update.id,
        org: update.org,
        key: update.key,
        vote: update.vote,
        propose: update.propose,
      });
    }
    changed += Math.abs(update.vote - (old?.vote ?? 0));
  }
  // A set of one or two could otherwise never grow: one member more is always a third or more.
  if (3 * changed > totalWeight(set) && seen.size > 1) {
    invalid("more than a third of the weight in one block; split the change over several");
  }
  const next = createValidatorSet([...members.values()], set.quorum);
  if (!isResilient(next.members)) {
    invalid("the heaviest members would reach a third of the weight; level the weights");
  }
  return next;
}

function invalid(message: string): never {
  throw new HanseError("VALIDATOR_UPDATE_INVALID", "rejected", `validator updates: ${message}`);
}

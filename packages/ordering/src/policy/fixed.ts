/** Validator policy `fixed`: members change by governance only; leaders by weighted round robin. */
import type { ValidatorId, ValidatorSet } from "@hanse/protocol";
import type { ValidatorPolicy } from "../engine/interfaces.ts";

/** Longest rota built; heavier weights are scaled down to it, each proposer keeping one turn. */
export const ROTA_TURNS_MAX = 4096;

/** Sets whose rota is remembered: the current, the next and the one before. */
const ROTAS_REMEMBERED = 8;

/**
 * The cyclic order of turns: smooth weighted round robin (as known from nginx: everyone gains its
 * weight, the richest takes the turn and pays the total), ties by id.
 */
export function createRota(set: Pick<ValidatorSet, "members">): readonly ValidatorId[] {
  const proposers = set.members.filter((member) => member.propose > 0);
  let sum = 0;
  for (const member of proposers) sum += member.propose;
  const weights = proposers.map((member) =>
    sum <= ROTA_TURNS_MAX
      ? member.propose
      : Math.max(1, Math.floor((member.propose * ROTA_TURNS_MAX) / sum)),
  );
  let divisor = 0;
  for (const weight of weights) divisor = greatestCommonDivisor(divisor, weight);
  let total = 0;
  for (let i = 0; i < weights.length; i++) {
    weights[i] = weights[i]! / divisor;
    total += weights[i]!;
  }
  const credit = weights.map(() => 0);
  const rota: ValidatorId[] = [];
  for (let turn = 0; turn < total; turn++) {
    let best = 0;
    for (let i = 0; i < weights.length; i++) {
      credit[i]! += weights[i]!;
      if (credit[i]! > credit[best]!) best = i;
    }
    credit[best]! -= total;
    rota.push(proposers[best]!.id);
  }
  return rota;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/**
 * `fixed`: view 0 of height h belongs to turn h of the rota; later views walk the other proposers
 * in the order of their next turn, so that consecutive views, and any F+1 of them, have distinct
 * leaders.
 */
export function createFixedPolicy(): ValidatorPolicy {
  const rotas = new Map<ValidatorSet, readonly ValidatorId[]>();
  return {
    kind: "fixed",
    leader(set, height, view) {
      let rota = rotas.get(set);
      if (rota === undefined) {
        rota = createRota(set);
        if (rotas.size >= ROTAS_REMEMBERED) rotas.clear();
        rotas.set(set, rota);
      }
      const first = rota[height % rota.length]!;
      if (view === 0) return first;
      const order: ValidatorId[] = [];
      const proposers = new Set(rota).size;
      for (let i = 0; order.length < proposers; i++) {
        const id = rota[(height + i) % rota.length]!;
        if (!order.includes(id)) order.push(id);
      }
      return order[view % order.length]!;
    },
  };
}

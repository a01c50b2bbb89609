/** Standing and weights of policy `posr` as integers (spec/policies.md). Pure arithmetic. */
import { type PosrParams, PPM } from "./posr-params.ts";

/**
 * ln(1 + T/7 d) / ln(1 + 90 d/7 d) at T = 0, 1/64, … 64/64 of 90 days, in millionths. Part of the
 * protocol: no node computes a logarithm.
 */
const SCORE_KNOTS: readonly number[] = [
  0, 69638, 128479, 179426, 224349, 264522, 300856, 334019, 364522, 392759, 419044, 443630, 466723,
  488494, 509086, 528620, 547200, 564915, 581841, 598046, 613589, 628522, 642890, 656736, 670095,
  683001, 695483, 707569, 719282, 730646, 741680, 752403, 762832, 772983, 782870, 792506, 801904,
  811076, 820032, 828781, 837334, 845699, 853884, 861897, 869744, 877432, 884969, 892358, 899608,
  906721, 913704, 920561, 927296, 933915, 940420, 946816, 953106, 959294, 965383, 971375, 977275,
  983085, 988807, 994445, 1000000,
];
const KNOT_STEPS = SCORE_KNOTS.length - 1;

/** Score of a standing in thousandths of epochs, millionths; between two knots on a straight line. */
export function scoreOf(standing: number, standingEpochsMax: number): number {
  const full = 1000 * standingEpochsMax;
  const scaled = Math.min(standing, full) * KNOT_STEPS;
  const knot = Math.min(KNOT_STEPS - 1, Math.floor(scaled / full));
  const low = SCORE_KNOTS[knot]!;
  const high = SCORE_KNOTS[knot + 1]!;
  return low + Math.floor(((high - low) * (scaled - knot * full)) / full);
}

/**
 * Standing after an epoch with this availability (ppm): a good epoch adds its availability, another
 * takes the more the further it was below. `slow` takes a quarter of it and adds nothing.
 */
export function nextStanding(
  standing: number,
  availabilityPpm: number,
  params: Pick<PosrParams, "availabilityMinPpm" | "standingEpochsMax" | "decayPpm">,
  slow = false,
): number {
  const least = params.availabilityMinPpm;
  if (availabilityPpm >= least) {
    if (slow) return standing;
    return Math.min(1000 * params.standingEpochsMax, standing + Math.floor(availabilityPpm / 1000));
  }
  const rate = Math.floor((params.decayPpm * (least - availabilityPpm)) / least);
  return standing - Math.floor((standing * (slow ? Math.floor(rate / 4) : rate)) / PPM);
}

/** Propose weight of a streak of good epochs: base at 0, half of the bonus at `halfEpochs`. */
export function proposeOfStreak(
  streak: number,
  params: Pick<PosrParams, "base" | "bonus" | "halfEpochs">,
): number {
  return params.base + Math.floor((params.bonus * streak) / (streak + params.halfEpochs));
}

/** Propose weight of a score in millionths. */
export function proposeOfScore(score: number, params: Pick<PosrParams, "base" | "bonus">): number {
  return params.base + Math.floor((params.bonus * score) / PPM);
}

/** Largest share a member of a set of n may propose: the given one, or 1.25 / n if that is more. */
export function shareMaxPpm(members: number, shareMax: number): number {
  return Math.max(shareMax, Math.ceil((5 * PPM) / (4 * members)));
}

/**
 * Cuts weights above a common level until the greatest is no more than its share of the rest: the
 * highest level that does it, so that what is cut off raises everyone else's share alike. Zeros
 * stay. A level always exists, since equal weights have a share of 1/n.
 */
export function capWeights(weights: readonly number[], shareMax: number): number[] {
  const positive = weights.filter((weight) => weight > 0);
  if (positive.length === 0) return [...weights];
  const limit = shareMaxPpm(positive.length, shareMax);
  const fits = (level: number) => {
    let sum = 0;
    for (const weight of positive) sum += Math.min(weight, level);
    return level * PPM <= limit * sum;
  };
  let low = Math.min(...positive);
  let high = Math.max(...positive);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return weights.map((weight) => Math.min(weight, low));
}

/**
 * Weights moved from `current` towards `target` by at most `budget` in sum. Both ends resilient,
 * so is every point between them (the rule is a set of linear inequalities), but for rounding.
 */
export function moveWeights(
  current: readonly number[],
  target: readonly number[],
  budget: number,
): number[] {
  let gap = 0;
  for (const [i, weight] of current.entries()) gap += Math.abs(target[i]! - weight);
  if (gap <= budget) return [...target];
  return current.map((weight, i) => weight + Math.trunc(((target[i]! - weight) * budget) / gap));
}

/**
 * How well a node serves, as one number: the weighted geometric mean of what was measured of it,
 * in parts per million. A part that is 0 makes the whole 0; what was not measured is left out and
 * the other weights stand in for it. Whole numbers only, so that all who know the same facts get
 * the same value.
 */
import { fixedLog2, fixedPower } from "./fixed-logarithm.ts";

export const PPM = 1_000_000;

/** Parts per million where not said otherwise; undefined = not measured. */
export interface HealthFacts {
  /** Share of the time in which it answered. */
  readonly availability?: number | undefined;
  /** Share of those who tried that reached it. */
  readonly reach?: number | undefined;
  /** Median round trip in microseconds. */
  readonly roundTripUs?: number | undefined;
  /** Share of probes without an answer in time. */
  readonly loss?: number | undefined;
  /** Kilobits per second that a filled link carried. */
  readonly kilobitsPerSecond?: number | undefined;
  readonly connectivity?: Connectivity | undefined;
  /** Share of the longest stretch of service that counts. */
  readonly stableTime?: number | undefined;
}

/** How others get through to it. */
export type Connectivity = "public" | "mapped" | "punched" | "symmetric" | "relayed";

const CONNECTIVITY: Readonly<Record<Connectivity, number>> = {
  public: PPM,
  mapped: 900_000,
  punched: 700_000,
  symmetric: 400_000,
  relayed: 250_000,
};

/** Round trips up to here cost nothing. */
const ROUND_TRIP_FREE_US = 50_000;
/** So much more halves the part. */
const ROUND_TRIP_HALF_US = 150_000;
const MEGABIT = 1000;
/** From here on more bandwidth adds nothing: 100 Mbit/s. */
const BANDWIDTH_FULL = fixedLog2(101 * MEGABIT) - fixedLog2(MEGABIT);
const KILOBITS_MAX = 1_000_000_000;

const WEIGHTS = {
  availability: 30,
  reach: 20,
  roundTripUs: 10,
  loss: 5,
  kilobitsPerSecond: 15,
  connectivity: 10,
  stableTime: 10,
} as const;

const share = (value: number) => Math.max(0, Math.min(PPM, Math.floor(value)));

const PARTS: {
  readonly [Fact in keyof typeof WEIGHTS]: (value: NonNullable<HealthFacts[Fact]>) => number;
} = {
  availability: share,
  reach: share,
  roundTripUs: (us) =>
    Math.floor(
      (PPM * ROUND_TRIP_HALF_US) /
        (ROUND_TRIP_HALF_US + Math.max(0, Math.floor(us) - ROUND_TRIP_FREE_US)),
    ),
  loss: (loss) => PPM - share(loss),
  kilobitsPerSecond(kilobits) {
    const bounded = Math.min(KILOBITS_MAX, Math.max(0, Math.floor(kilobits)));
    const log = fixedLog2(MEGABIT + bounded) - fixedLog2(MEGABIT);
    return Math.min(PPM, Math.floor((PPM * log) / BANDWIDTH_FULL));
  },
  connectivity: (kind) => CONNECTIVITY[kind],
  stableTime: share,
};

/** What each measured fact contributes, in parts per million, before weighing. */
export function healthParts(facts: HealthFacts): ReadonlyMap<keyof HealthFacts, number> {
  const parts = new Map<keyof HealthFacts, number>();
  for (const name of Object.keys(WEIGHTS) as (keyof typeof WEIGHTS)[]) {
    const value = facts[name];
    if (value === undefined) continue;
    parts.set(name, (PARTS[name] as (value: unknown) => number)(value));
  }
  return parts;
}

/** 0 to 1 000 000; 0 also when nothing was measured. */
export function healthValue(facts: HealthFacts): number {
  let weights = 0;
  let sum = 0;
  for (const [name, part] of healthParts(facts)) {
    if (part === 0) return 0;
    weights += WEIGHTS[name];
    sum += WEIGHTS[name] * fixedLog2(part);
  }
  // A logarithm of a million comes back a few millionths short.
  return weights === 0 ? 0 : Math.min(PPM, fixedPower(Math.floor(sum / weights)));
}

/**
 * Claim `slander`: how probes are decided withstands a third of the operators lying. Three rules
 * side by side, the policy's own beside the two that it does not use.
 */
import {
  assignProbers,
  nextStanding,
  positivesNeeded,
  readPosrParams,
  SLOTS,
  scoreOf,
} from "@hanse/ordering";
import { PLOT_CONFIG } from "../plots/plot-config.ts";
import type { SeededRandom } from "../seeded-random.ts";
import { type Claim, type Extent, toPercent } from "./claims.ts";

type Rule = "majority" | "majority by reliability" | "one third" | "one third + reliability";

interface Attack {
  readonly what: string;
  readonly rule: Rule;
  /** Of 40 operators. */
  readonly share: number;
  readonly probers: number;
  readonly days: number;
  readonly victims: "everyone" | "one" | "none";
  /** Availability of the liars, who vouch for each other. */
  readonly liarsUp: number;
  readonly expected?: number;
  readonly measure: "honest epochs below" | "victim epochs below" | "liars' availability";
  readonly expectedShare?: number;
}

const OPERATORS = 40;
const EPOCHS_PER_DAY = 144;
const PROBE_LOSS = 0.01;
/** Per slot: honest operators are down half a percent of the time, 5 minutes on average. */
const OUTAGE_ENDS = 1 / 6;
const OUTAGE_BEGINS = (0.005 / 0.995) * OUTAGE_ENDS;

const ATTACKS: readonly Attack[] = [
  {
    what: "slander of everyone",
    rule: "majority",
    share: 0.33,
    probers: 7,
    days: 10,
    victims: "everyone",
    liarsUp: 1,
    measure: "honest epochs below",
    expected: 0.59,
    expectedShare: 0.55,
  },
  {
    what: "slander of everyone",
    rule: "majority",
    share: 0.4,
    probers: 7,
    days: 10,
    victims: "everyone",
    liarsUp: 1,
    measure: "honest epochs below",
    expectedShare: 0.92,
  },
  {
    what: "slander of everyone",
    rule: "majority by reliability",
    share: 0.33,
    probers: 7,
    days: 10,
    victims: "everyone",
    liarsUp: 1,
    measure: "honest epochs below",
    expected: 0.006,
  },
  {
    what: "slander of one victim",
    rule: "majority",
    share: 0.33,
    probers: 9,
    days: 150,
    victims: "one",
    liarsUp: 1,
    measure: "victim epochs below",
    expected: 0.47,
  },
  {
    what: "slander of one victim",
    rule: "one third",
    share: 0.33,
    probers: 9,
    days: 150,
    victims: "one",
    liarsUp: 1,
    measure: "victim epochs below",
    expected: 0.003,
  },
  {
    what: "slander of everyone",
    rule: "one third + reliability",
    share: 0.33,
    probers: 9,
    days: 10,
    victims: "everyone",
    liarsUp: 1,
    measure: "honest epochs below",
    expected: 0.007,
  },
  {
    what: "friends vouch for nodes up 40 % of the time",
    rule: "one third",
    share: 0.33,
    probers: 9,
    days: 5,
    victims: "none",
    liarsUp: 0.4,
    measure: "liars' availability",
    expected: 0.745,
  },
];

/** Loses half of its standing in a day of total outage, as the reference figures assume. */
const PARAMS = readPosrParams({ probing: 1, decayPpm: 4_802 });

interface Run {
  readonly measured: number;
  /** The liars' part of all standing scores, by half day. */
  readonly shares: readonly number[];
}

function simulate(attack: Attack, random: SeededRandom, days: number): Run {
  const liars = Math.round(attack.share * OPERATORS);
  const ids = Array.from({ length: OPERATORS }, (_, i) => ({ id: `o${i}`, org: `o${i}` }));
  const place = new Map(ids.map(({ id }, i) => [id, i]));
  const isLiar = (i: number) => i < liars;
  const victim = liars;
  const standing = new Array<number>(OPERATORS).fill(0);
  const reliability = new Array<number>(OPERATORS).fill(1);
  const isDown = new Array<boolean>(OPERATORS).fill(false);
  const shares: number[] = [0];
  let below = 0;
  let judged = 0;
  let liarsUp = 0;
  let liarEpochs = 0;
  for (let epoch = 0; epoch < days * EPOCHS_PER_DAY; epoch++) {
    const probersOf = assignProbers(ids, epoch, attack.probers);
    const agreed = new Array<number>(OPERATORS).fill(0);
    const looked = new Array<number>(OPERATORS).fill(0);
    for (let target = 0; target < OPERATORS; target++) {
      // Liars answer truthfully about the others: nothing that is measured follows from them.
      if (attack.victims === "one" && target !== victim) continue;
      const slots = probersOf(ids[target]!);
      let counted = 0;
      let up = 0;
      for (let slot = 0; slot < SLOTS; slot++) {
        const ends = isDown[target]! ? random.chance(OUTAGE_ENDS) : random.chance(OUTAGE_BEGINS);
        if (ends) isDown[target] = !isDown[target];
        const works = isLiar(target) ? random.chance(attack.liarsUp) : !isDown[target];
        const seen: { prober: number; positive: boolean }[] = [];
        for (const id of slots[slot]!) {
          const prober = place.get(id)!;
          let positive = works && !random.chance(PROBE_LOSS);
          if (isLiar(prober)) {
            if (isLiar(target)) positive = true;
            else if (attack.victims === "everyone") positive = false;
            else if (attack.victims === "one" && target === victim) positive = false;
          }
          seen.push({ prober, positive });
        }
        const isUp = decide(attack.rule, seen, reliability);
        if (isUp === undefined) continue;
        counted++;
        if (isUp) up++;
        for (const { prober, positive } of seen) {
          looked[prober]!++;
          if (positive === isUp) agreed[prober]!++;
        }
      }
      const ppm = counted === 0 ? undefined : Math.floor((up * 1_000_000) / counted);
      if (ppm === undefined) continue;
      standing[target] = nextStanding(standing[target]!, ppm, PARAMS);
      if (isLiar(target)) {
        liarsUp += ppm / 1_000_000;
        liarEpochs++;
      } else {
        judged++;
        if (ppm < PARAMS.availabilityMinPpm) below++;
      }
    }
    for (let i = 0; i < OPERATORS; i++) {
      if (looked[i]! > 0) reliability[i]! += (agreed[i]! / looked[i]! - reliability[i]!) / 50;
    }
    if ((epoch + 1) % (EPOCHS_PER_DAY / 2) === 0) {
      const scores = standing.map((value) => scoreOf(value, PARAMS.standingEpochsMax));
      const all = scores.reduce((a, b) => a + b, 0);
      shares.push(scores.slice(0, liars).reduce((a, b) => a + b, 0) / all);
    }
  }
  const measured = attack.measure === "liars' availability" ? liarsUp / liarEpochs : below / judged;
  return { measured, shares };
}

function decide(
  rule: Rule,
  seen: readonly { readonly prober: number; readonly positive: boolean }[],
  reliability: readonly number[],
): boolean | undefined {
  const usesReliability = rule === "majority by reliability" || rule === "one third + reliability";
  const counted = seen.filter(
    ({ prober, positive }) => positive || !usesReliability || reliability[prober]! >= 0.8,
  );
  const positives = counted.filter(({ positive }) => positive);
  if (rule === "one third" || rule === "one third + reliability") {
    const needed = positivesNeeded(counted.length);
    return needed === undefined ? undefined : positives.length >= needed;
  }
  if (counted.length < 3) return undefined;
  const weigh = (of: typeof counted) =>
    usesReliability ? of.reduce((sum, { prober }) => sum + reliability[prober]!, 0) : of.length;
  return 2 * weigh(positives) > weigh(counted);
}

/** Figures of the reference hold within this much. */
const TOLERANCE: Readonly<Record<Extent, number>> = { whole: 0.02, short: 0.12 };

export const slanderClaim: Claim = {
  name: "slander",
  title: "Liars decide no slot",
  run(random, extent) {
    const tolerance = TOLERANCE[extent];
    const rows: (string | number)[][] = [];
    const lines: { day: number; share: number; rule: string }[] = [];
    const liarsShare = Math.round(0.33 * OPERATORS) / OPERATORS;
    let worst = 0;
    for (const [i, attack] of ATTACKS.entries()) {
      // Reliability takes days to fall: its first day says little.
      if (extent === "short" && attack.rule === "majority by reliability") continue;
      const days = extent === "short" ? (attack.victims === "one" ? 4 : 0.5) : attack.days;
      const run = simulate(attack, random.fork(`${i}`), days);
      if (attack.expected !== undefined) {
        worst = Math.max(worst, Math.abs(run.measured - attack.expected));
      }
      const share = run.shares.at(-1) ?? 0;
      if (attack.expectedShare !== undefined && extent === "whole") {
        worst = Math.max(worst, Math.abs(share - attack.expectedShare));
      }
      rows.push([
        attack.what,
        attack.rule,
        attack.share,
        attack.probers,
        attack.measure,
        toPercent(run.measured),
        attack.expected === undefined ? "" : toPercent(attack.expected),
        attack.victims === "everyone" ? toPercent(share) : "",
        attack.expectedShare === undefined ? "" : toPercent(attack.expectedShare),
      ]);
      if (attack.victims === "everyone" && attack.share < 0.4) {
        // Nobody has any standing on day 0.
        for (const [halfDay, value] of run.shares.entries()) {
          if (halfDay > 0) lines.push({ day: halfDay / 2, share: value, rule: attack.rule });
        }
      }
    }
    return {
      holds: worst <= tolerance,
      shown: `largest difference to the reference figures ${(100 * worst).toFixed(2)} percentage points, at most ${100 * tolerance}`,
      tables: [
        {
          title: `${OPERATORS} operators, ${SLOTS} slots an epoch, epochs of 10 minutes`,
          columns: [
            "attack",
            "rule",
            "liars",
            "probers",
            "measure",
            "measured",
            "reference",
            "liars' part of standing at the end",
            "reference",
          ],
          rows,
        },
      ],
      plots: {
        slander: {
          $schema: "https://vega.github.io/schema/vega-lite/v6.json",
          title: "A third of the operators slander everyone: their part of all standing",
          width: 560,
          height: 300,
          config: PLOT_CONFIG,
          data: { values: lines },
          layer: [
            {
              mark: { type: "line", point: { size: 20 } },
              encoding: {
                x: {
                  field: "day",
                  type: "quantitative",
                  title: "days of attack",
                  axis: { tickMinStep: 1, format: "d" },
                },
                y: {
                  field: "share",
                  type: "quantitative",
                  title: "liars' part of all standing",
                  axis: { format: "%" },
                  scale: { domain: [0, 1] },
                },
                color: { field: "rule", type: "nominal", title: "how a slot is decided" },
              },
            },
            {
              data: { values: [{ share: liarsShare, what: "their part of the operators" }] },
              encoding: { y: { field: "share", type: "quantitative" } },
              layer: [
                { mark: { type: "rule", strokeDash: [4, 4], color: "#52606d" } },
                {
                  mark: { type: "text", align: "right", x: "width", dy: 12, color: "#52606d" },
                  encoding: { text: { field: "what" } },
                },
              ],
            },
          ],
        },
      },
    };
  },
};

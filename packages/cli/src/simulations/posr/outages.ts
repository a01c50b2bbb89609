/**
 * Claims `partition` and `churn`: a region that is cut off loses nothing, and who leaves and comes
 * back gains nothing.
 */
import { nextStanding, readPosrParams, scoreOf } from "@hanse/ordering";
import { PLOT_CONFIG } from "../plots/plot-config.ts";
import { type Claim, toPercent } from "./claims.ts";
import { nodesOf, outagesByChance, PosrNetwork, type WorksAt } from "./posr-network.ts";

const EPOCHS_PER_DAY = 144;
const CHANGE_MAX = 0.01;

/** How standing falls in total outages of some lengths, and comes back: what a member risks. */
function recoveryPoints(): { day: number; score: number; outage: string }[] {
  const params = readPosrParams({ probing: 1 });
  const points: { day: number; score: number; outage: string }[] = [];
  for (const [outage, days] of [
    ["6 hours", 0.25],
    ["1 day", 1],
    ["3 days", 3],
    ["7 days", 7],
  ] as const) {
    let standing = 1000 * params.standingEpochsMax;
    for (let epoch = 0; epoch <= 40 * EPOCHS_PER_DAY; epoch++) {
      const day = epoch / EPOCHS_PER_DAY;
      if (epoch % (EPOCHS_PER_DAY / 4) === 0) {
        points.push({ day, score: scoreOf(standing, params.standingEpochsMax) / 1e6, outage });
      }
      standing = nextStanding(standing, day < days ? 0 : 1_000_000, params);
    }
  }
  return points;
}

export const partitionClaim: Claim = {
  name: "partition",
  title: "A cut region loses nothing",
  run(random, extent) {
    const nodes = nodesOf(extent === "short" ? 15 : 40);
    const far = Math.round(0.4 * nodes.length);
    const before = extent === "short" ? 30 : 200;
    const cut = 12;
    const rows: (string | number)[][] = [];
    const points: { epoch: number; share: number; region: string; standing: string }[] = [];
    let worst = 0;
    for (const [probing, standing] of [
      [1, "signatures and probes"],
      [0, "signatures alone"],
    ] as const) {
      const isCut = (epoch: number) => epoch >= before && epoch < before + cut;
      const network = new PosrNetwork({
        nodes,
        members: nodes.length,
        params: { probing, base: 1, bonus: 10_000, membersMax: 64, shareMaxPpm: 1_000_000 },
        works: outagesByChance(
          nodes.map(() => 0.995),
          2,
          random.fork(`works ${probing}`),
        ),
        reaches: (from, to, epoch) => !isCut(epoch) || from < far === to < far,
        random: random.fork(`probes ${probing}`),
      });
      const shareOfFar = () => {
        const weights = network.weights();
        const total = weights.reduce((a, b) => a + b, 0);
        return weights.slice(0, far).reduce((a, b) => a + b, 0) / total;
      };
      network.epochs(before);
      // Verdicts of probes come one epoch later than the epoch they are about.
      network.epoch();
      const held = network.weights();
      for (let epoch = 1; epoch <= cut; epoch++) {
        points.push({
          epoch,
          share: shareOfFar(),
          region: "cut off (40 % of the members)",
          standing,
        });
        if (epoch < cut) network.epoch();
      }
      const after = network.weights();
      let changed = 0;
      for (const [i, weight] of after.entries()) {
        changed = Math.max(changed, Math.abs(weight - held[i]!) / held[i]!);
      }
      worst = Math.max(worst, changed);
      rows.push([
        standing,
        nodes.length,
        far,
        toPercent(changed, 3),
        network.set.members.length === nodes.length ? "all" : network.set.members.length,
      ]);
    }
    return {
      holds: worst <= CHANGE_MAX,
      shown: `largest change of a weight ${toPercent(worst, 3)}, at most ${toPercent(CHANGE_MAX)}`,
      tables: [
        {
          title: "Partition of 40 % of the members for 2 hours (12 epochs), crash quorum",
          columns: ["standing by", "members", "cut off", "largest change of a weight", "stay"],
          rows,
        },
      ],
      plots: {
        outages: {
          $schema: "https://vega.github.io/schema/vega-lite/v6.json",
          title: "Standing score through a total outage from day 0 on, and back",
          width: 560,
          height: 300,
          config: PLOT_CONFIG,
          data: { values: recoveryPoints() },
          mark: { type: "line" },
          encoding: {
            x: { field: "day", type: "quantitative", title: "days" },
            y: {
              field: "score",
              type: "quantitative",
              title: "standing score",
              scale: { domain: [0, 1] },
            },
            color: {
              field: "outage",
              type: "nominal",
              title: "outage of",
              sort: ["6 hours", "1 day", "3 days", "7 days"],
            },
          },
        },
        partition: {
          $schema: "https://vega.github.io/schema/vega-lite/v6.json",
          title: "Weight of a region while it is cut off",
          width: 560,
          height: 240,
          config: PLOT_CONFIG,
          data: { values: points },
          mark: { type: "line", point: true },
          encoding: {
            x: { field: "epoch", type: "quantitative", title: "epochs since the cut" },
            y: {
              field: "share",
              type: "quantitative",
              title: "region's share of all weight",
              axis: { format: "%" },
              scale: { domain: [0, 1] },
            },
            color: { field: "standing", type: "nominal", title: "standing by" },
            strokeDash: { field: "standing", type: "nominal", title: "standing by" },
          },
        },
      },
    };
  },
};

/** One attacker among equals: down for a day every ten days. */
const CYCLE_EPOCHS = 10 * EPOCHS_PER_DAY;

interface Strategy {
  readonly what: string;
  /** Epochs of each cycle in which the attacker is no candidate. */
  readonly away: (epochInCycle: number) => boolean;
}

const DOWN_EPOCHS = EPOCHS_PER_DAY;

const STRATEGIES: readonly Strategy[] = [
  { what: "stays through its outages", away: () => false },
  { what: "withdraws for its outages", away: (epoch) => epoch < DOWN_EPOCHS },
  { what: "withdraws every other day", away: (epoch) => Math.floor(epoch / 144) % 2 === 0 },
  { what: "comes back under probation only", away: (epoch) => epoch < 3 * DOWN_EPOCHS },
];

export const churnClaim: Claim = {
  name: "churn",
  title: "Leaving and coming back gains nothing",
  run(random, extent) {
    const count = 10;
    const nodes = nodesOf(count);
    const cycle = extent === "short" ? EPOCHS_PER_DAY / 2 : CYCLE_EPOCHS;
    const epochs = 2 * cycle;
    const down = Math.floor((DOWN_EPOCHS * cycle) / CYCLE_EPOCHS);
    const probation = Math.ceil((3 * EPOCHS_PER_DAY * cycle) / CYCLE_EPOCHS);
    const attacker = count - 1;
    const points: { day: number; share: number; strategy: string }[] = [];
    const results = STRATEGIES.map(({ what, away }) => {
      const isAway = (epoch: number) => away(((epoch % cycle) * CYCLE_EPOCHS) / cycle);
      const isDown = (epoch: number) => epoch % cycle < down;
      // Nothing by chance: the difference of two strategies is theirs alone.
      const works: WorksAt = (node, slot) => node !== attacker || !isDown(Math.floor(slot / 12));
      const network = new PosrNetwork({
        nodes,
        members: count,
        params: { probing: 1, probationEpochs: probation },
        works,
        applies: (node, epoch) => node !== attacker || !isAway(epoch),
        probeLoss: 0,
        random: random.fork("probes"),
      });
      let turns = 0;
      for (let epoch = 0; epoch < epochs; epoch++) {
        network.epoch();
        const weights = network.weights();
        const share = weights[attacker]! / weights.reduce((a, b) => a + b, 0);
        turns += share;
        if (epoch % Math.floor(cycle / 24) === 0) {
          points.push({ day: epoch / EPOCHS_PER_DAY, share, strategy: what });
        }
      }
      const { standing } = network.state.accounts.get(nodes[attacker]!.id) ?? { standing: 0 };
      return { what, turns: turns / epochs, standing };
    });
    const stays = results[0]!;
    const gains = results.slice(1).map((result) => ({
      turns: result.turns - stays.turns,
      standing: result.standing - stays.standing,
    }));
    const best = Math.max(...gains.map((gain) => gain.turns));
    return {
      holds: gains.every((gain) => gain.turns <= 0 && gain.standing <= 0),
      shown: `best gain of a churning operator ${(100 * best).toFixed(3)} percentage points of the turns, at most 0`,
      tables: [
        {
          title: "One of ten operators, down a tenth of the time",
          columns: ["strategy", "mean share of turns", "standing at the end, epochs"],
          rows: results.map(({ what, turns, standing }) => [
            what,
            toPercent(turns, 3),
            Math.floor(standing / 1000),
          ]),
        },
      ],
      plots: {
        churn: {
          $schema: "https://vega.github.io/schema/vega-lite/v6.json",
          title: "Share of turns of an operator that is down a tenth of the time",
          width: 560,
          height: 300,
          config: PLOT_CONFIG,
          data: { values: points },
          mark: { type: "line" },
          encoding: {
            x: { field: "day", type: "quantitative", title: "days" },
            y: {
              field: "share",
              type: "quantitative",
              title: "share of turns",
              axis: { format: ".1%" },
            },
            color: { field: "strategy", type: "nominal", title: "what it does" },
            strokeDash: { field: "strategy", type: "nominal", title: "what it does" },
          },
        },
      },
    };
  },
};

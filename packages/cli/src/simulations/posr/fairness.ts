/** Claims `availability` and `proposers`: weight follows service, and turns follow weight. */
import { createPosrPolicy } from "@hanse/ordering";
import { PLOT_CONFIG } from "../plots/plot-config.ts";
import { type Claim, toPercent } from "./claims.ts";
import { nodesOf, outagesByChance, PosrNetwork } from "./posr-network.ts";

const EPOCHS_PER_DAY = 144;

/** Correlation of ranks (Spearman), equal values sharing their mean rank. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const ranksOf = (values: readonly number[]) =>
    values.map((value) => {
      let below = 0;
      let same = 0;
      for (const other of values) {
        if (other < value) below++;
        else if (other === value) same++;
      }
      return below + (same + 1) / 2;
    });
  const [x, y] = [ranksOf(a), ranksOf(b)];
  const mean = (a.length + 1) / 2;
  let xy = 0;
  let xx = 0;
  let yy = 0;
  for (const [i, rank] of x.entries()) {
    xy += (rank - mean) * (y[i]! - mean);
    xx += (rank - mean) ** 2;
    yy += (y[i]! - mean) ** 2;
  }
  return xx === 0 || yy === 0 ? 0 : xy / Math.sqrt(xx * yy);
}

const CORRELATION_MIN = 0.9;

export const availabilityClaim: Claim = {
  name: "availability",
  title: "Weight ranks as service does",
  run(random, extent) {
    const nodes = nodesOf(extent === "short" ? 16 : 31);
    const days = extent === "short" ? 1 : 14;
    // Evenly from 70 % to 99.9 %: two hundredths of a point apart at the top would be chance.
    const availability = nodes.map((_, i) => 0.7 + (0.299 * i) / (nodes.length - 1));
    const points: { availability: number; weight: number; standing: string }[] = [];
    const rows: (string | number)[][] = [];
    let worst = 1;
    for (const [probing, standing] of [
      [1, "signatures and probes"],
      [0, "signatures alone"],
    ] as const) {
      const works = outagesByChance(availability, 12, random.fork(`works ${probing}`));
      const slots = new Map<string, number>();
      const network = new PosrNetwork({
        nodes,
        members: nodes.length,
        // Fine-grained weights, no share cut off: ranks are measured, not policy.
        params: {
          probing,
          base: 1,
          bonus: 10_000,
          shareMaxPpm: 1_000_000,
          membersMax: nodes.length,
          membersMin: nodes.length,
          silentPermille: 0,
          neutralEpochsMax: 0,
        },
        works: (node, slot) => {
          const isUp = works(node, slot);
          if (isUp) slots.set(nodes[node]!.id, (slots.get(nodes[node]!.id) ?? 0) + 1);
          return isUp;
        },
        random: random.fork(`probes ${probing}`),
      });
      // A streak is halved by each bad epoch: its mean over days is what proposers get.
      const epochs = days * EPOCHS_PER_DAY;
      const sums = nodes.map(() => 0);
      for (let e = 0; e < epochs; e++) {
        network.epoch();
        for (const [i, weight] of network.weights().entries()) sums[i]! += weight;
      }
      const served = nodes.map(({ id }) => (slots.get(id) ?? 0) / (12 * epochs));
      const weights =
        probing === 1 ? network.weights() : sums.map((sum) => Math.round(sum / epochs));
      const correlation = rankCorrelation(served, weights);
      worst = Math.min(worst, correlation);
      rows.push([standing, nodes.length, days, correlation.toFixed(3)]);
      const total = weights.reduce((a, b) => a + b, 0);
      for (const [i, weight] of weights.entries()) {
        points.push({ availability: served[i]!, weight: weight / total, standing });
      }
    }
    return {
      holds: worst >= CORRELATION_MIN,
      shown: `lowest rank correlation ${worst.toFixed(3)}, at least ${CORRELATION_MIN}`,
      tables: [
        {
          title: "Rank correlation of propose weight and true availability, no attack",
          columns: ["standing by", "members", "days", "rank correlation"],
          rows,
        },
      ],
      plots: {
        availability: {
          $schema: "https://vega.github.io/schema/vega-lite/v6.json",
          title: "Propose weight by true availability",
          width: 560,
          height: 300,
          config: PLOT_CONFIG,
          data: { values: points },
          mark: { type: "point", filled: true, size: 60 },
          encoding: {
            x: {
              field: "availability",
              type: "quantitative",
              title: "share of the time in which the node worked",
              axis: { format: "%" },
              scale: { zero: false },
            },
            y: {
              field: "weight",
              type: "quantitative",
              title: "share of all propose weight",
              axis: { format: "%" },
            },
            color: { field: "standing", type: "nominal", title: "standing by" },
            shape: { field: "standing", type: "nominal", title: "standing by" },
          },
        },
      },
    };
  },
};

const HEIGHTS = 10_000;
const SHARE_ERROR_MAX = 0.01;

export const proposersClaim: Claim = {
  name: "proposers",
  title: "Turns follow weights",
  run(random, extent) {
    const nodes = nodesOf(31);
    const network = new PosrNetwork({
      nodes,
      members: nodes.length,
      params: { probing: 1, membersMin: 31, standingEpochsMax: 300 },
      works: outagesByChance(
        nodes.map((_, i) => 1 - i * 0.01),
        12,
        random.fork("works"),
      ),
      random: random.fork("probes"),
    });
    network.epochs(extent === "short" ? 20 : 300);
    const policy = createPosrPolicy({ probing: 1 });
    const turns = new Map<string, number>();
    for (let height = 1; height <= HEIGHTS; height++) {
      const leader = policy.leader(network.set, height, 0);
      turns.set(leader, (turns.get(leader) ?? 0) + 1);
    }
    const total = network.weights().reduce((a, b) => a + b, 0);
    const shares = nodes.map(({ id }, i) => ({
      node: i + 1,
      due: network.weight(i) / total,
      got: (turns.get(id) ?? 0) / HEIGHTS,
    }));
    const off = shares.map(({ due, got }) => Math.abs(got - due));
    const relative = shares
      .filter(({ due }) => due > 0)
      .map(({ due, got }) => Math.abs(got - due) / due);
    const worst = Math.max(...off);
    return {
      holds: worst <= SHARE_ERROR_MAX,
      shown: `largest difference ${(100 * worst).toFixed(3)} percentage points of ${HEIGHTS} heights (${toPercent(Math.max(...relative), 2)} of the member's own share), at most 1`,
      tables: [
        {
          title: `Turns of ${nodes.length} members in ${HEIGHTS} heights`,
          columns: ["member", "share of weight", "share of turns"],
          rows: shares.map(({ node, due, got }) => [node, toPercent(due, 2), toPercent(got, 2)]),
        },
      ],
      plots: {
        proposers: {
          $schema: "https://vega.github.io/schema/vega-lite/v6.json",
          title: `Turns in ${HEIGHTS} heights beside the weights they follow`,
          width: 560,
          height: 300,
          config: PLOT_CONFIG,
          data: {
            values: shares.flatMap(({ node, due, got }) => [
              { node, share: due, what: "due by weight" },
              { node, share: got, what: "proposed" },
            ]),
          },
          mark: { type: "bar" },
          encoding: {
            x: { field: "node", type: "ordinal", title: "member", axis: { labelAngle: 0 } },
            xOffset: { field: "what" },
            y: {
              field: "share",
              type: "quantitative",
              title: "share of heights",
              axis: { format: ".1%" },
            },
            color: { field: "what", type: "nominal", title: null },
          },
        },
      },
    };
  },
};

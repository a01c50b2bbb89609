/** Claim `concentration`: no few operators hold a third of the turns, whatever they own. */
import { capWeights, shareMaxPpm } from "@hanse/ordering";
import { PLOT_CONFIG } from "../plots/plot-config.ts";
import type { Claim } from "./claims.ts";
import { nodesOf, outagesByChance, PosrNetwork } from "./posr-network.ts";

const SHARE_MAX_PPM = 80_000;

/** Fewest operators that together hold more than a third. */
export function nakamotoNumber(weights: readonly number[]): number {
  const total = weights.reduce((a, b) => a + b, 0);
  let sum = 0;
  for (const [i, weight] of [...weights].sort((a, b) => b - a).entries()) {
    sum += weight;
    if (3 * sum > total) return i + 1;
  }
  return weights.length;
}

/** ⌈1 / (3 · largest share)⌉. */
export function nakamotoBound(members: number): number {
  return Math.ceil(1_000_000 / (3 * shareMaxPpm(members, SHARE_MAX_PPM)));
}

export const concentrationClaim: Claim = {
  name: "concentration",
  title: "No few operators hold a third of the turns",
  run(random, extent) {
    const points: { members: number; number: number; what: string }[] = [];
    const rows: (string | number)[][] = [];
    let broken = 0;
    const trials = extent === "short" ? 50 : 400;
    for (const members of [4, 5, 7, 10, 13, 16, 22, 31, 48, 64]) {
      let least = members;
      let uncapped = members;
      for (let trial = 0; trial < trials; trial++) {
        // A few tower over the rest: squares of squares of a uniform draw.
        const raw = Array.from({ length: members }, () =>
          Math.max(1, Math.floor(10_000 * random.next() ** 4)),
        );
        if (trial % 2 === 1) raw[0]! *= 10;
        least = Math.min(least, nakamotoNumber(capWeights(raw, SHARE_MAX_PPM)));
        uncapped = Math.min(uncapped, nakamotoNumber(raw));
      }
      const bound = nakamotoBound(members);
      if (least < bound) broken++;
      rows.push([members, bound, least, uncapped]);
      points.push({ members, number: bound, what: "bound" });
      points.push({ members, number: least, what: "least seen" });
      points.push({ members, number: uncapped, what: "least seen without the cap" });
    }

    // One operator merges ten servers under its name, or brings ten times the capacity.
    const plain = nodesOf(13);
    const servers = Array.from({ length: 9 }, (_, i) => ({
      id: `${plain[0]!.org}/server-${i}`,
      org: plain[0]!.org,
    }));
    const ownership = [
      { what: "as it is", nodes: plain },
      { what: "one operator with ten servers", nodes: [...plain, ...servers] },
    ].map(({ what, nodes }) => {
      const network = new PosrNetwork({
        nodes,
        members: plain.length,
        params: { probing: 1, standingEpochsMax: 100, probationEpochs: 2 },
        works: outagesByChance(
          nodes.map((_, i) => (i === 0 || i >= plain.length ? 1 : 0.97)),
          6,
          random.fork(what),
        ),
        random: random.fork(`probes ${what}`),
      });
      network.epochs(extent === "short" ? 20 : 120);
      const byOrg = new Map<string, number>();
      for (const member of network.set.members) {
        byOrg.set(member.org, (byOrg.get(member.org) ?? 0) + member.propose);
      }
      const total = [...byOrg.values()].reduce((a, b) => a + b, 0);
      const number = nakamotoNumber([...byOrg.values()]);
      if (number < nakamotoBound(byOrg.size)) broken++;
      const share = (byOrg.get(plain[0]!.org) ?? 0) / total;
      if (network.set.members.some(({ id }) => servers.some((server) => server.id === id)))
        broken++;
      return [what, network.set.members.length, `${(100 * share).toFixed(2)} %`, number];
    });
    return {
      holds: broken === 0,
      shown: `${broken} of 12 populations below the bound ⌈1 / (3 · largest share)⌉`,
      tables: [
        {
          title: `Fewest operators with more than a third, least of ${trials} populations each`,
          columns: ["members", "bound", "with the cap", "without the cap"],
          rows,
        },
        {
          title:
            "Merged servers; capacity is no input of the policy, so ten times of it changes nothing",
          columns: ["case", "members", "its share of turns", "fewest with a third"],
          rows: ownership,
        },
      ],
      plots: {
        concentration: {
          $schema: "https://vega.github.io/schema/vega-lite/v6.json",
          title: "Operators needed for more than a third of the turns",
          width: 560,
          height: 300,
          config: PLOT_CONFIG,
          data: { values: points },
          mark: { type: "line", point: { size: 50 } },
          encoding: {
            x: { field: "members", type: "quantitative", title: "members" },
            y: {
              field: "number",
              type: "quantitative",
              title: "operators",
              axis: { tickMinStep: 1, format: "d" },
            },
            color: { field: "what", type: "nominal", title: null },
            // The least seen lies on the bound: both stay visible.
            strokeDash: { field: "what", type: "nominal", title: null },
            shape: { field: "what", type: "nominal", title: null },
          },
        },
      },
    };
  },
};

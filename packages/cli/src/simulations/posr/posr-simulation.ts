/** `hanse simulate posr`: what policy posr claims, shown by runs that follow from a seed. */
import { createHash } from "node:crypto";
import { createSeededRandom } from "../seeded-random.ts";
import type { Claim, ClaimResult, Extent } from "./claims.ts";
import { concentrationClaim } from "./concentration.ts";
import { availabilityClaim, proposersClaim } from "./fairness.ts";
import { churnClaim, partitionClaim } from "./outages.ts";
import { slanderClaim } from "./slander.ts";

const MEASURED: readonly Claim[] = [
  slanderClaim,
  availabilityClaim,
  proposersClaim,
  concentrationClaim,
  partitionClaim,
  churnClaim,
];

/** The hash names the numbers, so that two machines compare one line. */
const reproducibleClaim: Claim = {
  name: "reproducible",
  title: "The same seed gives the same bytes",
  run(random) {
    const digests = [0, 1].map(() => {
      const hash = createHash("sha256");
      for (const claim of MEASURED) {
        hash.update(JSON.stringify(claim.run(random.fork(claim.name), "short")));
      }
      return hash.digest("hex");
    });
    return {
      holds: digests[0] === digests[1],
      shown: `two short runs of everything: ${digests[0]} and ${digests[1]}`,
      tables: [],
      plots: {},
    };
  },
};

export const POSR_CLAIMS: readonly Claim[] = [...MEASURED, reproducibleClaim];

export interface ClaimReport extends ClaimResult {
  readonly name: string;
  readonly title: string;
}

/** Runs one claim; the same seed, name and extent give the same report. */
export function runClaim(claim: Claim, seed: number, extent: Extent): ClaimReport {
  const result = claim.run(createSeededRandom(seed, claim.name), extent);
  return { name: claim.name, title: claim.title, ...result };
}

/** The tables as Markdown. Names no time and no machine: it is compared byte by byte. */
export function renderReport(reports: readonly ClaimReport[], seed: number): string {
  const lines = [
    "# Policy posr, simulated",
    "",
    `Made by \`hanse simulate posr --seed ${seed}\`. What the figures mean: spec/policies.md.`,
    "",
  ];
  for (const { title, holds, shown, tables, plots } of reports) {
    lines.push(`## ${title}`, "", `**${holds ? "Holds" : "Does not hold"}**: ${shown}.`, "");
    for (const table of tables) {
      lines.push(`${table.title}:`, "");
      lines.push(`| ${table.columns.join(" | ")} |`);
      lines.push(`|${" --- |".repeat(table.columns.length)}`);
      for (const row of table.rows) lines.push(`| ${row.join(" | ")} |`);
      lines.push("");
    }
    for (const name of Object.keys(plots)) lines.push(`![${title}](posr-${name}.svg)`, "");
  }
  return `${lines.join("\n").trimEnd()}\n`;
}

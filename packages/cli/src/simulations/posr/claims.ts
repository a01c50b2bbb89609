/** What `hanse simulate posr` shows: claims with their tables, figures and plots. */
import type { TopLevelSpec } from "vega-lite";
import type { SeededRandom } from "../seeded-random.ts";

/** How much a run takes on: `short` is for tests, its claims are looser. */
export type Extent = "whole" | "short";

export interface ClaimTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export interface ClaimResult {
  readonly holds: boolean;
  /** One sentence: the figure that decides, and its bound. */
  readonly shown: string;
  readonly tables: readonly ClaimTable[];
  /** Plots by file name without extension. */
  readonly plots: Readonly<Record<string, TopLevelSpec>>;
}

export interface Claim {
  /** As given to `--only`. */
  readonly name: string;
  readonly title: string;
  run(random: SeededRandom, extent: Extent): ClaimResult;
}

export function toPercent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

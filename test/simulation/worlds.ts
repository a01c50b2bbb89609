/** Which world a seed is run in: most troubles share one, some have a course of their own. */
import { runRecovered } from "./recovered.ts";
import { type RunOptions, type RunResult, runSeed } from "./run.ts";
import { FOCUSES, type Focus } from "./scenario.ts";

export const TROUBLES = [...FOCUSES, "recovery"] as const;
export type Trouble = Focus | "recovery";

export interface WorldOptions extends Omit<RunOptions, "focus"> {
  readonly focus: Trouble;
}

export function runWorld(options: WorldOptions): Promise<RunResult> {
  const { focus } = options;
  return focus === "recovery" ? runRecovered(options) : runSeed({ ...options, focus });
}

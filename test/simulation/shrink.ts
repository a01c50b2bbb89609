/**
 * From a seed that fails to the few faults that make it fail. It shrinks the fault schedule, never
 * the seed: all else in the run stays as drawn. By fast-check's own shrinking, faults first, then
 * how long they last.
 */
import fc from "fast-check";
import type { Fault, TimedFault } from "./faults.ts";
import { type RunOptions, runSeed, scenarioOf } from "./run.ts";

export interface Shrunk {
  readonly failure: string;
  /** Faults that the seed drew. */
  readonly drawn: number;
  readonly faults: readonly TimedFault[];
  /** Runs that it took. */
  readonly runs: number;
}

const TIME_LIMIT_MS = 120_000;
const DURATIONS = ["forMs", "downMs", "stepMs"] as const;

/** Undefined when the seed does not fail. */
export async function shrinkSeed(
  options: Pick<RunOptions, "seed" | "focus" | "mutation">,
): Promise<Shrunk | undefined> {
  const drawn = scenarioOf(options).faults;
  let best: { readonly failure: string; readonly faults: readonly TimedFault[] } | undefined;
  let runs = 0;
  const holds = async (faults: readonly TimedFault[]) => {
    runs++;
    const { failure } = await runSeed({ ...options, faults });
    // Shrinking only goes on from what fails: the newest failure is the smallest.
    if (failure !== undefined) best = { failure, faults };
    return failure === undefined;
  };
  const limits = { numRuns: 1, interruptAfterTimeLimit: TIME_LIMIT_MS } as const;
  await fc.check(fc.asyncProperty(fc.subarray([...drawn]), holds), {
    ...limits,
    examples: [[[...drawn]]],
  });
  if (best === undefined) return undefined;
  const chosen: readonly TimedFault[] = best.faults;
  const spans = chosen.map(({ fault }) => spanOf(fault));
  if (spans.length > 0) {
    const shorter = fc.tuple(...spans.map((span) => fc.integer({ min: 0, max: span })));
    const withSpans = (given: readonly number[]) =>
      chosen.map(({ at, fault }, i) => ({ at, fault: withSpan(fault, given[i]!) }));
    await fc.check(
      fc.asyncProperty(shorter, (given) => holds(withSpans(given))),
      { ...limits, examples: [[spans as never]] },
    );
  }
  return { ...best, drawn: drawn.length, runs };
}

function spanOf(fault: Fault): number {
  const fields = fault as Partial<Record<(typeof DURATIONS)[number], number>>;
  return DURATIONS.reduce((span, name) => fields[name] ?? span, 0);
}

function withSpan(fault: Fault, ms: number): Fault {
  const name = DURATIONS.find((field) => field in fault);
  return name === undefined ? fault : ({ ...fault, [name]: ms } as Fault);
}

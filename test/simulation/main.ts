/**
 * Deterministic simulation from the command line:
 * npm run sim -- --seeds N [--from S] [--focus NAME] [--mutation NAME] [--json FILE] [--log]
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { MUTATIONS, type Mutation } from "@hanse/ordering";
import { type RunResult, runSeed } from "./run.ts";
import { FOCUSES, type Focus } from "./scenario.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    focus: { type: "string", default: "mixed" },
    mutation: { type: "string" },
    json: { type: "string" },
    log: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
  },
});

const count = Number(values.seeds);
const from = Number(values.from);
const focus = FOCUSES.find((name) => name === values.focus);
const mutation = MUTATIONS.find((name) => name === values.mutation);
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(from) || from < 0) {
  console.error("--seeds takes a number from 1, --from a number from 0");
  process.exit(2);
}
if (focus === undefined) {
  console.error(`--focus is one of ${FOCUSES.join(", ")}`);
  process.exit(2);
}
if (values.mutation !== undefined && mutation === undefined) {
  console.error(`--mutation is one of ${MUTATIONS.join(", ")}`);
  process.exit(2);
}

function commit(): string {
  const run = spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" });
  return run.status === 0 ? run.stdout.trim() : "unknown commit";
}

function replayCommand(seed: number, f: Focus, m: Mutation | undefined): string {
  const parts = [`npm run sim -- --seeds 1 --from ${seed}`];
  if (f !== "mixed") parts.push(`--focus ${f}`);
  if (m !== undefined) parts.push(`--mutation ${m}`);
  return parts.join(" ");
}

const results: RunResult[] = [];
let passed = 0;
let shown = Date.now();
const begin = Date.now();
for (let seed = from; seed < from + count; seed++) {
  const options = { seed, focus, mutation, log: values.log ? console.log : undefined };
  let result = await runSeed(options);
  if (values.twice) {
    const again = await runSeed({ ...options, log: undefined });
    if (again.digest !== result.digest) {
      result = { ...result, failure: "two runs of the seed differ" };
    }
  }
  results.push(result);
  if (result.failure === undefined) passed++;
  else {
    console.log(`seed ${seed} failed: ${result.failure}`);
    console.log(`  replay at ${commit()}: ${replayCommand(seed, focus, mutation)}`);
  }
  if (Date.now() - shown > 5_000) {
    shown = Date.now();
    console.log(`${results.length} of ${count} seeds, ${results.length - passed} failed`);
  }
}
const heights = results.reduce((sum, result) => sum + result.heights, 0);
const virtual = results.reduce((sum, result) => sum + result.virtualMs, 0);
const seconds = (Date.now() - begin) / 1000;
console.log(
  `${heights} heights in ${(virtual / 1000).toFixed(0)} simulated seconds, ${seconds.toFixed(1)} s`,
);
if (values.json !== undefined) {
  const failures = results.filter(({ failure }) => failure !== undefined);
  writeFileSync(
    values.json,
    JSON.stringify({ passed, failed: results.length - passed, heights, seconds, failures }),
  );
}
console.log(`${passed} passed, ${results.length - passed} failed`);
process.exitCode = passed === results.length ? 0 : 1;

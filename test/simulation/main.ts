/**
 * Deterministic simulation from the command line:
 * npm run sim -- --seeds N [--from S] [--focus NAME] [--mutation NAME] [--twice] [--log] [--json FILE]
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { MUTATIONS } from "@hanse/ordering";
import { runSeeds, type SeedOrder } from "./pool.ts";
import { type RunResult, runSeed } from "./run.ts";
import { FOCUSES } from "./scenario.ts";

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

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}

const count = Number(values.seeds);
const from = Number(values.from);
const focus =
  FOCUSES.find((name) => name === values.focus) ?? refuse(`--focus: one of ${FOCUSES.join(", ")}`);
const mutation =
  values.mutation === undefined
    ? undefined
    : (MUTATIONS.find((name) => name === values.mutation) ??
      refuse(`--mutation: one of ${MUTATIONS.join(", ")}`));
if (!Number.isSafeInteger(count) || count < 1) refuse("--seeds: a whole number from 1");
if (!Number.isSafeInteger(from) || from < 0) refuse("--from: a whole number from 0");

const git = spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" });
const commit = git.status === 0 ? git.stdout.trim() : "an unknown commit";
const options = [
  ...(focus === "mixed" ? [] : [`--focus ${focus}`]),
  ...(mutation === undefined ? [] : [`--mutation ${mutation}`]),
  ...(values.twice ? ["--twice"] : []),
].join(" ");

const failures: RunResult[] = [];
let done = 0;
let heights = 0;
let virtualMs = 0;
const begin = Date.now();
let shown = begin;

function take(result: RunResult): boolean {
  done++;
  heights += result.heights;
  virtualMs += result.virtualMs;
  if (result.failure !== undefined) {
    failures.push(result);
    console.log(`seed ${result.seed} failed: ${result.failure}`);
    console.log(
      `  replay at ${commit}: npm run sim -- --seeds 1 --from ${result.seed} ${options}`.trimEnd(),
    );
  }
  if (Date.now() - shown > 2_000) {
    shown = Date.now();
    console.log(`${done} of ${count} seeds, ${failures.length} failed`);
  }
  return false;
}

if (values.log) {
  for (let seed = from; seed < from + count; seed++) {
    take(await runSeed({ seed, focus, mutation, log: console.log }));
  }
} else {
  const orders = Array.from(
    { length: count },
    (_, i): SeedOrder => ({ seed: from + i, focus, mutation, twice: values.twice }),
  );
  await runSeeds(orders, take);
}

const seconds = (Date.now() - begin) / 1000;
console.log(
  `${heights} heights, ${(virtualMs / 1000).toFixed(0)} simulated seconds of the network in ${seconds.toFixed(1)} s`,
);
if (values.json !== undefined) {
  const summary = { passed: done - failures.length, failed: failures.length, heights, seconds };
  writeFileSync(values.json, `${JSON.stringify({ commit, focus, ...summary, failures })}\n`);
}
console.log(`${done - failures.length} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;

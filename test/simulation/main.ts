/**
 * Deterministic simulation from the command line:
 *
 * npm run sim -- --seeds N [--from S] [--focus NAME] [--mutation NAME] [--twice]
 *                [--events] [--faults FILE] [--shrink] [--log FILE] [--json FILE]
 */
import { spawnSync } from "node:child_process";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import type { TimedFault } from "./faults.ts";
import { BROKEN_RULES } from "./mutations.ts";
import { runSeeds, type SeedOrder } from "./pool.ts";
import type { RunResult } from "./run.ts";
import { FOCUSES } from "./scenario.ts";
import { shrinkSeed } from "./shrink.ts";
import { runWorld, TROUBLES } from "./worlds.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    from: { type: "string", default: "1" },
    focus: { type: "string", default: "mixed" },
    mutation: { type: "string" },
    faults: { type: "string" },
    json: { type: "string" },
    log: { type: "string" },
    events: { type: "boolean", default: false },
    shrink: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
  },
});

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}

/** To the terminal, and to the file of `--log`. */
function say(line: string): void {
  console.log(line);
  if (values.log !== undefined) appendFileSync(values.log, `${line}\n`);
}

if (values.seed !== undefined && values.seeds !== undefined) {
  refuse("--seed: one seed; --seeds N and --from S: N seeds from S on");
}
const count = values.seed === undefined ? Number(values.seeds ?? "100") : 1;
const from = Number(values.seed ?? values.from);
const focus =
  TROUBLES.find((name) => name === values.focus) ??
  refuse(`--focus: one of ${TROUBLES.join(", ")}`);
const drawn = FOCUSES.find((name) => name === focus);
const mutation =
  values.mutation === undefined
    ? undefined
    : (BROKEN_RULES.find((name) => name === values.mutation) ??
      refuse(`--mutation: one of ${BROKEN_RULES.join(", ")}`));
if (!Number.isSafeInteger(count) || count < 1) refuse("--seeds: a whole number from 1");
if (!Number.isSafeInteger(from) || from < 0) refuse("--from: a whole number from 0");
const faults: readonly TimedFault[] | undefined =
  values.faults === undefined ? undefined : JSON.parse(readFileSync(values.faults, "utf8"));
if (drawn === undefined && (values.shrink || faults !== undefined)) {
  refuse(`--shrink, --faults: not in focus ${focus}, whose faults are no schedule`);
}

const git = spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" });
const commit = git.status === 0 ? git.stdout.trim() : "an unknown commit";
const options = [
  ...(focus === "mixed" ? [] : [`--focus ${focus}`]),
  ...(mutation === undefined ? [] : [`--mutation ${mutation}`]),
  ...(values.twice ? ["--twice"] : []),
].join(" ");
if (values.log !== undefined) writeFileSync(values.log, "");
say(
  `${count} seeds from ${from}, focus ${focus}${mutation === undefined ? "" : `, broken rule ${mutation}`}, at ${commit}, Node ${process.version}, ${availableParallelism()} threads`,
);

const failures: RunResult[] = [];
let done = 0;
let heights = 0;
let virtualMs = 0;
const begin = Date.now();
let shown = begin;

/** Ctrl-C: no more seeds are begun; those under way and the summary still come. */
let interrupted = false;
process.once("SIGINT", () => {
  interrupted = true;
});

function take(result: RunResult): boolean {
  done++;
  heights += result.heights;
  virtualMs += result.virtualMs;
  if (result.failure !== undefined) {
    failures.push(result);
    say(`seed ${result.seed} failed: ${result.failure}`);
    say(`  replay at ${commit}: npm run sim -- --seed ${result.seed} ${options}`.trimEnd());
  }
  if (Date.now() - shown > 10_000) {
    shown = Date.now();
    say(`${done} of ${count} seeds, ${failures.length} failed`);
  }
  return interrupted;
}

if (values.events || faults !== undefined) {
  const log = values.events ? say : undefined;
  for (let seed = from; seed < from + count && !interrupted; seed++) {
    take(await runWorld({ seed, focus, mutation, faults, log }));
  }
} else {
  const orders = Array.from(
    { length: count },
    (_, i): SeedOrder => ({ seed: from + i, focus, mutation, twice: values.twice }),
  );
  await runSeeds(orders, take);
}

const seconds = (Date.now() - begin) / 1000;
say(
  `${heights} heights, ${(virtualMs / 1000).toFixed(0)} simulated seconds of the network in ${seconds.toFixed(1)} s`,
);
if (values.shrink && drawn !== undefined && failures.length > 0) {
  const { seed } = failures[0]!;
  const shrunk = await shrinkSeed({ seed, focus: drawn, mutation });
  if (shrunk !== undefined) {
    const file = path.join(tmpdir(), `hanse-sim-${seed}-faults.json`);
    writeFileSync(file, `${JSON.stringify(shrunk.faults, null, 2)}\n`);
    const few = `${shrunk.faults.length} of its ${shrunk.drawn} faults`;
    say(`seed ${seed} fails with ${few} (${shrunk.runs} runs):`);
    for (const { at, fault } of shrunk.faults) say(`  ${at} ms  ${JSON.stringify(fault)}`);
    say(`  ${shrunk.failure}`);
    say(`  ${["npm run sim -- --seed", seed, options, "--faults", file].join(" ")} --events`);
  }
}
if (values.json !== undefined) {
  const summary = { passed: done - failures.length, failed: failures.length, heights, seconds };
  writeFileSync(values.json, `${JSON.stringify({ commit, focus, ...summary, failures })}\n`);
}
say(`${done - failures.length} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;

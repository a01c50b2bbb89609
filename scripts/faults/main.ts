/**
 * Faults on real processes: four nodes in network namespaces under load are killed, stopped, cut
 * off, starved of bandwidth or disk. After each fault: they go on, agree, and have lost nothing.
 *
 *     npm run faults -- [--list] [--only NAME[,NAME]] [--ordering builtin|cometbft] [--json]
 *
 * Exit code 0: all cases passed; 1: one failed; 2: this machine cannot run them, or wrong usage.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import type { NodeEntry } from "@hanse/cli";
import {
  assertRecordedOnce,
  type EntryLoad,
  startEntryLoad,
} from "../../test/e2e/harness/entry-load.ts";
import { waitFor, waitForAgreement } from "../../test/e2e/harness/waiting.ts";
import { provideCometbft } from "../install-cometbft.ts";
import { FAULT_CASES, type FaultCase } from "./fault-cases.ts";
import { createFaultNetwork, type FaultNetwork } from "./fault-network.ts";
import { clearRules, createWires, findMissing, isInside, runInside } from "./namespaces.ts";

const PROGRESS_MS_MAX = 60_000;
const AGREEMENT_MS_MAX = 60_000;
/** Shown of each node's log when a case fails. */
const LOG_LINES = 5;

interface CaseResult {
  readonly name: string;
  readonly ok: boolean;
  /** Entries that nodes accepted during the case; each stands in the record once. */
  readonly accepted: number;
  readonly seconds: number;
  /** From the end of the fault until all nodes agree and hold every entry. */
  readonly recoverySeconds: number;
  readonly error: string | undefined;
}

/** Engines whose processes stand in the nodes' own namespaces, and are hit by what hits the nodes. */
const ORDERINGS = ["builtin", "cometbft"] as const;
type Ordering = (typeof ORDERINGS)[number];

const seconds = (ms: number) => Math.round(ms / 100) / 10;

function selectCases(only: string | undefined): readonly FaultCase[] {
  if (only === undefined) return FAULT_CASES;
  return only.split(",").map((name) => {
    const found = FAULT_CASES.find((one) => one.name === name.trim());
    if (found === undefined) {
      const known = FAULT_CASES.map((one) => one.name).join(", ");
      process.stderr.write(`--only ${name}: no such case; known: ${known}\n`);
      process.exit(2);
    }
    return found;
  });
}

function selectOrdering(name: string): Ordering {
  const found = ORDERINGS.find((one) => one === name);
  if (found !== undefined) return found;
  process.stderr.write(`--ordering ${name}: expected ${ORDERINGS.join(" or ")}\n`);
  process.exit(2);
}

/** What this machine lacks, in words. CometBFT is built where Go is installed. */
async function findMissingFor(ordering: Ordering): Promise<string | undefined> {
  const missing = findMissing();
  if (missing !== undefined || ordering === "builtin") return missing;
  const provided = await provideCometbft();
  return "missing" in provided ? provided.missing : undefined;
}

/** Progress, agreement, nothing lost and nothing doubled. */
async function checkAfter(network: FaultNetwork, load: EntryLoad): Promise<void> {
  const before = load.final.size;
  const goesOn = async () => load.final.size >= before + 10;
  await waitFor("entries become final after the fault", goesOn, PROGRESS_MS_MAX);
  await load.stop();
  await waitForAgreement(network, AGREEMENT_MS_MAX);
  for (const node of [0, 3]) await assertRecordedOnce(network, node, load.accepted);
}

async function runCase(network: FaultNetwork, one: FaultCase, n: number): Promise<CaseResult> {
  const started = performance.now();
  const load = await startEntryLoad(network, {
    nodes: [0, 1, 2],
    signer: network.account("org-1-admin").keyPair,
    prefix: `${n}-${one.name}`,
  });
  let healed = started;
  let error: string | undefined;
  try {
    await waitFor("entries are final", async () => load.final.size > 10);
    await one.run({ network, load });
    healed = performance.now();
    await checkAfter(network, load);
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : String(thrown);
    await load.stop();
    for (const node of network.nodes) process.stderr.write(lastWords(node));
    for (const node of network.nodes.keys()) clearRules(node);
  }
  const ended = performance.now();
  return {
    name: one.name,
    ok: error === undefined,
    accepted: load.accepted.size,
    seconds: seconds(ended - started),
    recoverySeconds: seconds(ended - healed),
    error,
  };
}

/** The last lines of a node's log, for who looks into a failure. */
function lastWords({ id, logFile }: NodeEntry): string {
  const lines = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-LOG_LINES);
  return `--- ${id}\n${lines.map((line) => line.slice(0, 500)).join("\n")}\n`;
}

function printResult(result: CaseResult): void {
  const { name, ok, accepted, recoverySeconds, error } = result;
  const cells = [
    name.padEnd(16),
    (ok ? "ok" : "FAILED").padEnd(8),
    String(accepted).padStart(8),
    `${result.seconds.toFixed(1)} s`.padStart(9),
    `${recoverySeconds.toFixed(1)} s`.padStart(9),
  ];
  process.stdout.write(`${cells.join(" ")}${error === undefined ? "" : `\n  ${error}`}\n`);
}

async function runAll(
  cases: readonly FaultCase[],
  ordering: Ordering,
  json: boolean,
): Promise<boolean> {
  const root = mkdtempSync(path.join(tmpdir(), "hanse-faults-"));
  const results: CaseResult[] = [];
  try {
    createWires(4);
    const network = await createFaultNetwork(root, ordering);
    for (const node of network.nodes.keys()) clearRules(node);
    await network.start(0, 1, 2, 3);
    await network.installEntries();
    if (!json) process.stdout.write("case             result    entries      took  recovery\n");
    for (const [n, one] of cases.entries()) {
      const result = await runCase(network, one, n);
      results.push(result);
      if (!json) printResult(result);
      // What comes after a failure would not say anything.
      if (!result.ok) break;
    }
    const ok = results.length === cases.length && results.every((result) => result.ok);
    if (ok) await network.stop(0, 1, 2, 3);
    else for (const node of network.nodes.keys()) network.killHard(node);
    network.removeSmallDisks();
    if (json) process.stdout.write(`${JSON.stringify({ ok, results })}\n`);
    return ok;
  } finally {
    // After a failure half way a small disk may be in it; it goes with the namespace.
    try {
      rmSync(root, { recursive: true, force: true });
    } catch {
      process.stderr.write(`${root} could not be removed whole\n`);
    }
  }
}

const { values } = parseArgs({
  options: {
    list: { type: "boolean" },
    only: { type: "string" },
    ordering: { type: "string", default: "builtin" },
    json: { type: "boolean", default: false },
  },
});
if (values.list === true) {
  for (const { name, what } of FAULT_CASES) process.stdout.write(`${name.padEnd(16)} ${what}\n`);
  process.exit(0);
}
const cases = selectCases(values.only);
const ordering = selectOrdering(values.ordering);
if (isInside()) {
  process.exit((await runAll(cases, ordering, values.json)) ? 0 : 1);
}
const missing = await findMissingFor(ordering);
if (missing !== undefined) {
  process.stderr.write(`faults: ${missing}\n`);
  process.exit(2);
}
process.exit(await runInside(import.meta.filename, process.argv.slice(2)));

/**
 * The Quint model of the ordering rules (spec/model/simplex.qnt): it is safe in random runs, it is
 * not when a rule of it is broken, and what the production engine signs in the simulator is a run of
 * it. By the TypeScript simulator of Quint: nothing else has to be installed.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { type TracedHeight, toQuintFile, toQuintRuns } from "./model-trace.ts";
import type { BrokenRule } from "./mutations.ts";
import { runSeed } from "./run.ts";
import type { Focus } from "./scenario.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const MODEL = path.join(ROOT, "spec/model/simplex.qnt");
const QUINT = path.join(ROOT, "node_modules/@informalsystems/quint/dist/src/cli.js");
const TIMEOUT_MS = 120_000;

const folder = mkdtempSync(path.join(tmpdir(), "hanse-model-"));
after(() => rmSync(folder, { recursive: true }));

function quint(...args: readonly string[]) {
  return new Promise<{ code: number | null; out: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [QUINT, ...args, "--backend=typescript"], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: TIMEOUT_MS,
    });
    let out = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (bytes: Buffer) => {
        out += bytes.toString();
      });
    }
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out }));
  });
}

const explore = (main: string, samples: number, invariant = "safe") =>
  quint(
    "run",
    `--main=${main}`,
    `--invariant=${invariant}`,
    `--max-samples=${samples}`,
    "--max-steps=30",
    "--seed=1",
    "--verbosity=1",
    MODEL,
  );

/** Runs of the model for the heights with more than one view of some seeds. */
async function traceSeeds(focus: Focus, from: number, count: number, mutation?: BrokenRule) {
  const runs: string[] = [];
  for (let seed = from; seed < from + count; seed++) {
    const heights: TracedHeight[] = [];
    await runSeed({ seed, focus, mutation, onTraced: (traced) => heights.push(traced) });
    const contested = heights.filter(({ signed }) => signed.some(({ at }) => at.view > 0));
    runs.push(...toQuintRuns(contested, `${focus}${seed}`));
  }
  return runs;
}

function accept(runs: readonly string[]) {
  const file = path.join(folder, "traces.qnt");
  writeFileSync(file, toQuintFile(readFileSync(MODEL, "utf8"), runs));
  return quint("test", "--main=traces", "--max-samples=1", file);
}

describe("the model of the ordering rules", { timeout: 300_000 }, () => {
  it("is safe in random runs, in which blocks become final", async () => {
    const safe = await explore("rules", 80);
    assert.equal(safe.code, 0, safe.out);
    assert.match(safe.out, /No violation found/);
    const final = await explore("rules", 80, "nothingFinal");
    assert.notEqual(final.code, 0);
    assert.match(final.out, /Invariant violated/);
  });

  for (const broken of ["quorumTooSmall", "notarizeTwice", "finalizeAfterNullify"]) {
    it(`is not safe with ${broken}`, async () => {
      const { code, out } = await explore(broken, 2_000);
      assert.notEqual(code, 0);
      assert.match(out, /Invariant violated/);
    });
  }

  for (const main of ["rules", "skipJustification"]) {
    it(`has the runs that ${main} tells of`, async () => {
      const { code, out } = await quint("test", `--main=${main}`, "--max-samples=1", MODEL);
      assert.equal(code, 0, out);
    });
  }

  it("accepts what the production engine signs under faults and lies", async () => {
    const runs = [
      ...(await traceSeeds("blackout", 1, 4)),
      ...(await traceSeeds("attacker", 1, 8)),
      ...(await traceSeeds("crashes", 1, 6)),
    ];
    assert.ok(runs.length >= 15, `${runs.length} heights went through more than one view`);
    const { code, out } = await accept(runs);
    assert.equal(code, 0, out.slice(0, 4_000));
    assert.match(out, new RegExp(`${runs.length} passing`));
  });

  for (const [mutation, focus] of [
    ["finalize-after-nullify", "crashes"],
    ["skip-justification", "attacker"],
  ] as const) {
    it(`does not accept an engine with ${mutation}`, async () => {
      const runs = await traceSeeds(focus, 1, 20, mutation);
      assert.ok(runs.length > 0);
      const { code, out } = await accept(runs);
      assert.notEqual(code, 0, "every height was accepted");
      assert.match(out, /\d+ failed/);
    });
  }
});

/** Goal: the main job runs from end to end: `npm start -- --check`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { choosePortBase, createTestFolder } from "./harness/test-network.ts";

const START = path.resolve(import.meta.dirname, "../../packages/cli/src/main-job/start.ts");

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runStart(argv: readonly string[]): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [START, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => (stdout += chunk));
    child.stderr.on("data", (chunk) => (stderr += chunk));
    child.on("error", reject);
    child.on("exit", (code) => resolve({ code, stdout, stderr }));
  });
}

test("the check files, serves, compares, verifies, refuses and leaves nothing", {
  timeout: 400_000,
}, async (t) => {
  const dir = createTestFolder(t);
  const { code, stdout, stderr } = await runStart([
    "--check",
    "--json",
    "--dir",
    dir,
    "--port-base",
    String(choosePortBase()),
  ]);
  assert.equal(code, 0, `${stderr}\n${stdout}`);
  const report = JSON.parse(stdout) as {
    ok: boolean;
    ms: number;
    steps: { step: string; ok: boolean; ms: number }[];
  };
  assert.equal(report.ok, true);
  for (const wanted of [
    /create a network of four organizations/,
    /start 4 nodes/,
    /install the application deeds/,
    /anna deposits a deed/,
    /serves it/,
    /clara of the court/,
    /same record/,
    /verifies receipt and file offline/,
    /byte of the receipt flipped: refused/,
    /byte of the file flipped: refused/,
    /stop the nodes/,
  ]) {
    const step = report.steps.find((one) => wanted.test(one.step));
    assert.ok(step?.ok === true, `step ${wanted}`);
  }
  assert.ok(report.ms < 90_000, `${report.ms} ms`);
  assert.deepEqual(readdirSync(dir), [], "the check removes what it made");
});

test("wrong options are exit code 2", async () => {
  const { code, stderr } = await runStart(["--chekc"]);
  assert.equal(code, 2);
  assert.match(stderr, /--chekc.*known: --check/s);
});

/** Goal: a program reads one JSON document, a person reads a sentence, nobody reads a stack trace. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import { createConsole, toJson } from "./console.ts";
import { createSteps, formatDuration } from "./progress.ts";
import { reportError } from "./report-error.ts";

function capture(json: boolean) {
  const out = { stdout: "", stderr: "" };
  const console = createConsole({
    json,
    stdout: { write: (text) => (out.stdout += text) },
    stderr: { write: (text) => (out.stderr += text) },
  });
  return { out, console };
}

test("with --json only the result reaches standard output", async () => {
  const { out, console } = capture(true);
  console.line("for people");
  await createSteps(console).run("a step", async () => {});
  console.result({ id: 12n, hash: Uint8Array.of(1, 255) }, () => assert.fail("not for people"));
  assert.deepEqual(JSON.parse(out.stdout), { id: "12", hash: "01ff" });
  assert.equal(toJson(new Map([["a", 1]]), 0), '{"a":1}');
});

test("errors keep their code and get an exit code", () => {
  const unreachable = new HanseError("SDK_UNREACHABLE", "unavailable", "no node answers at X");
  const text = capture(false);
  assert.equal(reportError(unreachable, text.console), 3);
  assert.match(
    text.out.stderr,
    /^error no node answers at X; start it with `hanse network up`.* \(SDK_UNREACHABLE\)\n$/,
  );
  const json = capture(true);
  assert.equal(reportError(unreachable, json.console), 3);
  assert.equal(JSON.parse(json.out.stderr).error.code, "SDK_UNREACHABLE");
  assert.equal(json.out.stdout, "");
});

test("system faults are said in words, bugs without their stack", () => {
  const { out, console } = capture(false);
  const missing = Object.assign(new Error("ENOENT"), { code: "ENOENT", path: "/x/deed.pdf" });
  assert.equal(reportError(missing, console), 1);
  assert.match(out.stderr, /\/x\/deed\.pdf: no such file/);
  reportError(new TypeError("x is not a function"), console);
  assert.ok(!/\n\s+at /.test(out.stderr), out.stderr);
});

test("a step tells its time and its failure", async () => {
  const { out, console } = capture(false);
  let now = 0;
  const steps = createSteps(console, () => now);
  await steps.run("start", async () => {
    now += 1500;
  });
  await assert.rejects(
    steps.run("install", async () => {
      throw new Error("no");
    }),
  );
  assert.match(out.stdout, /ok +start +1\.5 s\n.*FAIL install/);
  assert.deepEqual(
    steps.records.map(({ step, ok }) => [step, ok]),
    [
      ["start", true],
      ["install", false],
    ],
  );
  assert.equal(formatDuration(61_000), "1 min 1 s");
});

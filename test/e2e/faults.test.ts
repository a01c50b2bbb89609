/** Goal: the fault runs that a user can start work, and see what they say they see: a short one. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { findMissing } from "../../scripts/faults/namespaces.ts";

const PROGRAM = path.join(import.meta.dirname, "../../scripts/faults/main.ts");
const missing = findMissing();

test("one of four cut off by nftables in network namespaces, then all agree", {
  skip: missing === undefined ? false : `fault runs: ${missing}`,
  timeout: 180_000,
}, () => {
  const args = [PROGRAM, "--only", "partition-one", "--json"];
  const done = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 170_000 });
  assert.equal(done.status, 0, `${done.stdout}${done.stderr}`);
  const { ok, results } = JSON.parse(done.stdout) as {
    ok: boolean;
    results: { name: string; ok: boolean; accepted: number }[];
  };
  assert.equal(ok, true);
  assert.deepEqual(
    results.map((result) => [result.name, result.ok]),
    [["partition-one", true]],
  );
  assert.ok(results[0]!.accepted > 20);
});

test("the cases are listed, an unknown one is refused by name", () => {
  const list = spawnSync(process.execPath, [PROGRAM, "--list"], { encoding: "utf8" });
  assert.equal(list.status, 0);
  assert.match(list.stdout, /^partition-half .*nothing forks/m);
  const unknown = spawnSync(process.execPath, [PROGRAM, "--only", "nonsense"], {
    encoding: "utf8",
  });
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /nonsense: no such case; known: kill, /);
});

/** Goal: the fault runs that a user can start work, and see what they say they see: a short one. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { findMissing } from "../../scripts/faults/namespaces.ts";
import { provideCometbft } from "../../scripts/install-cometbft.ts";

const PROGRAM = path.join(import.meta.dirname, "../../scripts/faults/main.ts");
/** Most of it is starting eight processes and four databases. */
const RUN_MS_MAX = 300_000;
const missing = findMissing();
const skip = missing === undefined ? false : `fault runs: ${missing}`;
const provided = missing === undefined ? await provideCometbft() : undefined;
const cometMissing = provided !== undefined && "missing" in provided ? provided.missing : false;

function assertPasses(name: string, ...more: readonly string[]): void {
  const args = [PROGRAM, "--only", name, ...more, "--json"];
  const done = spawnSync(process.execPath, args, { encoding: "utf8", timeout: RUN_MS_MAX });
  assert.equal(done.status, 0, `${done.stdout}${done.stderr}`);
  const { ok, results } = JSON.parse(done.stdout) as {
    ok: boolean;
    results: { name: string; ok: boolean; accepted: number }[];
  };
  assert.equal(ok, true);
  assert.deepEqual(
    results.map((result) => [result.name, result.ok]),
    [[name, true]],
  );
  assert.ok(results[0]!.accepted > 20);
}

test(
  "one of four cut off by nftables in network namespaces, then all agree",
  { skip, timeout: RUN_MS_MAX + 10_000 },
  () => assertPasses("partition-one"),
);

test(
  "four CometBFT validators cut into two and two: no progress, no fork, nothing lost",
  { skip: skip || cometMissing, timeout: RUN_MS_MAX + 10_000 },
  () => assertPasses("partition-half", "--ordering", "cometbft"),
);

test("the cases are listed, an unknown one is refused by name", () => {
  const list = spawnSync(process.execPath, [PROGRAM, "--list"], { encoding: "utf8" });
  assert.equal(list.status, 0);
  assert.match(list.stdout, /^partition-half .*nothing forks/m);
  const unknown = spawnSync(process.execPath, [PROGRAM, "--only", "nonsense"], {
    encoding: "utf8",
  });
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /nonsense: no such case; known: kill, /);
  const foreign = spawnSync(process.execPath, [PROGRAM, "--ordering", "etcd"], {
    encoding: "utf8",
  });
  assert.equal(foreign.status, 2);
  assert.match(foreign.stderr, /--ordering etcd: expected builtin or cometbft/);
});

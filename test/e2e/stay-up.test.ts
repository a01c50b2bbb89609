/**
 * Goal: `npm start` stays up, stops cleanly, goes on from where it was, and leaves no orphan even
 * when it is killed.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { findRunningProcess, loadNetworkFolder, readNetworkStatus } from "@hanse/cli";
import { choosePortBase, createTestFolder } from "./harness/test-network.ts";
import { waitFor } from "./harness/waiting.ts";

const START = path.resolve(import.meta.dirname, "../../packages/cli/src/main-job/start.ts");

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

function start(dir: string): Running {
  const child = spawn(
    process.execPath,
    [START, "--dir", dir, "--port-base", String(choosePortBase())],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  return {
    child,
    output: () => output,
    ended: new Promise((resolve) => child.on("exit", resolve)),
  };
}

async function waitUntilUp(running: Running): Promise<void> {
  let ended = false;
  void running.ended.then(() => {
    ended = true;
  });
  await waitFor(
    "npm start says what to do next",
    async () => {
      assert.ok(!ended || /Next, in another terminal/.test(running.output()), running.output());
      return /Next, in another terminal/.test(running.output());
    },
    90_000,
  );
}

test("stops on SIGTERM, goes on from where it was, survives its own death", {
  timeout: 600_000,
}, async (t) => {
  const dir = path.join(createTestFolder(t), "network");
  const first = start(dir);
  t.after(() => first.child.kill("SIGKILL"));
  await waitUntilUp(first);
  const network = loadNetworkFolder(dir);
  const heightOf = async () => (await readNetworkStatus(network))[0]!.height!;
  const before = await heightOf();
  assert.ok(before > 0);

  const second = start(dir);
  t.after(() => second.child.kill("SIGKILL"));
  assert.equal(await second.ended, 1, "one npm start per folder");
  assert.match(second.output(), /npm start runs here already/);
  assert.equal(
    network.nodes.every((node) => findRunningProcess(node) !== undefined),
    true,
  );

  first.child.kill("SIGTERM");
  assert.equal(await first.ended, 0, first.output());
  assert.match(first.output(), /4 nodes stopped/);
  for (const node of network.nodes) assert.equal(findRunningProcess(node), undefined, node.id);

  const began = performance.now();
  const third = start(dir);
  t.after(() => third.child.kill("SIGKILL"));
  await waitUntilUp(third);
  const seconds = (performance.now() - began) / 1000;
  t.diagnostic(`later start: ${seconds.toFixed(1)} s`);
  assert.ok(seconds < 30, `a later start took ${seconds} s`);
  assert.ok((await heightOf()) >= before, "the record goes on");
  assert.match(third.output(), /was installed/);

  third.child.kill("SIGKILL");
  await third.ended;
  await waitFor("the nodes notice that their command is gone", async () =>
    network.nodes.every((node) => findRunningProcess(node) === undefined),
  );
});

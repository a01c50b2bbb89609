/**
 * Goal: what is submitted to any of four nodes becomes final at all, one less does not stop them,
 * and a node that was away comes back to the same state. Method: real transport, ordering, disks
 * and threads in one process, stores in memory.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createMemoryLedgerStore, type MemoryLedgerStore } from "@hanse/ledger";
import { toHex, utf8 } from "@hanse/protocol";
import {
  createTestNetwork,
  signNative,
  startOverMemory,
  type TestNetworkFolder,
} from "../testing/test-node.ts";
import type { RunningNode } from "./start-node.ts";

let network: TestNetworkFolder;
const stores: MemoryLedgerStore[] = [];
const nodes: RunningNode[] = [];
const fatal: string[] = [];

async function start(i: number): Promise<void> {
  nodes[i] = await startOverMemory(network.nodes[i]!.configFile, stores[i]!, (error) =>
    fatal.push(error.code),
  );
}

before(async () => {
  network = await createTestNetwork(4);
  for (let i = 0; i < 4; i++) stores.push(createMemoryLedgerStore());
  await Promise.all([0, 1, 2, 3].map(start));
});
after(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  network.remove();
});

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!condition()) {
    assert.ok(performance.now() < end, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

let count = 0;
/** Submits to the nodes in turn, waits until each is final where it was submitted. */
async function submit(total: number, to: readonly number[]): Promise<void> {
  await Promise.all(
    Array.from({ length: total }, async (_, i) => {
      const { ledger } = nodes[to[i % to.length]!]!.services;
      const args = ["notes", "put", { key: `k${++count}`, value: utf8("v") }] as const;
      const { bytes, id } = signNative(network.people[1]!.pair, network.ledgerId, args);
      await ledger.submit(bytes);
      const status = await ledger.waitFor(id, "final", { timeoutMs: 60_000 });
      assert.equal(status.state, "final");
    }),
  );
}

const tips = (which: readonly number[]) =>
  which.map((i) => {
    const { tip } = nodes[i]!.services.ledger;
    return `${tip.height} ${toHex(tip.stateRoot)}`;
  });

async function untilEqual(which: readonly number[]): Promise<void> {
  await until(() => new Set(tips(which)).size === 1, `equal tips: ${tips(which).join(", ")}`);
}

const all = [0, 1, 2, 3];

test("transactions submitted anywhere are final everywhere, with one state", async () => {
  await until(() => nodes.every((node) => node.services.notReady() === undefined), "all ready");
  await submit(80, all);
  await untilEqual(all);
});

test("three go on without the fourth, which catches up and takes part again", async () => {
  const heightBefore = nodes[3]!.services.ledger.tip.height;
  await nodes[3]!.stop();
  stores[3] = await stores[3]!.reopen();
  await submit(40, [0, 1, 2]);
  assert.ok(nodes[0]!.services.ledger.tip.height > heightBefore);
  assert.equal(nodes[0]!.services.notReady(), undefined, "three of four votes are enough");
  await start(3);
  await untilEqual(all);
  await submit(20, [3]);
  await untilEqual(all);
});

test("two of four: nothing becomes final, the reason is told; with a third it goes on", async () => {
  await Promise.all([nodes[2]!.stop(), nodes[3]!.stop()]);
  stores[2] = await stores[2]!.reopen();
  stores[3] = await stores[3]!.reopen();
  await until(() => {
    const { code = "", message = "" } = nodes[0]!.services.notReady() ?? {};
    const isTold = ["NODE_STALLED", "NODE_STARTING"].includes(code);
    return isTold && /2 votes are connected, 3 are needed/.test(message);
  }, "the loss of the quorum is told");
  const args = ["notes", "put", { key: "waits", value: utf8("v") }] as const;
  const { bytes, id } = signNative(network.people[1]!.pair, network.ledgerId, args);
  const { ledger } = nodes[0]!.services;
  await ledger.submit(bytes);
  await assert.rejects(ledger.waitFor(id, "final", { timeoutMs: 500 }), {
    code: "LEDGER_WAIT_TIMEOUT",
  });
  await start(2);
  assert.equal((await ledger.waitFor(id, "final", { timeoutMs: 60_000 })).state, "final");
  await start(3);
  await untilEqual(all);
  assert.deepEqual(fatal, []);
});

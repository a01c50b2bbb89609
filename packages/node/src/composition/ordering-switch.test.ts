/**
 * Goal: organizations change policy and quorum rule of a running ledger, twice, and it goes on over
 * both, also on a node that was away. Method: real transport, ordering and disks, stores in memory.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createMemoryLedgerStore, type MemoryLedgerStore } from "@hanse/ledger";
import { readinessMessage, readRules, validatorSetAt } from "@hanse/modules";
import {
  type CborValue,
  decodeBlock,
  type KeyPair,
  publicKeyToCbor,
  signMessage,
  toHex,
  utf8,
} from "@hanse/protocol";
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

async function start(i: number): Promise<void> {
  nodes[i] = await startOverMemory(network.nodes[i]!.configFile, stores[i]!, () => {});
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

async function call(
  pair: KeyPair,
  module: string,
  action: string,
  args: Readonly<Record<string, CborValue>>,
): Promise<{ readonly height: number; readonly result: Record<string, unknown> }> {
  const { ledger } = nodes[0]!.services;
  const { bytes, id } = signNative(pair, network.ledgerId, [module, action, args]);
  await ledger.submit(bytes);
  const status = await ledger.waitFor(id, "final", { timeoutMs: 90_000 });
  assert.ok(status.state === "final");
  assert.equal(status.outcome.code, "ok", status.outcome.error);
  return { height: status.height, result: JSON.parse(status.outcome.result) ?? {} };
}

let count = 0;
/** Blocks with a note each until this height is reached. */
async function fillTo(height: number): Promise<void> {
  while (nodes[0]!.services.ledger.tip.height < height) {
    await call(network.nodes[0]!.admin, "notes", "put", { key: `k${++count}`, value: utf8("v") });
  }
}

async function decide(kind: string, content: unknown): Promise<number> {
  const [first, second, third] = network.nodes.map(({ admin }) => admin);
  const args = { kind, content: JSON.stringify(content) };
  const { result } = await call(first!, "governance", "propose", args);
  const proposal = result.id as number;
  await call(second!, "governance", "approve", { proposal });
  const last = await call(third!, "governance", "approve", { proposal });
  assert.equal(last.result.executed, true);
  return last.height + 2;
}

async function epochAt(height: number): Promise<number> {
  return decodeBlock((await stores[0]!.block(height))!.bytes).header.engineEpoch;
}

async function timeAt(height: number): Promise<number> {
  return decodeBlock((await stores[0]!.block(height))!.bytes).header.time;
}

async function agree(): Promise<void> {
  const end = performance.now() + 90_000;
  for (;;) {
    const tips = nodes.map(({ services }) => services.ledger.tip);
    if (new Set(tips.map((tip) => `${tip.height}:${toHex(tip.stateRoot)}`)).size === 1) return;
    assert.ok(performance.now() < end, `one state in time: ${tips.map(({ height }) => height)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a longer pause between blocks is kept from the next block on", async () => {
  const at = await decide("params.change", { params: { blockIntervalMsMin: 200 } });
  const began = performance.now();
  await fillTo(at + 2);
  const times = await Promise.all([at, at + 1, at + 2].map(timeAt));
  assert.ok(times[2]! - times[0]! >= 400, "block times keep the distance");
  assert.ok(performance.now() - began > 300, "and so do the blocks: none is ahead of the clock");
  await decide("params.change", { params: { blockIntervalMsMin: 0 } });
  await agree();
});

test("policy and quorum change by decision while the ledger goes on", async () => {
  for (const { id, consensusKey, admin } of network.nodes) {
    const { height } = nodes[0]!.services.ledger.tip;
    const key = consensusKey.publicKey;
    const subject = { node: id, key, version: "1", height };
    await call(admin, "governance", "readiness", {
      ...{ node: id, key: publicKeyToCbor(key), version: "1", height },
      signature: signMessage(consensusKey, readinessMessage(network.ledgerId, subject)),
    });
  }
  const ordering = { engine: "builtin", quorum: "crash", policy: "posr" };
  const at = await decide("engine.switch", ordering);
  await nodes[3]!.stop();
  await fillTo(at + 3);
  assert.deepEqual([await epochAt(at), await epochAt(at + 1)], [0, 1]);
  assert.equal(validatorSetAt(stores[0]!.state, at + 1).set.quorum, "crash");
  assert.equal(readRules(stores[0]!.state).policy, "posr");

  await start(3);
  await agree();
  const again = await decide("policy.change", { policy: "dpoa" });
  await fillTo(again + 2);
  assert.equal(await epochAt(again + 1), 2);
  assert.equal(readRules(stores[3]!.state).policy, "dpoa");
  await agree();

  // A start finds the era of the tip in log and state.
  await nodes[2]!.stop();
  await start(2);
  await fillTo(again + 5);
  await agree();
});

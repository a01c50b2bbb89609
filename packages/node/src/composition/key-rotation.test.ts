/**
 * Goal: a machine that is gone for good is replaced by one with another consensus key, which votes
 * once the organizations have decided so. Method: real transport, ordering and disks, stores in memory.
 */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { createMemoryLedgerStore, type MemoryLedgerStore } from "@hanse/ledger";
import { newestSet, readinessMessage } from "@hanse/modules";
import {
  type CborValue,
  createKeyPair,
  encodeKeyFile,
  type KeyPair,
  publicKeyToCbor,
  publicKeyToText,
  signMessage,
  utf8,
} from "@hanse/protocol";
import { loadConfig } from "../config/load-config.ts";
import { createNodeFolder } from "../folder/node-folder.ts";
import {
  createTestNetwork,
  signNative,
  startOverMemory,
  type TestNetworkFolder,
} from "../testing/test-node.ts";
import type { RunningNode } from "./start-node.ts";

const LOST = 2;
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

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 90_000;
  while (!condition()) {
    assert.ok(performance.now() < end, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function call(
  pair: KeyPair,
  module: string,
  action: string,
  args: Readonly<Record<string, CborValue>>,
): Promise<Record<string, unknown>> {
  const { ledger } = nodes[0]!.services;
  const { bytes, id } = signNative(pair, network.ledgerId, [module, action, args]);
  await ledger.submit(bytes);
  const status = await ledger.waitFor(id, "final", { timeoutMs: 90_000 });
  assert.ok(status.state === "final");
  assert.equal(status.outcome.code, "ok", status.outcome.error);
  return JSON.parse(status.outcome.result) ?? {};
}

let count = 0;
const note = () =>
  call(network.people[0]!.pair, "notes", "put", { key: `k${++count}`, value: utf8("v") });

test("a lost machine comes back with another key, by decision", async () => {
  const admins = network.nodes.map(({ admin }) => admin);
  const { id, configFile } = network.nodes[LOST]!;
  await note();
  await nodes[LOST]!.stop();
  const { config } = loadConfig({ file: configFile });
  const fresh = createKeyPair("ed25519");

  // With a signing state of the old key's time, another key is a mistake.
  const oldKey = network.nodes[LOST]!.consensusKey;
  writeFileSync(config.keys.consensus, encodeKeyFile(fresh));
  await assert.rejects(start(LOST), { code: "NODE_KEY" });
  writeFileSync(config.keys.consensus, encodeKeyFile(oldKey));

  rmSync(config.node.dataDir, { recursive: true });
  writeFileSync(config.keys.consensus, encodeKeyFile(fresh));
  await createNodeFolder(config, "rejoin");
  stores[LOST] = createMemoryLedgerStore();
  await start(LOST);
  await until("it follows", () => nodes[LOST]!.services.ledger.tip.height >= 1);

  const { height } = nodes[0]!.services.ledger.tip;
  const subject = { node: id, key: fresh.publicKey, version: "1", height };
  await call(admins[LOST]!, "governance", "readiness", {
    ...{ node: id, key: publicKeyToCbor(fresh.publicKey), version: "1", height },
    signature: signMessage(fresh, readinessMessage(network.ledgerId, subject)),
  });
  const content = JSON.stringify({ id, key: publicKeyToText(fresh.publicKey) });
  const proposed = await call(admins[0]!, "governance", "propose", {
    kind: "member.keyRotate",
    content,
  });
  const proposal = proposed.id as number;
  await call(admins[1]!, "governance", "approve", { proposal });
  const last = await call(admins[3]!, "governance", "approve", { proposal });
  assert.equal(last.executed, true);
  const { from, set } = newestSet(stores[0]!.state);
  const member = set.members.find((other) => other.id === id)!;
  assert.equal(publicKeyToText(member.key), publicKeyToText(fresh.publicKey));

  const voting = () => nodes[LOST]!.services.orderingStatus();
  while (voting().quarantined !== undefined || voting().role === "observer") await note();
  assert.ok(nodes[0]!.services.ledger.tip.height >= from);
  // Three of four: without the new key's vote there would be no quorum.
  await nodes[3]!.stop();
  for (let i = 0; i < 3; i++) await note();
  await until("both hold the same", () => {
    const tips = [0, LOST].map((i) => nodes[i]!.services.ledger.tip.height);
    return tips[0] === tips[1];
  });
});

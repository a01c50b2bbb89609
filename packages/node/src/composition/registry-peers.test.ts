/**
 * Goal: nodes change their TLS keys one after the other, by transactions alone, while the ledger
 * goes on; a node that was away during all of it gets its links back. Method: four nodes in one
 * process with real links, stores in memory.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { createMemoryLedgerStore, type MemoryLedgerStore } from "@hanse/ledger";
import { readTlsIdentity } from "@hanse/network";
import { toHex, utf8 } from "@hanse/protocol";
import { loadConfig } from "../config/load-config.ts";
import { prepareTlsKey } from "../folder/tls-key-files.ts";
import { createTestNetwork, signNative, startOverMemory } from "../testing/test-node.ts";
import type { RunningNode } from "./start-node.ts";

const network = await createTestNetwork(4);
const configs = network.nodes.map(({ configFile }) => loadConfig({ file: configFile }).config);
const stores: MemoryLedgerStore[] = configs.map(() => createMemoryLedgerStore());
const nodes: RunningNode[] = [];
const start = async (i: number) => {
  nodes[i] = await startOverMemory(network.nodes[i]!.configFile, stores[i]!, () => {});
};
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

async function run(...call: Parameters<typeof signNative>[2]): Promise<void> {
  const { ledger } = nodes[0]!.services;
  const { bytes, id } = signNative(network.people[0]!.pair, network.ledgerId, call);
  await ledger.submit(bytes);
  const status = await ledger.waitFor(id, "final", { timeoutMs: 60_000 });
  assert.equal(status.state === "final" && status.outcome.code, "ok");
}

const fileKey = (i: number) =>
  toHex(readTlsIdentity(readFileSync(configs[i]!.keys.tls, "utf8")).fingerprint);
const linksOf = (i: number) => nodes[i]!.services.links().filter((link) => link.connected).length;

test("a key is rotated on a running ledger; who was away finds its peers again", async () => {
  await Promise.all([0, 1, 2, 3].map(start));
  await until(() => [0, 1, 2, 3].every((i) => linksOf(i) === 3), "all links");
  await nodes[3]!.stop();
  const before = fileKey(0);
  const fingerprint = await prepareTlsKey(configs[0]!);
  assert.equal(fileKey(0), before, "until the registry has it, the key in use stays");
  await run("registry", "node.setTls", { node: network.nodes[0]!.id, tlsFingerprint: fingerprint });
  await until(() => fileKey(0) === toHex(fingerprint), "the node took its new key");
  await run("notes", "put", { key: "goes on", value: utf8("v") });
  await until(() => linksOf(0) === 2, "links to the two that are there");
  // Node 3 knows only the key of before; it is among those that node 0 still holds.
  stores[3] = await stores[3]!.reopen();
  await start(3);
  await until(() => linksOf(3) === 3, "links of the one that was away");
  const height = () => nodes[0]!.services.ledger.tip.height;
  await until(() => nodes[3]!.services.ledger.tip.height === height(), "it has caught up");
  // A restart with the new key, by a registry that has it.
  await nodes[0]!.stop();
  stores[0] = await stores[0]!.reopen();
  await start(0);
  await until(() => linksOf(0) === 3, "links after a restart");
  await run("notes", "put", { key: "still", value: utf8("v") });
});

/**
 * Goal: the ledger runs over elected relays, and over libp2p, as it does over links of all to all.
 * Method: nodes in one process with real links, stores in memory.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { createMemoryLedgerStore } from "@hanse/ledger";
import { libp2pIdOf } from "@hanse/libp2p";
import { toHex, utf8 } from "@hanse/protocol";
import { loadConfig, renderConfigToml } from "../config/load-config.ts";
import type { NodeConfigInput } from "../config/schema.ts";
import { loadConsensusKey } from "../folder/node-folder.ts";
import {
  createTestNetwork,
  signNative,
  startOverMemory,
  type TestNetworkFolder,
} from "../testing/test-node.ts";
import type { RunningNode } from "./start-node.ts";

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 90_000;
  while (!condition()) {
    assert.ok(performance.now() < end, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function startAll(network: TestNetworkFolder): Promise<RunningNode[]> {
  const starting = network.nodes.map(({ configFile }) =>
    startOverMemory(configFile, createMemoryLedgerStore(), () => {}),
  );
  after(async () => {
    for (const one of await Promise.allSettled(starting)) {
      if (one.status === "fulfilled") await one.value.stop();
    }
    network.remove();
  });
  const nodes = await Promise.all(starting);
  await until(() => nodes.every(({ services }) => services.notReady() === undefined), "all ready");
  return nodes;
}

let count = 0;
async function submit(network: TestNetworkFolder, node: RunningNode): Promise<void> {
  const { ledger } = node.services;
  const args = ["notes", "put", { key: `k${++count}`, value: utf8("v") }] as const;
  const { bytes, id } = signNative(network.people[1]!.pair, network.ledgerId, args);
  await ledger.submit(bytes);
  assert.equal((await ledger.waitFor(id, "final", { timeoutMs: 90_000 })).state, "final");
}

const linksOf = ({ services }: RunningNode) =>
  services.links().filter(({ connected }) => connected).length;

async function untilEqual(nodes: readonly RunningNode[]): Promise<void> {
  const tip = ({ services: { ledger } }: RunningNode) =>
    `${ledger.tip.height} ${toHex(ledger.tip.stateRoot)}`;
  await until(() => new Set(nodes.map(tip)).size === 1, `equal tips: ${nodes.map(tip)}`);
}

test("seven nodes over three relays; one relay ends", async () => {
  const network = await createTestNetwork(7, { config: { network: { meshNodesMax: 3 } } });
  const nodes = await startAll(network);
  const knowing = (count: number) => nodes.filter((node) => linksOf(node) === count).length;
  await until(() => knowing(6) === 3 && knowing(5) === 4, "three know all, the others five");
  for (const node of nodes) await submit(network, node);
  await untilEqual(nodes);
  const metrics = async (node: RunningNode) => (await node.services.metrics()).text;
  await until(() => knowing(6) > 0, "a relay with links to all");
  const relay = nodes.find((node) => linksOf(node) === 6)!;
  assert.match(await metrics(relay), /hanse_network_envelopes\{event="relayed"\} [1-9]/);
  await relay.stop();
  const others = nodes.filter((node) => node !== relay);
  for (const node of others) await submit(network, node);
  await untilEqual(others);
});

/** Gives every node the others' addresses within libp2p. */
async function moveToLibp2p(network: TestNetworkFolder): Promise<void> {
  const configs = network.nodes.map(({ configFile }) => loadConfig({ file: configFile }).config);
  const addresses = await Promise.all(
    configs.map(async (config) => {
      const id = await libp2pIdOf(loadConsensusKey(config).secretKey);
      return { id: config.node.id, address: `/ip4/127.0.0.1/tcp/${config.network.port}/p2p/${id}` };
    }),
  );
  for (const [i, { configFile }] of network.nodes.entries()) {
    const { id } = configs[i]!.node;
    const peers = addresses.filter((peer) => peer.id !== id);
    const { port } = configs[i]!.network;
    const input: NodeConfigInput = {
      node: { id },
      api: { port: 0 },
      network: { host: "127.0.0.1", port, peers, adapter: "libp2p" },
      log: { level: "silent" },
      workers: { count: 1 },
    };
    writeFileSync(configFile, renderConfigToml(input));
    assert.match(readFileSync(configFile, "utf8"), /libp2p/);
  }
}

test("four nodes over libp2p", async () => {
  const network = await createTestNetwork(4);
  await moveToLibp2p(network);
  const nodes = await startAll(network);
  await until(() => nodes.every((node) => linksOf(node) === 3), "all linked");
  for (const node of nodes) await submit(network, node);
  await untilEqual(nodes);
});

/** Goal: a network that CometBFT orders has homes that fit together, also after its ports changed. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { cometNodeId } from "@hanse/cometbft";
import { loadConfig } from "@hanse/node";
import { decodeKeyFile } from "@hanse/protocol";
import { addNodeFolder } from "./add-node.ts";
import { createNetworkFolder } from "./create-network.ts";
import type { NetworkFolder, NodeEntry } from "./network-folder.ts";
import { renewPorts } from "./renew-ports.ts";
import { countedTemplate } from "./template.ts";

const read = (node: NodeEntry, name: string) => readFileSync(path.join(node.folder, name), "utf8");

function assertHomesFit({ nodes }: NetworkFolder): void {
  const ports = nodes.flatMap(({ apiPort, networkPort, comet }) => [
    apiPort,
    networkPort,
    comet!.linkPort,
    comet!.rpcPort,
  ]);
  assert.equal(new Set(ports).size, 4 * nodes.length, "every port once");
  for (const node of nodes) {
    const { comet } = loadConfig({ file: node.configFile }).config;
    assert.equal(comet.home, path.join(node.folder, "comet"));
    assert.equal(comet.rpcPort, node.comet!.rpcPort);
    const lines = read(node, "comet/config/config.toml").split("\n");
    assert.ok(lines.includes(`laddr = "tcp://127.0.0.1:${node.comet!.linkPort}"`));
    assert.ok(lines.includes(`laddr = "tcp://127.0.0.1:${node.comet!.rpcPort}"`));
    const peers = nodes
      .filter((other) => other !== node)
      .map((other) => {
        const { publicKey } = decodeKeyFile(read(other, "keys/comet-link.json"));
        return `${cometNodeId(publicKey.bytes)}@127.0.0.1:${other.comet!.linkPort}`;
      });
    assert.ok(lines.includes(`persistent_peers = "${peers.join(",")}"`));
    const genesis = read(node, "comet/config/genesis.json");
    assert.equal(genesis, read(nodes[0]!, "comet/config/genesis.json"), "one genesis for all");
    const { publicKey } = decodeKeyFile(read(node, "keys/consensus.json"));
    const { pub_key } = JSON.parse(read(node, "comet/config/priv_validator_key.json"));
    assert.equal(pub_key.value, Buffer.from(publicKey.bytes).toString("base64"));
  }
}

test("homes are written with the network and again with new ports", async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), "hanse-comet-homes-"));
  t.after(() => rmSync(root, { recursive: true }));
  const created = await createNetworkFolder({
    dir: path.join(root, "network"),
    template: countedTemplate("homes", 3),
    ordering: "cometbft",
    portBase: 23_000 + (process.pid % 200) * 20,
    now: 1_760_000_000_000,
  });
  assertHomesFit(created);
  const links = created.nodes.map((node) => read(node, "keys/comet-link.json"));
  const renewed = await renewPorts(created, 28_000 + (process.pid % 200) * 10);
  assert.notDeepEqual(renewed.manifest.nodes, created.manifest.nodes);
  assertHomesFit(renewed);
  assert.deepEqual(
    renewed.nodes.map((node) => read(node, "keys/comet-link.json")),
    links,
    "who a CometBFT is does not change with its ports",
  );
});

test("a further node gets a home of its own, the others' stay", async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), "hanse-comet-homes-"));
  t.after(() => rmSync(root, { recursive: true }));
  const portBase = 32_000 + (process.pid % 200) * 20;
  const created = await createNetworkFolder({
    dir: path.join(root, "network"),
    template: countedTemplate("homes", 3),
    ordering: "cometbft",
    portBase,
    now: 1_760_000_000_000,
  });
  const config = (node: NodeEntry) => read(node, "comet/config/config.toml");
  const before = created.nodes.map(config);
  const { network, node } = await addNodeFolder(created, "org-1/node-2", portBase + 12);
  assert.deepEqual(created.nodes.map(config), before);
  assert.equal(
    read(node, "comet/config/genesis.json"),
    read(created.nodes[0]!, "comet/config/genesis.json"),
  );
  const dialed = /persistent_peers = "(.*)"/.exec(config(node))![1]!.split(",");
  assert.equal(dialed.length, 3);
  for (const { comet } of created.nodes) {
    assert.ok(dialed.some((peer) => peer.endsWith(`@127.0.0.1:${comet!.linkPort}`)));
  }
  assert.match(read(node, "node.toml"), new RegExp(`rpcPort = ${node.comet!.rpcPort}`));
  assertHomesFit(await renewPorts(network, 37_000 + (process.pid % 200) * 10));
});

test("CometBFT's one quorum rule is refused to be another", async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), "hanse-comet-homes-"));
  t.after(() => rmSync(root, { recursive: true }));
  const options = {
    dir: path.join(root, "network"),
    template: countedTemplate("homes", 3),
    ordering: "cometbft",
    quorum: "crash",
    now: 1_760_000_000_000,
  } as const;
  await assert.rejects(createNetworkFolder(options), {
    code: "GENESIS_INVALID",
    message: /validators\.quorum: expected byzantine/,
  });
});

/** Goal: a network's folder holds all a node needs, secrets are closed, mistakes are named. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { loadConfig } from "@hanse/node";
import {
  decodeGenesis,
  equalBytes,
  genesisFromJson,
  HanseError,
  ledgerIdOf,
  toHex,
} from "@hanse/protocol";
import { listAccountNames, loadAccountKey, loadNamedAccount } from "./account-key.ts";
import { createNetworkFolder } from "./create-network.ts";
import { planEtcd, resolveEtcdMembers, writeEtcdMembers } from "./etcd-members.ts";
import { loadNetworkFolder, selectNodes } from "./network-folder.ts";
import { renewPorts } from "./renew-ports.ts";
import { countedTemplate, namedTemplate, soloTemplate } from "./template.ts";

const root = mkdtempSync(path.join(tmpdir(), "hanse-folder-"));
after(() => rmSync(root, { recursive: true, force: true }));

const NOW = Date.UTC(2026, 10, 20);

async function refusalOf(work: () => unknown): Promise<HanseError> {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof HanseError, String(error));
    return error;
  }
  return assert.fail("expected a refusal");
}

test("a created network has one genesis, and each node a configuration that loads", async () => {
  const dir = path.join(root, "four");
  const network = await createNetworkFolder({
    dir,
    template: namedTemplate("trial", ["harbour", "court", "notary", "bank"]),
    now: NOW,
    portBase: 24_100,
    nodeSettings: { log: { level: "warn" } },
  });
  const genesis = decodeGenesis(readFileSync(path.join(dir, "genesis.cbor")));
  const fromJson = genesisFromJson(JSON.parse(readFileSync(network.genesisFile, "utf8")));
  assert.ok(equalBytes(ledgerIdOf(genesis), ledgerIdOf(fromJson)));
  assert.equal(toHex(ledgerIdOf(genesis)), network.manifest.ledgerId);
  assert.deepEqual(
    genesis.nodes.map((node) => node.id).sort(),
    ["bank/node-1", "court/node-1", "harbour/node-1", "notary/node-1"].sort(),
  );
  assert.equal(new Set(network.nodes.flatMap((n) => [n.apiPort, n.networkPort])).size, 8);
  for (const node of network.nodes) {
    const { config } = loadConfig({ file: node.configFile });
    assert.equal(config.node.id, node.id);
    assert.equal(config.api.port, node.apiPort);
    assert.equal(config.log.level, "warn");
    assert.equal(config.network.peers.length, 3);
    assert.ok(!config.network.peers.some((peer) => peer.id === node.id));
    for (const peer of config.network.peers) {
      const other = network.nodes.find((one) => one.id === peer.id)!;
      assert.equal(peer.address, `127.0.0.1:${other.networkPort}`);
    }
    for (const secret of [config.keys.consensus, config.keys.tls]) {
      assert.equal(statSync(secret).mode & 0o777, 0o600, secret);
    }
    assert.equal(
      readFileSync(config.ledger.genesis, "utf8"),
      readFileSync(network.genesisFile, "utf8"),
    );
  }
  assert.deepEqual(loadNetworkFolder(dir), network);
});

test("over etcd: the order's address in each node, crash quorum, members of its own or none", async () => {
  const template = countedTemplate("ordered", 3);
  const etcdUrls = ["http://127.0.0.1:23791", "http://127.0.0.1:23792"];
  const dir = path.join(root, "etcd");
  const common = { dir, template, ordering: "etcd", now: NOW, portBase: 24_300 } as const;
  const network = await createNetworkFolder({ ...common, etcdUrls });
  const genesis = genesisFromJson(JSON.parse(readFileSync(network.genesisFile, "utf8")));
  assert.equal(genesis.ordering, "etcd");
  assert.equal(genesis.validators.quorum, "crash");
  assert.deepEqual(network.etcd, []);
  assert.deepEqual(loadNetworkFolder(dir).manifest.etcd, { urls: etcdUrls });
  for (const node of network.nodes) {
    assert.equal(loadConfig({ file: node.configFile }).config.etcd.urls, etcdUrls.join(","));
  }
  const lying = { ...common, dir: path.join(root, "etcd-bft"), etcdUrls };
  const refused = await refusalOf(() => createNetworkFolder({ ...lying, quorum: "byzantine" }));
  assert.match(refused.message, /genesis\.validators\.quorum/);

  const own = resolveEtcdMembers("/net", planEtcd([1, 2, 3, 4, 5, 6]));
  assert.deepEqual(
    own.map(({ name, clientPort, peerPort }) => [name, clientPort, peerPort]),
    [
      ["etcd-1", 1, 4],
      ["etcd-2", 2, 5],
      ["etcd-3", 3, 6],
    ],
  );
  writeEtcdMembers(path.join(root, "own"), planEtcd([1, 2, 3, 4, 5, 6]));
  const [first] = resolveEtcdMembers(path.join(root, "own"), planEtcd([1, 2, 3, 4, 5, 6]));
  const config = JSON.parse(readFileSync(first!.configFile, "utf8")) as Record<string, unknown>;
  assert.equal(config["enable-grpc-gateway"], true);
  assert.equal(String(config["initial-cluster"]).split(",").length, 3);
});

test("a policy and its parameters go into genesis; what no node could start with is refused", async () => {
  const common = { template: countedTemplate("turns", 2), now: NOW };
  const dir = path.join(root, "policy");
  const policyParams = { slotMs: 4000 };
  const network = await createNetworkFolder({ ...common, dir, policy: "dpoa", policyParams });
  const genesis = genesisFromJson(JSON.parse(readFileSync(network.genesisFile, "utf8")));
  assert.equal(genesis.policy, "dpoa");
  assert.deepEqual(genesis.policyParams, policyParams);
  const other = path.join(root, "policy-wrong");
  const refused = await refusalOf(() =>
    createNetworkFolder({ ...common, dir: other, policy: "posr", policyParams }),
  );
  assert.equal(refused.code, "POLICY_PARAMS_INVALID");
  assert.match(refused.message, /policy posr, slotMs: no such parameter/);
});

test("accounts of genesis have their keys in the folder", async () => {
  const dir = path.join(root, "accounts");
  const network = await createNetworkFolder({ dir, template: soloTemplate("one"), now: NOW });
  const genesis = genesisFromJson(JSON.parse(readFileSync(network.genesisFile, "utf8")));
  assert.deepEqual(listAccountNames(network.accountsFolder), ["solo-admin"]);
  const { keyPair } = loadNamedAccount(network.accountsFolder, "solo-admin");
  assert.ok(equalBytes(keyPair.publicKey.bytes, genesis.accounts[0]!.key.bytes));
  assert.deepEqual(genesis.accounts[0]!.roles, ["admin", "network-admin"]);
  const file = path.join(network.accountsFolder, "solo-admin.json");
  chmodSync(file, 0o644);
  assert.equal((await refusalOf(() => loadAccountKey(file))).code, "CLI_KEY_RIGHTS");
  chmodSync(file, 0o600);
  writeFileSync(file, readFileSync(file, "utf8").replace(/("secretKey": "..)/u, "$1x"));
  const damaged = await refusalOf(() => loadAccountKey(file));
  assert.equal(damaged.code, "CLI_KEY_CORRUPT");
  assert.match(damaged.message, /secretKey/);
});

test("nothing is overwritten, and nothing is left of what failed", async () => {
  const dir = path.join(root, "taken");
  await createNetworkFolder({ dir, template: soloTemplate("one"), now: NOW });
  const before = readFileSync(path.join(dir, "genesis.json"), "utf8");
  const again = await refusalOf(() =>
    createNetworkFolder({ dir, template: soloTemplate("two"), now: NOW }),
  );
  assert.equal(again.code, "CLI_FOLDER_NOT_EMPTY");
  assert.equal(readFileSync(path.join(dir, "genesis.json"), "utf8"), before);
  const missing = await refusalOf(() => loadNetworkFolder(path.join(root, "nowhere")));
  assert.equal(missing.code, "CLI_NO_NETWORK");
  assert.match(missing.message, /network create/);
});

test("names and counts are checked before anything is written", async () => {
  for (const [make, field] of [
    [() => countedTemplate("net", 0), /orgs/],
    [() => namedTemplate("net", ["Court"]), /"Court"/],
    [() => namedTemplate("net", ["court", "court"]), /named twice/],
    [() => soloTemplate("My Network"), /network/],
  ] as const) {
    const error = await refusalOf(make);
    assert.equal(error.code, "CLI_USAGE_TEMPLATE");
    assert.match(error.message, field);
  }
});

test("a node is found by id, organization or name; a wrong one lists the right ones", async () => {
  const dir = path.join(root, "select");
  const network = await createNetworkFolder({
    dir,
    template: namedTemplate("net", ["court", "bank"]),
    now: NOW,
  });
  assert.deepEqual(
    selectNodes(network, "court").map((node) => node.id),
    ["court/node-1"],
  );
  assert.equal(selectNodes(network, "node-1").length, 2);
  const error = await refusalOf(() => selectNodes(network, "curt"));
  assert.match(error.message, /court\/node-1, bank\/node-1/);
});

test("new ports reach the configuration of every node", async () => {
  const dir = path.join(root, "ports");
  const created = await createNetworkFolder({
    dir,
    template: namedTemplate("net", ["court", "bank"]),
    now: NOW,
    portBase: 24_300,
  });
  const renewed = await renewPorts(created, 24_500);
  const [court, bank] = renewed.nodes;
  const { config } = loadConfig({ file: court!.configFile });
  assert.equal(config.api.port, court!.apiPort);
  assert.ok(court!.apiPort >= 24_500);
  assert.deepEqual(config.network.peers, [
    { id: "bank/node-1", address: `127.0.0.1:${bank!.networkPort}` },
  ]);
  assert.deepEqual(loadNetworkFolder(dir), renewed);
});

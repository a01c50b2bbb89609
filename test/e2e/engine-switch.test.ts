/**
 * Goal: a running ledger goes over from the built-in engine to etcd by decision, under load, loses and
 * doubles nothing, and its receipts hold on both sides. Method: real nodes, one real etcd.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type TestContext, test } from "node:test";
import {
  countedTemplate,
  decideOn,
  findEtcdBinary,
  findFreePorts,
  propose,
  proveReadiness,
  readRules,
  verifyOffline,
} from "@hanse/cli";
import { decodeKeyFile } from "@hanse/protocol";
import { assertRecordedOnce, startEntryLoad } from "./harness/entry-load.ts";
import { ETCD_MISSING } from "./harness/etcd.ts";
import { choosePortBase, createTestFolder, createTestNetwork } from "./harness/test-network.ts";
import { waitFor, waitForAgreement } from "./harness/waiting.ts";

/** One member, gone with the test; its address. */
async function startEtcd(t: TestContext): Promise<string> {
  const [client, peer] = await findFreePorts(2, choosePortBase() + 12);
  const url = `http://127.0.0.1:${client}`;
  const peers = `http://127.0.0.1:${peer}`;
  const flags = {
    name: "one",
    "data-dir": path.join(createTestFolder(t), "etcd"),
    "listen-client-urls": url,
    "advertise-client-urls": url,
    "listen-peer-urls": peers,
    "initial-advertise-peer-urls": peers,
    "initial-cluster": `one=${peers}`,
  };
  const argv = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(findEtcdBinary(process.env)!, argv, { stdio: "ignore" });
  t.after(async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  await waitFor("etcd answers", async () => (await fetch(`${url}/health`)).ok);
  return url;
}

test("a running ledger goes over to etcd", { timeout: 600_000, skip: ETCD_MISSING }, async (t) => {
  const urls = await startEtcd(t);
  const network = await createTestNetwork(t, {
    template: countedTemplate("over", 4),
    nodeSettings: { etcd: { urls } },
  });
  await network.up();
  await network.installEntries();
  const admin = (org: number) => network.account(`org-${org}-admin`).keyPair;
  const ledger = await network.client(0);
  const load = await startEntryLoad(network, { nodes: [0, 1], signer: admin(1), prefix: "over" });
  t.after(() => load.stop());
  for (const [i, node] of network.nodes.entries()) {
    const file = path.join(node.folder, "keys", "consensus.json");
    const key = decodeKeyFile(readFileSync(file, "utf8"));
    await proveReadiness(ledger, admin(i + 1), {
      id: node.id,
      key,
      version: "1",
      engines: ["etcd"],
    });
  }
  const content = { engine: "etcd", quorum: "crash", policy: "fixed" };
  const { outcome } = await propose(ledger, admin(1), "engine.switch", content);
  const { id } = JSON.parse(String(outcome!.result)) as { id: number };
  await decideOn(ledger, admin(2), "approve", id);
  const decision = await decideOn(ledger, admin(3), "approve", id);
  const last = decision.height! + 2;
  // One is away while the others go over; it finds the way by itself.
  await network.down([network.nodes[3]!]);
  await waitFor("etcd orders", async () => {
    const { ordering } = await readRules(ledger, admin(1));
    return ordering.engine === "etcd" && ordering.since === last + 1;
  });
  await waitFor(
    "entries become final under etcd",
    async () => [...load.final.values()].filter((height) => height > last).length > 20,
  );
  await network.up([network.nodes[3]!]);
  await load.stop();
  await waitForAgreement(network);
  for (const node of [0, 3]) await assertRecordedOnce(network, node, load.accepted);

  // A node that starts anew goes through both engines.
  await network.down([network.nodes[1]!]);
  await network.up([network.nodes[1]!]);
  await waitForAgreement(network);

  const sorted = [...load.final].sort(([, a], [, b]) => a - b);
  for (const [label] of [sorted[0]!, sorted.at(-1)!]) {
    const receipt = path.join(network.folder.folder, "over.receipt");
    const client = await network.client(3);
    writeFileSync(receipt, await client.receipt(load.accepted.get(label)!, [], admin(4)));
    const genesis = network.folder.genesisFile;
    const verdict = await verifyOffline({ receipt, genesis, documents: [] });
    assert.equal(verdict.ok, true, verdict.reason);
  }
});

/**
 * Goal: three nodes whose order a real etcd of three members keeps lose and double nothing when the
 * node that leads, or the member of etcd that leads, is ended under load; and go on.
 */
import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { countedTemplate, readNetworkStatus, upNetwork, verifyOffline } from "@hanse/cli";
import { assertRecordedOnce, startEntryLoad } from "./harness/entry-load.ts";
import { ETCD_MISSING, findEtcdLeader, killEtcd } from "./harness/etcd.ts";
import { createTestNetwork, type TestNetwork } from "./harness/test-network.ts";
import { waitFor, waitForAgreement } from "./harness/waiting.ts";

const options = { timeout: 600_000, skip: ETCD_MISSING };

async function createEtcdNetwork(t: Parameters<typeof createTestNetwork>[0], name: string) {
  const network = await createTestNetwork(t, {
    template: countedTemplate(name, 3),
    ordering: "etcd",
  });
  await network.up();
  await network.installEntries();
  return network;
}

/** The node whose blocks the ledger has now. */
async function findLeader(network: TestNetwork): Promise<number> {
  const client = await network.client(0);
  const [status] = await readNetworkStatus(network.folder);
  const { proposer } = await client.block(status!.height!);
  return network.nodes.findIndex(({ id }) => id === proposer);
}

test("the leading node is killed under load", options, async (t) => {
  const network = await createEtcdNetwork(t, "etcd-node");
  const signer = network.account("org-1-admin").keyPair;
  const load = await startEntryLoad(network, { nodes: [0, 1, 2], signer, prefix: "load" });
  await waitFor("entries are final", async () => load.final.size > 30);
  const leader = await findLeader(network);
  network.kill(network.nodes[leader]!);
  const killedAt = performance.now();
  const before = load.final.size;
  await waitFor("the others go on", async () => load.final.size > before + 30);
  t.diagnostic(`30 more final ${(performance.now() - killedAt).toFixed(0)} ms after the kill`);
  await network.up([network.nodes[leader]!]);
  await waitFor("all three follow", async () => {
    const nodes = await readNetworkStatus(network.folder);
    return nodes.every(({ health }) => health === "ready");
  });
  await load.stop();
  await waitForAgreement(network);
  for (const node of [0, 1, 2]) await assertRecordedOnce(network, node, load.accepted);

  // A receipt of this ledger stands on its members' attestations and needs no etcd to be checked.
  const [id] = load.accepted.values();
  const receipt = await waitFor("a receipt", async () => {
    const client = await network.client(leader);
    return client.receipt(id!);
  });
  const file = path.join(network.folder.folder, "entry.receipt");
  writeFileSync(file, receipt);
  t.diagnostic(`${load.accepted.size} entries recorded once each`);
  const genesis = network.folder.genesisFile;
  const verdict = await verifyOffline({ receipt: file, genesis, documents: [] });
  assert.equal(verdict.ok, true, verdict.reason);
});

test("the leading member of etcd is killed under load", options, async (t) => {
  const network = await createEtcdNetwork(t, "etcd-member");
  const signer = network.account("org-1-admin").keyPair;
  const load = await startEntryLoad(network, { nodes: [0, 1, 2], signer, prefix: "load" });
  await waitFor("entries are final", async () => load.final.size > 30);
  const leader = await waitFor("etcd has a leader", () => findEtcdLeader(network));
  killEtcd(network, leader);
  const killedAt = performance.now();
  const before = load.final.size;
  await waitFor("the ledger goes on", async () => load.final.size > before + 30);
  t.diagnostic(`30 more final ${(performance.now() - killedAt).toFixed(0)} ms after the kill`);
  await load.stop();
  await waitForAgreement(network);
  for (const node of [0, 1, 2]) await assertRecordedOnce(network, node, load.accepted);
  t.diagnostic(`${load.accepted.size} entries recorded once each`);
});

test(
  "all nodes and all of etcd lose power at once; a wiped etcd stops the members",
  options,
  async (t) => {
    const network = await createEtcdNetwork(t, "etcd-power");
    const signer = network.account("org-1-admin").keyPair;
    const load = await startEntryLoad(network, { nodes: [0, 1, 2], signer, prefix: "load" });
    await waitFor("entries are final", async () => load.final.size > 30);
    for (const member of [0, 1, 2]) killEtcd(network, member);
    network.kill(...network.nodes);
    const owed = new Map([...load.accepted].filter(([label]) => load.final.has(label)));
    await load.stop();
    await network.up();
    await waitForAgreement(network);
    for (const node of [0, 1, 2]) await assertRecordedOnce(network, node, owed);
    await network.down();
    for (const member of network.folder.etcd) {
      const data = path.join(path.dirname(member.configFile), "data");
      assert.ok(existsSync(data));
      rmSync(data, { recursive: true });
    }
    const enough = new AbortController();
    const up = upNetwork(network.folder, { attached: true, signal: enough.signal });
    const refused = assert.rejects(up);
    await waitFor("the members say why they do not start", async () => {
      const nodes = await readNetworkStatus(network.folder);
      const lost = /ETCD_HISTORY_LOST|etcd's order ends at height 0/;
      return nodes.some(({ reason }) => lost.test(reason ?? ""));
    });
    enough.abort();
    await refused;
  },
);

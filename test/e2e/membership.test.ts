/**
 * Goal: organizations take a fifth node into the validators of a running ledger and one out of it,
 * under load, and an outsider's receipts hold across both. Method: real nodes, the command's own
 * functions.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import {
  addNodeFolder,
  countedTemplate,
  decideOn,
  type OrderingView,
  propose,
  proveReadiness,
  readOrdering,
  readSets,
  registerNode,
  renderOrdering,
  runHanse,
  upNetwork,
  verifyOffline,
} from "@hanse/cli";
import { checkRecord, loadConfig } from "@hanse/node";
import { decodeKeyFile } from "@hanse/protocol";
import { startEntryLoad } from "./harness/entry-load.ts";
import { createTestNetwork } from "./harness/test-network.ts";
import { waitFor } from "./harness/waiting.ts";

const PLAIN = new Proxy({}, { get: () => (text: string) => text });

test("a fifth validator joins, another leaves, while entries flow", {
  timeout: 300_000,
}, async (t) => {
  const network = await createTestNetwork(t, { template: countedTemplate("membership", 4) });
  await network.up();
  await network.installEntries();
  const admin = (org: number) => network.account(`org-${org}-admin`).keyPair;
  const load = await startEntryLoad(network, { nodes: [1, 2, 3], signer: admin(2), prefix: "m" });
  t.after(() => load.stop());
  const ledger = await network.client(1);
  const setNow = async () => (await readSets(ledger, admin(2))).now;
  const proposed = async (org: number, kind: string, content: Record<string, unknown>) => {
    const { outcome } = await propose(ledger, admin(org), kind, content);
    return (JSON.parse(String(outcome!.result)) as { id: number }).id;
  };

  const id = "org-4/node-2";
  const added = await addNodeFolder(network.folder, id, network.nodes[0]!.apiPort);
  const { consensusKey: key, tlsFingerprint, address } = added;
  await registerNode(ledger, admin(4), { id, key, tlsFingerprint, address });
  await upNetwork(added.network, { attached: true, nodes: [added.node] });

  const joining = await proposed(4, "member.add", { id, vote: 1, propose: 1 });
  await decideOn(ledger, admin(1), "approve", joining);
  await assert.rejects(decideOn(ledger, admin(2), "approve", joining), {
    code: "GOVERNANCE_NOT_READY",
  });
  const keyFile = path.join(added.node.folder, "keys", "consensus.json");
  const pair = decodeKeyFile(readFileSync(keyFile, "utf8"));
  await proveReadiness(ledger, admin(4), { id, key: pair, version: "1" });
  const decision = await decideOn(ledger, admin(2), "approve", joining);
  const grown = await waitFor("five validators", async () => {
    const set = await setNow();
    return set.members.length === 5 ? set : undefined;
  });
  assert.equal(grown.from, decision.height! + 2);
  const view = await waitFor("the new validator proposes", async () => {
    const seen = await readOrdering(ledger, admin(2));
    return seen.recent.some((block) => block.proposer === id) ? seen : undefined;
  });
  assert.deepEqual([view.votes, view.quorum, view.tolerates], [5, 4, 1]);
  assert.match(
    renderOrdering(view, PLAIN as never),
    /quorum +4 of 5 votes \(byzantine\): 1 may lie/,
  );

  const leaving = await proposed(2, "member.remove", { ids: ["org-1/node-1"] });
  await decideOn(ledger, admin(3), "approve", leaving);
  const parting = await decideOn(ledger, admin(4), "approve", leaving);
  const shrunk = await waitFor("four validators", async () => {
    const set = await setNow();
    return set.members.length === 4 ? set : undefined;
  });
  assert.equal(shrunk.from, parting.height! + 2);
  await assert.rejects(propose(ledger, admin(1), "member.remove", { ids: ["org-2/node-1"] }), {
    code: "GOVERNANCE_DENIED",
  });
  const first = await network.client(0);
  await waitFor("the one removed follows and does not vote", async () => {
    const { role, height } = await first.status();
    return role === "observer" && height > shrunk.from;
  });

  // Three of the four go on; were the one removed still counted, a quorum of five would be missing.
  network.kill(network.nodes[0]!, network.nodes[2]!);
  const before = load.final.size;
  await waitFor("three of four go on", async () => load.final.size > before + 20);

  // A log that forgot the sets: they are in the ledger's state.
  await network.down([network.nodes[3]!]);
  const ordering = path.join(network.nodes[3]!.dataFolder, "ordering");
  for (const name of readdirSync(ordering)) {
    if (name.startsWith("wal-")) rmSync(path.join(ordering, name));
  }
  await network.up([network.nodes[2]!, network.nodes[3]!]);
  await load.stop();
  const last = [...load.final].sort(([, a], [, b]) => b - a)[0]!;
  const fourth = await network.client(3);
  await waitFor("the node without its log is up to date", async () => {
    return (await fourth.status()).committedHeight >= last[1];
  });

  const receipt = path.join(network.folder.folder, "membership.receipt");
  writeFileSync(receipt, await fourth.receipt(load.accepted.get(last[0])!, [], admin(4)));
  const verdict = await verifyOffline({
    receipt,
    genesis: network.folder.genesisFile,
    documents: [],
  });
  assert.equal(verdict.ok, true, verdict.reason);

  let shown = "";
  const code = await runHanse(["ledger", "ordering", "show", "--json", "--node", "org-4/node-1"], {
    stdout: { write: (text: string) => (shown += text) },
    environment: { HANSE_DIR: network.folder.folder },
  });
  assert.equal(code, 0, shown);
  const { set, recent, proposals } = JSON.parse(shown) as OrderingView;
  assert.deepEqual([set.from, recent.length, proposals.length], [shrunk.from, 8, 0]);

  await network.down([network.nodes[3]!]);
  const file = network.nodes[3]!.configFile;
  const record = await checkRecord(loadConfig({ file }).config);
  assert.deepEqual(record.differences, [], "every set vouches for the next one");
});

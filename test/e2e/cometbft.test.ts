/**
 * Goal: four nodes that real CometBFT processes order keep one record while one is killed, another
 * paused, a fifth joins and all are restarted; what they made final verifies offline. Skipped by name where CometBFT is
 * neither installed nor can be built.
 */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import {
  addNodeFolder,
  countedTemplate,
  decideOn,
  downNetwork,
  type NodeEntry,
  propose,
  proveReadiness,
  readNetworkStatus,
  readOrdering,
  registerNode,
  upNetwork,
} from "@hanse/cli";
import { decodeKeyFile, genesisFromJson, verifyReceipt } from "@hanse/protocol";
import { provideCometbft } from "../../scripts/install-cometbft.ts";
import { assertRecordedOnce, startEntryLoad } from "./harness/entry-load.ts";
import { createTestNetwork, type TestNetwork } from "./harness/test-network.ts";
import { pause, waitFor, waitForAgreement } from "./harness/waiting.ts";

const provided = await provideCometbft();
const skip = "missing" in provided ? provided.missing : false;
if ("binary" in provided) process.env.COMETBFT_BIN = provided.binary;

/** CometBFT processes whose home lies in the folder (Linux). */
function cometPids(folder: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8");
      const own = command.includes("cometbft") && command.includes(path.join(folder, "comet"));
      return own ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

async function cometOf(node: NodeEntry): Promise<number> {
  return waitFor(`CometBFT of ${node.id}`, async () => cometPids(node.folder)[0]);
}

async function addEntry(network: TestNetwork, node: number, label: string): Promise<string> {
  const client = await network.client(node);
  const id = await client.submitCall(network.account("org-1-admin").keyPair, {
    contract: "AddEntry",
    params: new Map([["Label", label]]),
  });
  const view = await client.waitFinal(id);
  assert.equal(view.outcome!.code, "ok");
  return id;
}

test("four validators under CometBFT", { skip, timeout: 600_000 }, async (t) => {
  const template = countedTemplate("comet", 4);
  const network = await createTestNetwork(t, { template, ordering: "cometbft" });
  await network.up();
  await network.installEntries();
  const signer = network.account("org-1-admin").keyPair;

  await t.test("a receipt verifies offline, and an idle ledger is silent", async () => {
    const id = await addEntry(network, 2, "receipt");
    // CometBFT is asked for its signatures once the block is durable, a moment after it is final.
    const client = await network.client(2);
    const bytes = await waitFor("a proven receipt", () => client.receipt(id));
    const genesis = genesisFromJson(JSON.parse(readFileSync(network.folder.genesisFile, "utf8")));
    const verdict = verifyReceipt(bytes, { genesis });
    assert.ok(verdict.ok, inspect(verdict));
    const before = (await waitForAgreement(network))[0]!.height;
    await pause(2_000);
    assert.equal((await waitForAgreement(network))[0]!.height, before);
  });

  await t.test("one of four killed and paused: nothing lost, nothing twice", async (t) => {
    const load = await startEntryLoad(network, { nodes: [0, 1, 2], signer, prefix: "load" });
    t.after(() => load.stop());
    const finals = (count: number) =>
      waitFor(`${count} entries are final`, async () => load.final.size >= count);
    await finals(20);
    network.kill(network.nodes[3]!);
    // A signal is sent at once and takes effect a moment later.
    await waitFor("its CometBFT is gone too", async () => {
      return cometPids(network.nodes[3]!.folder).length === 0;
    });
    await finals(load.final.size + 30);
    await network.up([network.nodes[3]!]);
    await waitFor("the killed node catches up", async () => {
      const nodes = await readNetworkStatus(network.folder);
      return nodes[3]!.health === "ready" && nodes[3]!.height! >= nodes[0]!.height! - 5;
    });
    const paused = await cometOf(network.nodes[1]!);
    process.kill(paused, "SIGSTOP");
    try {
      await finals(load.final.size + 30);
    } finally {
      process.kill(paused, "SIGCONT");
    }
    await finals(load.final.size + 20);
    await load.stop();
    await waitForAgreement(network);
    for (const node of [0, 3]) await assertRecordedOnce(network, node, load.accepted);
    t.diagnostic(`${load.accepted.size} entries recorded once each`);
  });

  await t.test("CometBFT alone killed: the node starts it again", async () => {
    const before = await cometOf(network.nodes[0]!);
    process.kill(before, "SIGKILL");
    await waitFor("another CometBFT", async () => (await cometOf(network.nodes[0]!)) !== before);
    await addEntry(network, 0, "again");
    await waitForAgreement(network);
  });

  await t.test("a fifth node fetches all blocks, becomes a validator and proposes", async () => {
    const id = "org-4/node-2";
    const added = await addNodeFolder(network.folder, id, network.nodes[0]!.apiPort);
    try {
      const ledger = await network.client(1);
      const admin = (org: number) => network.account(`org-${org}-admin`).keyPair;
      const { consensusKey: key, tlsFingerprint, address, node } = added;
      await registerNode(ledger, admin(4), { id, key, tlsFingerprint, address });
      await upNetwork(added.network, { attached: true, nodes: [node] });
      const keyFile = path.join(node.folder, "keys", "consensus.json");
      const pair = decodeKeyFile(readFileSync(keyFile, "utf8"));
      await proveReadiness(ledger, admin(4), { id, key: pair, version: "1" });
      const content = { id, vote: 1, propose: 1 };
      const { outcome } = await propose(ledger, admin(4), "member.add", content);
      const proposal = (JSON.parse(String(outcome!.result)) as { id: number }).id;
      for (const org of [1, 2]) await decideOn(ledger, admin(org), "approve", proposal);
      let entries = 0;
      await waitFor("the fifth validator proposes", async () => {
        await addEntry(network, 0, `fifth-${entries++}`);
        const { recent } = await readOrdering(ledger, admin(1));
        return recent.some(({ proposer }) => proposer === id);
      });
    } finally {
      // The four that go on have a quorum of five.
      await downNetwork(added.network, { nodes: [added.node] });
    }
  });

  await t.test(
    "all nodes killed at once, one without its database, and started again",
    async () => {
      await addEntry(network, 1, "before");
      network.kill(...network.nodes);
      // CometBFT, which has all blocks, has this node execute them again from the first on.
      const database = path.join(network.nodes[3]!.dataFolder, "postgres");
      await waitFor("the killed database writes no more", async () => {
        rmSync(database, { recursive: true, force: true });
        await pause(200);
        mkdirSync(database, { recursive: true });
        return readdirSync(database).length === 0;
      });
      await network.up();
      await addEntry(network, 2, "after");
      const nodes = await waitForAgreement(network);
      assert.equal(new Set(nodes.map((node) => node.stateRoot)).size, 1);
    },
  );

  await t.test("a stop in order leaves no CometBFT behind", async () => {
    await network.down();
    assert.deepEqual(
      network.nodes.flatMap((node) => cometPids(node.folder)),
      [],
    );
  });
});

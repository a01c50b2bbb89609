/**
 * Goal: a node with old data whose peers have let go of its next block does not wait for ever. An
 * archive says what its operator has to decide; told to give its old blocks up, it goes on from a
 * snapshot and votes. Method: four real processes with small limits.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { countedTemplate, loadPackage, type NodeEntry } from "@hanse/cli";
import { createShortLivedCalls, startShortLivedEntries } from "./harness/short-lived-calls.ts";
import { createTestNetwork, ENTRIES_APP, type TestNetwork } from "./harness/test-network.ts";
import { waitFor, waitForAgreement } from "./harness/waiting.ts";

/** Transactions may not be repeated for longer: then their blocks may go. */
const VALID_MS = 8_000;

const hasLogged = (node: NodeEntry, text: string) =>
  existsSync(node.logFile) && readFileSync(node.logFile, "utf8").includes(text);

function keepBlocks(node: NodeEntry, blocks: number): void {
  const settings = readFileSync(node.configFile, "utf8");
  const changed = settings.replace(/^keepBlocks = .*$/m, `keepBlocks = ${blocks}`);
  assert.notEqual(changed, settings);
  writeFileSync(node.configFile, changed);
}

const heightOf = async (network: TestNetwork, node: number) =>
  (await (await network.client(node)).block()).height;

test("a node with old data comes back when nobody keeps its next block", {
  timeout: 300_000,
}, async (t) => {
  const network = await createTestNetwork(t, {
    template: countedTemplate("stranded", 4),
    nodeSettings: {
      // Nobody is ever too far behind for blocks: only what is let go decides.
      sync: { snapshotEveryBlocks: 10, blocksMax: 1_000_000 },
      storage: { keepBlocks: 64 },
    },
  });
  const others = network.nodes.slice(0, 3);
  const away = network.nodes[3]!;
  keepBlocks(away, 0);
  await network.up();
  const { keyPair } = network.account("org-1-admin");
  const callsOf = (node: NodeEntry) => createShortLivedCalls(node.apiUrl, keyPair, VALID_MS);
  const app = loadPackage(ENTRIES_APP).bytes;
  await callsOf(others[0]!).call("app.install", new Map([["package", app]]));
  await waitForAgreement(network);
  await network.down([away]);

  const left = await heightOf(network, 0);
  const loads = others.map((node, i) => startShortLivedEntries(callsOf(node), `lane-${i}`));
  t.after(() => Promise.all(loads.map((load) => load.stop())));
  // Above what the node that is away may have had.
  const gone = left + 5;
  const isGone = async (node: NodeEntry) =>
    (await fetch(`${node.apiUrl}/v1/blocks/${gone}`)).status === 404;
  await waitFor(
    "its next block is let go everywhere",
    async () =>
      (await heightOf(network, 0)) > gone + 64 &&
      (await Promise.all(others.map(isGone))).every(Boolean),
  );
  await Promise.all(loads.map((load) => load.stop()));

  const starting = network.up([away]).catch(() => {});
  await waitFor("it says so", async () => hasLogged(away, "no peer keeps the next block"));
  assert.ok(!hasLogged(away, "a snapshot is fetched"), "an archive gives nothing up by itself");
  network.kill(away);
  await starting;

  keepBlocks(away, 64);
  await network.up([away]);
  await waitForAgreement(network);
  assert.ok(hasLogged(away, "the node goes on from the snapshot"));
  // Three of four are a quorum only with its vote.
  network.kill(others[0]!);
  await callsOf(away).call("AddEntry", new Map([["Label", "with its vote"]]));
});

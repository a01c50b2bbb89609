/**
 * Goal: a node that is new, or whose folder is lost, joins a network that has let its old blocks go:
 * by a snapshot, while transactions flow, however often it is killed on the way and whatever one
 * peer sends; then it votes. Method: four real processes with small limits.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { countedTemplate, loadPackage, type NodeEntry } from "@hanse/cli";
import { checkRecord, loadConfig } from "@hanse/node";
import { assertRecordedOnce } from "./harness/entry-load.ts";
import { createShortLivedCalls, startShortLivedEntries } from "./harness/short-lived-calls.ts";
import { createTestNetwork, ENTRIES_APP, type TestNetwork } from "./harness/test-network.ts";
import { waitFor, waitForAgreement } from "./harness/waiting.ts";

const NODE_PROGRAM = path.resolve(import.meta.dirname, "../../packages/node/src/main.ts");

/** Transactions may not be repeated for longer: then their blocks may go. */
const VALID_MS = 8_000;

const countIn = (node: NodeEntry, text: string) =>
  existsSync(node.logFile) ? readFileSync(node.logFile, "utf8").split(text).length - 1 : 0;

async function heightOf(network: TestNetwork, node: number): Promise<number> {
  return (await (await network.client(node)).block()).height;
}

/** Loses the node's folder and makes an empty one for a node that has run before. */
function wipe(node: NodeEntry): void {
  rmSync(node.dataFolder, { recursive: true, force: true });
  const args = [NODE_PROGRAM, "--config", node.configFile, "--rejoin"];
  const { status, stderr } = spawnSync(process.execPath, args, { timeout: 90_000 });
  assert.equal(status, 0, String(stderr));
}

/** Files of the chunks that a node offers. */
function chunkFiles(node: NodeEntry): string[] {
  const snapshots = path.join(node.dataFolder, "snapshots");
  return readdirSync(snapshots).flatMap((height) =>
    readdirSync(path.join(snapshots, height))
      .filter((name) => name.startsWith("chunk-"))
      .map((name) => path.join(snapshots, height, name)),
  );
}

function flipByte(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(file, bytes);
}

test("joining by a snapshot", { timeout: 600_000 }, async (t) => {
  const network = await createTestNetwork(t, {
    template: countedTemplate("join-snapshot", 4),
    nodeSettings: {
      sync: { snapshotEveryBlocks: 40, blocksMax: 100 },
      storage: { keepBlocks: 64 },
    },
  });
  const members = network.nodes.slice(0, 3);
  const joiner = network.nodes[3]!;
  await network.up(members);
  const signer = network.account("org-1-admin").keyPair;
  const callsOf = (node: NodeEntry) => createShortLivedCalls(node.apiUrl, signer, VALID_MS);
  await callsOf(members[0]!).call(
    "app.install",
    new Map([["package", loadPackage(ENTRIES_APP).bytes]]),
  );
  // The validators change, so that the newest header is reached by way of an older one.
  const governance = (org: number) => {
    const key = network.account(`org-${org}-admin`).keyPair;
    return createShortLivedCalls(members[0]!.apiUrl, key, VALID_MS);
  };
  const content = JSON.stringify({ members: [{ id: members[0]!.id, vote: 1, propose: 3 }] });
  const kind = "member.weights";
  const proposed = await governance(1).act("governance", "propose", { kind, content });
  const { id: proposal } = JSON.parse(proposed) as { id: number };
  await governance(2).act("governance", "approve", { proposal });
  await governance(3).act("governance", "approve", { proposal });
  const changed = await heightOf(network, 0);
  const loads = members.map((node, i) => startShortLivedEntries(callsOf(node), `lane-${i}`));
  t.after(() => Promise.all(loads.map((load) => load.stop())));
  await waitFor("history is long", async () => (await heightOf(network, 0)) > 160, 60_000);
  await waitFor("the first blocks are let go", async () => {
    const response = await fetch(`${members[0]!.apiUrl}/v1/blocks/1`);
    const problem = (await response.json()) as { code?: string };
    return response.status === 404 && problem.code === "LEDGER_BLOCK_PRUNED";
  });

  await waitFor(
    "the change of the validators is let go",
    async () => (await fetch(`${members[0]!.apiUrl}/v1/blocks/${changed + 2}`)).status === 404,
  );

  // A new node, while transactions flow.
  await network.up([joiner]);
  // Once more where the network ran far ahead meanwhile.
  assert.ok(countIn(joiner, "the node goes on from the snapshot") >= 1, "it joined by a snapshot");
  await Promise.all(loads.map((load) => load.stop()));
  await waitForAgreement(network);
  const lowest = await fetch(`${joiner.apiUrl}/v1/blocks/1`);
  assert.equal(lowest.status, 404, "it never had the first blocks");
  const labels = new Map(loads.flatMap((load) => load.final).map((label) => [label, ""]));
  await assertRecordedOnce(network, 3, labels);

  // Three of four are a quorum only with its vote.
  network.kill(members[0]!);
  const patient = createShortLivedCalls(joiner.apiUrl, signer, 60_000);
  const addEntry = (label: string) => patient.call("AddEntry", new Map([["Label", label]]));
  await addEntry("with its vote");
  await network.up([members[0]!]);
  await waitForAgreement(network);

  // Its folder is lost, and every peer serves a chunk with a flipped byte at first.
  await network.down([joiner]);
  wipe(joiner);
  const chunks = members.flatMap(chunkFiles);
  assert.ok(chunks.length >= 3);
  for (const file of chunks) flipByte(file);
  // It does not become ready before it is killed.
  let starting = network.up([joiner]).catch(() => {});
  await waitFor("the chunk is refused", async () => countIn(joiner, "SYNC_CHUNK") > 0);
  for (const file of chunks) flipByte(file);

  // Killed while fetching, and while loading.
  await waitFor("it fetches", async () => countIn(joiner, '"a snapshot is complete') > 0);
  network.kill(joiner);
  await starting;
  const loaded = countIn(joiner, '"a snapshot is loaded"');
  starting = network.up([joiner]).catch(() => {});
  await waitFor("it loads", async () => countIn(joiner, '"a snapshot is loaded"') > loaded);
  network.kill(joiner);
  await starting;
  await network.up([joiner]);
  await waitForAgreement(network);
  await waitFor("it may vote again", async () => countIn(joiner, '"quarantineOver"') > 0);
  await assertRecordedOnce(network, 3, labels);
  await addEntry("after it was wiped");
  await waitForAgreement(network);

  // What it holds is the record, as far as it goes back.
  await network.down([joiner]);
  const record = await checkRecord(loadConfig({ file: joiner.configFile }).config);
  assert.deepEqual(record.differences, []);
  assert.ok(record.blocks > 0 && record.blocks < record.height);
});

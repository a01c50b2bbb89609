/**
 * Goal: a validator that is shown to have contradicted itself is out of the set two heights after the
 * block that says so, and its evidence is on the ledger for good. Method: three real nodes, and the
 * fourth one's key in the hands of the test.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createMemoryLedgerStore, type MemoryLedgerStore } from "@hanse/ledger";
import { newestSet } from "@hanse/modules";
import { channelOf, createEvidence, encodeEvidence, encodeMessage } from "@hanse/ordering";
import { sha256, signMessage, utf8, voteMessage } from "@hanse/protocol";
import { loadConfig } from "../config/load-config.ts";
import { createLog } from "../log/create-log.ts";
import {
  createTestNetwork,
  signNative,
  startOverMemory,
  type TestNetworkFolder,
} from "../testing/test-node.ts";
import { loadNodeIdentity } from "./node-identity.ts";
import { openNetwork } from "./open-network.ts";
import type { RunningNode } from "./start-node.ts";

/** The smallest id of the four: it dials the others, so that its own port is nobody's matter. */
const LIAR = 2;
let network: TestNetworkFolder;
const stores: MemoryLedgerStore[] = [];
const nodes: RunningNode[] = [];

before(async () => {
  network = await createTestNetwork(4);
  for (let i = 0; i < 4; i++) stores.push(createMemoryLedgerStore());
  const start = async (i: number) => {
    nodes[i] = await startOverMemory(network.nodes[i]!.configFile, stores[i]!, () => {});
  };
  await Promise.all([0, 1, 3].map(start));
});
after(async () => {
  for (const i of [0, 1, 3]) await nodes[i]?.stop();
  network.remove();
});

test("two finalize votes of one validator cost it its vote", async (t) => {
  const { ledger } = nodes[0]!.services;
  const put = async (key: string) => {
    const call = ["notes", "put", { key, value: utf8("v") }] as const;
    const { bytes, id } = signNative(network.people[0]!.pair, network.ledgerId, call);
    await ledger.submit(bytes);
    return ledger.waitFor(id, "final", { timeoutMs: 90_000 });
  };
  await put("before");

  const { id: validator, consensusKey, configFile } = network.nodes[LIAR]!;
  const { ledgerId } = network;
  const place = { kind: "finalize", height: 1, view: 0 } as const;
  const subject = { engineEpoch: 0, validatorsHash: newestSet(stores[0]!.state).set.hash };
  const vote = (name: string) => {
    const signed = { ...place, blockHash: sha256(utf8(name)) };
    const message = voteMessage({ ledgerId, ...subject, ...signed });
    return { ...signed, signature: signMessage(consensusKey, message) };
  };
  const evidence = encodeEvidence(
    createEvidence({ ...subject, validator }, vote("one"), vote("other")),
  );

  const loaded = loadConfig({ file: configFile }).config;
  const config = { ...loaded, network: { ...loaded.network, port: 0 } };
  const clock = {
    now: () => Date.now(),
    setTimer(ms: number, fire: () => void) {
      const timer = setTimeout(fire, ms);
      return { cancel: () => clearTimeout(timer) };
    },
  };
  const log = createLog("silent", {});
  const transport = await openNetwork(config, loadNodeIdentity(config), clock, log);
  t.after(() => transport.stop());
  await transport.start();
  const message = { t: "evidence", evidence } as const;
  const end = performance.now() + 90_000;
  // A link may come up late, and what is sent without one is lost.
  while (newestSet(stores[0]!.state).set.members.length === 4) {
    assert.ok(performance.now() < end, "the set is smaller in time");
    transport.broadcast(channelOf(message), encodeMessage(message));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { from, set } = newestSet(stores[0]!.state);
  assert.ok(!set.members.some(({ id }) => id === validator));
  const [row] = stores[0]!.state.find({ table: "governance_evidence", limit: 2 });
  assert.deepEqual(row!.values.slice(0, 4), [`1:${validator}`, validator, "doubleFinalize", 1n]);
  assert.equal(row!.values[6], "remove");
  assert.equal(Number(row!.values[5]) + 2, from);

  // Three of three go on, and none of them says it twice.
  while (ledger.tip.height < from + 2) await put(`after ${ledger.tip.height}`);
  assert.equal(stores[0]!.state.count({ table: "governance_evidence" }), 1);
});

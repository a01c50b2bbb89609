/**
 * Goal: nodes probe by themselves where the policy wants it, and nowhere else: who is stopped is
 * decided down by what the others report, those are up. Method: five real nodes (transport,
 * ordering, disks), stores in memory; one of them is stopped, four of five go on.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { createMemoryLedgerStore } from "@hanse/ledger";
import { GOVERNANCE_KV } from "@hanse/modules";
import { decodePosrState, type PosrState } from "@hanse/ordering";
import { encodeKeyFile, utf8 } from "@hanse/protocol";
import type { RunningNode } from "../composition/start-node.ts";
import {
  createTestNetwork,
  signNative,
  startOverMemory,
  type TestFolderOptions,
} from "../testing/test-node.ts";
import { isCatchingUp } from "./open-probing.ts";
import { EPOCHS_KEPT } from "./report-files.ts";

const POLICY_RECORD = utf8("policy");
/** Of a whole test; a busy machine takes its time. */
const TEST_MS = 120_000;

const slotCount = (bits: number) => bits.toString(2).replaceAll("0", "").length;

/** Nodes of which the first so many may sign reports. */
async function startNodes(count: number, reporting: number, options: TestFolderOptions) {
  const network = await createTestNetwork(count, options);
  const stores = network.nodes.map(() => createMemoryLedgerStore());
  const nodes: RunningNode[] = [];
  const folders = network.nodes.map(({ configFile }) => dirname(configFile));
  await Promise.all(
    network.nodes.map(async ({ configFile, admin }, i) => {
      if (i < reporting) {
        writeFileSync(join(folders[i]!, "keys/account.json"), encodeKeyFile(admin));
        const text = readFileSync(configFile, "utf8");
        writeFileSync(configFile, `${text}\n[keys]\naccount = "keys/account.json"\n`);
      }
      nodes[i] = await startOverMemory(configFile, stores[i]!, () => {});
    }),
  );
  let key = 0;
  return {
    ids: network.nodes.map(({ id }) => id),
    nodes,
    probeFolder: (i: number) => join(folders[i]!, "data/probes"),
    record(): PosrState {
      return decodePosrState(stores[0]!.state.getKv(GOVERNANCE_KV, POLICY_RECORD)!.value);
    },
    /** One block with a note, and some time for answers. */
    async block() {
      const { ledger } = nodes[0]!.services;
      const note = ["notes", "put", { key: `k${++key}`, value: utf8("v") }] as const;
      const { bytes, id } = signNative(network.nodes[0]!.admin, network.ledgerId, [...note]);
      await ledger.submit(bytes);
      await ledger.waitFor(id, "final", { timeoutMs: 30_000 });
    },
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
      network.remove();
    },
  };
}

test("a stopped node is reported down by the others, and they are up", {
  timeout: TEST_MS,
}, async () => {
  const five = await startNodes(5, 5, {
    policy: "posr",
    policyParams: { epochBlocks: 12, probing: 1, presentPermille: 300, silentPermille: 100 },
  });
  try {
    await five.block();
    const [stoppedId] = five.ids.slice(-1);
    await five.nodes[4]!.stop();
    // In the epoch that runs it was there for a while.
    const from = five.record().epoch + 1;
    // Decided at the end of the epoch behind the one that was probed.
    const end = performance.now() + TEST_MS / 2;
    const slotsOf = (id: string) => five.record().accounts.get(id)!.slots;
    const isUp = (id: string) => {
      const { counted, up } = slotsOf(id);
      // On a busy machine an answer may be late; a third of the observers is enough to be up.
      return 2 * slotCount(up) > slotCount(counted) && slotCount(counted) > 0;
    };
    const isShown = () =>
      five.record().epoch >= from + 2 &&
      slotsOf(stoppedId!).counted !== 0 &&
      slotsOf(stoppedId!).up === 0 &&
      five.ids.slice(0, 4).every(isUp);
    while (!isShown() && performance.now() < end) await five.block();
    const seen = Object.fromEntries([...five.record().accounts].map(([id, a]) => [id, a.slots]));
    assert.ok(isShown(), JSON.stringify(seen));
    const kept = readdirSync(five.probeFolder(0));
    assert.ok(kept.length > 0 && kept.length <= EPOCHS_KEPT);
    const shown = JSON.parse(readFileSync(join(five.probeFolder(0), kept[0]!), "utf8"));
    assert.equal(shown.report.prober, five.ids[0]);
    assert.ok(shown.observations.length > 0);
  } finally {
    await five.stop();
  }
});

test("a node that catches up asks nobody; one peer's word does not make it one", () => {
  const status = (syncing: boolean, ...heights: number[]) => ({
    syncing,
    height: 100,
    peers: heights.map((height, i) => ({ id: `p${i}`, connected: true, height })),
  });
  assert.equal(isCatchingUp(status(true, 500, 500, 500)), true);
  assert.equal(isCatchingUp(status(true, 500, 105, 105)), false);
  assert.equal(isCatchingUp(status(true)), true);
  assert.equal(isCatchingUp(status(true, 105, 106, 104)), false);
  assert.equal(isCatchingUp(status(false, 500, 500, 500)), false);
});

test("without keys.account a report is kept and not sent", { timeout: TEST_MS }, async () => {
  const two = await startNodes(2, 0, {
    policy: "posr",
    policyParams: { epochBlocks: 12, probing: 1 },
  });
  try {
    const end = performance.now() + TEST_MS / 2;
    const isKept = () =>
      existsSync(two.probeFolder(0)) && readdirSync(two.probeFolder(0)).length > 0;
    while (!isKept() && performance.now() < end) await two.block();
    assert.ok(isKept());
    assert.deepEqual(two.record().reports, []);
  } finally {
    await two.stop();
  }
});

test("under policies without probing nobody asks anybody", { timeout: TEST_MS }, async () => {
  const two = await startNodes(2, 2, { policy: "posr", policyParams: { epochBlocks: 8 } });
  try {
    for (let i = 0; i < 20; i++) await two.block();
    assert.ok(two.record().epoch >= 2);
    assert.ok(two.ids.every((_, i) => !existsSync(two.probeFolder(i))));
    assert.deepEqual(two.record().reports, []);
  } finally {
    await two.stop();
  }
});

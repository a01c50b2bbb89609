/**
 * Goal: policies decide on running ledgers: posr by the votes that blocks hold, dpoa by time slots.
 * Method: real transport, ordering and disks, stores in memory; one node stopped and back.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemoryLedgerStore } from "@hanse/ledger";
import { validatorSetAt } from "@hanse/modules";
import { decodeBlock, decodeCbor, toHex, utf8 } from "@hanse/protocol";
import {
  createTestNetwork,
  signNative,
  startOverMemory,
  type TestFolderOptions,
} from "../testing/test-node.ts";
import type { RunningNode } from "./start-node.ts";

const MEMBERS = 4;

/** Four nodes of a ledger with this policy. */
async function startLedger(options: TestFolderOptions) {
  const network = await createTestNetwork(MEMBERS, options);
  const stores = network.nodes.map(() => createMemoryLedgerStore());
  const nodes: RunningNode[] = [];
  const start = async (i: number) => {
    nodes[i] = await startOverMemory(network.nodes[i]!.configFile, stores[i]!, () => {});
  };
  await Promise.all(network.nodes.map((_, i) => start(i)));
  let count = 0;
  return {
    nodes,
    start,
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
      network.remove();
    },
    /** Blocks with a note each, until this many more are final. */
    async fill(blocks: number) {
      const { ledger } = nodes[0]!.services;
      const end = ledger.tip.height + blocks;
      while (ledger.tip.height < end) {
        const args = { key: `k${++count}`, value: utf8("v") };
        const note = ["notes", "put", args] as const;
        const { bytes, id } = signNative(network.nodes[0]!.admin, network.ledgerId, [...note]);
        await ledger.submit(bytes);
        await ledger.waitFor(id, "final", { timeoutMs: 90_000 });
      }
    },
    /** Propose weights of the newest set, by place. */
    weights() {
      const { height } = nodes[0]!.services.ledger.tip;
      const { members } = validatorSetAt(stores[0]!.state, height + 2).set;
      return network.nodes.map(({ id }) => members.find((member) => member.id === id)!.propose);
    },
    async headers(from: number) {
      const { height } = nodes[0]!.services.ledger.tip;
      const found = [];
      for (let h = from; h <= height; h++) {
        const stored = await stores[0]!.block(h);
        // What is final is written a moment later.
        if (stored !== undefined) found.push(decodeBlock(stored.bytes).header);
      }
      return found;
    },
    async agree() {
      const end = performance.now() + 90_000;
      for (;;) {
        const tips = nodes.map(({ services }) => services.ledger.tip);
        const states = tips.map((tip) => `${tip.height}:${toHex(tip.stateRoot)}`);
        if (new Set(states).size === 1) return;
        assert.ok(performance.now() < end, `one state in time: ${states}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}

test("posr: who was there earns turns, who is killed loses them within an epoch (AT-2.3)", async () => {
  const epochBlocks = 8;
  const ledger = await startLedger({
    policy: "posr",
    // Four members on a busy machine: votes may come late.
    policyParams: { epochBlocks, halfEpochs: 2, presentPermille: 500, silentPermille: 250 },
  });
  try {
    await ledger.fill(3 * epochBlocks);
    const earned = ledger.weights();
    assert.ok(
      earned.every((weight) => weight > 10),
      `all earned more than base: ${earned}`,
    );
    await ledger.nodes[3]!.stop();
    await ledger.fill(2 * epochBlocks);
    const [first, , , killed] = ledger.weights();
    assert.equal(killed, 0);
    assert.ok(first! > 10);
    const { height } = ledger.nodes[0]!.services.ledger.tip;
    await ledger.fill(epochBlocks);
    const proposers = (await ledger.headers(height + 3)).map((header) => header.proposer);
    assert.ok(proposers.length > 0 && !proposers.some((id) => id.startsWith("notary")));
    await ledger.start(3);
    await ledger.agree();
    // It votes again once it has caught up; the next good epoch gives its turns back.
    const end = performance.now() + 90_000;
    while (ledger.weights()[3] === 0 && performance.now() < end) await ledger.fill(epochBlocks);
    assert.ok(ledger.weights()[3]! > 0, `it proposes again: ${ledger.weights()}`);
    await ledger.agree();
  } finally {
    await ledger.stop();
  }
});

test("dpoa by time slots: every block is in a slot, and in view 0 by its owner", async () => {
  const slotMs = 200;
  const ledger = await startLedger({ policy: "dpoa", policyParams: { slotMs } });
  try {
    await ledger.fill(12);
    await ledger.agree();
    const headers = await ledger.headers(1);
    let owned = 0;
    for (const header of headers) {
      const slot = Math.floor(header.time / slotMs);
      assert.equal(decodeCbor(header.policyExtra), slot);
      const members = ["bailiff", "court", "harbour", "notary"];
      if (header.proposer.startsWith(members[slot % MEMBERS]!)) owned++;
    }
    // Where a slot passes unused, a later view's leader steps in, whatever the slot.
    assert.ok(2 * owned > headers.length, `${owned} of ${headers.length} by the slot's owner`);
  } finally {
    await ledger.stop();
  }
});

test("parameters that the policy does not know keep a node from starting", async () => {
  const network = await createTestNetwork(1, { policy: "dpoa", policyParams: { slots: 1 } });
  try {
    const { configFile } = network.nodes[0]!;
    const start = startOverMemory(configFile, createMemoryLedgerStore(), () => {});
    await assert.rejects(start, { code: "POLICY_PARAMS_INVALID" });
  } finally {
    network.remove();
  }
});

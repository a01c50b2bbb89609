/**
 * Goal: a validator policy runs as a rule of the ledger, its record is state, and it neither keeps an
 * idle ledger awake nor undoes what governance decided. Method: real policies on a ledger in memory.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePosrState } from "@hanse/ordering";
import { toHex, utf8 } from "@hanse/protocol";
import { createRigNode, decide, draft } from "../../../ledger/src/testing/ledger-rig.ts";
import { createGovernedLedger, type GovernedLedger } from "../testing/governance-rig.ts";
import { readRules } from "./rules.ts";
import { newestSet } from "./validator-sets.ts";

const proposeWeights = (g: GovernedLedger) =>
  newestSet(g.node.store.state).set.members.map(({ propose }) => propose);
const record = (g: GovernedLedger) =>
  decodePosrState(g.node.store.state.getKv("governance", utf8("policy"))!.value);

test("posr counts signatures block by block, and only an epoch's end changes the set", async () => {
  const policyParams = { epochBlocks: 8, halfEpochs: 1 };
  const g = await createGovernedLedger({ genesis: { policy: "posr", policyParams } });
  const changed: boolean[] = [];
  const updated: number[] = [];
  for (let height = 1; height <= 20; height++) {
    const result = await g.block();
    changed.push(result.changed);
    if (result.validatorUpdates.length > 0) updated.push(height);
  }
  assert.ok(updated.length >= 1 && updated.every((height) => height % 8 === 0), String(updated));
  assert.ok(
    changed.every((wants, i) => !(wants && changed[i + 1])),
    "at most one proof block for each, then rest",
  );
  assert.ok(record(g).accounts.size === 4);
  assert.ok(proposeWeights(g).every((weight) => weight > 1));
  // Everybody signed everything: nobody gains on the others.
  assert.equal(new Set(proposeWeights(g)).size, 1);

  const again = await createRigNode(g.rig, { store: g.node.store, disk: g.node.disk });
  assert.equal(again.ledger.tip.height, 20);
});

test("who is barred by decision stays barred under a policy", async () => {
  const policyParams = { epochBlocks: 8 };
  const g = await createGovernedLedger({ genesis: { policy: "posr", policyParams } });
  const members = [{ id: "b/node-1", vote: 1, propose: 0 }];
  const { id } = (await g.propose("a", "member.weights", { members })).result;
  await g.approve("c", id as number);
  assert.equal((await g.approve("d", id as number)).result.executed, true);
  for (let i = 0; i < 20; i++) await g.block();
  assert.deepEqual(readRules(g.node.store.state).barred, ["b/node-1"]);
  assert.equal(proposeWeights(g)[1], 0);
  assert.ok(proposeWeights(g)[0]! > 0);
});

test("dpoa suspends who misses its turns, and the set keeps every vote", async () => {
  const policyParams = { missedTurns: 2, turnsWatched: 4, suspensionBlocks: 6 };
  const g = await createGovernedLedger({ genesis: { policy: "dpoa", policyParams } });
  // The rig's proposer of height h is member (h - 1) mod 4; the rota's is another one: all miss turns.
  let suspended = 0;
  for (let i = 0; i < 40; i++) {
    await g.block();
    const { set } = newestSet(g.node.store.state);
    suspended = Math.max(suspended, set.members.filter(({ propose }) => propose === 0).length);
    assert.ok(set.members.every(({ vote }) => vote === 1));
    assert.ok(
      set.members.some(({ propose }) => propose > 0),
      "somebody may always propose",
    );
  }
  assert.ok(suspended > 0);
});

test("an idle ledger of dpoa by height comes to rest: its newest state is proven", async () => {
  // Block h of the rig is proposed by member (h - 1) mod 4: the rota's own order with this start.
  const g = await createGovernedLedger({ genesis: { policy: "dpoa", policyParams: { start: 3 } } });
  const before = await g.block();
  const after = await g.block();
  assert.deepEqual([before.changed, after.changed], [false, false]);
  assert.equal(toHex(after.stateRoot), toHex(before.stateRoot));
});

for (const [policy, policyParams] of [
  ["posr", {}],
  ["dpoa", { slotMs: 1_000 }],
] as const) {
  test(`a row of an idle ledger under ${policy} is proven without waiting for others`, async () => {
    const g = await createGovernedLedger({ genesis: { policy, policyParams } });
    assert.equal((await g.ready("d", "d/node-1", g.nodeKey("d"))).code, "ok");
    // What an engine does: one more block as long as the newest one wants a proof.
    let blocks = 0;
    for (let wants = true; wants; blocks++) {
      assert.ok(blocks < 3, "an idle ledger falls silent");
      wants = (await g.block()).changed;
    }
    const key = { kind: "row", table: "governance_readiness", key: "d/node-1" } as const;
    const waiting = new Promise<undefined>((resolve) => {
      setTimeout(() => resolve(undefined), 5_000).unref();
    });
    const receipt = await Promise.race([g.node.ledger.receipt({ state: [key] }), waiting]);
    assert.ok(receipt, "the receipt comes at rest");
  });
}

test("what an empty block left to count is counted with the next one, also after a restart", async () => {
  const policyParams = { epochBlocks: 1_000 };
  const g = await createGovernedLedger({ genesis: { policy: "posr", policyParams } });
  const eligible = () => record(g).accounts.get("a/node-1")?.now.eligible ?? 0;
  assert.equal((await g.ready("d", "d/node-1", g.nodeKey("d"))).code, "ok");
  const before = g.node.ledger.tip.height;
  await g.block();
  assert.equal(eligible(), before - 1, "the empty block leaves the record as it is");
  const again = await createRigNode(g.rig, { store: g.node.store, disk: g.node.disk });
  const made = await draft(g.rig, again, before + 1);
  again.clock.advance(Math.max(0, made.header.time - again.clock.now()));
  const result = await again.ledger.finalizeBlock(decide(g.rig, made));
  await again.ledger.commit(before + 2);
  assert.equal(eligible(), before + 1, "every height once");
  assert.equal(result.changed, true, "and what was counted gets its proof");
});

/**
 * Goal: a validator policy runs as a rule of the ledger, its record is state, and it neither keeps an
 * idle ledger awake nor undoes what governance decided. Method: real policies on a ledger in memory.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePosrState } from "@hanse/ordering";
import { toHex, utf8 } from "@hanse/protocol";
import { createRigNode } from "../../../ledger/src/testing/ledger-rig.ts";
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
  assert.equal(changed.filter(Boolean).length, updated.length, "idle blocks call for no others");
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

/** Goal: a ledger's rule sees every block, changes limits and survives restarts. Method: small rules. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { equalBytes, evidenceRoot, hashLedgerParams, toHex, utf8 } from "@hanse/protocol";
import {
  createRigGenesis,
  createRigNode,
  decide,
  draft,
  type RigGenesis,
  runBlock,
  signNote,
} from "../testing/ledger-rig.ts";
import type { BlockFacts, BlockRule } from "./block-rules.ts";

const KEY = utf8("limit");

/** At `at` the ledger takes at most one transaction per block. */
function createLimitRule(rig: RigGenesis, at: number, seen: BlockFacts[]): BlockRule {
  const { params } = rig.genesis;
  return {
    name: "limit",
    afterBlock(facts, state) {
      seen.push(facts);
      const now = facts.block.height === at;
      if (now) state.putKv("rule", KEY, Uint8Array.of(1));
      return { validatorUpdates: [], changed: now, rulesChanged: now };
    },
    evidenceFault: (evidence) => (evidence.length > 3 ? "more than three bytes" : undefined),
    inForce(state) {
      const limited = state.getKv("rule", KEY) !== undefined;
      const changed = limited ? { ...params, blockTransactionsMax: 1 } : params;
      return { params: changed, paramsHash: hashLedgerParams(changed) };
    },
  };
}

test("limits that a rule changes hold from the next height on, also after a restart", async () => {
  const rig = await createRigGenesis();
  const seen: BlockFacts[] = [];
  const rule = createLimitRule(rig, 2, seen);
  const node = await createRigNode(rig, { rule });
  const before = toHex(hashLedgerParams(rig.genesis.params));
  await runBlock(rig, [node]);
  const changing = await runBlock(rig, [node]);
  assert.equal(toHex(changing.block.header.paramsHash), before);
  assert.equal(node.ledger.tip.params.blockTransactionsMax, 1);
  assert.equal(seen.length, 2);
  assert.equal(seen[1]!.lastCert.length > 0, true);

  const writers = rig.people.slice(0, 2);
  const send = () =>
    node.ledger.submitMany(
      writers.map((person, i) => signNote(person.pair, `k${i}`, "v", rig).bytes),
    );
  await send();
  const limited = await runBlock(rig, [node]);
  assert.equal(limited.block.header.txCount, 1);
  assert.notEqual(toHex(limited.block.header.paramsHash), before);

  const again = await createRigNode(rig, { rule, store: node.store, disk: node.disk });
  assert.equal(again.ledger.tip.params.blockTransactionsMax, 1);
  assert.ok(equalBytes(again.ledger.tip.paramsHash, node.ledger.tip.paramsHash));
  assert.equal((await runBlock(rig, [again])).block.header.txCount, 1);
});

test("what a rule changes is state and wants a proof; a rule that fails stops the node", async () => {
  const rig = await createRigGenesis();
  const node = await createRigNode(rig, { rule: createLimitRule(rig, 1, []) });
  const block = await draft(rig, node);
  const result = await node.ledger.finalizeBlock(decide(rig, block));
  assert.equal(result.changed, true);
  assert.notEqual(toHex(result.stateRoot), toHex(block.header.prevStateRoot));
  assert.equal(toHex(result.paramsHash), toHex(node.ledger.tip.paramsHash));

  const broken = await createRigNode(rig, {
    rule: {
      ...createLimitRule(rig, 1, []),
      afterBlock() {
        throw new Error("a bug");
      },
    },
  });
  await assert.rejects(broken.ledger.finalizeBlock(decide(rig, await draft(rig, broken))), {
    code: "LEDGER_RULE_FAILED",
  });
  assert.match(broken.ledger.halted ?? "", /rule limit failed on block 1/);
  assert.equal(broken.alarms[0]?.fatal, true);
});

test("a draft leaves out what the rule refuses as evidence, and no vote is given for it", async () => {
  const rig = await createRigGenesis();
  const node = await createRigNode(rig, { rule: createLimitRule(rig, 9, []) });
  const short = Uint8Array.of(1, 2);
  const long = Uint8Array.of(1, 2, 3, 4);
  const block = await draft(rig, node, 0, [long, short]);
  assert.deepEqual(block.evidence, [short]);
  const verdict = await node.ledger.validateBlock(block, decide(rig, block).hash);
  assert.deepEqual(verdict, { ok: true });
  const evidence = [short, long];
  const header = { ...block.header, evidenceHash: evidenceRoot(evidence) };
  const bad = { ...block, header, evidence };
  const refused = await node.ledger.validateBlock(bad, decide(rig, bad).hash);
  assert.match(refused.ok ? "" : refused.reason, /BLOCK_EVIDENCE: evidence 1: more than three/);
});

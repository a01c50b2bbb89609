/** Goal: a recovery document moves governance's own record along with the engine's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeRecovery,
  type RecoveryPlan,
  recoveryMessage,
  verifyRecovery,
} from "@hanse/ordering";
import { createValidatorSet, signMessage, toHex, verifySignature } from "@hanse/protocol";
import { createGovernedLedger } from "../testing/governance-rig.ts";
import { createGovernanceRule } from "./governance-rule.ts";
import { recoveryAuthority } from "./recovery-record.ts";
import { readRules } from "./rules.ts";
import { newestSet, validatorSetAt } from "./validator-sets.ts";

test("administrators sign the way out; sets, epoch and policy of the state follow its block", async () => {
  const g = await createGovernedLedger();
  await g.block();
  const { state } = g.node.store;
  const { tip } = g.node.ledger;
  const { height, blockHash, stateRoot } = { ...tip, ...(await g.node.store.info()) };
  const { members } = newestSet(state).set;
  const plan: RecoveryPlan = {
    ledgerId: g.rig.ledgerId,
    height,
    blockHash,
    stateRoot,
    engineEpoch: 1,
    policy: "dpoa",
    policyParams: { slotMs: 0 },
    set: createValidatorSet(members.slice(0, 2), "crash"),
  };
  const signatures = ["a", "b", "c"].map((organization) => ({
    organization,
    key: g.person(organization).publicKey,
    signature: signMessage(g.person(organization), recoveryMessage(plan)),
  }));
  const authority = recoveryAuthority(state, g.rig.ledgerId);
  assert.deepEqual(
    authority.organizations.map(({ id }) => id),
    ["a", "b", "c", "d"],
  );
  const judge = (count: number) =>
    verifyRecovery({ ...plan, signatures: signatures.slice(0, count) }, authority, (c) =>
      verifySignature(c.key, c.message, c.signature),
    );
  assert.equal(judge(2).ok, false);
  assert.deepEqual(judge(3), { ok: true, organizations: ["a", "b", "c"] });

  const bytes = encodeRecovery({ ...plan, signatures });
  const rule = createGovernanceRule();
  assert.equal(rule.evidenceFault(bytes, state), undefined);
  const before = toHex(newestSet(state).set.hash);
  await g.block([bytes]);
  const rules = readRules(state);
  assert.deepEqual(
    [rules.engineEpoch, rules.since, rules.policy, rules.before?.engineEpoch],
    [1, height + 1, "dpoa", 0],
  );
  assert.equal(toHex(newestSet(state).set.hash), toHex(plan.set.hash));
  assert.equal(toHex(validatorSetAt(state, height + 1).set.hash), toHex(plan.set.hash));
  assert.equal(toHex(validatorSetAt(state, height).set.hash), before);
  assert.deepEqual(g.query("evidence"), []);
  assert.match(rule.evidenceFault(bytes, state)!, /is on the ledger/);
  await g.block();
  assert.equal(readRules(state).engineEpoch, 1);
});

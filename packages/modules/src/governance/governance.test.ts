/** Goal: what organizations decide comes into force as decided, and nothing else does. Method: a real ledger. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createEvidence, encodeEvidence, encodeReportedOffence } from "@hanse/ordering";
import {
  DEFAULT_CONSTITUTION,
  equalBytes,
  publicKeyToCbor,
  publicKeyToText,
  sha256,
  signMessage,
  toHex,
  utf8,
} from "@hanse/protocol";
import { createRigNode, draft, keyOf } from "../../../ledger/src/testing/ledger-rig.ts";
import { createGovernedLedger, type GovernedLedger } from "../testing/governance-rig.ts";
import { createGovernanceRule } from "./governance-rule.ts";
import { orderingSchedule } from "./ordering-schedule.ts";
import { readinessMessage } from "./readiness.ts";
import { newestSet, validatorSetAt } from "./validator-sets.ts";

const state = (g: GovernedLedger) => g.node.store.state;
const ids = (g: GovernedLedger, height: number) =>
  validatorSetAt(state(g), height).set.members.map(({ id }) => id);

test("a member is added by more than half of the organizations, in force two heights later", async () => {
  const g = await createGovernedLedger();
  const pair = keyOf("a fifth node");
  assert.equal((await g.register("d", "node-2", pair)).code, "ok");
  const content = { id: "d/node-2", vote: 1, propose: 1 };
  const proposed = await g.propose("d", "member.add", content);
  assert.equal(proposed.code, "ok", proposed.error);
  const id = proposed.result.id as number;
  assert.equal((await g.approve("b", id)).result.executed, false);
  const early = await g.approve("c", id);
  assert.equal(early.code, "GOVERNANCE_NOT_READY");
  assert.match(early.error, /d\/node-2 is not ready: it never said/);

  assert.equal((await g.ready("a", "d/node-2", pair)).code, "GOVERNANCE_DENIED");
  assert.equal((await g.ready("d", "d/node-2", pair, { height: 99 })).code, "GOVERNANCE_READINESS");
  assert.equal((await g.ready("d", "d/node-2", keyOf("another"))).code, "ok");
  assert.match((await g.approve("c", id)).error, /it proved another key/);
  assert.equal((await g.ready("d", "d/node-2", pair)).code, "ok");
  const last = await g.approve("c", id);
  assert.equal(last.result.executed, true, last.error);
  assert.equal((await g.approve("a", id)).code, "GOVERNANCE_CLOSED");

  const { height } = g.node.ledger.tip;
  const decided = height - 1;
  const result = g.executed(decided)!;
  assert.deepEqual(
    result.validatorUpdates.map((update) => [update.id, update.vote, update.propose]),
    [["d/node-2", 1, 1]],
  );
  assert.equal(result.changed, true);
  assert.equal(ids(g, decided + 1).length, 4);
  assert.deepEqual(ids(g, decided + 2).at(-1), "d/node-2");
  assert.equal(validatorSetAt(state(g), 1).set.members.length, 4);
  const shown = g.query("set", { height: 1 }) as unknown as {
    now: { from: number; members: unknown[] };
    decided: { from: number; members: unknown[] };
  };
  assert.equal(shown.now.from, 1);
  assert.deepEqual([shown.decided.from, shown.decided.members.length], [decided + 2, 5]);
});

test("a removed organization has no say; what is left must be a set", async () => {
  const g = await createGovernedLedger();
  const { id } = (await g.propose("a", "member.remove", { ids: ["d/node-1"] })).result;
  await g.approve("b", id as number);
  assert.equal((await g.approve("c", id as number)).result.executed, true);
  assert.equal(
    (await g.propose("d", "member.remove", { ids: ["a/node-1"] })).code,
    "GOVERNANCE_DENIED",
  );
  const all = await g.propose("a", "member.remove", { ids: ["a/node-1", "b/node-1", "c/node-1"] });
  assert.equal(all.code, "GOVERNANCE_SET_IMPOSSIBLE");
  assert.match(all.error, /needs at least one member/);
  const lopsided = await createGovernedLedger();
  const weights = { members: [{ id: "a/node-1", vote: 3, propose: 1 }] };
  const refused = await lopsided.propose("a", "member.weights", weights);
  assert.equal(refused.code, "GOVERNANCE_SET_IMPOSSIBLE");
  assert.match(refused.error, /a\/node-1 cannot change so: .*a third of the weight/);
});

test("a large change goes on over several blocks, each within a third of the weight", async () => {
  const organizations = ["a", "b", "c", "d", "e", "f", "g"];
  const g = await createGovernedLedger({ organizations });
  const gone = ["e/node-1", "f/node-1", "g/node-1"];
  const { id } = (await g.propose("a", "member.remove", { ids: gone })).result;
  for (const org of ["b", "c"]) await g.approve(org, id as number);
  const last = await g.approve("d", id as number);
  assert.equal(last.result.executed, true, last.error);
  const { height } = g.node.ledger.tip;
  const counts = [ids(g, height + 1).length, ids(g, height + 2).length];
  const second = await g.block();
  const third = await g.block();
  assert.deepEqual(counts.concat(ids(g, height + 3).length), [7, 5, 4]);
  assert.equal(second.validatorUpdates.length + third.validatorUpdates.length, 1);
  assert.equal(second.changed, true);
  assert.equal(third.changed, false, "an idle ledger falls silent");
  assert.deepEqual((g.query("rules") as unknown as { queue: unknown[] }).queue, []);
});

test("a planned change waits for its height and holds nothing else up", async () => {
  const g = await createGovernedLedger({ organizations: ["a", "b", "c", "d", "e"] });
  const at = g.node.ledger.tip.height + 9;
  const decide = async (kind: string, content: unknown) => {
    const { id } = (await g.propose("a", kind, content)).result;
    await g.approve("b", id as number);
    const last = await g.approve("c", id as number);
    assert.equal(last.result.executed, true, last.error);
  };
  await decide("member.remove", { ids: ["e/node-1"], at });
  await decide("member.weights", { members: [{ id: "d/node-1", vote: 1, propose: 5 }] });
  const { set } = newestSet(state(g));
  assert.deepEqual(
    set.members.map(({ propose }) => propose),
    [1, 1, 1, 5, 1],
  );
  const quiet = await g.block();
  assert.equal(quiet.changed, false, "what is not due keeps no idle ledger awake");
  while (g.node.ledger.tip.height < at) await g.block();
  assert.equal(ids(g, at + 1).length, 5);
  assert.deepEqual(ids(g, at + 2), ["a/node-1", "b/node-1", "c/node-1", "d/node-1"]);
});

test("limits change by decision at the next height, and a restart finds them", async () => {
  const g = await createGovernedLedger();
  const { id } = (await g.propose("a", "params.change", { params: { blockTransactionsMax: 2 } }))
    .result;
  await g.approve("b", id as number);
  const before = g.node.ledger.tip.paramsHash;
  await g.approve("c", id as number);
  assert.equal(g.node.ledger.tip.params.blockTransactionsMax, 2);
  assert.equal(equalBytes(before, g.node.ledger.tip.paramsHash), false);
  const again = await createRigNode(g.rig, { store: g.node.store, disk: g.node.disk });
  assert.equal(again.ledger.tip.params.blockTransactionsMax, 2);
  assert.ok(equalBytes(again.ledger.tip.paramsHash, g.node.ledger.tip.paramsHash));
  const bad = await g.propose("a", "params.change", {
    params: { transactionBytesMax: 99_999_999 },
  });
  assert.equal(bad.code, "GOVERNANCE_CONTENT");
  assert.match(bad.error, /params\.transactionBytesMax: .*must not exceed blockBytesMax/);
});

test("a proposal expires, is withdrawn by its proposer, and an approval by who gave it", async () => {
  const content = { params: { blockTransactionsMax: 9 } };
  const short = await createGovernedLedger({
    genesis: { governance: { ...DEFAULT_CONSTITUTION, proposalBlocks: 2 } },
  });
  const old = (await short.propose("a", "params.change", content)).result.id as number;
  await short.block();
  assert.equal((await short.approve("b", old)).code, "ok");
  assert.equal((await short.approve("c", old)).code, "GOVERNANCE_CLOSED");
  const [expired] = short.query("proposals") as unknown as { status: string }[];
  assert.equal(expired!.status, "expired");

  const g = await createGovernedLedger();
  const { id } = (await g.propose("a", "params.change", content)).result;
  await g.approve("b", id as number);
  assert.equal((await g.approve("b", id as number)).code, "GOVERNANCE_APPROVED");
  assert.deepEqual((await g.withdraw("b", id as number)).result.approvals, ["a"]);
  assert.equal((await g.withdraw("c", id as number)).code, "GOVERNANCE_NOT_APPROVED");
  assert.equal((await g.withdraw("a", id as number)).result.status, "withdrawn");
  assert.equal((await g.approve("c", id as number)).code, "GOVERNANCE_CLOSED");
  assert.equal((await g.approve("c", 99)).code, "GOVERNANCE_NO_PROPOSAL");
});

test("an emergency removal asks the others only, and more than half of all", async () => {
  const g = await createGovernedLedger();
  const { id } = (await g.propose("a", "emergency.remove", { ids: ["d/node-1"] })).result;
  assert.equal((await g.approve("d", id as number)).result.executed, false);
  assert.equal((await g.approve("b", id as number)).result.executed, false);
  assert.equal((await g.approve("c", id as number)).result.executed, true);
  const many = await createGovernedLedger();
  const two = (await many.propose("a", "emergency.remove", { ids: ["c/node-1", "d/node-1"] }))
    .result;
  const half = await many.approve("b", two.id as number);
  assert.equal(half.result.executed, false, "two of four must not remove the other two");
});

test("a lost consensus key is replaced once the new one is proven", async () => {
  const g = await createGovernedLedger();
  const fresh = keyOf("the key of a new machine");
  const content = { id: "b/node-1", key: publicKeyToText(fresh.publicKey) };
  const { id } = (await g.propose("a", "member.keyRotate", content)).result;
  await g.approve("c", id as number);
  assert.equal((await g.approve("d", id as number)).code, "GOVERNANCE_NOT_READY");
  await g.ready("b", "b/node-1", fresh);
  assert.equal((await g.approve("d", id as number)).result.executed, true);
  const member = newestSet(state(g)).set.members.find((other) => other.id === "b/node-1")!;
  assert.deepEqual(member.key, fresh.publicKey);
  const used = await g.propose("a", "member.keyRotate", { ...content, id: "c/node-1" });
  assert.equal(used.code, "GOVERNANCE_IMPOSSIBLE");
});

test("no member is taken over to an engine that it did not declare", async () => {
  const g = await createGovernedLedger();
  const content = { engine: "etcd", quorum: "crash", policy: "fixed" };
  const { id } = (await g.propose("a", "engine.switch", content)).result;
  await g.approve("b", id as number);
  const ready = (org: string, engines?: string[]) =>
    g.ready(org, `${org}/node-1`, g.nodeKey(org), engines === undefined ? {} : { engines });
  for (const org of ["a", "b", "d"]) assert.equal((await ready(org, ["etcd"])).code, "ok");
  for (const declared of [undefined, [], ["cometbft"]]) {
    await ready("c", declared);
    const refused = await g.approve("c", id as number);
    assert.equal(refused.code, "GOVERNANCE_NOT_READY");
    assert.match(refused.error, /c\/node-1 is not ready: it does not say that it can run etcd/);
  }
  assert.equal((await ready("c", Array(9).fill("etcd"))).code, "MODULE_ARGUMENT");
  assert.equal((await ready("c", ["etcd"])).code, "ok");
  const last = await g.approve("c", id as number);
  assert.equal(last.result.executed, true, last.error);
  assert.equal(g.executed(g.node.ledger.tip.height)!.engineSwitch!.kind, "etcd");
});

test("the list of engines is in the node's hand", async () => {
  const g = await createGovernedLedger();
  const { height } = g.node.ledger.tip;
  const pair = g.nodeKey("a");
  const subject = { node: "a/node-1", key: pair.publicKey, version: "1", height };
  const { key: _, ...plain } = subject;
  const sent = await g.call(g.person("a"), "governance", "readiness", {
    ...plain,
    key: publicKeyToCbor(pair.publicKey),
    engines: ["etcd"],
    signature: signMessage(pair, readinessMessage(g.rig.ledgerId, subject)),
  });
  assert.equal(sent.code, "GOVERNANCE_READINESS");
});

test("another way of ordering is decided by two thirds, and stands in every header before it begins", async () => {
  const g = await createGovernedLedger();
  const content = {
    engine: "builtin",
    quorum: "crash",
    policy: "dpoa",
    params: { missedTurns: 3 },
  };
  const { id } = (await g.propose("a", "engine.switch", content)).result;
  await g.approve("b", id as number);
  assert.match((await g.approve("c", id as number)).error, /a\/node-1 is not ready/);
  for (const org of ["a", "b", "c", "d"]) await g.ready(org, `${org}/node-1`, g.nodeKey(org));
  const before = toHex(g.node.ledger.tip.paramsHash);
  const last = await g.approve("c", id as number);
  assert.equal(last.result.executed, true, last.error);
  const { height: decided, paramsHash } = g.node.ledger.tip;
  assert.notEqual(toHex(paramsHash), before);
  const { engineSwitch } = g.executed(decided)!;
  assert.deepEqual(
    [engineSwitch!.at, engineSwitch!.engineEpoch, engineSwitch!.policy, engineSwitch!.set.quorum],
    [decided + 2, 1, "dpoa", "crash"],
  );
  assert.equal(validatorSetAt(state(g), decided + 2).set.quorum, "byzantine");
  assert.equal(validatorSetAt(state(g), decided + 3).set.quorum, "crash");
  const planned = orderingSchedule(state(g), decided);
  assert.deepEqual(
    planned.eras.map((era) => era.height),
    [1, decided + 3],
  );
  const quiet = await g.block();
  assert.deepEqual([quiet.engineSwitch, quiet.changed], [undefined, false]);
  await g.block();
  const rules = g.query("rules") as unknown as {
    ordering: { policy: string; engineEpoch: number; policyParams: unknown };
  };
  assert.deepEqual(rules.ordering, {
    engine: "builtin",
    engineEpoch: 1,
    since: decided + 3,
    policy: "dpoa",
    policyParams: { missedTurns: 3 },
  });
  assert.equal(toHex(g.node.ledger.tip.paramsHash), toHex(paramsHash));
  await g.block();
  const { eras, sets } = orderingSchedule(state(g), decided + 2);
  assert.deepEqual(
    eras.map((era) => [era.height, era.engineEpoch, era.policy]),
    [
      [1, 0, "fixed"],
      [decided + 3, 1, "dpoa"],
    ],
  );
  assert.deepEqual(
    sets.map(({ height, set }) => [height, set.quorum]),
    [
      [1, "byzantine"],
      [decided + 3, "crash"],
    ],
  );
});

test("a running ledger goes to etcd and by crash quorum, nowhere else", async () => {
  const other = { engine: "cometbft", quorum: "byzantine", policy: "fixed" };
  const g = await createGovernedLedger();
  const refused = await g.propose("a", "engine.switch", other);
  assert.equal(refused.code, "GOVERNANCE_IMPOSSIBLE");
  assert.match(refused.error, /builtin orders is not handed over to cometbft/);
  const etcd = await g.propose("a", "engine.switch", { ...other, engine: "etcd" });
  assert.match(etcd.error, /content\.quorum: expected crash/);
  const may = await g.propose("a", "engine.switch", { ...other, engine: "etcd", quorum: "crash" });
  assert.equal(may.code, "ok", may.error);
  const kept = await createGovernedLedger({ genesis: { ordering: "cometbft" } });
  const policy = await kept.propose("a", "policy.change", { policy: "dpoa" });
  assert.equal(policy.code, "GOVERNANCE_IMPOSSIBLE");
});

test("what CometBFT reports costs the vote, once, and only on a ledger that it orders", async () => {
  const report = (validator: string) =>
    encodeReportedOffence({ kind: "reportedDoubleVote", engineEpoch: 0, height: 1, validator });
  const g = await createGovernedLedger({ genesis: { ordering: "cometbft" } });
  const guilty = await g.block([report("b/node-1")]);
  assert.deepEqual(
    guilty.validatorUpdates.map(({ id, vote }) => [id, vote]),
    [["b/node-1", 0]],
  );
  const again = await g.block([report("b/node-1")]);
  assert.equal(again.changed, false);
  assert.deepEqual(again.validatorUpdates, []);
  const list = g.query("evidence") as unknown as { kind: string; view: number }[];
  assert.deepEqual(
    list.map(({ kind, view }) => [kind, view]),
    [["reportedDoubleVote", -1]],
  );
  const builtin = await createGovernedLedger();
  const fault = createGovernanceRule().evidenceFault(report("b/node-1"), state(builtin));
  assert.match(fault!, /an engine that does not order this ledger/);
});

test("proven equivocation costs the vote where the set can do without it, and counts once", async () => {
  const evidence = (validator: string, height: number) => {
    const place = { kind: "finalize", height, view: 0 } as const;
    const vote = (name: string) => ({
      ...place,
      blockHash: sha256(utf8(name)),
      signature: new Uint8Array(64),
    });
    const subject = { engineEpoch: 0, validatorsHash: sha256(utf8("set")), validator };
    return encodeEvidence(createEvidence(subject, vote("x"), vote("y")));
  };
  const g = await createGovernedLedger();
  const guilty = await g.block([evidence("b/node-1", 1)]);
  assert.deepEqual(
    guilty.validatorUpdates.map(({ id, vote }) => [id, vote]),
    [["b/node-1", 0]],
  );
  assert.equal(guilty.changed, true);
  const { tip } = g.node.ledger;
  const repeated = await draft(g.rig, g.node, 0, [
    evidence("b/node-1", 1),
    evidence("c/node-1", 1),
  ]);
  assert.equal(repeated.evidence.length, 1, "what is on the ledger is not drafted again");
  const rule = createGovernanceRule();
  assert.match(
    rule.evidenceFault(evidence("b/node-1", 1), state(g))!,
    /b\/node-1 at height 1 is on/,
  );
  assert.match(rule.evidenceFault(Uint8Array.of(7), state(g))!, /evidence/);
  assert.equal(g.node.ledger.tip, tip);
  const list = g.query("evidence") as unknown as { validator: string; consequence: string }[];
  assert.deepEqual(
    list.map(({ validator, consequence }) => [validator, consequence]),
    [["b/node-1", "remove"]],
  );

  const lone = await createGovernedLedger({ organizations: ["a"] });
  assert.deepEqual((await lone.block([evidence("a/node-1", 1)])).validatorUpdates, []);
  const [kept] = lone.query("evidence") as unknown as { consequence: string; note: string }[];
  assert.equal(kept!.consequence, "record");
  assert.match(kept!.note, /cannot do without it/);
});

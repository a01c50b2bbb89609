/**
 * Goal: what members report reaches policy posr with the rights of their organizations, candidates
 * come in by it, and every weight is explained. Method: a governed ledger in memory.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePosrState, type Explained } from "@hanse/ordering";
import { createKeyPair } from "@hanse/protocol";
import { POLICY_KEY } from "../governance/tables.ts";
import { newestSet } from "../governance/validator-sets.ts";
import { createGovernedLedger, type GovernedLedger } from "../testing/governance-rig.ts";

const EPOCH = 8;
const ALL = 2 ** 12 - 1;
const ORGS = ["a", "b", "c", "d"];
const NODES = ORGS.map((org) => `${org}/node-1`);

const posr = (params: Readonly<Record<string, number>>) =>
  createGovernedLedger({
    organizations: [...ORGS, "e"],
    genesis: {
      policy: "posr",
      policyParams: { epochBlocks: EPOCH, halfEpochs: 2, ...params },
      validators: {
        quorum: "byzantine",
        members: NODES.map((id) => ({ id, vote: 1, propose: 1 })),
      },
    },
  });

const record = (g: GovernedLedger) =>
  decodePosrState(g.node.store.state.getKv("governance", POLICY_KEY)!.value);

const report = (g: GovernedLedger, org: string, node: string, epoch: number, ids = NODES) =>
  g.call(g.person(org), "presence", "report", {
    node,
    epoch,
    targets: ids.filter((id) => id !== node).map((id) => [id, ALL, ALL]),
  });

const announce = (g: GovernedLedger, org: string, node: string, from: number, to: number) =>
  g.call(g.person(org), "presence", "maintenance", { node, fromEpoch: from, toEpoch: to });

interface PolicyAnswer {
  readonly policy: string;
  readonly epoch: { readonly number: number; readonly from: number; readonly to: number };
  readonly members: readonly {
    readonly id: string;
    readonly propose: number;
    readonly why: Explained;
  }[];
}

const ask = (g: GovernedLedger, input: unknown = {}) =>
  g.node.ledger.query("native", "presence.policy", input, undefined) as PolicyAnswer;

test("only an account of a node's organization speaks for it, and only to a policy that listens", async () => {
  const g = await posr({ probing: 1 });
  assert.equal((await report(g, "a", "b/node-1", 0)).code, "PRESENCE_DENIED");
  assert.equal((await announce(g, "a", "b/node-1", 2, 3)).code, "PRESENCE_DENIED");
  assert.equal((await report(g, "a", "a/node-9", 0)).code, "IDENTITY_NO_NODE");
  assert.equal((await report(g, "a", "a/node-1", 7)).code, "PRESENCE_EPOCH");
  const wild = await g.call(g.person("a"), "presence", "report", {
    node: "a/node-1",
    epoch: 0,
    targets: [["b/node-1", 1, 2]],
  });
  assert.equal(wild.code, "MODULE_ARGUMENT");
  assert.equal((await report(g, "a", "a/node-1", 0)).code, "ok");
  assert.equal((await report(g, "a", "a/node-1", 0)).code, "PRESENCE_REPORTED");
  assert.equal(record(g).reports.length, 1);

  const signed = await posr({});
  assert.equal((await report(signed, "a", "a/node-1", 0)).code, "PRESENCE_POLICY");
  const fixed = await createGovernedLedger();
  assert.equal((await announce(fixed, "a", "a/node-1", 2, 3)).code, "PRESENCE_POLICY");
  assert.equal(ask(fixed).policy, "fixed");
});

test("announced maintenance is kept within its bounds, and refused with the reason", async () => {
  const g = await posr({ maintenanceEpochsMax: 3 });
  assert.match((await announce(g, "a", "a/node-1", 1, 2)).error, /2 is the earliest/);
  assert.match((await announce(g, "a", "a/node-1", 2, 9)).error, /7 epochs of maintenance/);
  assert.equal((await announce(g, "a", "a/node-1", 2, 4)).code, "ok");
  assert.match((await announce(g, "b", "b/node-1", 3, 4)).error, /a\/node-1 announced/);
  assert.deepEqual(record(g).maintenance, [{ id: "a/node-1", fromEpoch: 2, toEpoch: 4 }]);
});

test("reports give standing, and a ready candidate comes in after probation", async () => {
  const g = await posr({ probing: 1, probationEpochs: 2, standingEpochsMax: 10 });
  const pair = createKeyPair("ed25519", new Uint8Array(32).fill(77));
  assert.equal((await g.register("e", "node-2", pair)).code, "ok");
  assert.equal((await g.ready("e", "e/node-2", pair)).code, "ok");
  const everyone = [...NODES, "e/node-2"];
  const isMember = () =>
    newestSet(g.node.store.state).set.members.some(({ id }) => id === "e/node-2");
  for (let round = 0; round < 2; round++) {
    const { epoch } = record(g);
    for (const id of everyone) {
      const done = await report(g, id.split("/")[0]!, id, epoch, everyone);
      assert.equal(done.code, "ok", done.error);
    }
    assert.equal(isMember(), false);
    while (record(g).epoch === epoch) await g.block();
  }
  // The second epoch is decided at the end of the third.
  assert.equal(isMember(), false);
  for (let i = 0; i < EPOCH; i++) await g.block();
  assert.equal(isMember(), true);
  const { members } = newestSet(g.node.store.state).set;
  assert.equal(members.find(({ id }) => id === "e/node-2")!.vote, 1);
  assert.equal(members.length, NODES.length + 1);
  assert.ok(record(g).accounts.get("a/node-1")!.standing > 1000);
  const answer = ask(g, { node: "a/node-1" });
  const [{ propose, why }] = answer.members as [PolicyAnswer["members"][0]];
  assert.equal(why.value, propose);
  assert.equal(
    why.from.reduce((sum, part) => sum + part.value, 0),
    propose,
  );
  assert.match(JSON.stringify(why), /reports of epoch/);
});

test("two of seven neither slander a member down nor vouch a dead candidate up (AT-2.2)", async () => {
  const orgs = ["a", "b", "c", "d", "e", "f", "g"];
  const nodes = orgs.map((org) => `${org}/node-1`);
  const dead = "h/node-1";
  const g = await createGovernedLedger({
    organizations: [...orgs, "h"],
    genesis: {
      policy: "posr",
      policyParams: { epochBlocks: EPOCH, probing: 1 },
      validators: {
        quorum: "byzantine",
        members: nodes.map((id) => ({ id, vote: 1, propose: 1 })),
      },
    },
  });
  assert.equal((await g.ready("h", dead, g.nodeKey("h"))).code, "ok");
  const liars = ["f/node-1", "g/node-1"];
  for (let round = 0; round < 3; round++) {
    const { epoch } = record(g);
    for (const [i, node] of nodes.entries()) {
      const targets = [...nodes, dead]
        .filter((id) => id !== node)
        .map((id) => {
          // c is up and the candidate is dead; the liars say the opposite of both.
          const isUp = liars.includes(node) ? id !== "c/node-1" : id !== dead;
          return [id, ALL, isUp ? ALL : 0] as const;
        });
      const done = await g.call(g.person(orgs[i]!), "presence", "report", { node, epoch, targets });
      assert.equal(done.code, "ok", done.error);
    }
    while (record(g).epoch === epoch) await g.block();
  }
  const { accounts } = record(g);
  assert.ok(nodes.every((id) => accounts.get(id)!.slots.up === ALL));
  assert.equal(accounts.get(dead)!.slots.counted, ALL);
  assert.equal(accounts.get(dead)!.slots.up, 0);
  assert.equal(accounts.get(dead)!.standing, 0);
  assert.equal(accounts.get("c/node-1")!.standing, accounts.get("a/node-1")!.standing);
  assert.ok(accounts.get("c/node-1")!.standing > 0);
  assert.ok(accounts.get("f/node-1")!.reliability < accounts.get("a/node-1")!.reliability);
});

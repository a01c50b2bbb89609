/**
 * Goal: nobody decides more than the constitution allows, and what it allows is decided. Method:
 * random decisions by random people on a real ledger, held against an obvious model.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isResilient } from "@hanse/ordering";
import fc from "fast-check";
import { createGovernedLedger, type GovernedLedger } from "../testing/governance-rig.ts";
import { readQueue } from "./change-queue.ts";
import { newestSet } from "./validator-sets.ts";

const ORGS = ["a", "b", "c", "d", "e"];

interface ModelProposal {
  readonly kind: string;
  readonly org: string;
  readonly ids: readonly string[];
  readonly vote: number;
  approvals: Set<string>;
  status: "open" | "executed" | "withdrawn";
}

/** Organizations with a validator, by id of the node, and its weight. */
interface Model {
  members: Map<string, number>;
  readonly proposals: ModelProposal[];
  limit: number;
}

const org = fc.constantFrom(...ORGS);
const who = fc.record({ org, name: fc.constantFrom("admin", "admin", "admin", "ada") });
const command = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("remove" as const), who, target: org }),
  },
  fc.record({
    do: fc.constant("emergency" as const),
    who,
    targets: fc.uniqueArray(org, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ do: fc.constant("weights" as const), who, target: org, vote: fc.nat(3) }),
  fc.record({ do: fc.constant("limit" as const), who, limit: fc.integer({ min: 1, max: 9 }) }),
  { weight: 7, arbitrary: fc.record({ do: fc.constant("approve" as const), who, at: fc.nat(5) }) },
  fc.record({ do: fc.constant("withdraw" as const), who, at: fc.nat(5) }),
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

function nodesOf(c: Command): readonly string[] {
  const orgs = "targets" in c ? c.targets : "target" in c ? [c.target] : [];
  return orgs.map((one) => `${one}/node-1`);
}

const orgsOf = (members: ReadonlyMap<string, number>) =>
  new Set([...members.keys()].map((id) => id.split("/")[0]!));

/** Whether a set with these weights may be: slowly, by its definition. */
function mayBe(members: ReadonlyMap<string, number>): boolean {
  const weights = [...members.values()].map((vote) => ({ vote }));
  return weights.length > 0 && isResilient(weights);
}

function after(model: Model, p: ModelProposal): Map<string, number> | undefined {
  const next = new Map(model.members);
  for (const id of p.ids) {
    if (!next.has(id)) return undefined;
    if (p.kind === "weights") next.set(id, p.vote);
    else next.delete(id);
  }
  return mayBe(next) ? next : undefined;
}

/** Whether enough have approved, counted one by one. */
function isDecided(model: Model, p: ModelProposal): boolean {
  const all = orgsOf(model.members);
  const accused = new Set(p.kind === "emergency" ? p.ids.map((id) => id.split("/")[0]!) : []);
  let approved = 0;
  let others = 0;
  for (const one of all) {
    if (accused.has(one)) continue;
    others++;
    if (p.approvals.has(one)) approved++;
  }
  const most = approved > all.size / 2;
  return p.kind === "emergency" ? most && approved > (others * 2) / 3 : most;
}

/** Does it in the model; false = refused, and nothing is changed. */
function act(model: Model, c: Command): boolean {
  if (c.who.name !== "admin" || !orgsOf(model.members).has(c.who.org)) return false;
  function approve(p: ModelProposal): boolean {
    p.approvals.add(c.who.org);
    if (!isDecided(model, p)) return true;
    const next = after(model, p);
    if (next === undefined) {
      p.approvals.delete(c.who.org);
      return false;
    }
    if (p.kind === "limit") model.limit = p.vote;
    model.members = next;
    p.status = "executed";
    return true;
  }
  if (c.do === "approve" || c.do === "withdraw") {
    const p = model.proposals[c.at];
    if (p === undefined || p.status !== "open") return false;
    if (c.do === "approve") return !p.approvals.has(c.who.org) && approve(p);
    if (p.org === c.who.org) p.status = "withdrawn";
    else if (!p.approvals.delete(c.who.org)) return false;
    return true;
  }
  const p: ModelProposal = {
    kind: c.do,
    org: c.who.org,
    ids: nodesOf(c),
    vote: c.do === "weights" ? c.vote : c.do === "limit" ? c.limit : 0,
    approvals: new Set(),
    status: "open",
  };
  if ((c.do === "weights" && c.vote === 0) || after(model, p) === undefined) return false;
  if (!approve(p)) return false;
  model.proposals.push(p);
  return true;
}

function send(g: GovernedLedger, c: Command) {
  const pair = g.person(c.who.org, c.who.name);
  const call = (action: string, args: Record<string, string | number>) =>
    g.call(pair, "governance", action, args);
  const propose = (kind: string, content: unknown) =>
    call("propose", { kind, content: JSON.stringify(content) });
  switch (c.do) {
    case "approve":
    case "withdraw":
      return call(c.do, { proposal: c.at + 1 });
    case "remove":
      return propose("member.remove", { ids: [`${c.target}/node-1`] });
    case "emergency":
      return propose("emergency.remove", { ids: nodesOf(c) });
    case "limit":
      return propose("params.change", { params: { blockTransactionsMax: c.limit } });
    case "weights": {
      const member = { id: `${c.target}/node-1`, vote: c.vote, propose: 1 };
      return propose("member.weights", { members: [member] });
    }
  }
}

test("random decisions come out as the constitution says", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
      const g = await createGovernedLedger({ organizations: ORGS });
      const members = new Map(ORGS.map((one) => [`${one}/node-1`, 1]));
      const model: Model = {
        members,
        proposals: [],
        limit: g.node.ledger.tip.params.blockTransactionsMax,
      };
      for (const c of commands) {
        const allowed = act(model, c);
        const outcome = await send(g, c);
        assert.equal(outcome.code === "ok", allowed, `${JSON.stringify(c)}: ${outcome.error}`);
        // Until everything decided is in force, as in blocks that others fill.
        while (readQueue(g.node.store.state).length > 0) await g.block();
        const { set } = newestSet(g.node.store.state);
        assert.deepEqual(
          new Map(set.members.map(({ id, vote }) => [id, vote])),
          new Map([...model.members].sort(([a], [b]) => (a < b ? -1 : 1))),
        );
        assert.equal(g.node.ledger.tip.params.blockTransactionsMax, model.limit);
      }
    }),
    { numRuns: 60, seed: 3 },
  );
});

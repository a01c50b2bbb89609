/** Goal: the same facts elect the same relays, well and fairly; the plan keeps its bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256, utf8 } from "@hanse/protocol";
import fc from "fast-check";
import { electRelays, type NodeFacts, nextTerms, relayCount, TERMS_MAX } from "./election.ts";
import { FULL_MESH_MAX, PARENTS, planLinks } from "./link-plan.ts";
import { planTerm, TERM_BLOCKS, termOf } from "./terms.ts";

const seedOf = (text: string) => sha256(utf8(text));
const nodesOf = (parts: readonly Omit<NodeFacts, "id">[]): NodeFacts[] =>
  parts.map((part, i) => ({ ...part, id: `${part.org}/node-${i}` }));
const facts = fc
  .array(
    fc.record({
      org: fc.constantFrom(..."abcdefghijklmnopqrst"),
      healthPpm: fc.integer({ min: 0, max: 1_000_000 }),
      freeKilobits: fc.integer({ min: 0, max: 10_000_000 }),
      dialable: fc.boolean(),
      terms: fc.integer({ min: 0, max: TERMS_MAX }),
    }),
    { minLength: 1, maxLength: 80 },
  )
  .map(nodesOf);

test("property: whoever computes it, in whatever order, elects the same", () => {
  fc.assert(
    fc.property(facts, fc.string(), fc.nat(), (nodes, seed, turn) => {
      const at = turn % nodes.length;
      const turned = [...nodes.slice(at), ...nodes.slice(0, at)];
      const elected = electRelays(nodes, seedOf(seed));
      assert.deepEqual(electRelays(turned, seedOf(seed)), elected);
      assert.deepEqual(planLinks(turned, seedOf(seed)), planLinks(nodes, seedOf(seed)));
    }),
  );
});

test("property: relays can be dialed, are one per organization, and no better one was passed over", () => {
  fc.assert(
    fc.property(facts, fc.string(), (nodes, seed) => {
      const elected = electRelays(nodes, seedOf(seed));
      const of = (id: string) => nodes.find((node) => node.id === id)!;
      assert.ok(elected.length <= relayCount(nodes.length));
      assert.equal(new Set(elected.map((id) => of(id).org)).size, elected.length);
      const score = ({ healthPpm, freeKilobits }: NodeFacts) => healthPpm * Math.sqrt(freeKilobits);
      for (const id of elected) assert.ok(of(id).dialable && score(of(id)) > 0);
      const orgs = new Set(elected.map((id) => of(id).org));
      const worst = Math.min(
        ...elected.filter((id) => of(id).terms < TERMS_MAX).map((id) => score(of(id))),
      );
      for (const node of nodes) {
        if (!node.dialable || node.terms >= TERMS_MAX || orgs.has(node.org)) continue;
        assert.ok(score(node) <= worst * 1.000_001, `${node.id} was passed over`);
      }
    }),
  );
});

test("nobody relays for more than four terms in a row where others can", () => {
  let nodes = nodesOf(
    Array.from({ length: 30 }, (_, i) => ({
      org: `org-${i}`,
      healthPpm: 1_000_000 - i,
      freeKilobits: 100_000,
      dialable: true,
      terms: 0,
    })),
  );
  const served = new Map<string, number>();
  for (let epoch = 0; epoch < 50; epoch++) {
    const elected = electRelays(nodes, seedOf(`epoch ${epoch}`));
    assert.equal(elected.length, 6);
    const terms = nextTerms(nodes, elected);
    assert.ok(Math.max(...terms.values()) <= TERMS_MAX);
    for (const id of elected) served.set(id, (served.get(id) ?? 0) + 1);
    nodes = nodes.map((node) => ({ ...node, terms: terms.get(node.id)! }));
  }
  assert.ok(served.size >= 10, "the next best had their turn");
});

test("property: every child has relays of different organizations, links go both ways, loads are even", () => {
  fc.assert(
    fc.property(facts, fc.string(), (nodes, seed) => {
      const plan = planLinks(nodes, seedOf(seed));
      if (plan === undefined) return;
      const { relays, parents, links } = plan;
      const of = (id: string) => nodes.find((node) => node.id === id)!;
      const active = new Map([...relays].map((id) => [id, 0]));
      for (const { id } of nodes) {
        for (const other of links.get(id)!) assert.ok(links.get(other)!.has(id));
        if (relays.has(id)) continue;
        const own = parents.get(id)!;
        assert.equal(own.length, PARENTS);
        assert.equal(new Set(own.map((parent) => of(parent).org)).size, PARENTS);
        assert.ok(links.get(id)!.size <= PARENTS + 2);
        active.set(own[0]!, active.get(own[0]!)! + 1);
      }
      const loads = [...active.values()];
      assert.ok(Math.max(...loads) - Math.min(...loads) <= 1, `loads ${loads}`);
      for (const relay of relays) {
        const others = [...links.get(relay)!].filter((id) => relays.has(id)).length;
        assert.equal(others, relays.size <= FULL_MESH_MAX ? relays.size - 1 : 6);
      }
    }),
  );
});

test("terms follow the height, and nobody relays for ever", () => {
  const nodes = Array.from({ length: 40 }, (_, i) => ({
    id: `org-${i}/node`,
    org: `org-${i}`,
    healthPpm: 1_000_000,
    freeKilobits: 100_000,
    dialable: true,
  }));
  assert.deepEqual([0, TERM_BLOCKS - 1, TERM_BLOCKS].map(termOf), [0, 0, 1]);
  const ledgerId = seedOf("ledger");
  const inARow = new Map<string, number>();
  const served = new Set<string>();
  for (let term = 0; term < 64; term++) {
    const { relays } = planTerm(nodes, ledgerId, term)!;
    assert.equal(relays.size, 7);
    for (const { id } of nodes) {
      const count = relays.has(id) ? (inARow.get(id) ?? 0) + 1 : 0;
      inARow.set(id, count);
      if (relays.has(id)) served.add(id);
      // At the border of a window the count begins anew.
      assert.ok(count <= 2 * TERMS_MAX, `${id} in ${count} terms in a row`);
    }
  }
  assert.equal(served.size, 40, "among equals everybody has a turn");
  const other = planTerm(nodes, seedOf("another ledger"), 5);
  assert.notDeepEqual(other, planTerm(nodes, ledgerId, 5));
});

/** Goal: bounds, order and fairness of the pool. Method: a list as model, random steps. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256, utf8 } from "@hanse/protocol";
import fc from "fast-check";
import type { DecodedTransaction } from "../pipeline/interfaces.ts";
import { hashKey } from "./hash-key.ts";
import { createMempool, type Mempool } from "./mempool.ts";

const hash = (text: string) => sha256(utf8(text));

function transactionOf(
  name: string,
  sender: string,
  size: number,
  validUntil: number,
): DecodedTransaction {
  return {
    id: hash(`id ${name}`),
    form: 1,
    bytes: new Uint8Array(size),
    ledgerId: hash("ledger"),
    sender: hash(`sender ${sender}`),
    senderKey: { algorithm: "ed25519", bytes: hash(sender) },
    claims: [],
    validUntil,
    engine: "none",
    payload: new Uint8Array(0),
  };
}

function put(
  pool: Mempool,
  name: string,
  at: { organization: string; sender: string; size?: number; validUntil?: number },
): void {
  const { organization, sender, size = 300, validUntil = 1_000 } = at;
  pool.insert({
    transaction: transactionOf(name, sender, size, validUntil),
    leaf: hash(`leaf ${name}`),
    organization,
    admittedAt: 0,
    local: true,
  });
}

const LIMITS = { countMax: 12, bytesMax: 4_000, perSenderMax: 4, organizationShare: 0.5 };

interface Item {
  readonly name: string;
  readonly organization: string;
  readonly sender: string;
  readonly size: number;
  readonly validUntil: number;
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("insert" as const),
      organization: fc.constantFrom("a", "b", "c"),
      sender: fc.constantFrom("1", "2", "3"),
      size: fc.integer({ min: 1, max: 900 }),
      validUntil: fc.nat(50),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("remove" as const), place: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("expire" as const), time: fc.nat(50) }) },
);

test("the pool does what a list with counters would do", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const pool = createMempool(LIMITS);
      let model: Item[] = [];
      for (const [i, s] of steps.entries()) {
        if (s.do === "insert") {
          const sender = `${s.organization}${s.sender}`;
          const own = model.filter((item) => item.organization === s.organization);
          const ownBytes = own.reduce((sum, item) => sum + item.size, 0);
          const bytes = model.reduce((sum, item) => sum + item.size, 0);
          const expected =
            own.filter((item) => item.sender === sender).length >= LIMITS.perSenderMax
              ? "sender"
              : own.length >= 6 || (own.length > 0 && ownBytes + s.size > 2_000)
                ? "organization"
                : model.length >= LIMITS.countMax || bytes + s.size > LIMITS.bytesMax
                  ? "pool"
                  : undefined;
          assert.equal(pool.fullness(s.organization, hash(`sender ${sender}`), s.size), expected);
          if (expected !== undefined) continue;
          const item = { ...s, name: `t${i}`, sender };
          put(pool, item.name, item);
          model.push(item);
        } else if (s.do === "remove") {
          const item = model[s.place];
          const name = item?.name ?? "absent";
          const removed = pool.remove(hashKey(hash(`id ${name}`)));
          assert.equal(removed !== undefined, item !== undefined);
          model = model.filter((other) => other !== item);
        } else {
          const gone = pool.expire(s.time);
          assert.equal(gone.length, model.filter((item) => item.validUntil <= s.time).length);
          model = model.filter((item) => item.validUntil > s.time);
        }
        assert.equal(pool.count, model.length);
        assert.equal(
          pool.bytes,
          model.reduce((sum, item) => sum + item.size, 0),
        );
        const ordered = [...pool.inFairOrder()].map((entry) => entry.key);
        assert.equal(new Set(ordered).size, model.length, "each pending one exactly once");
        // First in, first out inside a sender.
        for (const sender of new Set(model.map((item) => item.sender))) {
          const places = model
            .filter((item) => item.sender === sender)
            .map((item) => ordered.indexOf(hashKey(hash(`id ${item.name}`))));
          assert.deepEqual(
            places,
            [...places].sort((a, b) => a - b),
          );
          assert.ok(places.every((place) => place >= 0));
        }
        assert.equal(
          pool.stats().organizations.reduce((sum, org) => sum + org.count, 0),
          model.length,
        );
      }
    }),
    { numRuns: 150 },
  );
});

test("every organization, and in it every sender, gets its turn however many transactions others have", () => {
  const pool = createMempool({
    countMax: 10_000,
    bytesMax: 1 << 30,
    perSenderMax: 5_000,
    organizationShare: 1,
  });
  for (let i = 0; i < 3_000; i++) put(pool, `flood${i}`, { organization: "loud", sender: "loud1" });
  for (let i = 0; i < 30; i++) put(pool, `second${i}`, { organization: "loud", sender: "loud2" });
  for (let i = 0; i < 60; i++) put(pool, `quiet${i}`, { organization: "quiet", sender: "quiet1" });
  const first: Record<string, number> = {};
  let taken = 0;
  for (const entry of pool.inFairOrder()) {
    const sender = hashKey(entry.transaction.sender);
    first[sender] = (first[sender] ?? 0) + 1;
    if (++taken === 120) break;
  }
  const of = (name: string) => first[hashKey(hash(`sender ${name}`))] ?? 0;
  assert.ok(of("quiet1") >= 54, `quiet organization got ${of("quiet1")} of 120`);
  assert.ok(of("loud2") >= 24, `second sender of the loud one got ${of("loud2")} of 120`);
});

test("few large transactions count as much as many small ones", () => {
  const pool = createMempool({
    countMax: 10_000,
    bytesMax: 1 << 30,
    perSenderMax: 5_000,
    organizationShare: 1,
  });
  for (let i = 0; i < 20; i++)
    put(pool, `large${i}`, { organization: "a", sender: "a1", size: 100_000 });
  for (let i = 0; i < 4_000; i++)
    put(pool, `small${i}`, { organization: "b", sender: "b1", size: 250 });
  const cost = { a: 0, b: 0 };
  let total = 0;
  for (const entry of pool.inFairOrder()) {
    cost[entry.organization.id as "a" | "b"] += entry.cost;
    total += entry.cost;
    if (total > 1_000_000) break;
  }
  assert.ok(Math.abs(cost.a - cost.b) <= 110_000, JSON.stringify(cost));
});

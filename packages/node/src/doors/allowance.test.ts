/** Goal: nobody gets more than the allowance, nobody pays for another, time gives it back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Allowance } from "./allowance.ts";

const tries = (allowance: Allowance, caller: string, cost: number, now: number) => {
  try {
    allowance.spend(caller, cost, now);
    return true;
  } catch (error) {
    assert.equal((error as { code: string }).code, "API_READ_QUOTA");
    return false;
  }
};

test("a second's worth at once, then as fast as it comes back", () => {
  const allowance = new Allowance(10);
  assert.ok(Array.from({ length: 10 }, () => tries(allowance, "a", 1, 0)).every(Boolean));
  assert.ok(!tries(allowance, "a", 1, 0));
  assert.ok(tries(allowance, "b", 10, 0), "another caller has its own");
  assert.ok(!tries(allowance, "a", 1, 99));
  assert.ok(tries(allowance, "a", 1, 100));
  assert.ok(!tries(allowance, "a", 2, 200));
  assert.ok(tries(allowance, "a", 2, 300), "a refusal costs nothing");
});

test("what costs more than a second's worth is possible after a quiet second", () => {
  const allowance = new Allowance(10);
  assert.ok(tries(allowance, "a", 500, 0));
  assert.ok(!tries(allowance, "a", 500, 900));
  assert.ok(tries(allowance, "a", 500, 1000));
});

test("what a request turned out to cost is paid back before the next", () => {
  const allowance = new Allowance(10);
  assert.ok(tries(allowance, "a", 1, 0));
  allowance.charge("a", 29, 0);
  assert.ok(!tries(allowance, "a", 1, 2000));
  assert.ok(tries(allowance, "a", 1, 2200));
  allowance.charge("a", 1e9, 2200);
  assert.ok(!tries(allowance, "a", 1, 62_000));
  assert.ok(tries(allowance, "a", 1, 62_400), "no debt is longer than a minute");
});

test("property: over any time no more is spent than allowed", () => {
  const step = fc.record({ wait: fc.nat({ max: 300 }), cost: fc.integer({ min: 1, max: 20 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const allowance = new Allowance(20);
      let now = 0;
      let spent = 0;
      for (const { wait, cost } of steps) {
        now += wait;
        if (tries(allowance, "a", cost, now)) spent += cost;
        assert.ok(spent <= 20 + (now / 1000) * 20 + 1e-6);
      }
    }),
  );
});

/** Goal: the value follows the formula within 0.1 %, whole numbers only, and never rises as a fact gets worse. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FIXED_ONE, fixedLog2, fixedPower } from "./fixed-logarithm.ts";
import { type HealthFacts, healthParts, healthValue, PPM } from "./health-value.ts";

const ppm = fc.integer({ min: 0, max: PPM });
const facts = fc.record({
  availability: ppm,
  reach: ppm,
  roundTripUs: fc.integer({ min: 0, max: 10_000_000 }),
  loss: ppm,
  kilobitsPerSecond: fc.integer({ min: 0, max: 10_000_000 }),
  connectivity: fc.constantFrom("public", "mapped", "punched", "symmetric", "relayed"),
  stableTime: ppm,
}) satisfies fc.Arbitrary<HealthFacts>;

test("property: logarithm and power keep to the true values and are each other's inverse", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (x) => {
      assert.ok(Math.abs(fixedLog2(x) / FIXED_ONE - Math.log2(x)) < 0.0001);
      assert.ok(Math.abs(fixedPower(fixedLog2(x)) - x) <= 1 + x * 0.0001, `${x}`);
    }),
  );
});

test("property: the value is the weighted geometric mean of its parts", () => {
  const weights = { availability: 0.3, reach: 0.2, roundTripUs: 0.1, loss: 0.05 };
  const more = { kilobitsPerSecond: 0.15, connectivity: 0.1, stableTime: 0.1 };
  fc.assert(
    fc.property(facts, (given) => {
      let expected = 1;
      for (const [name, part] of healthParts(given)) {
        expected *= (part / PPM) ** { ...weights, ...more }[name];
      }
      const value = healthValue(given);
      assert.ok(Number.isInteger(value) && value >= 0 && value <= PPM);
      assert.ok(Math.abs(value / PPM - expected) < 0.001, `${value} for ${expected}`);
    }),
  );
});

test("property: worse facts never give a better value", () => {
  fc.assert(
    fc.property(facts, facts, (a, b) => {
      const worse: HealthFacts = {
        availability: Math.min(a.availability, b.availability),
        reach: Math.min(a.reach, b.reach),
        roundTripUs: Math.max(a.roundTripUs, b.roundTripUs),
        loss: Math.max(a.loss, b.loss),
        kilobitsPerSecond: Math.min(a.kilobitsPerSecond, b.kilobitsPerSecond),
        connectivity: a.connectivity,
        stableTime: Math.min(a.stableTime, b.stableTime),
      };
      assert.ok(healthValue(worse) <= healthValue(a));
    }),
  );
});

test("known values; a part of 0 kills, a part not measured is left out", () => {
  const best = { availability: PPM, reach: PPM, roundTripUs: 20_000, loss: 0 };
  assert.ok(healthValue(best) > 999_900);
  assert.equal(healthValue({ ...best, reach: 0 }), 0);
  assert.equal(healthValue({}), 0);
  assert.ok(healthValue({ ...best, roundTripUs: undefined }) > 999_900);
  assert.equal(healthParts({ roundTripUs: 200_000 }).get("roundTripUs"), 500_000);
  assert.equal(healthParts({ kilobitsPerSecond: 100_000 }).get("kilobitsPerSecond"), PPM);
  assert.equal(healthParts({ kilobitsPerSecond: 0 }).get("kilobitsPerSecond"), 0);
});

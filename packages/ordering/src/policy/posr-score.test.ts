/** Goal: the arithmetic of standing and weights. Method: published tables, properties over all inputs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isResilient, makeResilient } from "../quorum/quorum.ts";
import { POSR_PARAMS, PPM } from "./posr-params.ts";
import {
  capWeights,
  moveWeights,
  nextStanding,
  proposeOfScore,
  proposeOfStreak,
  scoreOf,
  shareMaxPpm,
} from "./posr-score.ts";

const EPOCHS_PER_DAY = 144;
const params = {
  availabilityMinPpm: POSR_PARAMS.availabilityMinPpm.default,
  standingEpochsMax: POSR_PARAMS.standingEpochsMax.default,
  decayPpm: POSR_PARAMS.decayPpm.default,
  base: 10,
  bonus: 30,
  halfEpochs: 50,
};
const full = 1000 * params.standingEpochsMax;
const near = (ppm: number, share: number) => Math.abs(ppm / PPM - share) < 0.002;

describe("standing", () => {
  it("scores days of service as the reference table says", () => {
    const table = [
      [1, 0.051],
      [3, 0.136],
      [7, 0.264],
      [14, 0.418],
      [30, 0.633],
      [60, 0.859],
      [90, 1],
    ] as const;
    for (const [days, score] of table) {
      const got = scoreOf(1000 * EPOCHS_PER_DAY * days, params.standingEpochsMax);
      assert.ok(near(got, score), `${days} days: ${got}, expected ${score}`);
    }
  });

  it("falls in a total outage, and comes back, as the reference table says", () => {
    const table = [
      [1 / 24, 0.995, 0],
      [0.25, 0.97, 0],
      [1, 0.879, 14],
      [3, 0.652, 46],
      [7, 0.289, 70],
    ] as const;
    for (const [days, score, back] of table) {
      let standing = full;
      for (let e = 0; e < days * EPOCHS_PER_DAY; e++) standing = nextStanding(standing, 0, params);
      const after = scoreOf(standing, params.standingEpochsMax);
      assert.ok(Math.abs(after / PPM - score) < 0.005, `${days} days: ${after}`);
      let epochs = 0;
      while (scoreOf(standing, params.standingEpochsMax) < 0.95 * PPM) {
        standing = nextStanding(standing, PPM, params);
        epochs++;
      }
      assert.ok(Math.abs(epochs / EPOCHS_PER_DAY - back) <= 1.5, `${days} days: ${epochs} epochs`);
    }
  });

  it("stays within its bounds, rises with availability, and never exceeds safe integers", () => {
    const any = fc.record({
      availabilityMinPpm: fc.integer({ min: 1, max: PPM }),
      standingEpochsMax: fc.integer({ min: 1, max: POSR_PARAMS.standingEpochsMax.max }),
      decayPpm: fc.nat(PPM),
    });
    fc.assert(
      fc.property(any, fc.nat(PPM), fc.nat(PPM), fc.nat(PPM), fc.boolean(), (p, at, a, b, slow) => {
        const max = 1000 * p.standingEpochsMax;
        assert.ok(Number.isSafeInteger(max * PPM));
        const standing = Math.floor((max * at) / PPM);
        const [low, high] = a < b ? [a, b] : [b, a];
        const after = nextStanding(standing, low, p, slow);
        assert.ok(Number.isSafeInteger(after) && after >= 0 && after <= max);
        assert.ok(after <= nextStanding(standing, high, p, slow));
        assert.ok(scoreOf(after, p.standingEpochsMax) <= PPM);
      }),
      { numRuns: 500 },
    );
  });

  it("scores more standing higher", () => {
    fc.assert(
      fc.property(fc.nat(full), fc.nat(full), (a, b) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        const max = params.standingEpochsMax;
        assert.ok(scoreOf(low, max) <= scoreOf(high, max));
      }),
      { numRuns: 500 },
    );
    assert.equal(scoreOf(0, params.standingEpochsMax), 0);
    assert.equal(scoreOf(2 * full, params.standingEpochsMax), PPM);
  });
});

describe("propose weights", () => {
  it("begin at base and saturate", () => {
    const weights = [0, 1, 50, 150, 1_000_000].map((streak) => proposeOfStreak(streak, params));
    assert.deepEqual(weights, [10, 10, 25, 32, 39]);
    assert.deepEqual(
      [0, PPM / 2, PPM].map((score) => proposeOfScore(score, params)),
      [10, 25, 40],
    );
  });

  const weights = fc.array(fc.nat(10_000), { minLength: 1, maxLength: 60 });

  it("are cut to the largest share, in order, no more than needed", () => {
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: PPM }), (raw, shareMax) => {
        const capped = capWeights(raw, shareMax);
        const positive = raw.filter((weight) => weight > 0);
        const sum = capped.reduce((a, b) => a + b, 0);
        if (positive.length === 0) return assert.equal(sum, 0);
        const limit = shareMaxPpm(positive.length, shareMax);
        const level = Math.max(...capped);
        assert.ok(level * PPM <= limit * sum);
        assert.deepEqual(
          capped,
          raw.map((weight) => Math.min(weight, level)),
        );
        if (level === Math.max(...raw)) return;
        // One more would be too much.
        const more = positive.reduce((total, weight) => total + Math.min(weight, level + 1), 0);
        assert.ok((level + 1) * PPM > limit * more);
      }),
      { numRuns: 500 },
    );
  });

  it("do not depend on the order of the members", () => {
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: PPM }), (raw, shareMax) => {
        const reversed = capWeights([...raw].reverse(), shareMax).reverse();
        assert.deepEqual(reversed, capWeights(raw, shareMax));
      }),
      { numRuns: 200 },
    );
  });
});

describe("vote weights", () => {
  it("move by no more than the budget, and reach the target", () => {
    const votes = fc.array(
      fc.tuple(fc.integer({ min: 30, max: 40 }), fc.integer({ min: 30, max: 40 })),
      {
        minLength: 1,
        maxLength: 31,
      },
    );
    fc.assert(
      fc.property(votes, (pairs) => {
        const toMembers = (weights: readonly number[]) =>
          weights.map((vote, i) => ({
            id: `m${String(i).padStart(2, "0")}`,
            org: "o",
            key: { algorithm: "ed25519", bytes: new Uint8Array(32) } as const,
            vote,
            propose: 1,
          }));
        const resilient = (weights: readonly number[]) =>
          makeResilient(toMembers(weights)).map((member) => member.vote);
        let current = resilient(pairs.map(([from]) => from));
        const target = resilient(pairs.map(([, to]) => to));
        for (let epoch = 0; epoch < 40; epoch++) {
          const total = current.reduce((a, b) => a + b, 0);
          const budget = Math.floor(total / 10);
          const next = moveWeights(current, target, budget);
          const moved = next.reduce((sum, weight, i) => sum + Math.abs(weight - current[i]!), 0);
          assert.ok(moved <= budget);
          current = next;
        }
        assert.deepEqual(current, target);
        assert.ok(isResilient(current.map((vote) => ({ vote }))));
      }),
      { numRuns: 200 },
    );
  });
});

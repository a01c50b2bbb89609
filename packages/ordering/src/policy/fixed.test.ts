import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createValidatorSet, type ValidatorInfo } from "@hanse/protocol";
import fc from "fast-check";
import { createFixedPolicy, createRota, ROTA_TURNS_MAX } from "./fixed.ts";

function setOf(propose: readonly number[]) {
  const members: ValidatorInfo[] = propose.map((weight, i) => ({
    id: `org-${String(i).padStart(3, "0")}`,
    org: `org-${i}`,
    key: { algorithm: "ed25519", bytes: new Uint8Array(32).fill(i + 1) },
    vote: 1,
    propose: weight,
  }));
  return createValidatorSet(members, "byzantine");
}

const proposeWeights = fc
  .array(fc.integer({ min: 0, max: 2000 }), { minLength: 1, maxLength: 12 })
  .filter((weights) => weights.some((weight) => weight > 0));

describe("policy fixed", () => {
  it("spreads the turns smoothly by weight", () => {
    assert.deepEqual(createRota(setOf([1, 1, 1])), ["org-000", "org-001", "org-002"]);
    // The published example of the method: 5, 1, 1.
    const names = createRota(setOf([5, 1, 1])).map((id) => "abc"[Number(id.slice(4))]);
    assert.equal(names.join(""), "aabacaa");
  });

  it("gives everyone its share and never a turn to weight 0", () => {
    fc.assert(
      fc.property(proposeWeights, (weights) => {
        const rota = createRota(setOf(weights));
        assert.ok(rota.length <= ROTA_TURNS_MAX + weights.length);
        for (const [i, weight] of weights.entries()) {
          const turns = rota.filter((id) => id === `org-${String(i).padStart(3, "0")}`).length;
          assert.equal(turns > 0, weight > 0);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("has distinct leaders in consecutive views, all proposers within one round", () => {
    const policy = createFixedPolicy();
    fc.assert(
      fc.property(proposeWeights, fc.nat(10_000), (weights, height) => {
        const set = setOf(weights);
        const proposers = weights.filter((weight) => weight > 0).length;
        const leaders = Array.from({ length: proposers + 1 }, (_, v) =>
          policy.leader(set, height, v),
        );
        assert.equal(new Set(leaders.slice(0, proposers)).size, proposers);
        assert.equal(leaders[proposers], leaders[0]);
      }),
      { numRuns: 50 },
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createValidatorSet, quorumWeight, totalWeight, type ValidatorInfo } from "@hanse/protocol";
import fc from "fast-check";
import { applyUpdates, faultyWeightMax, isResilient, makeResilient } from "./quorum.ts";

function members(votes: readonly number[]): ValidatorInfo[] {
  return votes.map((vote, i) => ({
    id: `org-${String(i).padStart(3, "0")}/node`,
    org: `org-${i}`,
    key: { algorithm: "ed25519", bytes: new Uint8Array(32).fill(i + 1) },
    vote,
    propose: 1,
  }));
}

function equalSet(n: number, rule: "byzantine" | "crash") {
  return createValidatorSet(members(Array.from({ length: n }, () => 1)), rule);
}

const weights = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 40 });

describe("quorum", () => {
  it("gives the tolerated failures of the specification", () => {
    const byzantine = [1, 2, 3, 4, 5, 6, 7, 10].map((n) =>
      faultyWeightMax(equalSet(n, "byzantine")),
    );
    assert.deepEqual(byzantine, [0, 0, 0, 1, 1, 1, 2, 3]);
    const crash = [1, 2, 3, 4, 5].map((n) => faultyWeightMax(equalSet(n, "crash")));
    assert.deepEqual(crash, [0, 0, 1, 1, 2]);
  });

  it("makes any two quorums share more than may lie, or at least someone under the crash rule", () => {
    fc.assert(
      fc.property(weights, (votes) => {
        const byzantine = createValidatorSet(members(votes), "byzantine");
        const shared = 2 * quorumWeight(byzantine) - totalWeight(byzantine);
        assert.ok(shared > faultyWeightMax(byzantine));
        assert.ok(3 * faultyWeightMax(byzantine) < totalWeight(byzantine));
        const crash = createValidatorSet(members(votes), "crash");
        assert.ok(2 * quorumWeight(crash) > totalWeight(crash));
      }),
    );
  });

  it("knows the examples of the resilience rule", () => {
    assert.equal(isResilient(members([2, 1, 1, 1])), false);
    assert.equal(isResilient(members([4, 3, 3, 3])), true);
    assert.equal(isResilient(members([1, 1, 1, 1])), true);
    assert.equal(isResilient(members([100, 1])), true);
  });

  it("repairs any weights to resilient ones without raising any", () => {
    fc.assert(
      fc.property(weights, (votes) => {
        const before = members(votes);
        const repaired = makeResilient(before);
        assert.ok(isResilient(repaired));
        for (const [i, member] of repaired.entries()) {
          assert.ok(member.vote >= 1 && member.vote <= before[i]!.vote);
        }
      }),
    );
  });
});

describe("validator updates", () => {
  const set = equalSet(4, "byzantine");
  const extra = members([1, 1, 1, 1, 1])[4]!;

  it("adds, changes and removes members", () => {
    const five = applyUpdates(set, [extra]);
    assert.deepEqual(
      five.members.map((m) => m.id),
      [...set.members.map((m) => m.id), extra.id],
    );
    assert.deepEqual(applyUpdates(five, [{ ...extra, vote: 0 }]).hash, set.hash);
    assert.equal(applyUpdates(set, []), set);
  });

  it("lets a set of one grow member by member", () => {
    let grown = equalSet(1, "byzantine");
    for (const member of members([1, 1, 1, 1]).slice(1)) grown = applyUpdates(grown, [member]);
    assert.deepEqual(grown.hash, set.hash);
  });

  for (const [what, updates] of [
    ["the leave of a stranger", [{ ...extra, vote: 0 }]],
    ["an id twice", [extra, extra]],
    ["more than a third at once", [extra, { ...set.members[0]!, vote: 0 }]],
    ["weights that one member dominates", [{ ...set.members[0]!, vote: 2 }]],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => applyUpdates(set, updates), { code: "VALIDATOR_UPDATE_INVALID" });
    });
  }
});

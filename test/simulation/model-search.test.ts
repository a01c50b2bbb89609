/** Goal: no state of a small height has two final blocks, and every broken rule has such a state. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { searchStates } from "./model-search.ts";

describe("every state of a height of two views", { timeout: 120_000 }, () => {
  it("is safe, and blocks become final in some", () => {
    const { states, final, violation } = searchStates(2);
    assert.equal(violation, undefined);
    assert.ok(states > 10_000, `${states} states`);
    assert.ok(final > 1_000, `${final} with a final block`);
  });

  for (const broken of [
    "quorum-one-too-small",
    "skip-justification",
    "finalize-after-nullify",
    "notarize-twice",
  ] as const) {
    it(`is not safe with ${broken}`, () => {
      assert.notEqual(searchStates(2, broken).violation, undefined);
    });
  }
});

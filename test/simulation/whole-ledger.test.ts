/** Goal: what clients were promised by whole nodes survives faults, and outsiders can check it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runWhole } from "./whole-ledger.ts";

const SEEDS = 30;

describe("whole nodes under faults", { timeout: 240_000 }, () => {
  it(`keeps every promise in ${SEEDS} seeds`, async () => {
    let crashes = 0;
    let heights = 0;
    let changes = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = await runWhole(seed);
      assert.equal(result.failure, undefined, `seed ${seed}`);
      crashes += result.crashes;
      heights += result.heights;
      changes += result.changes;
    }
    assert.ok(crashes > SEEDS, `${crashes} crashes`);
    assert.ok(heights > SEEDS * 3, `${heights} heights`);
    assert.ok(changes > SEEDS / 2, `${changes} changes of the set`);
  });

  it("gives the same run twice", async () => {
    const [first, second] = [await runWhole(3), await runWhole(3)];
    assert.deepEqual(first, second);
  });
});

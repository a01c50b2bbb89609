/** Goal: a ledger that lost its quorum goes on by its document, under faults, and never in two ways. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runSeeds, type SeedOrder } from "./pool.ts";

const SEEDS = 150;

describe("recovery after loss of quorum", { timeout: 240_000 }, () => {
  it(`goes on as the document says in ${SEEDS} seeds`, async () => {
    const failures: string[] = [];
    let heights = 0;
    const orders = Array.from(
      { length: SEEDS },
      (_, i): SeedOrder => ({
        seed: i + 1,
        focus: "recovery",
        mutation: undefined,
        twice: i % 15 === 0,
      }),
    );
    await runSeeds(orders, (result) => {
      heights += result.heights;
      if (result.failure !== undefined) failures.push(`seed ${result.seed}: ${result.failure}`);
      return failures.length >= 5;
    });
    assert.deepEqual(failures, []);
    assert.ok(heights > SEEDS * 5, `only ${heights} heights were decided`);
  });
});

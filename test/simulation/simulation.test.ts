/**
 * The built-in ordering under faults and lies: thousands of seeds, some of them twice, and the
 * proof that the checker finds broken rules. More seeds: npm run sim -- --seeds N --from S.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BROKEN_RULES, type BrokenRule, EXPOSED_BY } from "./mutations.ts";
import { runSeeds, type SeedOrder } from "./pool.ts";
import { type RunResult, runSeed } from "./run.ts";
import { shrinkSeed } from "./shrink.ts";
import type { Trouble } from "./worlds.ts";

const SEEDS = 5_000;
const SEEDS_TWICE = 150;
/** Every broken rule must be found within so many seeds of the focus that exposes it. */
const SEEDS_PER_MUTATION = 150;

function orders(
  count: number,
  focus: Trouble,
  mutation: BrokenRule | undefined,
  twice: boolean,
): SeedOrder[] {
  return Array.from({ length: count }, (_, i) => ({ seed: i + 1, focus, mutation, twice }));
}

function describeFailure(result: RunResult, options: string): string {
  return `seed ${result.seed}: ${result.failure}\n  npm run sim -- --seed ${result.seed} ${options}`;
}

describe("deterministic simulation", () => {
  it(`holds every invariant in ${SEEDS} seeds`, { timeout: 840_000 }, async () => {
    const failures: string[] = [];
    let heights = 0;
    let offences = 0;
    await runSeeds(orders(SEEDS, "mixed", undefined, false), (result) => {
      heights += result.heights;
      offences += result.offences;
      if (result.failure !== undefined) failures.push(describeFailure(result, ""));
      return failures.length >= 5;
    });
    assert.deepEqual(failures, []);
    // A simulation that decides next to nothing would prove next to nothing.
    assert.ok(heights > SEEDS * 5, `only ${heights} heights were decided`);
    // About every third seed has a liar.
    assert.ok(offences > SEEDS / 4, `only ${offences} offences came onto the ledger`);
  });

  it(`gives the same run twice for each of ${SEEDS_TWICE} seeds`, {
    timeout: 300_000,
  }, async () => {
    const failures: string[] = [];
    await runSeeds(orders(SEEDS_TWICE, "mixed", undefined, true), (result) => {
      if (result.failure !== undefined) failures.push(describeFailure(result, "--twice"));
      return false;
    });
    assert.deepEqual(failures, []);
  });

  it("shrinks a failing seed to the faults that it takes", { timeout: 120_000 }, async () => {
    const failing = { seed: 20, focus: "crashes", mutation: "never-repeat" } as const;
    const shrunk = await shrinkSeed(failing);
    assert.ok(shrunk !== undefined);
    assert.ok(shrunk.faults.length < shrunk.drawn, `${shrunk.faults.length} of ${shrunk.drawn}`);
    const again = await runSeed({ ...failing, faults: shrunk.faults });
    assert.equal(again.failure, shrunk.failure);
    assert.equal(await shrinkSeed({ ...failing, mutation: undefined }), undefined);
  });

  for (const mutation of BROKEN_RULES) {
    const focus = EXPOSED_BY[mutation];
    it(`finds ${mutation} within ${SEEDS_PER_MUTATION} seeds`, { timeout: 120_000 }, async () => {
      let found: RunResult | undefined;
      await runSeeds(orders(SEEDS_PER_MUTATION, focus, mutation, false), (result) => {
        if (result.failure !== undefined) found ??= result;
        return found !== undefined;
      });
      assert.ok(found !== undefined, `the broken rule went unnoticed in focus ${focus}`);
    });
  }
});

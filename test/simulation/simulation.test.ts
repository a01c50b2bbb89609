/**
 * The built-in ordering under faults and lies: thousands of seeds, some of them twice, and the
 * proof that the checker finds broken rules. More seeds: npm run sim -- --seeds N --from S.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MUTATIONS, type Mutation } from "@hanse/ordering";
import { runSeeds, type SeedOrder } from "./pool.ts";
import type { RunResult } from "./run.ts";
import type { Focus } from "./scenario.ts";

const SEEDS = 2_000;
const SEEDS_TWICE = 60;
/** Every broken rule must be found within so many seeds of the focus that exposes it. */
const SEEDS_PER_MUTATION = 150;

function orders(
  count: number,
  focus: Focus,
  mutation: Mutation | undefined,
  twice: boolean,
): SeedOrder[] {
  return Array.from({ length: count }, (_, i) => ({ seed: i + 1, focus, mutation, twice }));
}

function describeFailure(result: RunResult, options: string): string {
  return `seed ${result.seed}: ${result.failure}\n  npm run sim -- --seeds 1 --from ${result.seed} ${options}`;
}

/** The scenario that exposes each rule; lies only show where somebody lies. */
const EXPOSED_BY: Readonly<Record<Mutation, Focus>> = {
  "quorum-one-too-small": "crashes",
  "finalize-after-nullify": "crashes",
  "skip-justification": "attacker",
  "notarize-twice": "attacker",
  "accept-non-leader": "attacker",
  "skip-validation": "attacker",
  "forget-votes": "crashes",
  "forget-certificates": "blackout",
  "no-retally": "blackout",
  "vote-while-behind": "lag",
  "send-before-durable": "blackout",
  "wrong-set-at-next-height": "sets",
  "reuse-wiped-signing-state": "amnesia",
  "trust-unverified-range": "attacker",
  "accept-any-evidence": "attacker",
  "ignore-slots": "slots",
  "keep-old-epoch": "switch",
};

describe("deterministic simulation", () => {
  it(`holds every invariant in ${SEEDS} seeds`, { timeout: 600_000 }, async () => {
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
    timeout: 120_000,
  }, async () => {
    const failures: string[] = [];
    await runSeeds(orders(SEEDS_TWICE, "mixed", undefined, true), (result) => {
      if (result.failure !== undefined) failures.push(describeFailure(result, "--twice"));
      return false;
    });
    assert.deepEqual(failures, []);
  });

  for (const mutation of MUTATIONS) {
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

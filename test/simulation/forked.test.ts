/** Goal: a ledger with more liars than it tolerates forks, and the fork names exactly them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runForked } from "./forked.ts";

const SEEDS = 120;

describe("more liars than tolerated", { timeout: 120_000 }, () => {
  it(`names both liars of every fork in ${SEEDS} seeds`, async () => {
    const seen = { forks: 0, otherViews: 0 };
    for (let seed = 1; seed <= SEEDS; seed++) {
      const forked = await runForked(seed);
      if (forked === undefined) continue;
      const { whole, bare, views, liars } = forked;
      seen.forks++;
      assert.ok(whole.ok, `seed ${seed}: ${whole.reason}`);
      const named = whole.facts!.liars.map(({ member }) => member.id);
      assert.deepEqual(named, liars, `seed ${seed}`);
      assert.ok(whole.facts!.weight > whole.facts!.tolerated);
      assert.ok(bare.ok, `seed ${seed}: ${bare.reason}`);
      if (views[0] === views[1]) {
        assert.deepEqual(
          bare.facts!.liars.map(({ member }) => member.id),
          liars,
        );
        continue;
      }
      // Two views: the proofs alone show the fork and whom to ask.
      seen.otherViews++;
      assert.deepEqual(bare.facts!.liars, []);
      assert.equal(bare.facts!.question?.view, Math.max(...views));
    }
    assert.ok(seen.forks > SEEDS / 2, `${seen.forks} forks`);
    assert.ok(seen.otherViews > SEEDS / 10, `${seen.otherViews} in two views`);
  });
});

/** Goal: a follower believes what honest members of a trusted set stand behind, and nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createTrialLedger, trialProof, trialSet } from "../../scripts/light-trials.ts";
import type { ValidatorSet } from "../block/validator-set.ts";
import { sha256 } from "../hash/domain.ts";
import { readyKeyBackends } from "../keys/signatures.ts";
import {
  followLightBlock,
  type LightBlock,
  type LightState,
  maySkip,
  skipWeightMin,
} from "./light-chain.ts";
import { decodeLightPage, encodeLightPage, type LightPage } from "./light-page.ts";

await readyKeyBackends();

const FIRST = trialSet(["a", "b", "c", "d"]);
const SECOND = trialSet(["b", "c", "d", "e"]);
const THIRD = trialSet(["d", "e", "f", "g"]);
const OTHERS = trialSet(["w", "x", "y", "z"]);
const ledger = createTrialLedger([FIRST, FIRST, SECOND, SECOND, THIRD, THIRD, OTHERS, OTHERS]);
const at = (height: number) => ledger.blocks[height - 1]!;
const trusting = (height: number): LightState => ({ trust: ledger.trustAt(height) });

function follow(from: number, ...heights: number[]) {
  let state = trusting(from);
  const steps: string[] = [];
  for (const height of heights) {
    const verdict = followLightBlock(state, at(height));
    if (!verdict.ok) return verdict.reason;
    state = verdict.state;
    steps.push(verdict.step);
  }
  assert.deepEqual(state.trust, ledger.trustAt(heights.at(-1)!));
  return steps.join(" ");
}

test("the ways to a later header", () => {
  assert.equal(follow(0, 1), "sameSet");
  assert.equal(follow(1, 2), "sameSet");
  // Three of the four that are trusted sign on: nothing in between is needed.
  assert.equal(follow(1, 4), "skipped");
  assert.equal(follow(1, 2, 3), "sameSet handedOver");
  // Only d is left in the third set: one of four is no more than may lie.
  assert.match(follow(1, 5), /block 5: too little of the trusted weight/);
  assert.equal(follow(1, 2, 4, 6, 7), "sameSet handedOver handedOver handedOver");
  assert.match(follow(1, 2, 4, 7), /block 7: too little of the trusted weight/);
  assert.equal(follow(6, 6, 7), "known handedOver");
  assert.match(follow(6, 7), /too little/);
  assert.match(follow(4, 2), /below the trusted height 4/);
});

test("what may be skipped: more weight than may lie, and more than a third", () => {
  for (const [names, rule, expected] of [
    [1, "byzantine", 1],
    [2, "byzantine", 1],
    [3, "byzantine", 2],
    [4, "byzantine", 2],
    [7, "byzantine", 3],
    [10, "byzantine", 4],
    [3, "crash", 2],
    [5, "crash", 3],
  ] as const) {
    const set = trialSet(
      Array.from({ length: names }, (_, i) => `m${i}`),
      rule,
    );
    assert.equal(skipWeightMin(set), expected, `${names} ${rule}`);
  }
});

test("a thief with the keys of a third gets nowhere", () => {
  // One of the four trusted members turns up in a set of the thief's own making.
  const thieves = trialSet(["a", "w", "x", "y"]);
  const forged = createTrialLedger([thieves, thieves], "trial");
  assert.match(
    (followLightBlock(trusting(1), forged.blocks[1]!) as { reason: string }).reason,
    /does not follow the trusted block/,
  );
  const { header } = forged.blocks[1]!.proof;
  const far = { ...header, height: 9, lastSetChangeHeight: 5, parentHash: sha256(header.txRoot) };
  const block: LightBlock = { proof: trialProof(far, thieves), set: thieves };
  assert.match(
    (followLightBlock(trusting(1), block) as { reason: string }).reason,
    /too little of the trusted weight/,
  );
  // Members that are named but did not sign lend the set nothing.
  const named = trialSet(["a", "b", "x", "y", "z", "w", "v"]);
  const alone = { ...far, validatorsHash: named.hash };
  const signers = [...named.members.keys()].filter(
    (i) => !["a", "b"].includes(named.members[i]!.id),
  );
  const unsigned = { proof: trialProof(alone, named, { signers }), set: named };
  assert.equal(maySkip(FIRST, named), true);
  assert.match(
    (followLightBlock(trusting(1), unsigned) as { reason: string }).reason,
    /trusted weight 0 signed it, 2 is needed/,
  );
});

test("refusals name their reason", () => {
  const reasonOf = (block: LightBlock, state = trusting(2)) => {
    const verdict = followLightBlock(state, block);
    return verdict.ok ? "" : verdict.reason;
  };
  const { proof, set } = at(3);
  assert.match(reasonOf({ proof, set: FIRST }), /not the one it names/);
  assert.match(
    reasonOf(createTrialLedger([FIRST, FIRST, FIRST], "b").blocks[2]!),
    /another ledger/,
  );
  const few = trialProof(at(4).proof.header, SECOND, { signers: [0, 1] });
  assert.match(reasonOf({ proof: few, set }), /weight 2 is below the quorum of 3/);
  const known = followLightBlock(trusting(2), at(2));
  assert.ok(known.ok);
  const old = { ...at(4).proof.header, time: 5 };
  assert.match(reasonOf({ proof: trialProof(old, SECOND), set }, known.state), /older than/);
  const other = { ...at(2).proof.header, time: 9 };
  assert.match(reasonOf({ proof: trialProof(other, FIRST), set: FIRST }), /not the trusted one/);
  const { header } = at(4).proof;
  const epoch = { ...header, engineEpoch: 3 };
  const switched = followLightBlock(known.state, { proof: trialProof(epoch, SECOND), set });
  assert.ok(switched.ok);
  const back = { ...at(6).proof.header, engineEpoch: 2 };
  assert.match(
    reasonOf({ proof: trialProof(back, THIRD), set: THIRD }, switched.state),
    /epoch goes backwards/,
  );
});

test("property: any history of sets is followed change by change, and skipping never goes astray", () => {
  const pool = ["a", "b", "c", "d", "e", "f", "g"];
  const sets = fc
    .array(fc.subarray(pool, { minLength: 1, maxLength: 5 }), { minLength: 2, maxLength: 8 })
    .map((list) => list.map((names): ValidatorSet => trialSet(names)));
  fc.assert(
    fc.property(sets, fc.nat(), fc.nat(), (history, first, second) => {
      const trial = createTrialLedger(history);
      const from = first % history.length;
      const to = from + 1 + (second % (history.length - from));
      let state: LightState = { trust: trial.trustAt(from) };
      for (let height = Math.max(from, 1); height <= to; height++) {
        const { header } = trial.blocks[height - 1]!.proof;
        const { header: above } = trial.blocks[Math.min(height, history.length - 1)]!.proof;
        if (height < to && above.lastSetChangeHeight !== height + 1) continue;
        const verdict = followLightBlock(state, trial.blocks[height - 1]!);
        assert.ok(verdict.ok, verdict.ok ? "" : `${header.height}: ${verdict.reason}`);
        state = verdict.state;
      }
      assert.deepEqual(state.trust, trial.trustAt(to));
      const skipped = followLightBlock({ trust: trial.trustAt(from) }, trial.blocks[to - 1]!);
      if (skipped.ok) assert.deepEqual(skipped.state.trust, trial.trustAt(to));
    }),
    { numRuns: 60 },
  );
});

test("pages come back; every flipped byte and every cut is refused by name or is another page", () => {
  const page: LightPage = {
    ledgerId: ledger.ledgerId,
    changes: [at(2), at(4)],
    complete: true,
    newest: at(6),
  };
  const bytes = encodeLightPage(page);
  assert.deepEqual(encodeLightPage(decodeLightPage(bytes)), bytes);
  const tried = (changed: Uint8Array) => {
    try {
      return decodeLightPage(changed);
    } catch (thrown) {
      assert.equal((thrown as Error).name, "HanseError");
      assert.ok((thrown as Error).message.length > 5);
      return undefined;
    }
  };
  for (let i = 0; i < bytes.length; i++) {
    const changed = bytes.slice();
    changed[i]! ^= 1 << (i % 8);
    const read = tried(changed);
    if (read === undefined) continue;
    // What is still readable convinces nobody, unless the change lies in what was not followed.
    let state: LightState = { trust: ledger.trustAt(1) };
    for (const block of [...read.changes, read.newest]) {
      const verdict = followLightBlock(state, block);
      if (!verdict.ok) break;
      state = verdict.state;
      const real = ledger.trustAt(state.trust.height);
      assert.deepEqual(state.trust, real);
    }
    if (i % 40 === 0) assert.equal(tried(bytes.subarray(0, i)), undefined);
  }
  assert.throws(() => decodeLightPage(new Uint8Array(9 * 1024 * 1024)), {
    code: "LIGHT_PAGE_INVALID",
    kind: "tooLarge",
  });
});

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import {
  createKeyPair,
  createValidatorSet,
  HanseError,
  readyKeyBackends,
  sha256,
  signMessage,
  utf8,
  verifySignature,
  voteMessage,
} from "@hanse/protocol";
import fc from "fast-check";
import { EvidencePool } from "../driver/evidence-pool.ts";
import type { SignedPlace, SignPlace } from "../engine/interfaces.ts";
import type { SignatureCheck } from "../wire/bodies.ts";
import { proposeMessage } from "../wire/messages.ts";
import {
  createEvidence,
  decodeEvidence,
  EVIDENCE_BLOCKS_MAX,
  EVIDENCE_PER_BLOCK_MAX,
  type Evidence,
  encodeEvidence,
  evidenceRefusal,
  offenceKey,
  verifyEvidence,
} from "./evidence.ts";

await readyKeyBackends();
const ledgerId = sha256(utf8("ledger"));
const pairs = [1, 2, 3, 4].map((seed) => createKeyPair("ed25519", new Uint8Array(32).fill(seed)));
const set = createValidatorSet(
  pairs.map((pair, i) => ({
    id: `org-${i}/node`,
    org: `org-${i}`,
    key: pair.publicKey,
    vote: 1,
    propose: 1,
  })),
  "byzantine",
);
const subject = { engineEpoch: 0, validatorsHash: set.hash, validator: "org-1/node" };
const verify = (c: SignatureCheck) => verifySignature(c.key, c.message, c.signature);

function signed(place: SignPlace, at: { who?: number; ledger?: Uint8Array } = {}): SignedPlace {
  const { kind } = place;
  const on = {
    ...place,
    ledgerId: at.ledger ?? ledgerId,
    engineEpoch: 0,
    validatorsHash: set.hash,
  };
  const message =
    kind === "propose"
      ? proposeMessage({ ...on, blockHash: place.blockHash!, parentView: place.parentView! })
      : voteMessage({ ...on, kind });
  return { ...place, signature: signMessage(pairs[at.who ?? 1]!, message) };
}

function place(kind: SignPlace["kind"], block: string, over: Partial<SignPlace> = {}): SignPlace {
  return {
    kind,
    height: 5,
    view: 2,
    ...(kind === "nullify" ? {} : { blockHash: sha256(utf8(block)) }),
    ...(kind === "notarize" || kind === "propose" ? { parentView: -1 } : {}),
    ...over,
  };
}

const contradictions: readonly (readonly [SignPlace, SignPlace])[] = [
  [place("propose", "a"), place("propose", "b")],
  [place("propose", "a"), place("propose", "a", { parentView: 1 })],
  [place("notarize", "a"), place("notarize", "b")],
  [place("notarize", "a"), place("notarize", "a", { parentView: 0 })],
  [place("finalize", "a"), place("finalize", "b")],
  [place("finalize", "a"), place("nullify", "")],
];

describe("evidence", () => {
  let samples: Evidence[] = [];
  before(() => {
    samples = contradictions.map(([one, other]) =>
      createEvidence(subject, signed(one), signed(other)),
    );
  });

  it("proves itself for every pair that no honest validator signs, in one encoding", () => {
    for (const [i, [one, other]] of contradictions.entries()) {
      const bytes = encodeEvidence(samples[i]!);
      assert.deepEqual(decodeEvidence(bytes), samples[i]);
      assert.deepEqual(verifyEvidence(bytes, { set, ledgerId }, verify), { ok: true });
      const turned = createEvidence(subject, signed(other), signed(one));
      assert.deepEqual(encodeEvidence(turned), bytes, samples[i]!.kind);
    }
  });

  it("is not made of what an honest validator may sign", () => {
    const honest: readonly (readonly [SignPlace, SignPlace])[] = [
      [place("notarize", "a"), place("notarize", "a")],
      [place("notarize", "a"), place("nullify", "")],
      [place("notarize", "a"), place("finalize", "a")],
      [place("nullify", ""), place("nullify", "")],
      [place("finalize", "a"), place("finalize", "b", { view: 3 })],
      [place("finalize", "a"), place("finalize", "b", { height: 6 })],
      [place("propose", "a"), place("notarize", "b")],
    ];
    for (const [one, other] of honest) {
      assert.throws(() => createEvidence(subject, signed(one), signed(other)), {
        code: "EVIDENCE_INVALID",
      });
    }
  });

  it("is refused with another key's, ledger's or a forged signature, and of a stranger", () => {
    const [one, other] = contradictions[2]!;
    const reasonOf = (e: Evidence) => {
      const verdict = verifyEvidence(encodeEvidence(e), { set, ledgerId }, verify);
      return verdict.ok ? "" : verdict.reason;
    };
    const forged = createEvidence(subject, signed(one), signed(other, { who: 2 }));
    assert.match(reasonOf(forged), /signature does not hold/);
    const elsewhere = { ledger: sha256(utf8("other")) };
    const foreign = createEvidence(subject, signed(one, elsewhere), signed(other, elsewhere));
    assert.match(reasonOf(foreign), /signature does not hold/);
    assert.match(reasonOf({ ...samples[2]!, validator: "org-9/node" }), /no validator/);
    assert.match(reasonOf({ ...samples[2]!, engineEpoch: 1 }), /signature does not hold/);
  });

  it("bent at any byte it is refused with a reason and never verifies", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (pick, at, mask) => {
        const bytes = encodeEvidence(samples[pick % samples.length]!);
        bytes[at % bytes.length]! ^= mask;
        const verdict = verifyEvidence(bytes, { set, ledgerId }, verify);
        assert.ok(!verdict.ok && verdict.reason.length > 0);
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        try {
          decodeEvidence(bytes);
        } catch (error) {
          assert.ok(error instanceof HanseError);
        }
      }),
    );
  });

  it("stands only in a block above the offence, within the window, against a member", () => {
    const e = samples[0]!;
    const at = (height: number) => evidenceRefusal(e, { height, engineEpoch: 0, set });
    assert.match(at(5) ?? "", /below the block/);
    assert.equal(at(6), undefined);
    assert.equal(at(5 + EVIDENCE_BLOCKS_MAX), undefined);
    assert.match(at(6 + EVIDENCE_BLOCKS_MAX) ?? "", /expired/);
    const rest = createValidatorSet([set.members[0]!, ...set.members.slice(2)], "byzantine");
    const without = evidenceRefusal(e, { height: 6, engineEpoch: 0, set: rest });
    assert.match(without ?? "", /no validator/);
    const later = evidenceRefusal({ ...e, engineEpoch: 3 }, { height: 6, engineEpoch: 2, set });
    assert.match(later ?? "", /later epoch/);
  });
});

describe("evidence that waits", () => {
  let now = 0;
  const pool = () => new EvidencePool({ now: () => now, setTimer: () => ({ cancel: () => {} }) });
  const offence = (height: number, validator = "org-1/node"): Evidence => {
    const first = { ...place("finalize", "a"), height, signature: new Uint8Array(64) };
    const second = { ...place("nullify", ""), height, signature: new Uint8Array(64) };
    return createEvidence({ ...subject, validator }, first, second);
  };
  const block = (height: number) => ({ height, engineEpoch: 0, set });

  it("is kept once per offence, offered until settled, and never again after that", () => {
    const waiting = pool();
    assert.equal(waiting.add(offence(5)), true);
    assert.equal(waiting.add(offence(5)), false);
    assert.equal(waiting.offer(block(5)).length, 0);
    assert.equal(waiting.offer(block(6)).length, 1);
    assert.equal(waiting.offer(block(7)).length, 1);
    waiting.settle(offenceKey(offence(5)));
    assert.equal(waiting.offer(block(8)).length, 0);
    assert.equal(waiting.add(offence(5)), false);
  });

  it("is bounded against floods, per validator and in all, in a block and in time", () => {
    const waiting = pool();
    for (let height = 1; height <= 500; height++) {
      for (const member of set.members) waiting.add(offence(height, member.id));
      for (let i = 0; i < 10; i++) waiting.add(offence(height, `stranger-${height}-${i}`));
    }
    assert.ok(waiting.size <= 128);
    const offered = waiting.offer(block(600));
    assert.ok(offered.length > 0 && offered.length <= EVIDENCE_PER_BLOCK_MAX);
    // Strangers are let go at once, members when nobody took theirs for a day.
    assert.ok(waiting.size <= 4 * 8);
    now += 25 * 3_600_000;
    assert.deepEqual(waiting.offer(block(601)), []);
    assert.equal(waiting.size, 0);
  });
});

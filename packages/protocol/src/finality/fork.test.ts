/** Goal: a fork names liars of more weight than the set tolerates, and never anybody honest. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  createTrialLedger,
  trialCertificate,
  trialCometProof,
  trialProof,
  trialSet,
} from "../../scripts/light-trials.ts";
import { namedKeyPair } from "../../scripts/sample-ledger.ts";
import type { Certificate, VoteKind } from "../block/certificate.ts";
import { type BlockHeader, hashHeader } from "../block/header.ts";
import { quorumWeight } from "../block/validator-set.ts";
import { utf8 } from "../encoding/bytes.ts";
import { sha256 } from "../hash/domain.ts";
import { readyKeyBackends, signMessage } from "../keys/signatures.ts";
import { type AttestedProof, attestationMessage, type QcProof } from "./finality-proof.ts";
import { createForkFile, decodeForkFile, encodeForkFile, type ForkFile } from "./fork-file.ts";
import { type ForkVerdict, verifyForkFile } from "./fork-verdict.ts";

await readyKeyBackends();

const SET = trialSet(["a", "b", "c", "d"]);
const NEXT = trialSet(["c", "d", "e", "f"]);
const ledger = createTrialLedger([SET, SET, NEXT, NEXT]);
const trust = ledger.trustAt(0);
const HEIGHT = 2;
const { header: ONE } = ledger.blocks[HEIGHT - 1]!.proof;
const OTHER: BlockHeader = { ...ONE, time: ONE.time + 1 };

function certificate(
  kind: VoteKind,
  view: number,
  signers: readonly number[],
  header?: BlockHeader,
  parentView?: number,
): Certificate {
  const subject = {
    kind,
    ledgerId: ledger.ledgerId,
    engineEpoch: 0,
    height: HEIGHT,
    view,
    validatorsHash: SET.hash,
    ...(header === undefined ? {} : { blockHash: hashHeader(header) }),
    ...(parentView === undefined ? {} : { parentView }),
  };
  return trialCertificate(subject, SET, signers);
}

const proof = (header: BlockHeader, view: number, signers: readonly number[]) =>
  trialProof(header, SET, { view, signers });

function judge(
  proofs: readonly [QcProof, QcProof],
  certificates: readonly Certificate[] = [],
  change: Partial<ForkFile> = {},
): ForkVerdict {
  const { ledgerId } = ledger;
  const file = { ...createForkFile({ ledgerId, set: SET, proofs, certificates }), ...change };
  return verifyForkFile(encodeForkFile(file), trust);
}

const namesOf = ({ facts, reason }: ForkVerdict) =>
  facts?.liars.map(({ member, offences }) => `${member.id} ${offences}`).join(" ") ?? reason;

test("one view: who finalized both blocks", () => {
  const verdict = judge([proof(ONE, 0, [0, 1, 2]), proof(OTHER, 0, [1, 2, 3])]);
  assert.ok(verdict.ok, verdict.reason);
  assert.equal(namesOf(verdict), "b doubleFinalize c doubleFinalize");
  assert.deepEqual([verdict.facts?.weight, verdict.facts?.tolerated], [2, 1]);
  assert.equal(verdict.facts?.question, undefined);
});

test("two views: one question after the other, until the pair is there", () => {
  const proofs = [proof(ONE, 1, [0, 1, 2]), proof(OTHER, 4, [1, 2, 3])] as const;
  const upper = certificate("notarize", 4, [1, 2, 3], OTHER, 3);
  const middle = certificate("notarize", 3, [0, 2, 3], OTHER, -1);
  const nullified = certificate("nullify", 1, [0, 1, 3]);
  const asked = (certificates: readonly Certificate[]) => {
    const { ok, reason, facts } = judge(proofs, certificates);
    assert.ok(ok, reason);
    assert.deepEqual(facts?.liars, []);
    const { kind, view, asked: members } = facts!.question!;
    return `${kind} ${view} ${members.map(({ id }) => id).join("")}`;
  };
  assert.equal(asked([]), "notarize 4 bcd");
  assert.equal(asked([upper]), "notarize 3 bcd");
  assert.equal(asked([upper, middle]), "nullify 1 acd");
  assert.equal(
    namesOf(judge(proofs, [upper, middle, nullified])),
    "a finalizeAndNullify b finalizeAndNullify",
  );
  // The later block was offered again from the view of the earlier: that view notarized two.
  const again = certificate("notarize", 4, [1, 2, 3], OTHER, 1);
  const there = certificate("notarize", 1, [1, 2, 3], OTHER, -1);
  assert.equal(asked([again]), "notarize 1 bcd");
  assert.equal(asked([again, there]), "notarize 1 abc");
  assert.equal(
    namesOf(judge(proofs, [again, there, certificate("notarize", 1, [0, 1, 2], ONE, -1)])),
    "b doubleNotarize c doubleNotarize",
  );
});

test("other engines: attested or committed twice; rounds; epochs; two engines", () => {
  const attest = (header: BlockHeader, places: readonly number[]): AttestedProof => {
    const stateRoot = sha256(utf8("state"));
    const { ledgerId, engineEpoch, height } = header;
    const blockHash = hashHeader(header);
    const message = attestationMessage({ ledgerId, engineEpoch, height, blockHash, stateRoot });
    const attestations = places.map((place) => {
      const { id } = SET.members[place]!;
      return { member: id, signature: signMessage(namedKeyPair(id), message) };
    });
    return { kind: "attested", header, stateRoot, attestations };
  };
  const both = (one: unknown, other: unknown) => judge([one as QcProof, other as QcProof]);
  assert.equal(
    namesOf(both(attest(ONE, [0, 1, 2]), attest(OTHER, [0, 2, 3]))),
    "a doubleAttest c doubleAttest",
  );
  assert.equal(
    namesOf(both(attest(ONE, [0, 1, 2]), proof(OTHER, 0, [1, 2, 3]))),
    "b twoEngines c twoEngines",
  );
  const comet = (header: BlockHeader, round: number, mute: number) =>
    trialCometProof(header, SET, { round, mute: [mute] });
  assert.equal(
    namesOf(both(comet(ONE, 2, 3), comet(OTHER, 2, 0))),
    "b doublePrecommit c doublePrecommit",
  );
  const rounds = both(comet(ONE, 2, 3), comet(OTHER, 5, 0));
  assert.ok(rounds.ok, rounds.reason);
  assert.match(rounds.facts?.unattributable ?? "", /rounds differ/);
  assert.deepEqual(rounds.facts?.liars, []);
  const later = { ...OTHER, engineEpoch: 1 };
  const epochs = judge([proof(ONE, 0, [0, 1, 2]), proof(later, 0, [1, 2, 3])]);
  assert.ok(epochs.ok);
  assert.match(epochs.facts?.unattributable ?? "", /two engine epochs/);
  assert.deepEqual(epochs.facts?.liars, []);
});

test("what is no fork, or not of what is trusted, is refused by name", () => {
  const [one, other] = [proof(ONE, 0, [0, 1, 2]), proof(OTHER, 0, [1, 2, 3])];
  const reasonOf = (verdict: ForkVerdict) => {
    assert.equal(verdict.ok, false);
    assert.equal(verdict.facts, undefined);
    return verdict.reason ?? "";
  };
  assert.match(reasonOf(judge([one, proof(ONE, 1, [1, 2, 3])])), /both proofs are of one block/);
  assert.match(reasonOf(judge([one, proof(OTHER, 0, [1, 2])])), /weight 2 is below the quorum/);
  const orphan = trialProof({ ...OTHER, height: 4, lastSetChangeHeight: 1 }, SET);
  assert.match(reasonOf(judge([one, orphan])), /of two heights/);
  const file = createForkFile({ ledgerId: ledger.ledgerId, set: SET, proofs: [one, other] });
  const bytes = encodeForkFile(file);
  assert.match(reasonOf(verifyForkFile(bytes, ledger.trustAt(2))), /trust a block below the fork/);
  const stranger = createTrialLedger([SET], "another");
  assert.match(reasonOf(verifyForkFile(bytes, stranger.trustAt(0))), /not the trusted one/);
  const thieves = trialSet(["w", "x", "y", "z"]);
  assert.match(
    reasonOf(verifyForkFile(bytes, { ...trust, set: thieves })),
    /too little of the trusted weight/,
  );
  const bad = certificate("nullify", 0, [0, 1]);
  assert.match(reasonOf(judge([one, other], [bad])), /nullify certificate of view 0: weight 2/);
  const upward = certificate("notarize", 0, [0, 1, 2], ONE, 3);
  assert.match(reasonOf(judge([one, other], [upward])), /names a later view/);
  const final = certificate("finalize", 3, [0, 1, 2], ONE);
  assert.match(reasonOf(judge([one, other], [final])), /neither notarization nor nullification/);
  assert.match(reasonOf(judge([one, other], [], { proofs: [other, one] })), /canonical form/);
  const path = [ledger.blocks[1]!];
  assert.match(reasonOf(judge([one, other], [], { path })), /leads to the fork's height/);
  assert.throws(() => decodeForkFile(new Uint8Array(17 * 1024 * 1024)), {
    code: "FORK_INVALID",
    kind: "tooLarge",
  });
});

test("a fork behind a set change is judged by the way that leads there", () => {
  const { header } = ledger.blocks[3]!.proof;
  const other = { ...header, time: header.time + 1 };
  const proofs = [
    trialProof(header, NEXT),
    trialProof(other, NEXT, { signers: [1, 2, 3] }),
  ] as const;
  const { ledgerId } = ledger;
  const path = [ledger.blocks[1]!];
  const led = encodeForkFile(createForkFile({ ledgerId, set: NEXT, proofs, path }));
  assert.equal(
    namesOf(verifyForkFile(led, trust)),
    "d doubleFinalize e doubleFinalize f doubleFinalize",
  );
  assert.deepEqual(encodeForkFile(decodeForkFile(led)), led);
});

test("every flipped byte of a fork file is refused", () => {
  const proofs = [proof(ONE, 1, [0, 1, 2]), proof(OTHER, 2, [1, 2, 3])] as const;
  const certificates = [
    certificate("notarize", 2, [1, 2, 3], OTHER, -1),
    certificate("nullify", 1, [0, 1, 3]),
  ];
  const { ledgerId } = ledger;
  const bytes = encodeForkFile(createForkFile({ ledgerId, set: SET, proofs, certificates }));
  assert.equal(verifyForkFile(bytes, trust).ok, true);
  for (let i = 0; i < bytes.length; i++) {
    const changed = bytes.slice();
    changed[i]! ^= 1 << (i % 8);
    const verdict = verifyForkFile(changed, trust);
    assert.equal(verdict.ok, false, `byte ${i}`);
    assert.ok((verdict.reason ?? "").length > 10);
    if (i % 50 === 0) assert.equal(verifyForkFile(bytes.subarray(0, i), trust).ok, false);
  }
});

/**
 * A height played at random: liars sign whatever serves a quorum, honest members keep every rule of
 * the engine, with messages lost and delayed at will. Returns what certificates came to be.
 */
function playHeight(
  names: readonly string[],
  liars: ReadonlySet<number>,
  choices: readonly number[],
) {
  const set = trialSet(names);
  const need = quorumWeight(set);
  let at = 0;
  const draw = (most: number) => choices[at++ % choices.length]! % (most + 1);
  const honest = [...set.members.keys()].filter((place) => !liars.has(place));
  const formed: { kind: VoteKind; view: number; block?: number; parent?: number; by: number[] }[] =
    [];
  const has = (kind: VoteKind, view: number, block?: number) =>
    formed.some(
      (c) => c.kind === kind && c.view === view && (block === undefined || c.block === block),
    );
  const votes = new Map<string, Set<number>>();
  const cast = (place: number, kind: VoteKind, view: number, block?: number, parent?: number) => {
    const key = `${kind}/${view}/${block ?? ""}/${parent ?? ""}`;
    const who = votes.get(key) ?? new Set(liars);
    votes.set(key, who.add(place));
    if (who.size < need || formed.some((c) => keyOf(c) === key)) return;
    formed.push({
      kind,
      view,
      ...(block === undefined ? {} : { block }),
      ...(parent === undefined ? {} : { parent }),
      by: [...who],
    });
  };
  const keyOf = (c: { kind: VoteKind; view: number; block?: number; parent?: number }) =>
    `${c.kind}/${c.view}/${c.block ?? ""}/${c.parent ?? ""}`;
  const did = new Map<string, number>();
  for (let view = 0; view < 4; view++) {
    for (let turn = 0; turn < honest.length * 4; turn++) {
      const place = honest[draw(honest.length - 1)]!;
      const mine = (kind: VoteKind) => `${place}/${view}/${kind}`;
      const action = draw(2);
      if (action === 0 && !did.has(mine("notarize")) && !did.has(mine("nullify"))) {
        const parent = draw(view) - 1;
        const block = draw(1);
        const skipped = Array.from({ length: view - parent - 1 }, (_, i) => parent + 1 + i);
        if (!skipped.every((below) => has("nullify", below))) continue;
        if (parent >= 0 && !has("notarize", parent, block)) continue;
        did.set(mine("notarize"), block);
        cast(place, "notarize", view, block, parent);
      } else if (action === 1 && !did.has(mine("finalize")) && !did.has(mine("nullify"))) {
        const block = draw(1);
        if (!has("notarize", view, block)) continue;
        did.set(mine("finalize"), block);
        cast(place, "finalize", view, block);
      } else if (action === 2 && !did.has(mine("finalize")) && !did.has(mine("nullify"))) {
        did.set(mine("nullify"), 0);
        cast(place, "nullify", view);
      }
    }
  }
  return { set, formed };
}

test("property: with two liars of four, every fork names both and nobody else", () => {
  let forks = 0;
  fc.assert(
    fc.property(
      fc.constantFrom([0, 1], [0, 3], [1, 2], [2, 3]),
      fc.array(fc.nat(60), { minLength: 60, maxLength: 120 }),
      (pair, choices) => {
        const liars = new Set<number>(pair);
        const lies = ({ id }: { readonly id: string }) =>
          liars.has(SET.members.findIndex((member) => member.id === id));
        const { formed } = playHeight(["a", "b", "c", "d"], liars, choices);
        const headers = [ONE, OTHER];
        const finals = formed.filter(({ kind }) => kind === "finalize");
        const first = finals.find(({ block }) => block === 0);
        const second = finals.find(({ block }) => block === 1);
        if (first === undefined || second === undefined) return;
        forks++;
        const proofs = [
          proof(ONE, first.view, first.by),
          proof(OTHER, second.view, second.by),
        ] as const;
        const certificates = formed
          .filter(({ kind }) => kind !== "finalize")
          .map(({ kind, view, block, parent, by }) =>
            certificate(kind, view, by, block === undefined ? undefined : headers[block], parent),
          );
        for (const known of [certificates, certificates.filter((_, i) => i % 2 === 0), []]) {
          const { ok, reason, facts } = judge(proofs, known);
          assert.ok(ok, reason);
          for (const { member } of facts!.liars) {
            assert.ok(lies(member), `${member.id} is honest`);
          }
          if (known === certificates) {
            assert.ok(facts!.weight > facts!.tolerated, JSON.stringify(facts!.question ?? ""));
          }
          // Whoever is asked and honest has what it is asked for.
          const { question } = facts!;
          if (question === undefined || question.asked.every(lies)) continue;
          assert.ok(
            formed.some(({ kind, view }) => kind === question.kind && view === question.view),
          );
        }
      },
    ),
    { numRuns: 400 },
  );
  assert.ok(forks > 20, `${forks} forks`);
});

test("property: with as many liars as tolerated there is no fork to name", () => {
  fc.assert(
    fc.property(
      fc.nat(3),
      fc.array(fc.nat(60), { minLength: 60, maxLength: 120 }),
      (liar, choices) => {
        const { formed } = playHeight(["a", "b", "c", "d"], new Set([liar]), choices);
        const blocks = formed.filter(({ kind }) => kind === "finalize").map(({ block }) => block);
        assert.ok(new Set(blocks).size <= 1);
      },
    ),
    { numRuns: 300 },
  );
});

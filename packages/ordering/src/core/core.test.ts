/** The rules of spec/ordering.md one by one, on the bare core: events in, effects out. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Block,
  type Certificate,
  createValidatorSet,
  encodeBlock,
  evidenceRoot,
  hashHeader,
  indicesToBitmap,
  sha256,
  toHex,
  transactionRoot,
  utf8,
  type VoteKind,
  ZERO_HASH,
} from "@hanse/protocol";
import type { SignedPlace } from "../engine/interfaces.ts";
import { createFixedPolicy } from "../policy/fixed.ts";
import { type Core, createCore } from "./core.ts";
import {
  type Body,
  type BootRecord,
  type CoreEvent,
  type Effect,
  LAN_TIMEOUTS,
  type Vote,
} from "./events.ts";
import { subjectKey, Tally } from "./tally.ts";

const ledgerId = sha256(utf8("ledger"));
const NOW = 1_000_000;
const signature = new Uint8Array(64);

function setOf(n: number) {
  return createValidatorSet(
    Array.from({ length: n }, (_, i) => ({
      id: `org-${i}`,
      org: `org-${i}`,
      key: { algorithm: "ed25519" as const, bytes: new Uint8Array(32).fill(i + 1) },
      vote: 1,
      propose: 1,
    })),
    "byzantine",
  );
}

const set = setOf(4);
const policy = createFixedPolicy();
const leaderAt = (view: number) => policy.leader(set, 1, view);
/** Somebody who leads neither view 0 nor view 1 of height 1. */
const bystander = set.members.find((m) => m.id !== leaderAt(0) && m.id !== leaderAt(1))!.id;

function blockBy(proposer: string, text: string, time = NOW): Body {
  const transactions = [utf8(text)];
  const block: Block = {
    header: {
      ledgerId,
      engineEpoch: 0,
      height: 1,
      time,
      proposer,
      parentHash: ledgerId,
      txRoot: transactionRoot(transactions),
      txCount: 1,
      lastCertHash: ZERO_HASH,
      prevStateRoot: ZERO_HASH,
      prevResultsRoot: ZERO_HASH,
      validatorsHash: set.hash,
      nextValidatorsHash: set.hash,
      paramsHash: ZERO_HASH,
      evidenceHash: evidenceRoot([]),
      lastSetChangeHeight: 1,
      policyExtra: new Uint8Array(0),
    },
    lastCert: new Uint8Array(0),
    evidence: [],
    transactions,
  };
  const hash = hashHeader(block.header);
  return { hash, key: toHex(hash), block, bytes: encodeBlock(block) };
}

function certificate(kind: VoteKind, view: number, body?: Body, parentView?: number): Certificate {
  return {
    kind,
    engineEpoch: 0,
    height: 1,
    view,
    validatorsHash: set.hash,
    ...(body === undefined ? {} : { blockHash: body.hash }),
    ...(parentView === undefined ? {} : { parentView }),
    signers: indicesToBitmap(
      [0, 1, 2].filter((i) => set.members[i]!.id !== bystander),
      4,
    ),
    signatures: [signature, signature, signature],
  };
}

class Bench {
  readonly core: Core;
  effects: Effect[];

  constructor(self: string, restored: Partial<BootRecord> = {}) {
    this.core = createCore({
      self,
      ledgerId,
      timeouts: LAN_TIMEOUTS,
      blockIntervalMsMin: 20,
      blockBytesMax: 100_000,
      clockAheadMsMax: 1_000,
      clockBehindMsMax: 1_000,
      policyOf: () => policy,
      sign: () => signature,
    });
    this.effects = this.core.boot(
      {
        parent: { height: 0, hash: ledgerId, time: 0 },
        lastCert: new Uint8Array(0),
        lastSetChangeHeight: 1,
        changed: false,
        hasWork: false,
        voteFrom: 0,
        sets: [{ height: 0, set }],
        eras: [{ height: 1, engineEpoch: 0, kind: "builtin", policy: "fixed" }],
        finals: [],
        votes: [],
        proposals: [],
        certificates: [],
        bodies: [],
        begins: undefined,
        ...restored,
      },
      NOW,
    );
  }

  step(event: CoreEvent): Effect[] {
    this.effects = this.core.step(event, NOW);
    return this.effects;
  }

  propose(view: number, parentView: number, body: Body, from = leaderAt(view)): Effect[] {
    const proposal = { from, height: 1, view, parentView, body, signature };
    const effects = [...this.step({ t: "proposal", proposal })];
    const asked = effects.find((effect) => effect.t === "validate");
    if (asked !== undefined) {
      effects.push(...this.step({ t: "validated", height: 1, key: body.key, ok: true }));
    }
    return effects;
  }

  certify(c: Certificate): Effect[] {
    return this.step({ t: "certificate", certificate: c });
  }

  vote(kind: VoteKind, view: number, signer: number, body?: Body, parentView?: number): Effect[] {
    const vote: Vote = {
      kind,
      height: 1,
      view,
      signer,
      signature,
      ...(body === undefined ? {} : { blockHash: body.hash }),
      ...(parentView === undefined ? {} : { parentView }),
    };
    return this.step({ t: "vote", vote });
  }
}

function votes(effects: readonly Effect[]): string[] {
  return effects.flatMap((effect) =>
    effect.t === "send" && effect.message.t === "vote"
      ? [`${effect.message.kind} ${effect.message.view}`]
      : [],
  );
}

function sends(effects: readonly Effect[], t: string): Effect[] {
  return effects.filter((effect) => effect.t === "send" && effect.message.t === t);
}

describe("core, good case", () => {
  it("builds at once when the leader gets work, and stays silent before", () => {
    const bench = new Bench(leaderAt(0));
    assert.deepEqual(bench.effects, []);
    const effects = bench.step({ t: "work" });
    assert.ok(effects.some((effect) => effect.t === "build"));
    assert.ok(effects.some((effect) => effect.t === "timer" && effect.id === "view"));
  });

  it("persists proposal, body and vote before they may leave", () => {
    const bench = new Bench(leaderAt(0));
    bench.step({ t: "work" });
    const body = blockBy(leaderAt(0), "a");
    const effects = bench.step({ t: "built", height: 1, view: 0, body });
    const records = effects.flatMap((e) =>
      e.t === "persist" ? [[e.record.t, e.seq] as const] : [],
    );
    assert.deepEqual(
      records.map(([t]) => t),
      ["body", "proposal", "vote"],
    );
    for (const effect of effects) {
      if (effect.t !== "send") continue;
      assert.ok(effect.after >= (effect.message.t === "vote" ? records[2]![1] : records[1]![1]));
    }
  });

  it("goes from proposal over notarization to finality and the next height", () => {
    const bench = new Bench(bystander);
    const body = blockBy(leaderAt(0), "a");
    assert.deepEqual(votes(bench.propose(0, -1, body)), ["notarize 0"]);
    const others = set.members.flatMap((m, i) => (m.id === bystander ? [] : [i]));
    bench.vote("notarize", 0, others[0]!, body, -1);
    assert.deepEqual(
      votes(bench.vote("notarize", 0, others[1]!, body, -1)),
      [],
      "ours is not durable",
    );
    assert.deepEqual(votes(bench.step({ t: "durable", seq: 100 })), ["finalize 0"]);
    assert.equal(bench.core.view, 1);
    bench.step({ t: "durable", seq: 200 });
    bench.vote("finalize", 0, others[0]!, body);
    const done = bench.vote("finalize", 0, others[1]!, body);
    const execute = done.find((effect) => effect.t === "execute");
    const final = done.find((effect) => effect.t === "persist" && effect.record.t === "final");
    assert.ok(execute?.t === "execute" && final?.t === "persist" && execute.after === final.seq);
    const result = {
      height: 1,
      stateRoot: ZERO_HASH,
      resultsRoot: ZERO_HASH,
      paramsHash: ZERO_HASH,
      validatorUpdates: [],
      changed: true,
    };
    const opened = bench.step({ t: "executed", height: 1, result, hasWork: false });
    assert.ok(opened.some((effect) => effect.t === "commit" && effect.height === 1));
    assert.equal(bench.core.height, 2);
    assert.ok(bench.core.active, "a block that changed state wants its proof block");
  });

  it("drops an empty block that nobody else waits for", () => {
    const bench = new Bench(leaderAt(0));
    bench.step({ t: "work" });
    const body = blockBy(leaderAt(0), "a");
    const empty = { ...body, block: { ...body.block, transactions: [] } };
    const effects = bench.step({ t: "built", height: 1, view: 0, body: empty });
    assert.deepEqual(sends(effects, "propose"), []);
    assert.equal(bench.core.active, false);
  });
});

describe("core, refusals", () => {
  it("does not vote for a stranger's, a second, a too old or an ill-linked proposal", () => {
    const good = blockBy(leaderAt(0), "a");
    assert.deepEqual(votes(new Bench(bystander).propose(0, -1, good, leaderAt(1))), []);
    const twice = new Bench(bystander);
    twice.propose(0, -1, good);
    const second = twice.propose(0, -1, blockBy(leaderAt(0), "b"));
    assert.deepEqual(votes(second), []);
    const evidence = second.find((effect) => effect.t === "evidence");
    assert.equal(evidence?.t === "evidence" && evidence.evidence.kind, "doublePropose");
    for (const time of [0, NOW - 1_001, NOW + 1_001]) {
      assert.deepEqual(
        votes(new Bench(bystander).propose(0, -1, blockBy(leaderAt(0), "a", time))),
        [],
      );
    }
    const { header } = good.block;
    for (const wrong of [
      { parentHash: ZERO_HASH },
      { validatorsHash: ZERO_HASH },
      { nextValidatorsHash: ZERO_HASH },
      { height: 2 },
      { engineEpoch: 1 },
      { lastSetChangeHeight: 0 },
      { proposer: leaderAt(1) },
      { policyExtra: utf8("x") },
    ]) {
      const bent = { ...good, block: { ...good.block, header: { ...header, ...wrong } } };
      assert.deepEqual(votes(new Bench(bystander).propose(0, -1, bent)), [], Object.keys(wrong)[0]);
    }
  });

  it("does not vote for what its ledger refuses, and stops when a quorum did", () => {
    const bench = new Bench(bystander);
    const body = blockBy(leaderAt(0), "a");
    bench.step({
      t: "proposal",
      proposal: { from: leaderAt(0), height: 1, view: 0, parentView: -1, body, signature },
    });
    const refused = bench.step({ t: "validated", height: 1, key: body.key, ok: false });
    assert.deepEqual(votes(refused), []);
    const effects = bench.certify(certificate("notarize", 0, body, -1));
    assert.deepEqual(votes(effects), []);
    assert.ok(
      effects.some((effect) => effect.t === "alarm" && effect.code === "ORDERING_DIVERGED"),
    );
  });

  it("asks for what justifies a proposal and votes only when it has it", () => {
    const bench = new Bench(bystander);
    const fresh = blockBy(leaderAt(1), "b");
    bench.certify(certificate("notarize", 0, blockBy(leaderAt(0), "a"), -1));
    const effects = bench.propose(1, -1, fresh);
    assert.deepEqual(votes(effects), []);
    assert.equal(sends(effects, "need").length, 1);
    assert.deepEqual(votes(bench.certify(certificate("nullify", 0))), []);
    const valid = bench.step({ t: "validated", height: 1, key: fresh.key, ok: true });
    assert.deepEqual(votes(valid), ["notarize 1"]);
  });

  it("votes in view 1 only for the block that view 0 notarized", () => {
    const a = blockBy(leaderAt(0), "a");
    const right = new Bench(bystander);
    right.certify(certificate("notarize", 0, a, -1));
    assert.deepEqual(votes(right.propose(1, 0, a)), ["notarize 1"]);
    const wrong = new Bench(bystander);
    wrong.certify(certificate("notarize", 0, a, -1));
    assert.deepEqual(votes(wrong.propose(1, 0, blockBy(leaderAt(0), "b"))), []);
  });

  it("never finalizes a view that it nullified, nor notarizes in it", () => {
    const a = blockBy(leaderAt(0), "a");
    const bench = new Bench(bystander);
    bench.step({ t: "work" });
    assert.deepEqual(votes(bench.step({ t: "timer", id: "view" })), ["nullify 0"]);
    assert.deepEqual(votes(bench.propose(0, -1, a)), []);
    assert.deepEqual(votes(bench.certify(certificate("notarize", 0, a, -1))), []);
    assert.equal(bench.core.view, 1);
  });

  it("does not vote while others are known to be further", () => {
    const bench = new Bench(bystander);
    bench.step({ t: "behind", behind: true });
    const a = blockBy(leaderAt(0), "a");
    assert.deepEqual(votes(bench.propose(0, -1, a)), []);
    const back = bench.step({ t: "behind", behind: false });
    assert.ok(back.some((effect) => effect.t === "validate"));
  });
});

describe("core, evidence", () => {
  const [liar, ...others] = set.members.flatMap(({ id }, i) => (id === bystander ? [] : [i]));
  const found = (effects: readonly Effect[]) =>
    effects.flatMap((e) =>
      e.t === "evidence" ? [`${e.evidence.kind} ${e.evidence.validator}`] : [],
    );

  it("finds who told us one thing and others another, where their certificate comes here", () => {
    const bench = new Bench(bystander);
    const a = blockBy(leaderAt(0), "a");
    const b = blockBy(leaderAt(0), "b");
    bench.vote("notarize", 0, liar!, a, -1);
    bench.vote("notarize", 0, others[0]!, b, -1);
    const effects = bench.certify(certificate("notarize", 0, b, -1));
    assert.deepEqual(found(effects), [`doubleNotarize ${set.members[liar!]!.id}`]);
  });

  it("finds a finalizer that others count as nullifier", () => {
    const bench = new Bench(bystander);
    bench.vote("finalize", 0, liar!, blockBy(leaderAt(0), "a"));
    const effects = bench.certify(certificate("nullify", 0));
    assert.deepEqual(found(effects), [`finalizeAndNullify ${set.members[liar!]!.id}`]);
  });
});

describe("core, views", () => {
  it("gives a leader that entered by a notarization its grace before it offers the block again", () => {
    const leader = leaderAt(1);
    const bench = new Bench(leader);
    const a = blockBy(leaderAt(0), "a");
    bench.propose(0, -1, a);
    const entered = bench.certify(certificate("notarize", 0, a, -1));
    assert.ok(entered.some((effect) => effect.t === "timer" && effect.id === "grace"));
    assert.deepEqual(sends(entered, "propose"), []);
    const offered = sends(bench.step({ t: "timer", id: "grace" }), "propose")[0];
    assert.ok(offered?.t === "send" && offered.message.t === "propose");
    assert.equal(offered.message.parentView, 0);
    assert.deepEqual(offered.message.block, a.bytes);
    assert.equal(offered.message.justification.length, 1);
  });

  it("builds anew after nullifications only, and fetches certificates that it lacks", () => {
    const leader = leaderAt(2);
    const bench = new Bench(leader);
    const skipped = bench.certify(certificate("nullify", 1));
    assert.equal(sends(skipped, "need").length, 1);
    assert.ok(!skipped.some((effect) => effect.t === "build"));
    const effects = bench.certify(certificate("nullify", 0));
    assert.ok(effects.some((effect) => effect.t === "build" && effect.view === 2));
  });

  it("fetches the body of a final block before it executes it", () => {
    const bench = new Bench(bystander);
    const a = blockBy(leaderAt(0), "a");
    const asked = bench.certify(certificate("finalize", 3, a));
    assert.equal(sends(asked, "getBlock").length, 1);
    assert.ok(!asked.some((effect) => effect.t === "execute"));
    bench.step({ t: "body", body: blockBy(leaderAt(0), "b") });
    assert.ok(!bench.effects.some((effect) => effect.t === "execute"));
    const done = bench.step({ t: "body", body: a });
    assert.ok(done.some((effect) => effect.t === "execute"));
  });
});

describe("core, memory", () => {
  it("keeps blocks that it voted for and nobody certified up to a bound", () => {
    const bench = new Bench(bystander);
    const big = 64 * 1024 * 1024;
    const bodies: Body[] = [];
    for (let view = 0; view < 12; view++) {
      const body = { ...blockBy(leaderAt(view), `block ${view}`), bytes: new Uint8Array(1) };
      // Only its length counts here.
      Object.defineProperty(body.bytes, "length", { value: big });
      bodies.push(body);
      if (leaderAt(view) !== bystander) bench.propose(view, -1, body);
      bench.certify(certificate("nullify", view));
    }
    const kept = [...bench.core.open.bodies.values()];
    assert.ok(kept.length * big <= 6 * big, `${kept.length} blocks are kept`);
    assert.ok(kept.includes(bodies.at(-1)!) || leaderAt(11) === bystander);
  });
});

describe("core, restart", () => {
  const a = blockBy(leaderAt(0), "a");
  const notarized: SignedPlace = {
    kind: "notarize",
    height: 1,
    view: 0,
    blockHash: a.hash,
    parentView: -1,
    signature,
  };

  it("counts its own votes again", () => {
    const bench = new Bench(bystander, { votes: [notarized], bodies: [a] });
    const others = set.members.flatMap((m, i) => (m.id === bystander ? [] : [i]));
    bench.vote("notarize", 0, others[0]!, a, -1);
    assert.deepEqual(votes(bench.vote("notarize", 0, others[1]!, a, -1)), ["finalize 0"]);
  });

  it("goes on above its certificates and can justify what it proposes", () => {
    const certificates = [certificate("nullify", 0), certificate("nullify", 1)];
    const bench = new Bench(leaderAt(2), { certificates });
    assert.equal(bench.core.view, 2);
    assert.ok(bench.effects.some((effect) => effect.t === "build" && effect.view === 2));
  });

  it("does not repeat a vote for a block that it lost, nor vote for another there", () => {
    const bench = new Bench(bystander, { votes: [notarized] });
    const other = blockBy(leaderAt(0), "b");
    assert.deepEqual(votes(bench.propose(0, -1, other)), []);
    bench.step({ t: "timer", id: "view" });
    assert.deepEqual(votes(bench.effects), ["nullify 0"]);
    assert.deepEqual(votes(bench.step({ t: "timer", id: "resend" })), ["nullify 0"]);
  });
});

describe("tally", () => {
  const vote = (signer: number, kind: VoteKind, text?: string): Vote => ({
    kind,
    height: 1,
    view: 0,
    signer,
    signature,
    ...(text === undefined ? {} : { blockHash: sha256(utf8(text)) }),
  });

  it("counts each validator once per place and keeps the first of two contradicting votes", () => {
    const tally = new Tally(set, 0);
    assert.deepEqual(tally.add(vote(0, "finalize", "a")), { t: "added", weight: 1 });
    assert.deepEqual(tally.add(vote(0, "finalize", "a")), { t: "known" });
    const conflict = tally.add(vote(0, "finalize", "b"));
    assert.equal(conflict.t, "conflict");
    assert.equal(tally.weight("finalize", 0, subjectKey(vote(0, "finalize", "b"))), 0);
    assert.deepEqual(tally.add(vote(2, "finalize", "a")), { t: "added", weight: 2 });
    const bundled = tally.certificate(vote(2, "finalize", "a"));
    assert.deepEqual(bundled.signers, indicesToBitmap([0, 2], 4));
    assert.equal(bundled.signatures.length, 2);
  });

  it("forgets low views except for finality", () => {
    const tally = new Tally(set, 0);
    tally.add(vote(0, "nullify"));
    tally.add(vote(0, "finalize", "a"));
    tally.forgetBelow(1);
    assert.equal(tally.weight("nullify", 0, ""), 0);
    assert.equal(tally.weight("finalize", 0, subjectKey(vote(0, "finalize", "a"))), 1);
  });
});

describe("core, pace", () => {
  it("lets blocks of a busy ledger fill, and those of a quiet one not wait", () => {
    const leader = policy.leader(set, 6, 0);
    const pauseAfter = (transactions: number): number => {
      const parent = { height: 5, hash: ledgerId, time: NOW - 10, transactions };
      const bench = new Bench(leader, { parent, lastSetChangeHeight: 1 });
      const effects = bench.step({ t: "work" });
      const timer = effects.find((effect) => effect.t === "timer" && effect.id === "pace");
      assert.ok(timer?.t === "timer");
      assert.ok(!effects.some((effect) => effect.t === "build"));
      return timer.ms;
    };
    assert.equal(pauseAfter(LAN_TIMEOUTS.busyTransactions - 1), 20 - 10);
    assert.equal(pauseAfter(LAN_TIMEOUTS.busyTransactions), LAN_TIMEOUTS.fillMs - 10);
  });
});

/**
 * Goal: presence makes weights, within bounds, the same on every replay. Method: a chain of sets
 * with absences, worked examples and random histories.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createValidatorSet, type ValidatorInfo, type ValidatorSet } from "@hanse/protocol";
import fc from "fast-check";
import type { MaintenanceNotice, PolicyFacts, ProbeReport } from "../engine/interfaces.ts";
import { applyUpdates, isResilient } from "../quorum/quorum.ts";
import type { PolicyParams } from "./policy-params.ts";
import { createPosrPolicy, readPosrParams } from "./posr.ts";
import type { Candidate } from "./posr-epoch.ts";
import { type Explained, explainPosr } from "./posr-explain.ts";
import { SLOTS } from "./posr-params.ts";
import { shareMaxPpm } from "./posr-score.ts";
import { decodePosrState, encodePosrState, type PosrState } from "./posr-state.ts";

const E = 8;
const SMALL: PolicyParams = { epochBlocks: E, halfEpochs: 4 };
const idOf = (i: number) => `org-${String(i).padStart(2, "0")}`;

function candidateOf(i: number): Candidate {
  return {
    id: idOf(i),
    org: idOf(i),
    key: { algorithm: "ed25519", bytes: new Uint8Array(32).fill(i + 1) },
  };
}

function setOf(n: number, vote = 1): ValidatorSet {
  const members: ValidatorInfo[] = Array.from({ length: n }, (_, i) => ({
    ...candidateOf(i),
    vote,
    propose: 10,
  }));
  return createValidatorSet(members, "byzantine");
}

interface Block {
  readonly absent?: readonly string[];
  readonly barred?: readonly string[];
  readonly reports?: readonly ProbeReport[];
  readonly maintenance?: readonly MaintenanceNotice[];
  readonly candidates?: readonly Candidate[];
}

/** A ledger reduced to what a policy sees. */
class Chain {
  policy;
  readonly sets: ValidatorSet[];
  bytes: Uint8Array;
  height = 0;

  constructor(params: PolicyParams, set: ValidatorSet) {
    this.policy = createPosrPolicy(params);
    this.sets = [set, set, set];
    this.bytes = this.policy.initialState!({ height: 1, set });
  }

  get state(): PosrState {
    return decodePosrState(this.bytes);
  }

  get newest(): ValidatorSet {
    return this.sets.at(-1)!;
  }

  block({ absent = [], barred = [], ...more }: Block = {}): void {
    const height = ++this.height;
    const below = this.sets[height - 1]!.members.map((member) => member.id);
    const facts: PolicyFacts = {
      header: { height, time: height * 1000, proposer: idOf(0), policyExtra: new Uint8Array(0) },
      set: this.sets[height]!,
      latest: this.sets[height + 1]!,
      votes:
        height === 1
          ? []
          : [
              {
                height: height - 1,
                eligible: below,
                present: below.filter((id) => !absent.includes(id)),
              },
            ],
      barred,
      ...more,
    };
    const { state, updates } = this.policy.afterBlock!(this.bytes, facts);
    assert.deepEqual(this.policy.afterBlock!(this.bytes, facts), { state, updates });
    assert.deepEqual(encodePosrState(decodePosrState(state)), state);
    this.bytes = state;
    this.sets[height + 2] = applyUpdates(facts.latest, updates);
  }

  epochs(count: number, block: Block = {}): void {
    for (let i = 0; i < count * E; i++) this.block(block);
  }

  propose(i: number): number | undefined {
    return this.newest.members.find((member) => member.id === idOf(i))?.propose;
  }
}

describe("policy posr, by signatures", () => {
  it("adds to who was there, halves the streak of who was not", () => {
    const chain = new Chain(SMALL, setOf(7));
    chain.epochs(4);
    assert.equal(chain.state.accounts.get(idOf(3))!.streak, 4);
    assert.equal(chain.propose(3), 10 + Math.floor((30 * 4) / 8));
    chain.epochs(1, { absent: [idOf(3)] });
    assert.equal(chain.state.accounts.get(idOf(3))!.streak, 2);
    assert.equal(chain.state.accounts.get(idOf(0))!.streak, 5);
    // A total absence proposes nothing, the next good epoch does again, from a halved streak.
    assert.equal(chain.propose(3), 0);
    chain.epochs(1);
    assert.equal(chain.propose(3), 10 + Math.floor((30 * 3) / 7));
    assert.equal(
      chain.newest.members.every((member) => member.vote === 1),
      true,
    );
  });

  it("takes a killed member's turns within one epoch (AT-2.3), but never from half of them", () => {
    const chain = new Chain(SMALL, setOf(4));
    const killed = [idOf(1)];
    chain.epochs(2, { absent: killed });
    assert.equal(chain.propose(1), 0);
    const leaders = Array.from({ length: 100 }, (_, h) => chain.policy.leader(chain.newest, h, 0));
    assert.ok(!leaders.includes(idOf(1)));
    // Two of four away is a fault of the network: nobody loses anything.
    const split = new Chain({ ...SMALL, neutralEpochsMax: 1000 }, setOf(4));
    split.epochs(3);
    const before = split.newest;
    split.epochs(5, { absent: [idOf(0), idOf(1)] });
    assert.equal(split.newest, before);
    assert.equal(split.state.neutralSigned, 5);
    // When it lasts, streaks fall after all, at a quarter of the rate.
    const long = new Chain({ ...SMALL, neutralEpochsMax: 2 }, setOf(4));
    long.epochs(8);
    long.epochs(2, { absent: [idOf(0), idOf(1)] });
    assert.equal(long.state.accounts.get(idOf(0))!.streak, 8);
    long.epochs(4, { absent: [idOf(0), idOf(1)] });
    assert.equal(long.state.accounts.get(idOf(0))!.streak, 4);
    assert.equal(long.newest.members.filter((member) => member.propose > 0).length, 3);
  });

  it("cannot hide a vote by fewer than four proposers in a row", () => {
    const chain = new Chain(SMALL, setOf(4));
    for (let i = 0; i < 10 * E; i++) chain.block({ absent: i % 4 === 0 ? [] : [idOf(2)] });
    assert.equal(chain.state.accounts.get(idOf(2))!.streak, 10);
    const five = new Chain(SMALL, setOf(4));
    for (let i = 0; i < 10 * E; i++) five.block({ absent: i % 8 === 0 ? [] : [idOf(2)] });
    assert.equal(five.state.accounts.get(idOf(2))!.streak, 0);
  });

  it("leaves a propose weight of 0 to governance, and a barred member without one", () => {
    const set = setOf(7);
    const observer = createValidatorSet(
      set.members.map((member, i) => (i === 5 ? { ...member, propose: 0 } : member)),
      "byzantine",
    );
    const chain = new Chain(SMALL, observer);
    chain.epochs(3, { barred: [idOf(6)] });
    assert.equal(chain.propose(5), 0);
    assert.equal(chain.propose(6), 0);
    chain.epochs(1);
    assert.equal(chain.propose(5), 0);
    assert.equal(chain.propose(6), chain.propose(0));
  });

  it("spares announced maintenance, within its bounds", () => {
    const notice = (i: number, fromEpoch: number, toEpoch: number) => ({
      id: idOf(i),
      fromEpoch,
      toEpoch,
    });
    const chain = new Chain({ ...SMALL, maintenanceEpochsMax: 3 }, setOf(7));
    chain.block({
      maintenance: [
        notice(1, 1, 2), // too late
        notice(1, 2, 6), // too long
        notice(1, 3, 5),
        notice(2, 4, 5), // one of seven at once
        notice(1, 6, 8), // over the budget with the one before
        notice(40, 3, 4), // a stranger
      ],
    });
    assert.deepEqual(chain.state.maintenance, [notice(1, 3, 5)]);
    for (let i = 1; i < 3 * E; i++) chain.block();
    chain.epochs(2, { absent: [idOf(1)] });
    assert.equal(chain.state.accounts.get(idOf(1))!.streak, 3);
    chain.epochs(1, { absent: [idOf(1)] });
    assert.equal(chain.state.accounts.get(idOf(1))!.streak, 1);
  });

  it("keeps votes in the band, moves at most a tenth per epoch, and stays resilient", () => {
    const chain = new Chain({ ...SMALL, weightedVotes: 1 }, setOf(7, 30));
    const absent = [idOf(5), idOf(6)];
    let before = chain.newest.members.map((member) => member.vote);
    for (let epoch = 0; epoch < 12; epoch++) {
      chain.epochs(1, { absent });
      const now = chain.newest.members.map((member) => member.vote);
      const moved = now.reduce((sum, vote, i) => sum + Math.abs(vote - before[i]!), 0);
      assert.ok(10 * moved <= before.reduce((a, b) => a + b, 0));
      assert.ok(now.every((vote) => vote >= 30 && vote <= 40));
      assert.ok(isResilient(chain.newest.members));
      before = now;
    }
    assert.ok(before[0]! > before[6]!);
  });
});

describe("policy posr, with probes", () => {
  const ALL = 2 ** SLOTS - 1;
  const PROBING: PolicyParams = {
    ...SMALL,
    probing: 1,
    standingEpochsMax: 40,
    probationEpochs: 5,
    decayPpm: 200_000,
  };
  /** What everyone of `ids` but the absent reports of an epoch. */
  const reportsOf = (ids: readonly string[], epoch: number, absent: readonly string[] = []) =>
    ids
      .filter((id) => !absent.includes(id))
      .map(
        (prober): ProbeReport => ({
          prober,
          epoch,
          targets: ids
            .filter((id) => id !== prober)
            .map((id) => ({ id, asked: ALL, answered: absent.includes(id) ? 0 : ALL })),
        }),
      );

  function run(
    chain: Chain,
    epochs: number,
    candidates: readonly Candidate[],
    absent: string[] = [],
  ) {
    for (let e = 0; e < epochs; e++) {
      const members = chain.newest.members.map((member) => member.id);
      const waiting = candidates.filter(({ id }) => !members.includes(id));
      const ids = [...members, ...waiting.map(({ id }) => id)];
      const epoch = chain.state.epoch;
      for (let i = 0; i < E; i++) {
        const reports = i === E - 1 ? reportsOf(ids, epoch, absent) : [];
        chain.block({ absent, candidates: waiting, reports });
      }
    }
  }

  it("admits a candidate after probation, one per epoch, one per organization", () => {
    const chain = new Chain(PROBING, setOf(4));
    const second = { ...candidateOf(20), org: idOf(0) };
    const candidates = [candidateOf(4), candidateOf(5), second];
    run(chain, 5, candidates);
    assert.equal(chain.newest.members.length, 4);
    run(chain, 1, candidates);
    assert.equal(chain.newest.members.length, 5);
    run(chain, 5, candidates);
    assert.equal(chain.newest.members.length, 6);
    assert.ok(!chain.newest.members.some((member) => member.id === second.id));
  });

  it("lets go who was away for three epochs, and takes back who stood probation again", () => {
    const chain = new Chain(PROBING, setOf(5));
    run(chain, 12, []);
    const gone = candidateOf(2);
    run(chain, 3, [gone], [gone.id]);
    assert.equal(chain.newest.members.length, 5, "an epoch is judged one epoch later");
    run(chain, 1, [gone], [gone.id]);
    assert.equal(chain.newest.members.length, 4);
    run(chain, 8, [gone], [gone.id]);
    assert.equal(chain.newest.members.length, 4);
    run(chain, 12, [gone]);
    assert.equal(chain.newest.members.length, 5);
    // Four is the least: nobody else is let go.
    run(chain, 10, [], [idOf(0), idOf(1)].slice(0, 1));
    run(chain, 10, [], [idOf(1)]);
    assert.equal(chain.newest.members.length, 4);
  });

  it("never credits more than signatures show, whatever friends report", () => {
    const chain = new Chain({ ...PROBING, leaveEpochs: 1000 }, setOf(7));
    for (let e = 0; e < 10; e++) {
      const ids = chain.newest.members.map((member) => member.id);
      const reports = reportsOf(ids, chain.state.epoch);
      for (let i = 0; i < E; i++) {
        chain.block({ absent: [idOf(3)], reports: i === 0 ? reports : [] });
      }
    }
    assert.equal(chain.state.accounts.get(idOf(3))!.standing, 0);
    assert.equal(chain.state.accounts.get(idOf(3))!.slots.up, ALL);
    assert.ok(chain.state.accounts.get(idOf(4))!.standing > 7000);
  });

  it("counts an epoch out of the candidates as an epoch of outage", () => {
    const standing = (leaves: boolean) => {
      const chain = new Chain(PROBING, setOf(4));
      const candidate = candidateOf(4);
      const away = [candidate.id];
      const params = { ...PROBING, probationEpochs: 1000 };
      chain.policy = createPosrPolicy(params);
      run(chain, 10, [candidate]);
      if (leaves) run(chain, 2, []);
      else run(chain, 2, [candidate], away);
      run(chain, 5, [candidate]);
      return chain.state.accounts.get(candidate.id)!.standing;
    };
    assert.ok(standing(true) <= standing(false));
    assert.ok(standing(true) > 0);
  });

  it("explains standing that signatures held down by these signatures", () => {
    const chain = new Chain(PROBING, setOf(7));
    for (let e = 0; e < 4; e++) {
      const ids = chain.newest.members.map((member) => member.id);
      const reports = reportsOf(ids, chain.state.epoch);
      for (let i = 0; i < E; i++) {
        chain.block({ absent: [idOf(3)], reports: i === 0 ? reports : [] });
      }
    }
    const tree = explainPosr(chain.state, idOf(3), readPosrParams(PROBING))!;
    const decided = tree.from[1]!.from[0]!.from[0]!;
    assert.equal(decided.value, 0);
    assert.deepEqual(decided.from.at(-1), {
      what: "share of the blocks signed, ppm",
      value: 0,
      on: `signatures in lastCert of blocks ${2 * E + 1} to ${3 * E}`,
      from: [],
    });
  });

  it("freezes while too few report, as signatures go on to count", () => {
    const chain = new Chain(PROBING, setOf(7));
    chain.epochs(5);
    assert.equal(chain.state.accounts.get(idOf(0))!.standing, 0);
    assert.equal(chain.state.neutralProbed, 4);
    assert.equal(chain.state.accounts.get(idOf(0))!.streak, 5);
  });

  it("takes one report of a prober and epoch, of this epoch or the last, in bounds", () => {
    const chain = new Chain(PROBING, setOf(4));
    chain.epochs(2);
    const report = (epoch: number, asked = ALL) => ({
      prober: idOf(0),
      epoch,
      targets: [{ id: idOf(1), asked, answered: 0 }],
    });
    const reports = [report(0), report(3), report(2, ALL + 1), report(1), report(1, 3), report(2)];
    chain.block({ reports });
    assert.deepEqual(chain.state.reports, [report(1), report(2)]);
  });
});

describe("clocks and engines", () => {
  it("change nothing: only heights and signatures count (AT-2.1, AT-2.4)", () => {
    const policy = createPosrPolicy(SMALL);
    const set = setOf(4);
    const ids = set.members.map((member) => member.id);
    const play = (offsetMs: number, proposer: string, extra: number) => {
      let state = policy.initialState!({ height: 1, set });
      const updates = [];
      for (let height = 1; height <= 3 * E; height++) {
        const present = ids.filter((_, i) => i !== 3 || height < E);
        const outcome = policy.afterBlock!(state, {
          header: {
            height,
            time: 1_700_000_000_000 + height * 1000 + offsetMs,
            proposer,
            policyExtra: new Uint8Array(extra),
          },
          set,
          latest: set,
          votes: [{ height: height - 1, eligible: ids, present }],
          barred: [],
        });
        state = outcome.state;
        updates.push(outcome.updates);
      }
      return { state, updates };
    };
    const plain = play(0, idOf(0), 0);
    assert.ok(plain.updates.some((list) => list.length > 0));
    assert.deepEqual(play(600_000, idOf(1), 0), plain);
    assert.deepEqual(play(-600_000, idOf(2), 8), plain);
  });
});

describe("explaining a weight (AT-2.6)", () => {
  const leaves = (node: Explained): readonly Explained[] =>
    node.from.length === 0 ? [node] : node.from.flatMap(leaves);

  it("sums up to the weight, and names blocks and reports", () => {
    for (const probing of [0, 1]) {
      const given = { ...SMALL, probing, shareMaxPpm: 1 };
      const chain = new Chain(given, setOf(7));
      const governed = createValidatorSet(
        setOf(7).members.map((member, i) => (i === 6 ? { ...member, propose: 0 } : member)),
        "byzantine",
      );
      chain.sets.splice(0, 3, governed, governed, governed);
      chain.epochs(3, { absent: [idOf(4)] });
      for (let i = 0; i < 7; i++) {
        const tree = explainPosr(chain.state, idOf(i), readPosrParams(given))!;
        assert.equal(tree.value, chain.propose(i));
        const sum = tree.from.reduce((total, part) => total + part.value, 0);
        assert.equal(sum, tree.value);
        assert.ok(
          leaves(tree).some(({ on }) =>
            /lastCert of blocks \d+ to \d+|reports of epoch \d+/.test(on ?? ""),
          ),
        );
      }
      const why = (i: number) =>
        explainPosr(chain.state, idOf(i), readPosrParams(given))!.from.at(-1)!.what;
      assert.equal(why(4), "silent in an epoch, until the next good one");
      assert.equal(why(6), "no right to propose, by governance");
      assert.equal(explainPosr(chain.state, "stranger", readPosrParams(given)), undefined);
    }
    const tree = explainPosr(new Chain(SMALL, setOf(4)).state, idOf(0), readPosrParams(SMALL));
    assert.equal(tree, undefined);
  });
});

describe("policy posr, any history", () => {
  it("keeps its invariants, and a replay gives the same bytes", () => {
    const step = fc.record({
      absent: fc.nat(1023),
      barred: fc.nat(1023),
      noise: fc.nat(4095),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.nat(1),
        fc.nat(1),
        fc.array(step, { minLength: 1, maxLength: 12 }),
        (n, probing, weightedVotes, history) => {
          const params = {
            ...SMALL,
            probing,
            weightedVotes,
            probationEpochs: 1,
            leaveEpochs: 2,
            decayPpm: 300_000,
            shareMaxPpm: 300_000,
          };
          const runs = [0, 1].map(() => {
            const chain = new Chain(params, setOf(n, weightedVotes === 1 ? 30 : 1));
            for (const { absent, barred, noise } of history) {
              const pick = (bits: number) =>
                Array.from({ length: 10 }, (_, i) => i)
                  .filter((i) => bits & (1 << i))
                  .map(idOf);
              const here = chain.newest.members;
              const candidates = [11, 12]
                .map(candidateOf)
                .filter(({ id }) => !here.some((member) => member.id === id));
              const ids = [...here, ...candidates].map(({ id }) => id);
              const reports = ids.map((prober, u) => ({
                prober,
                epoch: chain.state.epoch,
                targets: ids.map((id, v) => ({
                  id,
                  asked: 4095,
                  answered: (noise * (u + 3) * (v + 7)) % 4096,
                })),
              }));
              const before = here.reduce((sum, member) => sum + member.vote, 0);
              chain.epochs(1, { absent: pick(absent), barred: pick(barred), reports, candidates });
              const { members } = chain.newest;
              const proposing = members.filter((member) => member.propose > 0);
              const sum = proposing.reduce((total, member) => total + member.propose, 0);
              const earned = [...chain.state.wanted.values()].filter(({ propose }) => propose > 0);
              const top = Math.max(...earned.map(({ propose }) => propose));
              const total = earned.reduce((all, { propose }) => all + propose, 0);
              assert.ok(sum > 0 && proposing.length > 0);
              // Who comes in this epoch stands beside the capped ones.
              const joining = members.length - here.length;
              if (joining <= 0) {
                assert.ok(top * 1_000_000 <= shareMaxPpm(earned.length, 300_000) * total);
              }
              assert.ok(isResilient(members));
              const after = members.reduce((all, member) => all + member.vote, 0);
              // One that comes or goes, and the moves of two epochs: some wait for room.
              assert.ok(Math.abs(after - before) <= 30 + 2 * ((before + 30) / 10));
            }
            return chain.bytes;
          });
          assert.deepEqual(runs[0], runs[1]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("refuses parameters out of bounds and states of another form", () => {
    assert.throws(() => createPosrPolicy({ epochBlock: 9 }), /did you mean epochBlocks/);
    assert.throws(() => createPosrPolicy({ changePermille: 334 }), {
      code: "POLICY_PARAMS_INVALID",
    });
    assert.throws(() => decodePosrState(Uint8Array.of(0x80)), { code: "FIELD_INVALID" });
  });
});

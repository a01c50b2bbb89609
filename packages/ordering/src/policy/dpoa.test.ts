/** Goal: turns, slots and pauses of `dpoa`. Method: worked examples, replay, random absences. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createValidatorSet, type ValidatorInfo, type ValidatorSet } from "@hanse/protocol";
import fc from "fast-check";
import type { PolicyFacts, ValidatorPolicy } from "../engine/interfaces.ts";
import { applyUpdates } from "../quorum/quorum.ts";
import { createDpoaPolicy, DAY_MS, dpoaParamsFromIbax } from "./dpoa.ts";
import { decodeDpoaState, encodeDpoaState } from "./dpoa-state.ts";

const idOf = (i: number) => `org-${i}`;

function setOf(propose: readonly number[]): ValidatorSet {
  const members: ValidatorInfo[] = propose.map((weight, i) => ({
    id: idOf(i),
    org: idOf(i),
    key: { algorithm: "ed25519", bytes: new Uint8Array(32).fill(i + 1) },
    vote: 1,
    propose: weight,
  }));
  return createValidatorSet(members, "byzantine");
}

/** A ledger reduced to what a policy sees: sets in force two heights later, the state handed on. */
class Chain {
  readonly policy: ValidatorPolicy;
  readonly sets: ValidatorSet[];
  state: Uint8Array;
  height = 0;
  time: number;

  constructor(policy: ValidatorPolicy, set: ValidatorSet, time = 0) {
    this.policy = policy;
    this.sets = [set, set, set];
    this.time = time;
    this.state = policy.initialState!({ height: 1, set });
  }

  get set(): ValidatorSet {
    return this.sets[this.height + 1]!;
  }

  /** One block of the first view whose leader is not `absent`. */
  block(absent: readonly string[], barred: readonly string[] = [], stepMs = 1000): string {
    const height = this.height + 1;
    this.time += stepMs;
    const set = this.sets[height]!;
    let view = 0;
    while (absent.includes(this.policy.leader(set, height, view))) view++;
    const proposer = this.policy.leader(set, height, view);
    this.final(proposer, barred);
    return proposer;
  }

  final(proposer: string, barred: readonly string[] = []): void {
    const height = this.height + 1;
    const facts: PolicyFacts = {
      header: { height, time: this.time, proposer, policyExtra: new Uint8Array(0) },
      set: this.sets[height]!,
      latest: this.sets[height + 1]!,
      votes: [],
      barred,
    };
    const { state, updates } = this.policy.afterBlock!(this.state, facts);
    assert.deepEqual(this.policy.afterBlock!(this.state, facts), { state, updates });
    assert.deepEqual(encodeDpoaState(decodeDpoaState(state)), state);
    this.state = state;
    this.sets[height + 2] = applyUpdates(facts.latest, updates);
    this.height = height;
  }

  proposeWeight(id: string): number | undefined {
    return this.sets[this.height + 2]!.members.find((member) => member.id === id)?.propose;
  }
}

describe("policy dpoa, turns by height", () => {
  it("goes round the members with a propose weight", () => {
    const policy = createDpoaPolicy({ start: 1 });
    const set = setOf([1, 0, 1, 1]);
    const leaders = [1, 2, 3, 4].map((height) => policy.leader(set, height, 0));
    assert.deepEqual(leaders, ["org-3", "org-0", "org-2", "org-3"]);
    assert.equal(policy.leader(set, 1, 1), "org-0");
    assert.equal(policy.turn, undefined);
    assert.equal(policy.mayPropose, undefined);
  });

  it("gives each proposer the same number of turns and distinct leaders to consecutive views", () => {
    const policy = createDpoaPolicy();
    fc.assert(
      fc.property(
        fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }).filter((w) => w.some((p) => p > 0)),
        fc.nat(10_000),
        (weights, height) => {
          const set = setOf(weights);
          const n = weights.filter((weight) => weight > 0).length;
          const overHeights = Array.from({ length: n }, (_, i) =>
            policy.leader(set, height + i, 0),
          );
          const overViews = Array.from({ length: n }, (_, i) => policy.leader(set, height, i));
          assert.equal(new Set(overHeights).size, n);
          assert.deepEqual(overViews, overHeights);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("suspends who misses k of m turns, and gives the turns back after b blocks", () => {
    const policy = createDpoaPolicy({ missedTurns: 3, turnsWatched: 5, suspensionBlocks: 20 });
    const chain = new Chain(policy, setOf([1, 1, 1, 1]));
    while (chain.proposeWeight("org-2") === 1) {
      chain.block(["org-2"]);
      assert.ok(chain.height <= 16, "three turns of org-2 come within twelve heights");
    }
    const from = chain.height;
    assert.equal(decodeDpoaState(chain.state).members.get("org-2")!.untilHeight, from + 20);
    assert.equal(chain.set.members.find((m) => m.id === "org-2")!.vote, 1);
    for (let i = 0; i < 19; i++) chain.block(["org-2"]);
    assert.equal(chain.proposeWeight("org-2"), 0);
    chain.block([]);
    assert.equal(chain.proposeWeight("org-2"), 1);
    const after = Array.from({ length: 6 }, () => chain.block([]));
    assert.ok(after.includes("org-2"));
    assert.equal(decodeDpoaState(chain.state).members.size, 0);
  });

  it("counts missed turns of a day of block time, as IBAX counts bad blocks", () => {
    const ibax = dpoaParamsFromIbax({
      max_block_generation_time: 2000,
      gap_between_blocks: 2,
      incorrect_blocks_per_day: 3,
      node_ban_time: 86_400_000,
      first_block_time: 0,
    });
    assert.equal(ibax.slotMs, 4000);
    const policy = createDpoaPolicy({ ...ibax, slotMs: 0 });
    const hour = 3_600_000;
    const chain = new Chain(policy, setOf([1, 1, 1, 1]));
    // A turn every four heights; heights of 4 h: three missed turns never fall into one day.
    for (let i = 0; i < 40; i++) chain.block(["org-1"], [], 4 * hour);
    assert.equal(chain.proposeWeight("org-1"), 1);
    while (chain.proposeWeight("org-1") === 1) {
      chain.block(["org-1"], [], hour);
      assert.ok(chain.height < 60);
    }
    const banned = chain.time;
    while (chain.proposeWeight("org-1") === 0) {
      chain.block(["org-1"], [], hour);
      assert.ok(chain.height < 120);
    }
    assert.equal(chain.time - banned, DAY_MS);
  });

  it("keeps more than half proposing, whoever is absent", () => {
    const policy = createDpoaPolicy({ missedTurns: 1, turnsWatched: 5, suspensionBlocks: 10_000 });
    for (const n of [1, 2, 3, 4, 5, 7, 10]) {
      const chain = new Chain(policy, setOf(new Array<number>(n).fill(1)));
      const absent = Array.from({ length: n - 1 }, (_, i) => idOf(i));
      for (let i = 0; i < 10 * n; i++) chain.block(absent);
      const proposing = chain.set.members.filter((member) => member.propose > 0).length;
      assert.equal(proposing, Math.floor(n / 2) + 1, `${n} members`);
    }
  });

  it("never gives proposing back to a barred member, and its old weight once it is unbarred", () => {
    const chain = new Chain(createDpoaPolicy(), setOf([1, 7, 1, 1]));
    for (let i = 0; i < 12; i++) chain.block([], ["org-1"]);
    assert.equal(chain.proposeWeight("org-1"), 0);
    chain.block([]);
    assert.equal(chain.proposeWeight("org-1"), 7);
    // All barred: the ledger goes on with the set it has.
    const before = chain.sets.at(-1)!;
    chain.block(
      [],
      before.members.map((member) => member.id),
    );
    assert.equal(chain.sets.at(-1), before);
  });

  it("keeps a suspension over leaving and coming back", () => {
    const policy = createDpoaPolicy({ missedTurns: 1, turnsWatched: 5, suspensionBlocks: 100 });
    const chain = new Chain(policy, setOf([1, 1, 1, 1]));
    while (chain.proposeWeight("org-3") === 1) chain.block(["org-3"]);
    const all = chain.sets.at(-1)!;
    const three = createValidatorSet(all.members.slice(0, 3), "byzantine");
    chain.sets[chain.height + 2] = three;
    for (let i = 0; i < 5; i++) chain.block([]);
    const back = all.members.map((member) => ({ ...member, propose: 1 }));
    chain.sets[chain.height + 2] = createValidatorSet(back, "byzantine");
    chain.block([]);
    chain.block([]);
    assert.equal(chain.proposeWeight("org-3"), 0);
  });

  it("accepts every history of absences with updates that every engine takes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.tuple(fc.nat(511), fc.nat(511), fc.nat(100_000_000)), { maxLength: 60 }),
        (n, history) => {
          const policy = createDpoaPolicy({
            missedTurns: 2,
            turnsWatched: 4,
            suspensionBlocks: 7,
            missedPerDay: 3,
            suspensionMs: 50_000_000,
          });
          const chain = new Chain(policy, setOf(new Array<number>(n).fill(1)));
          const pick = (bits: number) =>
            Array.from({ length: n }, (_, i) => i)
              .filter((i) => bits & (1 << i))
              .map(idOf);
          for (const [absent, barred, step] of history) {
            const away = pick(absent).slice(0, n - 1);
            const present = chain.set.members.some((m) => m.propose > 0 && !away.includes(m.id));
            chain.block(present ? away : [], pick(barred), 1 + step);
            const total = chain.sets.at(-1)!.members.reduce((sum, member) => sum + member.vote, 0);
            assert.equal(total, n);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("policy dpoa, turns by time slot", () => {
  const policy = createDpoaPolicy({ slotMs: 5000 });
  const set = setOf([1, 1, 1]);
  const parent = { height: 4, time: 9_000, policyExtra: policy.policyExtra!(9_000) };
  const header = (time: number, proposer: string, height = 5) => ({
    height,
    time,
    proposer,
    policyExtra: policy.policyExtra!(time),
  });

  it("gives each slot to one member: first 0 s, slots of 5 s, 3 members, second 13 is slot 2", () => {
    assert.deepEqual(policy.turn!(set, parent, 13_000), { proposer: "org-2", untilMs: 15_000 });
    assert.deepEqual(policy.turn!(set, parent, 15_000), { proposer: "org-0", untilMs: 20_000 });
    // One block per slot.
    assert.deepEqual(policy.turn!(set, parent, 9_500), { proposer: undefined, untilMs: 10_000 });
    assert.deepEqual(
      policy.turn!(set, { ...parent, height: 0, time: 13_000 }, 13_000).proposer,
      "org-2",
    );
  });

  it("lets the owner of a later slot propose in view 0, and the rota in later views", () => {
    assert.equal(policy.mayPropose!(set, header(13_000, "org-2"), parent, 0), true);
    assert.equal(policy.mayPropose!(set, header(13_000, "org-0"), parent, 0), false);
    assert.equal(
      policy.mayPropose!(set, header(9_500, "org-1"), parent, 0),
      false,
      "parent's slot",
    );
    const other = { ...header(13_000, "org-2"), policyExtra: policy.policyExtra!(20_000) };
    assert.equal(
      policy.mayPropose!(set, other, parent, 0),
      false,
      "a slot that the time is not in",
    );
    const rota = policy.leader(set, 5, 1);
    assert.equal(policy.mayPropose!(set, header(9_500, rota), parent, 1), true);
    assert.equal(policy.mayPropose!(set, header(9_500, "org-2"), parent, 1), rota === "org-2");
  });

  it("agrees with itself at every moment: whose turn it is may propose, nobody else", () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.integer({ min: 1, max: 100_000 }), (at, step) => {
        const below = { height: 9, time: at, policyExtra: policy.policyExtra!(at) };
        const time = at + step;
        const turn = policy.turn!(set, below, time);
        assert.ok(turn.untilMs > time && turn.untilMs - time <= 10_000);
        for (const { id } of set.members) {
          const may = policy.mayPropose!(set, header(time, id, 10), below, 0);
          assert.equal(may, turn.proposer === id);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("counts a slot in which another had to step in against its owner", () => {
    const strict = createDpoaPolicy({ slotMs: 5000, missedTurns: 1, suspensionBlocks: 100 });
    const four = setOf([1, 1, 1, 1]);
    const chain = new Chain(strict, four);
    chain.time = 6_000;
    chain.final("org-1");
    chain.time = 11_000;
    // Slot 2 is org-2's, and org-3 made the block: the leader of view 1 at height 2.
    assert.equal(strict.leader(four, 2, 1), "org-3");
    chain.final("org-3");
    assert.equal(chain.proposeWeight("org-2"), 0);
    assert.deepEqual([...decodeDpoaState(chain.state).members.keys()], ["org-2"]);
  });
});

describe("parameters of dpoa", () => {
  it("names what is wrong", () => {
    assert.throws(() => createDpoaPolicy({ slotMS: 1 }), {
      code: "POLICY_PARAMS_INVALID",
      message: /slotMS: no such parameter; did you mean slotMs/,
    });
    assert.throws(
      () => createDpoaPolicy({ turnsWatched: 51 }),
      /turnsWatched: expected an integer from 1 to 50/,
    );
    assert.throws(() => createDpoaPolicy({ missedTurns: 1.5 }), { code: "POLICY_PARAMS_INVALID" });
  });

  it("refuses a state of another form", () => {
    assert.throws(() => decodeDpoaState(Uint8Array.of(0x80)), { code: "FIELD_INVALID" });
  });
});

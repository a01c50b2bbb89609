/** Goal: probes decide by a third. Method: small networks by hand, random reports. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ProbeReport } from "../engine/interfaces.ts";
import { PPM, SLOTS } from "./posr-params.ts";
import {
  assignProbers,
  availabilityOf,
  decideProbes,
  type ProbeAccount,
  positivesNeeded,
} from "./posr-probes.ts";

const ALL_SLOTS = 2 ** SLOTS - 1;
const params = { probers: 9, reliabilityMinPpm: 800_000 };

function accountsOf(n: number): ProbeAccount[] {
  return Array.from({ length: n }, (_, i) => ({
    id: `org-${i}/node`,
    org: `org-${i}`,
    reliability: PPM,
  }));
}

/** Everyone reports on everyone else in every slot. */
function reportsOf(
  accounts: readonly ProbeAccount[],
  answered: (prober: number, target: number) => number,
): ProbeReport[] {
  return accounts.map((prober, u) => ({
    prober: prober.id,
    epoch: 5,
    targets: accounts
      .map((target, v) => ({ id: target.id, asked: ALL_SLOTS, answered: answered(u, v) }))
      .filter((_, v) => v !== u),
  }));
}

const share = (accounts: readonly ProbeAccount[], reports: readonly ProbeReport[], of: number) =>
  availabilityOf(decideProbes(accounts, 5, reports, params).targets.get(accounts[of]!.id)!);

describe("probes", () => {
  it("need a third, at least two; fewer than three observers say nothing", () => {
    assert.deepEqual([0, 1, 2, 3, 6, 7, 9].map(positivesNeeded), [
      undefined,
      undefined,
      undefined,
      2,
      2,
      3,
      3,
    ]);
  });

  it("neither believe slander by a third nor vouching by less", () => {
    const accounts = accountsOf(9);
    const slander = reportsOf(accounts, (u, v) => (v === 8 && u < 3 ? 0 : ALL_SLOTS));
    assert.equal(share(accounts, slander, 8), PPM);
    const friends = reportsOf(accounts, (u, v) => (v === 8 && u >= 2 ? 0 : ALL_SLOTS));
    assert.equal(share(accounts, friends, 8), 0);
    const lost = reportsOf(accounts, (u, v) => (v === 8 && u !== 0 ? 0b111111 : ALL_SLOTS));
    assert.equal(share(accounts, lost, 8), PPM / 2);
  });

  it("count one observation per organization, none of one's own, none of strangers", () => {
    const accounts: ProbeAccount[] = [
      ...accountsOf(4),
      { id: "org-0/second", org: "org-0", reliability: PPM },
      { id: "org-3/second", org: "org-3", reliability: PPM },
    ];
    const reports = reportsOf(accounts, (u, v) => (v === 3 && u !== 5 ? 0 : ALL_SLOTS));
    // org-3/second vouches for its own organization: nobody else does.
    assert.equal(share(accounts, reports, 3), 0);
    const few = reportsOf(accounts, () => ALL_SLOTS).filter(
      ({ prober }) => !/org-[12]/.test(prober),
    );
    assert.equal(share(accounts, few, 3), undefined);
    const strangers = few.map((report) => ({ ...report, prober: `x${report.prober}` }));
    assert.equal(share(accounts, [...few, ...strangers], 3), undefined);
  });

  it("ignore the negatives of unreliable probers, and learn who is one", () => {
    let accounts = accountsOf(4);
    const bad = (i: number) =>
      accounts.map((a, j) => (j === i ? { ...a, reliability: 700_000 } : a));
    const reports = reportsOf(accounts, (u, v) => (v === 3 && u < 2 ? 0 : ALL_SLOTS));
    assert.equal(share(accounts, reports, 3), 0);
    accounts = bad(0);
    assert.equal(share(accounts, reports, 3), undefined, "two observers are left");
    // A liar about everyone loses agreement by a fiftieth per epoch.
    const liar = reportsOf(accountsOf(7), (u) => (u === 0 ? 0 : ALL_SLOTS));
    const { reliability } = decideProbes(accountsOf(7), 5, liar, params);
    assert.equal(reliability.get("org-0/node"), PPM - PPM / 50);
    assert.equal(reliability.get("org-1/node"), PPM);
  });

  it("assign distinct organizations other than the target's, evenly over the epochs", () => {
    const accounts = accountsOf(40);
    const load = new Map<string, number>();
    for (let epoch = 0; epoch < 20; epoch++) {
      const probersOf = assignProbers(accounts, epoch, 9);
      for (const target of accounts) {
        const slots = probersOf(target);
        assert.equal(slots.length, SLOTS);
        for (const probers of slots) {
          assert.equal(probers.size, 9);
          assert.ok(!probers.has(target.id));
          for (const id of probers) load.set(id, (load.get(id) ?? 0) + 1);
        }
      }
    }
    const mean = 20 * SLOTS * 9;
    for (const [id, count] of load) {
      assert.ok(Math.abs(count - mean) < mean / 2, `${id} probes ${count} times, mean ${mean}`);
    }
  });

  it("give the same whatever the order of accounts and reports", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 14 }),
        fc.infiniteStream(fc.nat(ALL_SLOTS)),
        (n, bits) => {
          const accounts = accountsOf(n);
          const reports = reportsOf(accounts, () => bits.next().value!);
          const here = decideProbes(accounts, 5, reports, params);
          const there = decideProbes([...accounts].reverse(), 5, [...reports].reverse(), params);
          assert.deepEqual(new Map([...there.targets].sort()), new Map([...here.targets].sort()));
          assert.deepEqual(
            new Map([...there.reliability].sort()),
            new Map([...here.reliability].sort()),
          );
          for (const { counted, up } of here.targets.values()) assert.equal(up & ~counted, 0);
          for (const ppm of here.reliability.values()) assert.ok(ppm >= 0 && ppm <= PPM);
        },
      ),
      { numRuns: 60 },
    );
  });
});

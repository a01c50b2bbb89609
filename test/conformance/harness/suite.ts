/**
 * The contract E1 to E12 of docs/operators/choosing-an-engine.md as tests of any engine: members in
 * one process with the production engine and ledger, links that can be cut, crashes at any call
 * that lose what was not synced. Prints a table.
 */
import assert from "node:assert/strict";
import test, { after, type TestContext } from "node:test";
import type { LedgerApp } from "@hanse/ordering";
import { equalBytes, hashHeader, toHex, verifyFinality } from "@hanse/protocol";
import { type LedgerCluster, until } from "../../../packages/ledger/src/testing/ledger-cluster.ts";
import type { ConformanceEngine } from "./engines.ts";
import { assertOneChain, countOf, living, recordOf, settle, withCluster } from "./record.ts";

const CLAUSES = {
  E1: "agreement: no two blocks at one height",
  E2: "order: no gaps, each block linked to the one below",
  E3: "validity: accepted by the ledger of a member; what is invalid never commits",
  E4: "no duplicates: a transaction commits once",
  E5: "durability: final is final after every member lost power",
  E6: "proof: each height has one that holds, and it holds for no other block",
  E7: "effects once: a member that ends at any call comes back to the same state",
  E8: "liveness: with as many gone as tolerated, all that is admitted commits",
  E9: "members: the removed have no power, the new count from their height",
  E10: "halts rather than forks, and says since when",
  E11: "no vote while syncing",
  E12: "observable: one event per final height",
} as const;
type Clause = keyof typeof CLAUSES;

type Result = "holds" | "fails" | "not run" | "does not apply";
const table = new Map<string, Map<Clause, Result>>();

after(() => {
  const names = Object.keys(CLAUSES) as Clause[];
  const signs = { holds: "yes", fails: "NO", "not run": "-", "does not apply": "n/a" };
  console.log(`\n| engine | ${names.join(" | ")} |\n|---|${names.map(() => "---").join("|")}|`);
  for (const [engine, results] of table) {
    const cells = names.map((name) => signs[results.get(name) ?? "not run"]);
    console.log(`| ${engine} | ${cells.join(" | ")} |`);
  }
});

/** What a run has shown, for the clauses that are read off it. */
interface Observed {
  readonly cluster: LedgerCluster;
  /** Votes of members that were not there yet: member, height voted for, its own height. */
  readonly earlyVotes: string[];
  readonly notes: { readonly bytes: Uint8Array }[];
  votes: number;
}

/** Load with as many members gone as tolerated, one after the other, then all back. */
async function observe(engine: ConformanceEngine, run: (observed: Observed) => Promise<void>) {
  const observed: Omit<Observed, "cluster"> & { cluster?: LedgerCluster } = {
    earlyVotes: [],
    notes: [],
    votes: 0,
  };
  const tap = (from: string, channel: string, message: Uint8Array) => {
    if (channel === "transactions" || observed.cluster === undefined) return;
    const vote = engine.voteHeight?.(message);
    if (vote === undefined) return;
    const own = observed.cluster.members.find(({ id }) => id === from)!.node.ledger.tip.height;
    observed.votes++;
    if (own < vote.height - (vote.durable ? 0 : 1)) {
      observed.earlyVotes.push(`${from} at height ${own} for ${vote.height}`);
    }
  };
  await withCluster(
    () => engine.create({ tap }),
    async (cluster) => {
      observed.cluster = cluster;
      const submit = async (index: number, key: string) => {
        const note = cluster.sign(index, key);
        observed.notes.push(note);
        const { ledger } = cluster.members[index]!.node;
        await ledger.submit(note.bytes);
        const status = await ledger.waitFor(note.id, "final", { timeoutMs: 90_000 });
        assert.equal(status.state, "final");
      };
      for (let i = 0; i < 4; i++) await submit(i % engine.size, `all-${i}`);
      for (let gone = 0; gone < engine.failuresMax; gone++) {
        // The last ones first, then whoever leads at the start.
        const victims = gone === 0 ? [engine.size - 1] : [engine.size - 1, 0];
        for (const index of victims) cluster.crash(index);
        const by = engine.size - 2;
        for (let i = 0; i < 8; i++) await submit(by, `gone-${gone}-${i}`);
        for (const index of victims) await cluster.restart(index);
        await submit(engine.size - 1, `back-${gone}`);
      }
      await settle(cluster);
      await run(observed as Observed);
    },
  );
}

/** A ledger of a member that drafts, when it lies, blocks which no ledger may accept. */
function lyingDrafts(app: LedgerApp, lies: () => boolean): LedgerApp {
  return {
    info: () => app.info(),
    async buildBlock(request) {
      const block = await app.buildBlock(request);
      if (!lies()) return block;
      const header = { ...block.header, prevStateRoot: new Uint8Array(32).fill(7) };
      return { ...block, header };
    },
    validateBlock: (block, hash) => app.validateBlock(block, hash),
    finalizeBlock: (decided) => app.finalizeBlock(decided),
    commit: (height) => app.commit(height),
    prove: (proof) => app.prove(proof),
    hasWork: () => app.hasWork(),
  };
}

async function checkProofs(cluster: LedgerCluster): Promise<void> {
  const { ledgerId } = cluster.rig;
  const [member] = living(cluster);
  await untilProven(cluster);
  for (const { height, block, proof } of await recordOf(member!)) {
    const set = cluster.setAt(height);
    assert.ok(proof !== undefined);
    const verdict = verifyFinality(proof, { ledgerId, set });
    assert.ok(verdict.ok, `height ${height}: ${verdict.ok ? "" : verdict.reason}`);
    const other = { ...block.header, time: block.header.time + 1 };
    const forged = verifyFinality({ ...proof, header: other }, { ledgerId, set });
    assert.ok(!forged.ok, `height ${height}: its proof holds for another block`);
    assert.ok(!equalBytes(hashHeader(other), hashHeader(block.header)));
  }
}

async function untilProven(cluster: LedgerCluster): Promise<void> {
  for (const { store, id } of living(cluster)) {
    const { height } = await store.info();
    for (let at = 1; at <= height; at++) {
      const end = Date.now() + 90_000;
      while ((await store.block(at))?.certificate.length === 0) {
        assert.ok(Date.now() < end, `${id}: height ${at} is not proven`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

function checkEvents(
  cluster: LedgerCluster,
  chain: Awaited<ReturnType<typeof assertOneChain>>,
): void {
  for (const { id, events } of living(cluster)) {
    let last: number | undefined;
    for (const event of events) {
      if (event.t !== "final") continue;
      const { header, transactions } = chain[event.height - 1]!.block;
      if (last !== undefined) assert.equal(event.height, last + 1, `${id}: one event per height`);
      last = event.height;
      assert.equal(event.proposer, header.proposer);
      assert.equal(event.transactions, transactions.length);
      assert.ok(event.views >= 1 && event.signers >= 1 && event.bytes > 0 && event.executedMs >= 0);
    }
    assert.equal(last, chain.length, `${id}: an event for the newest height`);
  }
}

/** Registers the tests of an engine. */
export function runSuite(engine: ConformanceEngine): void {
  const results = new Map<Clause, Result>();
  table.set(engine.name, results);
  const { size, failuresMax } = engine;

  test(engine.name, { skip: engine.skip, timeout: 600_000 }, async (t) => {
    /** One clause: a named test and a cell of the table. */
    async function clause(name: Clause, check: () => Promise<void> | void, t2: TestContext = t) {
      results.set(name, "fails");
      await t2.test(`${name} ${CLAUSES[name]}`, async () => {
        await check();
        results.set(name, "holds");
      });
    }
    const notFor = async (name: Clause, why: string) => {
      results.set(name, "does not apply");
      await t.test(`${name} ${CLAUSES[name]}`, { skip: why }, () => {});
    };

    await observe(engine, async ({ cluster, earlyVotes, notes, votes }) => {
      const chain = await assertOneChain(cluster);
      await clause("E1", async () => {
        const roots = living(cluster).map(({ node }) => toHex(node.ledger.tip.stateRoot));
        assert.equal(new Set(roots).size, 1);
        assert.equal(living(cluster).length, size);
      });
      await clause("E2", () => {
        assert.ok(chain.length >= 4);
        for (const { node } of cluster.members) assert.equal(node.ledger.halted, undefined);
      });
      await clause("E4", async () => {
        for (const { bytes } of notes) {
          for (const { node } of cluster.members) await node.ledger.submit(bytes).catch(() => {});
        }
        const fresh = cluster.sign(0, "to everybody at once");
        await Promise.all(
          cluster.members.map(({ node }) => node.ledger.submit(fresh.bytes).catch(() => {})),
        );
        const { ledger } = cluster.members[0]!.node;
        await ledger.waitFor(fresh.id, "final", { timeoutMs: 90_000 });
        await settle(cluster);
        const after = await assertOneChain(cluster);
        for (const { bytes } of [...notes, fresh]) assert.equal(countOf(after, bytes), 1);
      });
      await clause("E6", () => checkProofs(cluster));
      if (failuresMax === 0) await notFor("E8", "a set of one tolerates nobody's absence");
      else {
        await clause("E8", () => {
          for (const { bytes } of notes) assert.equal(countOf(chain, bytes), 1);
        });
      }
      if (size === 1) await notFor("E11", "a set of one has nobody to sync from");
      else if (engine.voteHeight === undefined) {
        await notFor("E11", "its votes pass between processes of its own");
      } else {
        await clause("E11", () => {
          assert.deepEqual(earlyVotes, []);
          assert.ok(votes > chain.length, "votes were seen");
        });
      }
      await clause("E12", async () => {
        await untilProven(cluster);
        checkEvents(cluster, await assertOneChain(cluster));
      });
    });

    await clause("E3", () => {
      // Whoever is asked for a block first never drafts a valid one.
      let liar: number | undefined;
      return withCluster(
        () =>
          engine.create({
            wrapApp: (app, index) =>
              size === 1
                ? app
                : lyingDrafts(app, () => {
                    liar ??= index;
                    return liar === index;
                  }),
          }),
        async (cluster) => {
          for (let i = 0; i < 4; i++) await cluster.submit(i % size, `note-${i}`);
          for (const { hash, block, height } of await assertOneChain(cluster)) {
            const by = cluster.members.filter(
              ({ accepted, drafted }) =>
                accepted.has(toHex(hash)) || (size === 1 && drafted.has(toHex(hash))),
            );
            assert.ok(by.length > 0, `nobody accepted height ${height}`);
            if (size === 1) continue;
            assert.ok(liar !== undefined, "nobody was asked for a block");
            const own = cluster.rig.genesis.nodes[liar]!.id;
            assert.notEqual(block.header.proposer, own, "a lie was committed");
          }
        },
      );
    });

    await clause("E5", () =>
      withCluster(
        () => engine.create(),
        async (cluster) => {
          const final: Uint8Array[] = [];
          for (let round = 0; round < 2; round++) {
            for (let i = 0; i < 3; i++) {
              const note = cluster.sign(i % size, `${round}-${i}`);
              const { ledger } = cluster.members[i % size]!.node;
              await ledger.submit(note.bytes);
              await ledger.waitFor(note.id, "final", { timeoutMs: 90_000 });
              final.push(note.bytes);
            }
            for (const { index } of cluster.members) cluster.crash(index);
            for (const { index } of [...cluster.members]) await cluster.restart(index);
          }
          await cluster.submit(0, "afterwards");
          await settle(cluster);
          const chain = await assertOneChain(cluster);
          for (const bytes of final) assert.equal(countOf(chain, bytes), 1);
          await checkProofs(cluster);
        },
      ),
    );

    await clause("E7", () =>
      withCluster(
        () => engine.create(),
        async (cluster) => {
          // Programs beside the members have made their files: one killed while it makes them for
          // the first time may leave what it cannot open.
          await cluster.submit(0, "at first");
          await settle(cluster);
          let ended = 0;
          for (const calls of [1, 2, 3, 5, 8, 12, 17, 23]) {
            const victim = calls % size;
            const member = await cluster.restart(victim, calls);
            const by = (victim + 1) % size;
            if (failuresMax > 0) {
              for (let i = 0; i < 3; i++) await cluster.submit(by, `${calls}-${i}`);
            } else {
              // Nobody is left to say so when its end comes first.
              const submitted = cluster.submit(by, `${calls}`).catch(() => {});
              await Promise.race([submitted, until("its end", () => member.life.dead)]);
            }
            if (member.life.dead) ended++;
            await cluster.restart(victim);
          }
          assert.ok(ended >= 3, `only ${ended} ends happened`);
          await cluster.submit(0, "at last");
          await settle(cluster);
          await assertOneChain(cluster);
          const roots = living(cluster).map(({ node }) => toHex(node.ledger.tip.stateRoot));
          assert.equal(new Set(roots).size, 1);
        },
      ),
    );

    if (size < 3) await notFor("E9", "shown with three members and more");
    else {
      await clause("E9", () =>
        withCluster(
          // The last one is no member yet.
          () => engine.create({ validators: size - 1 }),
          async (cluster) => {
            await cluster.submit(0, "before");
            await settle(cluster);
            const { nodes } = cluster.rig.genesis;
            const [first, last] = [nodes[0]!, nodes[size - 1]!];
            const top = () =>
              Math.max(...cluster.members.map(({ node }) => node.ledger.tip.height));
            // An engine may be at a block that only certifies the one before.
            const joins = top() + 3;
            const member = { id: last.id, org: last.org, key: last.key, vote: 1, propose: 1 };
            cluster.updates.set(joins, [member]);
            const leaves = joins + 3;
            cluster.updates.set(leaves, [
              { id: first.id, org: first.org, key: first.key, vote: 0, propose: 0 },
            ]);
            for (let i = 0; top() <= leaves + 2; i++) await cluster.submit(1, `note-${i}`);
            await settle(cluster);
            const chain = await assertOneChain(cluster);
            for (const { height, block } of chain) {
              const { header } = block;
              assert.ok(equalBytes(header.validatorsHash, cluster.setAt(height).hash));
              assert.ok(equalBytes(header.nextValidatorsHash, cluster.setAt(height + 1).hash));
              if (height < joins + 2) assert.notEqual(header.proposer, last.id);
              if (height >= leaves + 2) assert.notEqual(header.proposer, first.id);
            }
            assert.ok(chain.length > leaves + 2);
            // The removed one is not needed, and as many may be gone as before.
            cluster.crash(0);
            await cluster.submit(1, "without the removed");
            await settle(cluster);
            await checkProofs(cluster);
            assert.equal(
              (await recordOf(cluster.members[size - 1]!)).length,
              (await assertOneChain(cluster)).length,
            );
          },
        ),
      );
    }

    if (size === 1) await notFor("E10", "with its only member gone nobody is left to ask");
    else {
      await clause("E10", () =>
        withCluster(
          () => engine.create(),
          async (cluster) => {
            await cluster.submit(0, "before");
            await settle(cluster);
            for (let i = 0; i <= failuresMax; i++) cluster.crash(size - 1 - i);
            const waits = cluster.sign(0, "waits");
            await cluster.members[0]!.node.ledger.submit(waits.bytes);
            await until("it says since when", () =>
              living(cluster).every(({ engine: one }) => one.status().stalledSince !== undefined),
            );
            const stands = living(cluster).map(({ node }) => node.ledger.tip.height);
            await new Promise((resolve) => setTimeout(resolve, 500));
            const later = living(cluster).map(({ node }) => node.ledger.tip.height);
            assert.deepEqual(later, stands);
            assert.equal(countOf(await assertOneChain(cluster), waits.bytes), 0);
            for (let i = 0; i <= failuresMax; i++) await cluster.restart(size - 1 - i);
            await cluster.submit(0, "goes on");
            await settle(cluster);
            assert.equal(countOf(await assertOneChain(cluster), waits.bytes), 1);
          },
        ),
      );
    }
  });
}

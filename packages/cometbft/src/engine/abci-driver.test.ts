/**
 * Goal: whatever CometBFT may lawfully do, two nodes keep one record, a restart at any step changes
 * nothing, and every block gets a proof that holds. Method: seeded runs of the ABCI driver against
 * real ledgers in memory over real sockets.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { ValidatorUpdate } from "@hanse/ordering";
import {
  createValidatorSet,
  decodeBlock,
  decodeFinalityProof,
  toHex,
  type ValidatorSet,
  verifyFinality,
} from "@hanse/protocol";
import { createRigGenesis, signNote } from "../../../ledger/src/testing/ledger-rig.ts";
import { AbciDriver } from "../testing/abci-driver.ts";
import { DrivenApp, type SignedHeights } from "../testing/driven-app.ts";
import { SeededRandom } from "../testing/seeded-random.ts";

const SEEDS = 30;
const HEIGHTS = 12;

/** Votes of 3 or 4, and now and then the last member leaves or comes back: decided by height alone. */
function updatesAt(full: ValidatorSet) {
  return (height: number, set: ValidatorSet): ValidatorUpdate[] => {
    const last = full.members.at(-1)!;
    const present = set.members.find(({ id }) => id === last.id);
    if (height % 5 === 0) return [{ ...last, vote: present === undefined ? 3 : 0 }];
    const first = set.members[0]!;
    if (height % 3 === 0 && set.members.length === 4) {
      return [{ ...first, vote: first.vote === 3 ? 4 : 3 }];
    }
    return [];
  };
}

async function run(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const rig = await createRigGenesis({ organizations: ["a", "b", "c", "d"] });
  const genesisSet = createValidatorSet(
    rig.genesis.nodes.map(({ id, org, key }) => ({ id, org, key, vote: 3, propose: 1 })),
    "byzantine",
  );
  const signed: SignedHeights = { headers: new Map() };
  const apps = ["a/node-1", "b/node-1"].map(
    (self) => new DrivenApp({ rig, self, genesisSet, updatesAt: updatesAt(genesisSet), signed }),
  );
  const keys = new Map(rig.genesis.nodes.map(({ id }, i) => [id, rig.nodeKeys[i]!]));
  try {
    for (const app of apps) await app.start();
    const { ledgerId } = rig;
    const driver = new AbciDriver({ random, apps, keys, ledgerId, genesisSet, signed });
    await driver.start();
    const owed = new Set<string>();
    for (let i = 0; i < HEIGHTS; i++) {
      for (let sent = random.below(3); sent > 0; sent--) {
        const { pair, name } = random.pick(rig.people);
        const validUntil = apps[0]!.node.clock.now() + 60_000;
        const note = signNote(pair, `key ${random.below(5)}`, name, { ledgerId, validUntil });
        for (const app of apps) await app.node.ledger.submit(note.bytes);
        owed.add(toHex(note.id));
      }
      await driver.runHeight();
    }
    while (apps.some((app) => app.node.ledger.hasWork())) await driver.runHeight();
    // CometBFT makes a block of its own whenever this changes: it must come to rest.
    const { appHash } = driver;
    await driver.runHeight();
    assert.deepEqual(driver.appHash, appHash);
    const [first, second] = apps.map((app) => app.node.ledger.tip);
    assert.equal(first!.height, driver.height);
    assert.deepEqual(second!.stateRoot, first!.stateRoot);
    assert.deepEqual(second!.hash, first!.hash);
    for (const app of apps) await assertRecord(app, ledgerId, owed);
  } finally {
    for (const app of apps) await app.stop();
  }
}

/** Every block proven, linked and under the right set; every note there exactly once. */
async function assertRecord(app: DrivenApp, ledgerId: Uint8Array, owed: ReadonlySet<string>) {
  const { store, ledger, clock } = app.node;
  app.rpcDown = false;
  const { height } = ledger.tip;
  let seen = 0;
  for (let at = 1; at <= height; at++) {
    for (let tries = 0; (await store.block(at))!.certificate.length === 0; tries++) {
      assert.ok(tries < 10_000, `block ${at} gets its proof`);
      clock.advance(300);
      await pause(2);
    }
    const stored = (await store.block(at))!;
    const { header, transactions } = decodeBlock(stored.bytes);
    const proof = decodeFinalityProof(stored.certificate, header);
    const verdict = verifyFinality(proof, { ledgerId, set: app.setAt(at) });
    assert.ok(verdict.ok, verdict.ok ? "" : `block ${at}: ${verdict.reason}`);
    seen += transactions.length;
  }
  assert.equal(seen, owed.size, "each note once");
  // The event follows the proof.
  const finals = () => app.events.filter((event) => event.t === "final").length;
  for (let tries = 0; tries < 10_000 && finals() < height; tries++) await pause(2);
  assert.ok(finals() >= height, "an event for each height");
  assert.ok(!app.events.some(({ t }) => t === "halted"));
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`seed ${seed}: two applications in lockstep under CometBFT's grammar`, () => run(seed));
}

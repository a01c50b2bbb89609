/**
 * Goal: what CometBFT reports of a member stands as evidence in the block of every node, alike, also
 * after restarts and replays; governance removes the member, from CometBFT's set too; and an idle
 * ledger comes to rest above it. Method: the ABCI driver.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { tryDecodeReportedOffence } from "@hanse/ordering";
import { createValidatorSet, decodeBlock, ledgerIdOf } from "@hanse/protocol";
import { createRigGenesis } from "../../../ledger/src/testing/ledger-rig.ts";
import { AbciDriver, type DriverOptions } from "../testing/abci-driver.ts";
import { DrivenApp, type SignedHeights } from "../testing/driven-app.ts";
import { SeededRandom } from "../testing/seeded-random.ts";

const SEEDS = 6;
const HEIGHTS = 10;

async function run(seed: number): Promise<number> {
  const base = await createRigGenesis({ organizations: ["a", "b", "c", "d"] });
  const genesis = { ...base.genesis, ordering: "cometbft" } as const;
  const ledgerId = ledgerIdOf(genesis);
  const rig = { ...base, genesis, ledgerId };
  const genesisSet = createValidatorSet(
    rig.genesis.nodes.map(({ id, org, key }) => ({ id, org, key, vote: 1, propose: 1 })),
    "byzantine",
  );
  const signed: SignedHeights = { headers: new Map() };
  const apps = ["a/node-1", "b/node-1"].map(
    (self) => new DrivenApp({ rig, self, genesisSet, signed }),
  );
  const options: DriverOptions & { misbehaviorPercent: number } = {
    random: new SeededRandom(seed),
    apps,
    keys: new Map(rig.genesis.nodes.map(({ id }, i) => [id, rig.nodeKeys[i]!])),
    ledgerId,
    genesisSet,
    signed,
    misbehaviorPercent: 60,
  };
  try {
    for (const app of apps) await app.start();
    const driver = new AbciDriver(options);
    await driver.start();
    // By height; there is none before the first block.
    const hashes: Uint8Array[] = [new Uint8Array(0)];
    while (driver.height < HEIGHTS) {
      await driver.runHeight();
      hashes.push(driver.appHash);
    }
    options.misbehaviorPercent = 0;
    await driver.runHeight();
    assert.deepEqual(driver.appHash, hashes.at(-1), "comes to rest");
    const [one, other] = apps.map((app) => app.node);
    assert.deepEqual(one!.ledger.tip.hash, other!.ledger.tip.hash);
    let found = 0;
    for (let height = 1; height <= driver.height; height++) {
      const stored = (await one!.store.block(height))!.bytes;
      assert.deepEqual((await other!.store.block(height))!.bytes, stored);
      const { evidence } = decodeBlock(stored);
      assert.ok(evidence.length <= 1, "the stranger and the repetition are left out");
      const offences = evidence.map(tryDecodeReportedOffence);
      for (const offence of offences) {
        assert.ok(offence!.height < height);
        assert.ok(genesisSet.members.some(({ id }) => id === offence!.validator));
      }
      if (evidence.length > 0) {
        assert.notDeepEqual(hashes[height], hashes[height - 1], "its state root gets a proof");
      }
      found += evidence.length;
    }
    for (const app of apps) {
      assert.ok(!app.events.some(({ t }) => t === "halted"));
      assert.equal(app.setAt(driver.height + 2).members.length < 4, found > 0, "removed");
    }
    return found;
  } finally {
    for (const app of apps) await app.stop();
  }
}

test("misbehavior is evidence in the block of every node", async () => {
  let found = 0;
  for (let seed = 1; seed <= SEEDS; seed++) found += await run(seed);
  assert.ok(found > SEEDS, `${found} pieces of evidence`);
});

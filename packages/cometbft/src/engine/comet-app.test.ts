/** Goal: what does not belong to this ledger stops CometBFT with words, and never this node's record. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import {
  cometAppHash,
  cometChainId,
  createValidatorSet,
  toHex,
  type ValidatorSet,
} from "@hanse/protocol";
import fc from "fast-check";
import {
  createRigGenesis,
  GENESIS_TIME,
  keyOf,
  type RigGenesis,
} from "../../../ledger/src/testing/ledger-rig.ts";
import { DrivenApp } from "../testing/driven-app.ts";
import { cometSize } from "./block-frame.ts";
import { toCometUpdates } from "./comet-app.ts";

const INFO = { version: "0.38.25", blockVersion: 11, p2pVersion: 8, abciVersion: "2.0.0" };

function setOf(rig: RigGenesis): ValidatorSet {
  return createValidatorSet(
    rig.genesis.nodes.map(({ id, org, key }) => ({ id, org, key, vote: 1, propose: 1 })),
    "byzantine",
  );
}

async function startApp(t: TestContext) {
  const rig = await createRigGenesis({ organizations: ["a", "b", "c", "d"] });
  const app = new DrivenApp({
    rig,
    self: "a/node-1",
    genesisSet: setOf(rig),
    updatesAt: () => [],
    signed: { headers: new Map() },
  });
  await app.start();
  t.after(() => app.stop());
  const chain = {
    time: { seconds: GENESIS_TIME / 1000, nanos: 0 },
    chainId: cometChainId(rig.ledgerId, 0),
    validators: [],
    initialHeight: 1,
  };
  return { rig, app, chain };
}

const haltOf = (app: DrivenApp) => {
  const event = app.events.find((one) => one.t === "halted");
  return event?.t === "halted" ? event.code : undefined;
};

test("CometBFT 1.x is refused by name, and everything after it", async (t) => {
  const { app } = await startApp(t);
  const { query, consensus } = app.connections;
  const info = { ...INFO, version: "1.0.1", abciVersion: "2.1.0" };
  await assert.rejects(query.call({ info }), /COMET_VERSION: CometBFT 1\.0\.1 speaks ABCI 2\.1\.0/);
  await assert.rejects(consensus.call({ commit: {} }), /COMET_VERSION/);
  assert.equal(haltOf(app), "COMET_VERSION");
  assert.match(app.engine.status().quarantined ?? "", /install CometBFT 0\.38/);
});

test("the chain begins with the ledger's own validators and state", async (t) => {
  const { rig, app, chain } = await startApp(t);
  const { info } = await app.connections.query.call({ info: INFO });
  assert.equal(info!.lastBlockHeight, 0);
  const { initChain } = await app.connections.consensus.call({ initChain: chain });
  assert.deepEqual(
    new Map(initChain!.validators.map((v) => [toHex(v.publicKey.ed25519!), v.power])),
    new Map(rig.genesis.nodes.map(({ key }) => [toHex(key.bytes), 1])),
  );
  const { stateRoot } = await app.node.store.info();
  assert.deepEqual(initChain!.appHash, cometAppHash(stateRoot, rig.ledgerId));
});

test("another chain, another first height, validators of its own: refused", async (t) => {
  const { rig, chain } = await startApp(t);
  const validators = [{ publicKey: { ed25519: rig.nodeKeys[0]!.publicKey.bytes }, power: 1 }];
  for (const wrong of [
    { ...chain, chainId: cometChainId(rig.ledgerId, 1) },
    { ...chain, initialHeight: 2 },
    { ...chain, validators },
  ]) {
    const { app } = await startApp(t);
    await assert.rejects(app.connections.consensus.call({ initChain: wrong }), /COMET_GENESIS/);
    assert.equal(haltOf(app), "COMET_GENESIS");
  }
});

test("a decided block that is none of this ledger, and a commit of nothing, stop the node", async (t) => {
  const { app, chain } = await startApp(t);
  await app.connections.consensus.call({ initChain: chain });
  const finalizeBlock = {
    txs: [new Uint8Array(3)],
    lastCommit: { round: 0, votes: [] },
    misbehavior: [],
    hash: new Uint8Array(32),
    height: 1,
    time: chain.time,
    nextValidatorsHash: new Uint8Array(32),
    proposerAddress: new Uint8Array(20),
  };
  await assert.rejects(
    app.connections.consensus.call({ finalizeBlock }),
    /COMET_STATE_MISMATCH: CometBFT's block 1 is none of this ledger/,
  );
  assert.equal(haltOf(app), "COMET_STATE_MISMATCH");
  const other = await startApp(t);
  await assert.rejects(other.app.connections.consensus.call({ commit: {} }), /has not decided/);
  assert.equal((await other.app.node.ledger.info()).height, 0);
});

test("property: CometBFT's set after the updates is ours, whoever comes, goes or changes weight", () => {
  const weights = fc.array(fc.nat(4), { minLength: 5, maxLength: 5 });
  const keys = Array.from({ length: 5 }, (_, i) => keyOf(`member ${i}`).publicKey);
  const make = (votes: readonly number[]) => {
    const members = votes.flatMap((vote, i) =>
      vote === 0 ? [] : [{ id: `m/${i}`, org: "m", key: keys[i]!, vote, propose: 1 }],
    );
    return members.length === 0 ? undefined : createValidatorSet(members, "byzantine");
  };
  fc.assert(
    fc.property(weights, weights, (before, after) => {
      const [from, to] = [make(before), make(after)];
      fc.pre(from !== undefined && to !== undefined);
      const powers = new Map(from!.members.map(({ key, vote }) => [toHex(key.bytes), vote]));
      for (const { publicKey, power } of toCometUpdates(from!, to!)) {
        const key = toHex(publicKey.ed25519!);
        assert.notEqual(powers.get(key) ?? 0, power);
        if (power === 0) powers.delete(key);
        else powers.set(key, power);
      }
      const expected = new Map(to!.members.map(({ key, vote }) => [toHex(key.bytes), vote]));
      assert.deepEqual(new Map([...powers].sort()), new Map([...expected].sort()));
    }),
  );
});

test("sizes are CometBFT's: tag, length, bytes", () => {
  assert.equal(cometSize([]), 0);
  assert.equal(cometSize([new Uint8Array(127), new Uint8Array(128)]), 1 + 1 + 127 + 1 + 2 + 128);
});

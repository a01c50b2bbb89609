/** Switches of engine, quorum and policy on a running ledger, and certificates with late votes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Block, bitmapToIndices, decodeCertificate, toHex } from "@hanse/protocol";
import type { EngineKind, EngineSwitch, OrderingSchedule } from "../engine/interfaces.ts";
import { presentMembers } from "../quorum/presence.ts";
import { EngineRig } from "../testing/engine-rig.ts";

const DECIDED_AT = 3;
const AT = 6;

/** Four nodes; block 3 decides that block 6 is the last one of the first epoch. */
async function switching(kind: EngineKind, members = 4): Promise<EngineRig> {
  const rig = new EngineRig(4, 1);
  const engineSwitch: EngineSwitch = {
    at: AT,
    engineEpoch: 1,
    kind,
    policy: "dpoa",
    set: rig.setOf(members, "crash"),
  };
  rig.rule = ({ header }: Block) => (header.height === DECIDED_AT ? { engineSwitch } : {});
  await rig.startAll(members);
  return rig;
}

describe("engine switch", () => {
  it("goes on in the same process under the new set, quorum and epoch, and after restarts", async () => {
    const rig = await switching("builtin");
    await rig.decide(AT + 3);
    const blocks = rig.nodes[0]!.ledger.heights;
    assert.ok(blocks.length >= AT + 3);
    for (const { height, block, certificate } of blocks) {
      const epoch = height > AT ? 1 : 0;
      assert.equal(block.header.engineEpoch, epoch, `height ${height}`);
      assert.equal(decodeCertificate(certificate).engineEpoch, epoch);
      const set = height > AT ? rig.setOf(4, "crash") : rig.genesisSet;
      assert.equal(toHex(block.header.validatorsHash), toHex(set.hash));
    }
    assert.equal(
      toHex(blocks[AT - 1]!.block.header.nextValidatorsHash),
      toHex(rig.setOf(4, "crash").hash),
    );
    // Once from its log, once from what the ledger knows, the log being gone.
    await rig.start(1);
    const schedule = async (committed: number): Promise<OrderingSchedule> => {
      assert.ok(committed > AT);
      return {
        sets: [{ height: AT + 1, set: rig.setOf(4, "crash") }],
        eras: [{ height: AT + 1, engineEpoch: 1, kind: "builtin", policy: "dpoa" }],
      };
    };
    for (const name of [...rig.nodes[2]!.disk.files.keys()]) rig.nodes[2]!.disk.remove(name);
    await rig.start(2, { schedule });
    assert.equal(rig.nodes[2]!.engine.status().quarantined, "signing-state-missing");
    await rig.decide(3, "again");
    await rig.advance(5_000);
    assert.equal(rig.nodes[2]!.engine.status().quarantined, undefined);
    // Its new log knows sets and eras again.
    await rig.start(2);
    await rig.decide(2, "and again");
    await rig.advance(5_000);
    for (const node of rig.nodes) {
      assert.equal(node.ledger.heights.length, rig.height, node.id);
      assert.ok(!node.events.some((event) => event.t === "halted"));
    }
    await rig.stop();
  });

  it("hands over to another engine above the last block, once that is committed", async () => {
    const rig = await switching("etcd", 4);
    const handed: string[] = [];
    await rig.start(3, { onHandover: (era) => handed.push(`${era.height} ${era.kind}`) });
    await rig.decide(AT - 1);
    rig.submit("last");
    await rig.advance(3_000);
    rig.submit("for the other engine");
    await rig.advance(10_000);
    assert.equal(rig.height, AT);
    assert.deepEqual(handed, [`${AT + 1} etcd`]);
    const [, ...others] = rig.nodes;
    for (const node of others) {
      assert.equal(node.engine.status().height, AT);
      assert.equal(node.engine.status().role, "observer");
      assert.ok(node.events.some((event) => event.t === "handover"));
    }
    // Started again it knows at once, and it serves what it decided to who comes late.
    await rig.start(1);
    assert.ok(rig.nodes[1]!.events.some((event) => event.t === "handover") || (await seen(rig)));
    await rig.start(4);
    await rig.advance(5_000);
    assert.equal(rig.nodes[4]!.ledger.heights.length, AT);
    await rig.stop();
  });

  it("stops at an impossible switch instead of guessing", async () => {
    const rig = new EngineRig(1);
    const engineSwitch: EngineSwitch = {
      at: 2,
      engineEpoch: 1,
      kind: "builtin",
      policy: "fixed",
      set: rig.setOf(1),
    };
    rig.rule = ({ header }) => (header.height === 1 ? { engineSwitch } : {});
    await rig.startAll(1);
    rig.submit("a");
    await rig.advance(2_000);
    const halted = rig.nodes[0]!.events.find((event) => event.t === "halted");
    assert.ok(halted?.t === "halted" && halted.code === "ORDERING_SWITCH");
    await rig.stop();
  });
});

async function seen(rig: EngineRig): Promise<boolean> {
  await rig.advance(10);
  return rig.nodes[1]!.events.some((event) => event.t === "handover");
}

describe("late votes", () => {
  it("stand in the certificate that the next block carries", async () => {
    const rig = new EngineRig(4);
    await rig.startAll(4);
    await rig.decide(6);
    const blocks = rig.nodes[0]!.ledger.heights;
    const present = blocks
      .slice(1)
      .map(({ block }) => presentMembers(block.lastCert, rig.genesisSet));
    assert.ok(present.length >= 5);
    for (const members of present) assert.equal(members.length, 4);
    rig.cut(2);
    await rig.decide(6, "without");
    const last = rig.nodes[0]!.ledger.heights.at(-1)!.block.lastCert;
    assert.deepEqual(bitmapToIndices(decodeCertificate(last).signers), [0, 1, 3]);
    await rig.stop();
  });
});

/** Time slots of policy `dpoa` on running engines: whose block is accepted, when, by which clock. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDpoaPolicy } from "../policy/dpoa.ts";
import { EngineRig } from "../testing/engine-rig.ts";

const SLOT_MS = 2_000;

describe("time slots", () => {
  it("give each block to the owner of its slot, one block per slot", async () => {
    const rig = new EngineRig(4);
    const policy = createDpoaPolicy({ slotMs: SLOT_MS });
    await rig.startAll(4, { policy });
    await rig.decide(8);
    const blocks = rig.nodes[0]!.ledger.heights;
    let last = -1;
    for (const { block, certificate } of blocks) {
      const { header } = block;
      const slot = Math.floor(header.time / SLOT_MS);
      assert.ok(slot > last, "a slot of its own");
      last = slot;
      assert.equal(header.proposer, rig.genesisSet.members[slot % 4]!.id);
      assert.ok(certificate.length > 0);
    }
    await rig.stop();
  });

  it("go on past an absent owner by the rota, and past a clock that is off by an hour", async () => {
    const rig = new EngineRig(4);
    const policy = createDpoaPolicy({ slotMs: SLOT_MS });
    for (const i of [0, 1, 2]) await rig.start(i, { policy });
    const clock = rig.clock(3_600_000);
    await rig.start(3, { policy, clock });
    await rig.decide(8);
    await rig.advance(100);
    const off = rig.members[3]!.id;
    const honest = rig.nodes[0]!.ledger.heights;
    assert.ok(honest.length >= 8);
    for (const { block } of honest) assert.ok(block.header.time <= rig.now + 10_000);
    // Its blocks come from times that are not; it votes for nobody's, and nobody for its.
    assert.ok(honest.every(({ block }) => block.header.proposer !== off));
    rig.cut(3);
    await rig.decide(4, "without");
    await rig.advance(100);
    assert.equal(rig.nodes[0]!.ledger.heights.length, rig.nodes[1]!.ledger.heights.length);
    assert.ok(rig.nodes.every(({ events }) => !events.some((event) => event.t === "halted")));
    await rig.stop();
  });
});

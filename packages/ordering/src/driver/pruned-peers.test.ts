/**
 * Goal: a node that missed blocks which its peers have let go says so, blames nobody, and goes on by
 * the one peer that keeps them. Method: whole engines in virtual time.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineRig } from "../testing/engine-rig.ts";
import { encodeMessage } from "../wire/messages.ts";

/** Four nodes, three of which keep blocks from a moving height on; the fourth is cut off. */
async function pruning() {
  const rig = new EngineRig(4);
  const lowest = [1, 1, 1, 1];
  for (let i = 0; i < 4; i++) {
    await rig.start(i, {
      blocks: {
        get lowest() {
          return lowest[i]!;
        },
        blocks: async (from, to) =>
          rig.nodes[i]!.ledger.heights.filter(
            ({ height }) => height >= Math.max(from, lowest[i]!) && height <= to,
          ),
      },
    });
  }
  await rig.decide(2);
  rig.cut(3);
  await rig.decide(40);
  return { rig, lowest, away: rig.nodes[3]! };
}

test("nobody keeps the next block: told, and nobody is blamed for it", async () => {
  const { rig, lowest, away } = await pruning();
  const { length } = away.ledger.heights;
  for (const i of [0, 1, 2]) lowest[i] = 30;
  rig.mend(3);
  await rig.advance(10_000);
  const stranded = away.events.find((event) => event.t === "stranded");
  assert.deepEqual(stranded, { t: "stranded", from: length + 1, lowest: 30 });
  assert.equal(away.ledger.heights.length, length);
  assert.ok(!away.events.some((event) => event.t === "halted"));
  assert.ok(away.engine.status().syncing);

  // One archive is enough.
  lowest[1] = 1;
  await rig.advance(10_000);
  assert.equal(away.ledger.heights.length, rig.height);
  await rig.decide(2, "after");
  await rig.advance(5_000);
  assert.equal(away.ledger.heights.length, rig.height);
  await rig.stop();
});

test("blocks that are let go while they are asked for: the answer says so and is no fault", async () => {
  const { rig, lowest, away } = await pruning();
  // The peers' last word is older than what they do now.
  const said = [...lowest];
  rig.mend(3);
  await rig.advance(1_500, () => away.events.some((event) => event.t === "syncing"));
  for (const i of [0, 1, 2]) lowest[i] = 30;
  await rig.advance(10_000);
  assert.deepEqual(said, [1, 1, 1, 1]);
  const isPast = away.ledger.heights.length >= 29;
  assert.ok(isPast || away.events.some((event) => event.t === "stranded"));
  assert.ok(!away.events.some((event) => event.t === "badPeer"), "nobody is blamed");
  await rig.stop();
});

test("one peer that lies about how far it is strands nobody", async () => {
  const rig = new EngineRig(4);
  await rig.startAll(4);
  await rig.decide(2);
  const [first, , , liar] = rig.nodes;
  const lie = encodeMessage({
    t: "status",
    height: 1_000_000,
    lowest: 900_000,
    nonce: 0,
    ask: false,
  });
  first!.receive(liar!.id, lie);
  await rig.advance(3_000);
  first!.receive(liar!.id, lie);
  await rig.decide(3, "on");
  assert.ok(!first!.events.some((event) => event.t === "stranded"));
  assert.equal(first!.ledger.heights.length, rig.height);
  await rig.stop();
});

test("a node that is asked to stop while it catches up does not first execute all it has fetched", async () => {
  const { rig, away } = await pruning();
  const before = away.ledger.heights.length;
  rig.mend(3);
  await rig.advance(5_000, () => away.ledger.heights.length > before + 2);
  const at = away.ledger.heights.length;
  assert.ok(at < rig.height - 10, "it is in the middle of it");
  await away.engine.stop("drain");
  assert.ok(away.ledger.heights.length <= at + 6, "what was decided is committed, no more");
  const again = await rig.start(3);
  await rig.advance(10_000, () => again.ledger.heights.length === rig.height);
  assert.equal(again.ledger.heights.length, rig.height);
  await rig.stop();
});

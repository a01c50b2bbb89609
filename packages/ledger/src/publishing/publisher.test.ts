/** Goal: streams resume by height without gaps. Method: readers that start early, late and slow. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRigGenesis, createRigNode, runBlock, signNote } from "../testing/ledger-rig.ts";

test("readers from any height see every block once, in order, with its events", async () => {
  const rig = await createRigGenesis();
  const node = await createRigNode(rig);
  const ada = rig.people.find((person) => person.name === "ada")!;
  const run = async (count: number) => {
    for (let i = 0; i < count; i++) {
      await node.ledger.submit(signNote(ada.pair, `k${i}`, "v", rig).bytes);
      await runBlock(rig, [node]);
    }
  };
  const read = async (from: number, count: number) => {
    const heights: number[] = [];
    for await (const block of node.ledger.subscribe(from)) {
      assert.equal(block.transactions[0]!.outcome.events[0]!.name, "notes.put");
      heights.push(block.height);
      if (heights.length === count) break;
    }
    return heights;
  };
  const early = read(1, 80);
  await run(70);
  const late = read(60, 20);
  const future = read(75, 3);
  await run(10);
  const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
  assert.deepEqual(await early, range(1, 80));
  assert.deepEqual(await late, range(60, 20));
  assert.deepEqual(await future, range(75, 3));
});

test("a closed stream ends, and open streams are bounded", async () => {
  const rig = await createRigGenesis();
  const node = await createRigNode(rig, { limits: { subscriptionsMax: 1 } });
  const stream = node.ledger.subscribe(1);
  assert.throws(() => node.ledger.subscribe(1), { code: "LEDGER_SUBSCRIPTIONS" });
  const next = stream[Symbol.asyncIterator]().next();
  stream.close();
  assert.deepEqual(await next, { done: true, value: undefined });
  const again = node.ledger.subscribe(1);
  const ended = again[Symbol.asyncIterator]().next();
  await node.ledger.stop();
  assert.equal((await ended).done, true);
});

/** Goal: what is committed is found, whatever did not fit into memory. Method: a memory store with many ids. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256, utf8 } from "@hanse/protocol";
import type { LedgerStore } from "../pipeline/interfaces.ts";
import { createRigGenesis, createRigNode, decide, draft } from "../testing/ledger-rig.ts";
import { createCommittedIndex } from "./committed-index.ts";
import { hashKey } from "./hash-key.ts";

const item = (n: number, validUntil: number) => {
  const id = sha256(utf8(`id ${n}`));
  return { id, validUntil, key: hashKey(id) };
};

/** A store whose only block holds these transactions. */
async function storeOf(list: readonly ReturnType<typeof item>[]): Promise<LedgerStore> {
  const rig = await createRigGenesis({ organizations: ["a"], people: [] });
  const node = await createRigNode(rig);
  const decided = decide(rig, await draft(rig, node));
  const result = await node.ledger.finalizeBlock(decided);
  const outcome = { code: "ok", result: "", error: "", fuelUsed: 0n, events: [] };
  const transactions = list.map(({ id, validUntil }) => ({
    id,
    validUntil,
    form: 1,
    bytes: new Uint8Array(0),
    ledgerId: rig.ledgerId,
    sender: id,
    senderKey: rig.people[0]!.pair.publicKey,
    claims: [],
    engine: "native",
    payload: new Uint8Array(0),
  }));
  await node.store.commit({
    decided,
    executed: {
      block: decided.block,
      hash: decided.hash,
      transactions,
      outcomes: list.map(() => outcome),
    },
    result,
    changes: [],
    views: [],
  });
  return node.store;
}

for (const [what, capacity, spread] of [
  ["all fits", 1_000_000, 500_000],
  ["only a part fits", 25_000, 500_000],
  ["all at one moment", 1_000_000, 1],
] as const) {
  test(`after a start, ${what}: every committed id is found, others are new`, async () => {
    const list = Array.from({ length: 50_000 }, (_, n) => item(n, 1_000 + (n % spread)));
    const store = await storeOf(list);
    const index = createCommittedIndex({ store, validityWindowMs: 600_000, capacity });
    await index.load({ height: 9, time: 1_000 });
    assert.ok(index.memory.count <= capacity);
    const asked = [
      ...list,
      ...Array.from({ length: 500 }, (_, n) => item(100_000 + n, 1_000 + (n % spread))),
    ];
    const open = asked.filter((entry) => index.check(entry.key, entry) === "perhaps");
    const found = await index.committed(open);
    const committed = new Set(open.filter((_, i) => found[i]).map((entry) => entry.key));
    assert.equal(committed.size, list.length);
    assert.ok(list.every((entry) => committed.has(entry.key)));
  });
}

test("newest blocks are known exactly until they are durable and old", async () => {
  const store = await storeOf([]);
  const index = createCommittedIndex({ store, validityWindowMs: 600_000, capacity: 1_000 });
  await index.load({ height: 0, time: 1_000 });
  for (let height = 1; height <= 30; height++) index.add(height, [item(height, 50_000)]);
  const first = item(1, 50_000);
  assert.deepEqual(index.check(first.key, first), { height: 1, index: 0 }, "not durable yet");
  index.settle(30);
  assert.equal(index.check(first.key, first), "perhaps");
  const last = item(30, 50_000);
  assert.deepEqual(index.check(last.key, last), { height: 30, index: 0 });
  index.dropBefore(60_000);
  assert.equal(index.memory.count, 0);
});

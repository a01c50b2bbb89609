/** Goal: rows loaded in bulk stand as if blocks had brought them. Method: a real PostgreSQL cluster. */
import assert from "node:assert/strict";
import test from "node:test";
import type { BlockCommit } from "@hanse/ledger";
import { HanseError, toHex } from "@hanse/protocol";
import type { TableSchema } from "@hanse/state";
import { applyBlock, sampleLedgerId, seedStore } from "../testing/sample-chain.ts";
import { useTestCluster } from "../testing/test-cluster.ts";

const cluster = useTestCluster("load");

const code = (expected: string) => (error: unknown) =>
  error instanceof HanseError && error.code === expected;

const accounts: TableSchema = {
  name: "1_accounts",
  columns: [
    { name: "id", type: "int" },
    { name: "owner", type: "text" },
    { name: "amount", type: "money" },
    { name: "data", type: "json" },
    { name: "blob", type: "bytes" },
    { name: "open", type: "bool" },
    { name: "rate", type: "float" },
    { name: "at", type: "time" },
  ],
  indexes: ["owner"],
};

async function open(name: string) {
  const ledgerId = sampleLedgerId(name);
  return { ledgerId, store: await cluster.open(ledgerId) };
}

test("rows loaded in bulk are in tables, tree and sequence", async () => {
  const { ledgerId, store } = await open("bulk");
  await seedStore(store, ledgerId, (state) => state.createTable(accounts));
  function* batches() {
    for (let b = 0; b < 5; b++) {
      yield Array.from({ length: 1_000 }, (_, i) => [
        BigInt(b * 1_000 + i + 1),
        "o",
        "5",
        null,
        null,
        null,
        null,
        null,
      ]);
    }
  }
  const root = await store.loadRows("1_accounts", batches());
  assert.equal(store.state.nextId("1_accounts"), 5_001n);
  assert.equal(toHex((await store.verifyIntegrity()).root), toHex(root));
  const block = await applyBlock(
    store,
    1,
    [(s) => s.update("1_accounts", 4_321n, { amount: "1" })],
    { ledgerId },
  );
  await store.commit(block.commit);
  assert.deepEqual(
    (await store.history("1_accounts", 4_321n, { limit: 5 })).map((one) => one.height),
    [1],
  );
  await store.close("now");
  const { store: again } = await open("bulk");
  assert.equal(toHex((await again.info()).stateRoot), toHex(block.root));
  assert.equal((await again.figures()).treeLeaves, 5_002);
  await again.close();
});

test("rows loaded after a block count from that height on; an end in the middle is refused", async () => {
  const { ledgerId, store } = await open("bulk later");
  const row = (key: bigint) => [key, "o", "1", null, null, null, null, null];
  await seedStore(store, ledgerId, (state) => state.createTable(accounts));
  const first = await applyBlock(store, 1, [(s) => s.insert("1_accounts", row(1n))], {
    ledgerId,
  });
  await assert.rejects(store.loadRows("1_accounts", [[row(2n)]]), code("STORAGE_HEIGHT"));
  await store.commit(first.commit);
  const root = await store.loadRows("1_accounts", [[row(2n), row(3n)], [row(4n)]]);
  assert.notEqual(toHex(root), toHex(first.root));
  assert.equal(toHex((await store.info()).stateRoot), toHex(root));
  await store.close("now");

  const { store: again } = await open("bulk later");
  assert.deepEqual(
    [(await again.info()).height, toHex((await again.info()).stateRoot)],
    [1, toHex(root)],
  );
  assert.equal(again.state.nextId("1_accounts"), 5n);
  const second = await applyBlock(again, 2, [(s) => s.update("1_accounts", 3n, { amount: "7" })], {
    ledgerId,
  });
  await again.commit(second.commit);
  assert.equal(toHex((await again.verifyIntegrity()).root), toHex(second.root));
  function* breaking() {
    yield [row(5n)];
    yield [row(6n)];
    throw new Error("out of rows");
  }
  await assert.rejects(again.loadRows("1_accounts", breaking()), /out of rows/);
  await again.close("now");
  await assert.rejects(open("bulk later"), code("STORAGE_CORRUPT"));
});

test("blocks loaded in bulk stand in order, and a start need not read them", async () => {
  const { ledgerId, store } = await open("bulk blocks");
  const row = (key: bigint) => [key, "o", "1", null, null, null, null, null];
  await seedStore(store, ledgerId, (state) => state.createTable(accounts));
  const first = await applyBlock(store, 1, [(s) => s.insert("1_accounts", row(1n))], { ledgerId });
  await store.commit(first.commit);
  const { stateRoot } = await store.info();
  const empty = (height: number): BlockCommit => {
    const { commit } = first;
    const { block } = commit.decided;
    return {
      ...commit,
      decided: { ...commit.decided, block: { ...block, header: { ...block.header, height } } },
      executed: { ...commit.executed, transactions: [], outcomes: [] },
      changes: [],
    };
  };
  const list = Array.from({ length: 40 }, (_, i) => empty(i + 2));
  await assert.rejects(store.loadBlocks(list.slice(1), false), code("STORAGE_HEIGHT"));
  await store.loadBlocks(list.slice(0, 20), false);
  await store.loadBlocks(list.slice(20), true);
  assert.equal((await store.info()).height, 41);
  assert.equal((await store.blocks(2, 41, 1 << 20)).length, 40);
  await store.close("now");
  const { store: again } = await open("bulk blocks");
  assert.equal(toHex((await again.info()).stateRoot), toHex(stateRoot));
  const next = await applyBlock(again, 42, [(s) => s.insert("1_accounts", row(2n))], { ledgerId });
  await again.commit(next.commit);
  assert.equal((await again.info()).height, 42);
  assert.equal(await again.prune(40), 39);
  await again.close();
});

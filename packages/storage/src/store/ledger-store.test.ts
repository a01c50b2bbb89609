/**
 * Goal: what the store answers is what was applied, before and after it is durable, and after a
 * restart. Method: a real PostgreSQL cluster, started once for this file.
 */
import assert from "node:assert/strict";
import test from "node:test";
import {
  decodeBlock,
  decodeFinalityProof,
  HanseError,
  stateKeyHash,
  toHex,
  utf8,
  verifyStateProof,
  ZERO_HASH,
} from "@hanse/protocol";
import type { TableSchema } from "@hanse/state";
import pg from "pg";
import { applyBlock, sampleLedgerId, seedStore } from "../testing/sample-chain.ts";
import { useTestCluster } from "../testing/test-cluster.ts";
import { openLedgerStore } from "./ledger-store.ts";

const cluster = useTestCluster("store");

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

test("blocks, rows, entries, history and proofs, before and after a restart", async () => {
  const { ledgerId, store } = await open("basic");
  assert.deepEqual(await store.info(), {
    height: 0,
    stateRoot: ZERO_HASH,
    resultsRoot: new Uint8Array(32),
    blockHash: new Uint8Array(32),
  });
  const row = [
    1n,
    "Ä\\\"{},'x",
    "12.50".slice(0, 4),
    '{"a":1}',
    Uint8Array.of(0, 255),
    true,
    0.1,
    -5n,
  ] as const;
  await seedStore(store, ledgerId, (state) => {
    state.createTable(accounts);
    state.insert("1_accounts", row);
    state.insert("1_accounts", [2n, null, null, null, null, null, null, null]);
    state.putKv("ns", utf8("k1"), utf8("v1"));
  });
  const first = await applyBlock(
    store,
    1,
    [
      (state) => state.update("1_accounts", 1n, { amount: "13" }),
      (state) =>
        state.insert("1_accounts", [
          state.nextId("1_accounts"),
          "new",
          "1",
          null,
          null,
          false,
          1e300,
          7n,
        ]),
      (state) => {
        state.update("1_accounts", 1n, { amount: "14" });
        state.remove("1_accounts", 2n);
        state.putKv("ns", utf8("k2"), utf8("v2"));
        state.removeKv("ns", utf8("k1"));
      },
    ],
    { ledgerId },
  );
  const check = async (reopened: typeof store) => {
    const { state } = reopened;
    assert.deepEqual(state.getRow("1_accounts", 1n), {
      values: [1n, "Ä\\\"{},'x", "14", '{"a":1}', Uint8Array.of(0, 255), true, 0.1, -5n],
      height: 1,
    });
    assert.equal(state.getRow("1_accounts", 2n), undefined);
    assert.deepEqual(state.getRow("1_accounts", 3n)?.values, [
      3n,
      "new",
      "1",
      null,
      null,
      false,
      1e300,
      7n,
    ]);
    assert.deepEqual(
      state
        .find({ table: "1_accounts", order: [{ column: "amount" }], limit: 9 })
        .map((one) => one.values[0]),
      [3n, 1n],
    );
    assert.equal(
      state.count({ table: "1_accounts", where: { op: "eq", column: "owner", value: "new" } }),
      1,
    );
    assert.equal(state.nextId("1_accounts"), 4n);
    assert.equal(state.getKv("ns", utf8("k1")), undefined);
    assert.deepEqual(state.rangeKv("ns", utf8("a"), undefined, 5), [
      { key: utf8("k2"), value: utf8("v2"), version: { height: 1, index: 2 } },
    ]);
    const proof = await reopened.proveState([
      { kind: "row", table: "1_accounts", key: 1n },
      { kind: "row", table: "1_accounts", key: 2n },
      { kind: "kv", namespace: "ns", key: utf8("k2") },
      { kind: "sequence", table: "1_accounts" },
    ]);
    assert.equal(toHex(proof.root), toHex(first.root));
    assert.deepEqual(
      proof.proofs.map((one) => verifyStateProof(one, proof.root).kind),
      ["membership", "absence", "membership", "membership"],
    );
    assert.deepEqual(
      proof.proofs[0]!.keyHash,
      new Uint8Array(stateKeyHash({ kind: "row", table: "1_accounts", key: 1n })),
    );
  };
  await check(store);
  await store.commit(first.commit);
  await check(store);
  await store.close();

  const { store: again } = await open("basic");
  await check(again);
  assert.equal((await again.info()).height, 1);
  assert.equal(toHex((await again.info()).stateRoot), toHex(first.root));
  assert.equal(toHex((await again.info()).blockHash), toHex(first.commit.decided.hash));
  const verdict = await again.verifyIntegrity();
  // Two rows, one entry, one schema, one sequence.
  assert.deepEqual([verdict.height, verdict.leaves], [1, 5]);

  const history = await again.history("1_accounts", 1n, { limit: 10 });
  assert.deepEqual(
    history.map((one) => [one.height, one.index, one.before?.[2], one.after?.[2]]),
    [
      [1, 2, "13", "14"],
      [1, 0, "12.5", "13"],
      [0, 0, undefined, "12.5"],
    ],
  );
  assert.equal(toHex(history[0]!.transactionId), toHex(first.transactions[2]!.id));
  assert.equal(toHex(history[1]!.sender), toHex(first.transactions[0]!.sender));
  const removed = await again.history("1_accounts", 2n, { limit: 10 });
  assert.deepEqual(
    removed.map((one) => [one.height, one.after]),
    [
      [1, undefined],
      [0, [2n, ...new Array(7).fill(null)]],
    ],
  );

  const block = await again.block(1);
  assert.equal(toHex(block!.hash), toHex(first.commit.decided.hash));
  assert.equal(await again.block(2), undefined);
  assert.equal(await again.block(0), undefined);
  assert.deepEqual(await again.outcomes(1), first.commit.executed.outcomes);
  const { id } = first.transactions[1]!;
  const found = await again.transaction(id);
  assert.deepEqual([found?.height, found?.index, found?.outcome.code], [1, 1, "ok"]);
  assert.equal(await again.transaction(ZERO_HASH), undefined);
  assert.deepEqual(await again.committedOf([ZERO_HASH, id]), [false, true]);
  assert.deepEqual(
    (await again.recentTransactionIds(1_001, 1)).map((one) => one.validUntil),
    [1_001],
  );
  assert.deepEqual(new TextDecoder().decode(await again.genesis()), "genesis");
  await again.close();
});

test("a proof that comes later replaces what the block had; without a block there is none", async () => {
  const { ledgerId, store } = await open("later-proof");
  await seedStore(store, ledgerId, () => {});
  await store.commit((await applyBlock(store, 1, [], { ledgerId })).commit);
  const { header } = decodeBlock((await store.block(1))!.bytes);
  const attestations = [{ member: "a/1", signature: new Uint8Array(64).fill(3) }];
  const proof = { kind: "attested" as const, header, stateRoot: ZERO_HASH, attestations };
  await store.saveProof(proof);
  await assert.rejects(
    store.saveProof({ ...proof, header: { ...header, height: 2 } }),
    code("STORAGE_HEIGHT"),
  );
  await store.close();
  const again = await cluster.open(ledgerId);
  assert.deepEqual(decodeFinalityProof((await again.block(1))!.certificate, header), proof);
  await again.close();
});

test("queries see blocks that are applied but not committed, tables of them included", async () => {
  const { ledgerId, store } = await open("pending");
  await seedStore(store, ledgerId, (state) => {
    state.createTable(accounts);
    for (let i = 1n; i <= 20n; i++) {
      state.insert("1_accounts", [i, `o${i % 3n}`, String(i), null, null, null, null, null]);
    }
  });
  const blocks = [];
  blocks.push(
    await applyBlock(
      store,
      1,
      [(s) => s.update("1_accounts", 3n, { owner: "x" }), (s) => s.remove("1_accounts", 6n)],
      { ledgerId },
    ),
  );
  blocks.push(
    await applyBlock(
      store,
      2,
      [
        (s) => s.update("1_accounts", 3n, { owner: "o0" }),
        (s) => s.insert("1_accounts", [30n, "o0", "0", null, null, null, null, null]),
        (s) => s.createTable({ name: "t2", columns: [{ name: "k", type: "text" }], indexes: [] }),
        (s) => s.insert("t2", ["a"]),
        (s) => s.addColumn("1_accounts", { name: "extra", type: "int" }),
        (s) => s.update("1_accounts", 9n, { extra: 5n }),
      ],
      { ledgerId },
    ),
  );
  const check = () => {
    const { state } = store;
    const where = { op: "eq", column: "owner", value: "o0" } as const;
    const ids = state
      .find({ table: "1_accounts", where, limit: 4, offset: 1 })
      .map((one) => one.values[0]);
    assert.deepEqual(ids, [9n, 12n, 15n, 18n]);
    assert.equal(state.count({ table: "1_accounts", where }), 6);
    assert.deepEqual(
      state
        .find({ table: "1_accounts", where: { op: "notNull", column: "extra" }, limit: 4 })
        .map((one) => one.values[0]),
      [9n],
    );
    assert.equal(
      state.count({ table: "1_accounts", where: { op: "isNull", column: "extra" } }),
      19,
    );
    assert.deepEqual(
      state.find({ table: "t2", limit: 3 }).map((one) => one.values),
      [["a"]],
    );
    assert.equal(state.count({ table: "t2" }), 1);
    assert.equal(state.getRow("1_accounts", 5n)?.values.length, 9);
    assert.equal(state.nextId("1_accounts"), 31n);
    assert.deepEqual(state.tables(), ["1_accounts", "t2"]);
  };
  const search = async () => {
    const where = { op: "eq", column: "owner", value: "o0" } as const;
    const order = [{ column: "id", descending: true }];
    const rows = await store.search({ table: "1_accounts", where, order, limit: 3 });
    return rows.map((one) => [one.values[0], one.values.length]);
  };
  check();
  await store.commit(blocks[0]!.commit);
  check();
  // Outside readers see what is durable: the second block is not.
  assert.deepEqual(await search(), [
    [18n, 9],
    [15n, 9],
    [12n, 9],
  ]);
  assert.deepEqual(await store.search({ table: "t2", limit: 1 }), []);
  await store.commit(blocks[1]!.commit);
  check();
  assert.deepEqual(await search(), [
    [30n, 9],
    [18n, 9],
    [15n, 9],
  ]);
  await store.verifyIntegrity();
  await store.close("now");
  const { store: again } = await open("pending");
  assert.equal(toHex((await again.info()).stateRoot), toHex(blocks[1]!.root));
  await again.close();
});

test("prefetch fills the cache, absent rows included; a small cache stays right", async () => {
  const ledgerId = sampleLedgerId("cache");
  const store = await openLedgerStore({
    database: { url: cluster.postgres.url },
    ledgerId,
    cacheRowsMax: 10,
  });
  await seedStore(store, ledgerId, (state) => {
    state.createTable(accounts);
    for (let i = 1n; i <= 100n; i++) {
      state.insert("1_accounts", [i, "o", String(i), null, null, null, null, null]);
    }
  });
  for (let i = 1n; i <= 100n; i++)
    assert.equal(store.state.getRow("1_accounts", i)?.values[2], String(i));
  assert.ok(store.state.cacheSize.rows <= 11, `${store.state.cacheSize.rows} rows`);
  const some = store.state.find({
    table: "1_accounts",
    where: {
      op: "in",
      column: "id",
      values: Array.from({ length: 50 }, (_, i) => BigInt(2 * i + 1)),
    },
    limit: 100,
  });
  assert.equal(some.length, 50);
  await store.state.prefetch({
    rows: [
      { table: "1_accounts", key: 500n },
      { table: "1_accounts", key: 7n },
    ],
    kv: [],
  });
  assert.ok(store.state.hasRow("1_accounts", 7n));
  const reads = store.state.blockingReads;
  assert.equal(store.state.getRow("1_accounts", 500n), undefined);
  assert.equal(store.state.getRow("1_accounts", 7n)?.values[2], "7");
  assert.equal(store.state.blockingReads, reads);
  await store.close();
});

test("a key above every one ever given is absent without a read, at each age of the sequence", async () => {
  const { ledgerId, store } = await open("unborn");
  const row = (key: bigint) => [key, "o", "1", null, null, null, null, null];
  await seedStore(store, ledgerId, (state) => {
    state.createTable(accounts);
    for (let key = 1n; key <= 3n; key++) state.insert("1_accounts", row(key));
  });
  const absent = (state: typeof store.state, key: bigint) => {
    const reads = state.blockingReads;
    assert.ok(state.hasRow("1_accounts", key));
    assert.equal(state.getRow("1_accounts", key), undefined);
    assert.deepEqual(
      state.find({ table: "1_accounts", where: { op: "eq", column: "id", value: key }, limit: 1 }),
      [],
    );
    assert.equal(state.blockingReads, reads);
  };
  absent(store.state, 4n);
  const block = await applyBlock(
    store,
    1,
    [(s) => s.insert("1_accounts", row(9n)), (s) => s.remove("1_accounts", 9n)],
    { ledgerId },
  );
  // Removed again, and still the highest ever given: what is below may be asked of the database.
  absent(store.state, 10n);
  await store.commit(block.commit);
  absent(store.state, 10n);
  await store.loadRows("1_accounts", [[row(20n)]]);
  absent(store.state, 21n);
  assert.equal(store.state.getRow("1_accounts", 20n)?.values[1], "o");
  await store.close();
  const { store: again } = await open("unborn");
  absent(again.state, 21n);
  const reads = again.state.blockingReads;
  assert.equal(again.state.hasRow("1_accounts", 9n), false);
  assert.equal(again.state.getRow("1_accounts", 9n), undefined);
  assert.equal(again.state.getRow("1_accounts", 20n)?.values[0], 20n);
  assert.equal(again.state.blockingReads, reads + 2);
  await again.close();
});

test("a search for a reader outside that takes too long ends; the store goes on", async () => {
  const { ledgerId, store } = await open("outside");
  await seedStore(store, ledgerId, (state) => state.createTable(accounts));
  const schema = `ledger_${toHex(ledgerId).slice(0, 16)}`;
  const client = new pg.Client({ connectionString: cluster.postgres.url });
  await client.connect();
  await client.query(`begin; lock table "${schema}"."1_accounts" in access exclusive mode`);
  const query = { table: "1_accounts", limit: 10 };
  assert.throws(
    () => store.readOutside(() => store.state.find(query)),
    code("STORAGE_QUERY_TIMEOUT"),
  );
  await client.query("rollback");
  await client.end();
  assert.equal(store.failure, undefined);
  assert.deepEqual(store.state.find(query), []);
  const block = await applyBlock(store, 1, [], { ledgerId });
  await store.commit(block.commit);
  await store.close();
});

test("what is out of order or in use is refused", async () => {
  const { ledgerId, store } = await open("order");
  await assert.rejects(store.apply(1, []), code("STORAGE_HEIGHT"));
  await seedStore(store, ledgerId, () => {});
  const block = await applyBlock(store, 1, [], { ledgerId });
  await assert.rejects(store.apply(1, []), code("STORAGE_HEIGHT"));
  await store.commit(block.commit);
  await assert.rejects(store.commit(block.commit), code("STORAGE_HEIGHT"));
  assert.equal(store.failure, undefined);
  await store.close();
});

test("a second writer of the same ledger is refused; the lock ends with its holder", async () => {
  const { store } = await open("locked");
  await assert.rejects(open("locked"), code("STORAGE_LEDGER_IN_USE"));
  await store.close("now");
  const { store: next } = await open("locked");
  await next.close();
});

test("a tampered row is found by the integrity check, a tampered root at start", async () => {
  const { ledgerId, store } = await open("tampered");
  await seedStore(store, ledgerId, (state) => {
    state.createTable(accounts);
    state.insert("1_accounts", [1n, "o", "5", null, null, null, null, null]);
  });
  const client = new pg.Client({ connectionString: cluster.postgres.url });
  await client.connect();
  const schema = `ledger_${toHex(ledgerId).slice(0, 16)}`;
  await client.query(`update "${schema}"."1_accounts" set amount = 6`);
  await assert.rejects(store.verifyIntegrity(), code("STORAGE_CORRUPT"));
  await store.close();
  await client.query(`update "${schema}"."$meta" set state_root = '\\x00'`);
  await assert.rejects(open("tampered"), code("STORAGE_CORRUPT"));
  await client.end();
});

/** Goal: a caller gets the columns and rows that its access names, and nothing by a side way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sender } from "@hanse/ledger";
import { createMemoryState, createOverlay } from "@hanse/state";
import { createTableReader, type TableAccess } from "./table-reader.ts";

const caller: Sender = {
  accountId: new Uint8Array(32),
  keyId: 1n,
  name: "ada",
  org: "court",
  roles: [],
};

function makeState() {
  const state = createMemoryState();
  const overlay = createOverlay(state, 1);
  overlay.begin(0);
  overlay.createTable({
    name: "1_deeds",
    columns: [
      { name: "id", type: "int" },
      { name: "org", type: "text" },
      { name: "secret", type: "text" },
    ],
    indexes: [],
  });
  overlay.insert("1_deeds", [1n, "court", "a"]);
  overlay.insert("1_deeds", [2n, "harbour", "b"]);
  overlay.insert("1_deeds", [3n, "court", "c"]);
  state.apply(1, overlay.changes());
  return state;
}

function readerWith(access: TableAccess | undefined) {
  const state = makeState();
  return createTableReader(
    state,
    async (query) => state.find(query),
    () => access,
  );
}

const query = { table: "1_deeds", limit: 10 } as const;
const own: TableAccess = {
  columns: ["id", "org"],
  rows: { op: "eq", column: "org", value: "court" },
  filtered: false,
};

test("columns and rows are those of the access", async () => {
  const { columns, rows } = await readerWith(own).read(query, undefined, caller);
  assert.deepEqual(
    columns.map((c) => c.name),
    ["id", "org"],
  );
  assert.deepEqual(
    rows.map((r) => r.values),
    [
      [1n, "court"],
      [3n, "court"],
    ],
  );
  const narrowed = await readerWith(own).read(
    { ...query, where: { op: "or", of: [{ op: "ge", column: "id", value: 2n }] } },
    ["id"],
    caller,
  );
  assert.deepEqual(
    narrowed.rows.map((r) => r.values),
    [[3n]],
  );
});

test("a closed column can neither be asked for, nor selected nor ordered by", async () => {
  const reader = readerWith(own);
  const closed = { code: "API_COLUMN_DENIED" };
  const where = { op: "not", of: { op: "eq", column: "secret", value: "a" } } as const;
  await assert.rejects(reader.read(query, ["secret"], caller), closed);
  await assert.rejects(reader.read({ ...query, where }, undefined, caller), closed);
  const order = [{ column: "secret" }];
  await assert.rejects(reader.read({ ...query, order }, undefined, caller), closed);
});

test("an open table shows everything, a filtered one refers to its engine", async () => {
  assert.equal((await readerWith(undefined).read(query, undefined, caller)).rows.length, 3);
  assert.ok(readerWith(undefined).seesAllRows("1_deeds", caller));
  assert.ok(!readerWith(own).seesAllRows("1_deeds", caller));
  const filtered = readerWith({ ...own, rows: "all", filtered: true });
  await assert.rejects(filtered.read(query, undefined, caller), { code: "API_TABLE_FILTERED" });
  assert.ok(!filtered.seesAllRows("1_deeds", caller));
  await assert.rejects(readerWith(own).read({ table: "9_x", limit: 1 }, undefined, caller), {
    code: "STATE_NO_TABLE",
  });
});

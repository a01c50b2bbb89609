/**
 * Goal: an overlay answers every read as if its changes stood in the view below. Method: random
 * operations on an overlay over committed state, against a naive model that copies everything.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { HanseError } from "@hanse/protocol";
import fc from "fast-check";
import { createMemoryState, type MemoryState } from "../memory/memory-state.ts";
import type { ColumnValue, Condition, Query, Savepoint, TableSchema } from "../view/state-view.ts";
import { createOverlay } from "./overlay.ts";

const accounts: TableSchema = {
  name: "1_accounts",
  columns: [
    { name: "id", type: "int" },
    { name: "owner", type: "text" },
    { name: "amount", type: "money" },
  ],
  indexes: ["owner"],
};

function code(expected: string) {
  return (error: unknown) => error instanceof HanseError && error.code === expected;
}

function seeded(count: number): MemoryState {
  const state = createMemoryState();
  const overlay = createOverlay(state, 1);
  overlay.begin(0);
  overlay.createTable(accounts);
  for (let i = 1; i <= count; i++) overlay.insert("1_accounts", [BigInt(i), `o${i % 3}`, "10"]);
  state.apply(1, overlay.changes());
  return state;
}

test("insert, update, remove and what they refuse", () => {
  const overlay = createOverlay(seeded(3), 2);
  overlay.begin(0);
  assert.equal(overlay.nextId("1_accounts"), 4n);
  overlay.insert("1_accounts", [4n, "new", null]);
  overlay.update("1_accounts", 1n, { amount: "11.5" });
  overlay.remove("1_accounts", 2n);
  assert.deepEqual(overlay.getRow("1_accounts", 1n), { values: [1n, "o1", "11.5"], height: 2 });
  assert.equal(overlay.getRow("1_accounts", 2n), undefined);
  assert.equal(overlay.getRow("1_accounts", 3n)?.height, 1);
  assert.throws(() => overlay.insert("1_accounts", [1n, "x", "0"]), code("STATE_DUPLICATE_KEY"));
  assert.throws(() => overlay.insert("1_accounts", [9n, "x", "1.0"]), code("STATE_VALUE"));
  assert.throws(() => overlay.insert("1_accounts", [9n, "a\0b", "1"]), code("STATE_VALUE"));
  assert.throws(() => overlay.insert("1_accounts", [2n ** 63n, "a", "1"]), code("STATE_VALUE"));
  assert.throws(() => overlay.insert("1_accounts", [9n, "a"]), code("STATE_VALUE"));
  assert.throws(() => overlay.insert("1_accounts", [9n, "\ud800", "1"]), code("STATE_VALUE"));
  assert.throws(() => overlay.update("1_accounts", 2n, { amount: "1" }), code("STATE_NO_ROW"));
  assert.throws(() => overlay.update("1_accounts", 1n, { id: 5n }), code("STATE_VALUE"));
  assert.throws(() => overlay.update("1_accounts", 1n, { none: 5n }), code("STATE_NO_COLUMN"));
  assert.throws(() => overlay.getRow("none", 1n), code("STATE_NO_TABLE"));
  assert.deepEqual(
    overlay.writeSet().map((change) => [change.kind, "key" in change && change.key]),
    [
      ["row", 4n],
      ["row", 1n],
      ["row", 2n],
    ],
  );
});

test("a failed transaction leaves nothing, ids included", () => {
  const overlay = createOverlay(seeded(3), 2);
  overlay.begin(0);
  const start = overlay.savepoint();
  overlay.insert("1_accounts", [77n, "gone", "1"]);
  overlay.createTable({ ...accounts, name: "t2" });
  overlay.insert("t2", [1n, "x", "1"]);
  overlay.putKv("ns", Uint8Array.of(1), Uint8Array.of(9));
  overlay.rollbackTo(start);
  assert.equal(overlay.nextId("1_accounts"), 4n);
  assert.deepEqual(overlay.tables(), ["1_accounts"]);
  assert.throws(() => overlay.find({ table: "t2", limit: 1 }), code("STATE_NO_TABLE"));
  assert.equal(overlay.getKv("ns", Uint8Array.of(1)), undefined);
  overlay.begin(1);
  assert.deepEqual(overlay.changes(), []);
  overlay.createTable({ ...accounts, name: "t2" });
  assert.equal(overlay.count({ table: "t2" }), 0);
});

test("a row that came and went inside one transaction gives no id away", () => {
  const overlay = createOverlay(seeded(3), 2);
  overlay.begin(0);
  overlay.insert("1_accounts", [50n, "a", "1"]);
  overlay.remove("1_accounts", 50n);
  assert.equal(overlay.nextId("1_accounts"), 51n);
  overlay.begin(1);
  assert.equal(overlay.nextId("1_accounts"), 4n);
  overlay.insert("1_accounts", [60n, "a", "1"]);
  overlay.begin(2);
  overlay.remove("1_accounts", 60n);
  assert.equal(overlay.nextId("1_accounts"), 61n);
});

test("a column added in the block reads as null in rows below", () => {
  const overlay = createOverlay(seeded(5), 2);
  overlay.begin(0);
  overlay.addColumn("1_accounts", { name: "note", type: "text" });
  overlay.update("1_accounts", 2n, { note: "hello" });
  const ids = (where: Condition) =>
    overlay.find({ table: "1_accounts", where, limit: 10 }).map((row) => row.values[0]);
  assert.deepEqual(overlay.getRow("1_accounts", 1n)?.values, [1n, "o1", "10", null]);
  assert.deepEqual(ids({ op: "eq", column: "note", value: "hello" }), [2n]);
  assert.deepEqual(ids({ op: "isNull", column: "note" }), [1n, 3n, 4n, 5n]);
  assert.deepEqual(ids({ op: "not", of: { op: "like", column: "note", pattern: "x%" } }), [2n]);
  assert.deepEqual(
    overlay
      .find({ table: "1_accounts", order: [{ column: "note", descending: true }], limit: 2 })
      .map((row) => row.values[0]),
    [1n, 3n],
  );
});

test("reads and writes of a transaction, versions as they were found", () => {
  const overlay = createOverlay(seeded(3), 7);
  overlay.begin(0);
  overlay.putKv("ns", Uint8Array.of(2), Uint8Array.of(1));
  overlay.begin(4);
  overlay.getRow("1_accounts", 1n);
  overlay.getRow("1_accounts", 1n);
  overlay.getRow("1_accounts", 9n);
  overlay.getKv("ns", Uint8Array.of(2));
  overlay.rangeKv("ns", Uint8Array.of(), undefined, 5);
  overlay.putKv("ns", Uint8Array.of(3), Uint8Array.of(7));
  assert.deepEqual(overlay.readSet(), {
    rows: [
      { ref: { table: "1_accounts", key: 1n }, height: 1 },
      { ref: { table: "1_accounts", key: 9n }, height: undefined },
    ],
    kv: [{ ref: { namespace: "ns", key: Uint8Array.of(2) }, version: { height: 7, index: 0 } }],
    ranges: [{ namespace: "ns", from: Uint8Array.of(), to: undefined }],
    queries: [],
  });
  assert.deepEqual(overlay.writeSet(), [
    {
      kind: "kv",
      namespace: "ns",
      key: Uint8Array.of(3),
      before: undefined,
      after: {
        key: Uint8Array.of(3),
        value: Uint8Array.of(7),
        version: { height: 7, index: 4 },
      },
      index: 4,
    },
  ]);
});

const owner = fc.constantFrom("a", "b", "Ä", "");
const money = fc.constantFrom("0", "1", "-1", "2.5", "10", "-0.25");
const id = fc.bigInt({ min: 1n, max: 12n });
const condition: fc.Arbitrary<Condition> = fc.letrec<{ node: Condition; leaf: Condition }>(
  (tie) => ({
    leaf: fc.oneof(
      fc.record({
        op: fc.constantFrom("eq", "ne", "lt", "le", "gt", "ge"),
        column: fc.constant("amount"),
        value: fc.oneof(money, fc.constant(null)),
      }) as fc.Arbitrary<Condition>,
      fc.record({
        op: fc.constantFrom("in", "notIn"),
        column: fc.constant("owner"),
        values: fc.array(fc.oneof(owner, fc.constant(null)), { maxLength: 3 }),
      }) as fc.Arbitrary<Condition>,
      fc.record({
        op: fc.constantFrom("eq", "lt"),
        column: fc.constant("id"),
        value: id,
      }) as fc.Arbitrary<Condition>,
      fc.record({
        op: fc.constantFrom("isNull", "notNull"),
        column: fc.constant("amount"),
      }) as fc.Arbitrary<Condition>,
    ),
    node: fc.oneof(
      { maxDepth: 3 },
      tie("leaf"),
      fc.record({
        op: fc.constantFrom("and", "or"),
        of: fc.array(tie("node"), { maxLength: 3 }),
      }) as fc.Arbitrary<Condition>,
      fc.record({ op: fc.constant("not"), of: tie("node") }) as fc.Arbitrary<Condition>,
    ),
  }),
).node;

const operation = fc.oneof(
  fc.record({
    kind: fc.constant("put" as const),
    id,
    owner,
    amount: fc.oneof(money, fc.constant(null)),
  }),
  fc.record({ kind: fc.constant("remove" as const), id }),
  fc.record({ kind: fc.constant("begin" as const) }),
  fc.record({ kind: fc.constant("savepoint" as const) }),
  fc.record({ kind: fc.constant("rollback" as const) }),
  fc.record({ kind: fc.constant("seal" as const) }),
  fc.record({
    kind: fc.constant("query" as const),
    where: condition,
    column: fc.constantFrom("owner", "amount", "id"),
    descending: fc.boolean(),
    limit: fc.integer({ min: 1, max: 5 }),
    offset: fc.integer({ min: 0, max: 3 }),
  }),
);

test("property: an overlay equals a copy that is changed in place, block after block", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60, size: "max" }), (operations) => {
      const state = seeded(6);
      let height = 2;
      let index = 0;
      let overlay = createOverlay(state, height);
      overlay.begin(index);
      // The model: all rows, and copies of them at the savepoints of the running transaction.
      let model = new Map<bigint, readonly ColumnValue[]>();
      for (let i = 1n; i <= 6n; i++) model.set(i, [i, `o${i % 3n}`, "10"]);
      let marks: { savepoint: Savepoint; copy: typeof model }[] = [];
      for (const step of operations) {
        if (step.kind === "put") {
          if (model.has(step.id)) {
            overlay.update("1_accounts", step.id, { owner: step.owner, amount: step.amount });
          } else overlay.insert("1_accounts", [step.id, step.owner, step.amount]);
          model.set(step.id, [step.id, step.owner, step.amount]);
        } else if (step.kind === "remove") {
          if (model.delete(step.id)) overlay.remove("1_accounts", step.id);
        } else if (step.kind === "begin") {
          overlay.begin(++index);
          marks = [];
        } else if (step.kind === "savepoint") {
          marks.push({ savepoint: overlay.savepoint(), copy: new Map(model) });
        } else if (step.kind === "rollback") {
          const mark = marks.pop();
          if (mark === undefined) continue;
          overlay.rollbackTo(mark.savepoint);
          model = mark.copy;
        } else if (step.kind === "seal") {
          state.apply(height, overlay.changes());
          overlay = createOverlay(state, ++height);
          index = 0;
          overlay.begin(0);
          marks = [];
        } else {
          const query: Query = {
            table: "1_accounts",
            where: step.where,
            order: [{ column: step.column, descending: step.descending }],
            limit: step.limit,
            offset: step.offset,
          };
          const plain = createMemoryState();
          const all = createOverlay(plain, 1);
          all.begin(0);
          all.createTable(accounts);
          plain.apply(1, all.changes());
          plain.apply(
            2,
            [...model].map(([key, values]) => ({
              kind: "row" as const,
              table: "1_accounts",
              key,
              before: undefined,
              after: { values, height: 0 },
              index: 0,
            })),
          );
          assert.deepEqual(
            overlay.find(query).map((row) => row.values),
            plain.find(query).map((row) => row.values),
          );
          assert.equal(overlay.count(query), plain.count(query));
        }
      }
      for (let i = 1n; i <= 12n; i++) {
        assert.deepEqual(overlay.getRow("1_accounts", i)?.values, model.get(i));
      }
    }),
    { numRuns: 300 },
  );
});

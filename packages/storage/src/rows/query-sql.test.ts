/**
 * Goal: a condition means the same in memory and in PostgreSQL, for every type of column.
 * Method: random rows, random conditions and orders, one real table.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { after, before } from "node:test";
import {
  type ColumnValue,
  type Condition,
  canonicalJson,
  createMemoryState,
  createOverlay,
  type Query,
  type TableSchema,
} from "@hanse/state";
import fc from "fast-check";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../embedded/embedded-postgres.ts";
import { openLedgerStore, type PostgresLedgerStore } from "../store/ledger-store.ts";
import { sampleLedgerId, seedStore } from "../testing/sample-chain.ts";

const schema: TableSchema = {
  name: "1_all",
  columns: [
    { name: "id", type: "int" },
    { name: "i", type: "int" },
    { name: "t", type: "text" },
    { name: "b", type: "bytes" },
    { name: "o", type: "bool" },
    { name: "m", type: "money" },
    { name: "j", type: "json" },
    { name: "w", type: "time" },
    { name: "f", type: "float" },
  ],
  indexes: ["t", "b", "m", "i"],
};

const texts = [
  "",
  "a",
  "A",
  "ab",
  "aB",
  "%",
  "_",
  "a%b",
  "\\",
  "ä",
  "Ä",
  "\ue000",
  "😀",
  "z".repeat(300),
  `${"z".repeat(300)}!`,
  " a",
  "\n",
];
const text = fc.oneof(
  fc.constantFrom(...texts),
  fc.string({ unit: "binary", maxLength: 3 }).filter((s) => !s.includes("\0")),
);
const int = fc.constantFrom(0n, 1n, -1n, 5n, 2n ** 63n - 1n, -(2n ** 63n), 10n, 9n);
const jsonSource = fc.constantFrom(
  "null",
  "1",
  "1.5",
  '"x"',
  "true",
  "[]",
  "{}",
  '{"a":1}',
  '{"a":"1"}',
  '{"a":{"b":[10,20,{"c":null}]}}',
  '{"a":null}',
  '[1,"two",[3]]',
  '{"a":[1,2,3]}',
  '{"a":1e25}',
  '{"a":12345678901234567890}',
  '{"":"empty","a b":"x\\"y\\u0001"}',
  '{"-1":"key"}',
);
const byType: Readonly<Record<string, fc.Arbitrary<ColumnValue>>> = {
  i: int,
  w: int,
  t: text,
  b: fc.oneof(
    fc.constantFrom(new Uint8Array(0), new Uint8Array(300)),
    fc.uint8Array({ maxLength: 3 }),
  ),
  o: fc.boolean(),
  m: fc.constantFrom(
    "0",
    "1",
    "-1",
    "0.5",
    "-0.5",
    "10",
    "9",
    "100000000000000000000000.000001",
    "-12.25",
  ),
  j: jsonSource.map(canonicalJson),
  f: fc.constantFrom(0, 1, -1, 0.1, 1e300, -1e-300, 5e-324, 0.30000000000000004),
};
const columns = schema.columns.slice(1).map((column) => column.name);
const orNull = (value: fc.Arbitrary<ColumnValue>) => fc.option(value, { freq: 8 });
const row = fc.tuple(...columns.map((column) => orNull(byType[column]!)));

const compare = fc.constantFrom("eq", "ne", "lt", "le", "gt", "ge");
const pattern = fc
  .array(fc.oneof(fc.constantFrom("%", "_", "\\%", "\\_", "\\\\", "a", "B", "ä"), text), {
    maxLength: 4,
  })
  .map((parts) => parts.join(""))
  .filter((one) => !/(^|[^\\])(\\\\)*\\$/.test(one));
const leaf = fc.oneof(
  fc.constantFrom(...columns, "id").chain((column) =>
    fc.record({
      op: compare,
      column: fc.constant(column),
      value: orNull(byType[column] ?? fc.bigInt({ min: 1n, max: 60n })),
    }),
  ),
  fc.constantFrom(...columns).chain((column) =>
    fc.record({
      op: fc.constantFrom("in", "notIn"),
      column: fc.constant(column),
      values: fc.array(orNull(byType[column]!), { maxLength: 3 }),
    }),
  ),
  fc.record({ op: fc.constantFrom("like", "ilike"), column: fc.constant("t"), pattern }),
  fc.record({ op: fc.constantFrom("isNull", "notNull"), column: fc.constantFrom(...columns) }),
  fc.record({
    op: fc.constant("json"),
    column: fc.constant("j"),
    path: fc.array(
      fc.constantFrom(
        "a",
        "b",
        "0",
        "1",
        "2",
        "-1",
        "-3",
        "c",
        "",
        "a b",
        " 1",
        "+1",
        "01",
        "1x",
        "99999999999",
      ),
      { minLength: 1, maxLength: 3 },
    ),
    compare,
    value: fc.option(
      fc.constantFrom(
        "1",
        "x",
        "",
        "10",
        '{"b":[10,20,{"c":null}]}',
        "[1,2,3]",
        "1e+25",
        "two",
        "true",
      ),
      { freq: 8 },
    ),
  }),
) as fc.Arbitrary<Condition>;
const condition = fc.letrec<{ node: Condition }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.record({
      op: fc.constantFrom("and", "or"),
      of: fc.array(tie("node"), { maxLength: 3 }),
    }) as fc.Arbitrary<Condition>,
    fc.record({ op: fc.constant("not"), of: tie("node") }) as fc.Arbitrary<Condition>,
  ),
})).node;
const order = fc.array(
  fc.record({ column: fc.constantFrom(...columns, "id"), descending: fc.boolean() }),
  { maxLength: 3 },
);

let dir: string;
let postgres: EmbeddedPostgres;
let store: PostgresLedgerStore;
const memory = createMemoryState();

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "hanse-query-test-"));
  postgres = await startEmbeddedPostgres({ dir, settings: { fsync: "off" } });
  const ledgerId = sampleLedgerId("query");
  store = await openLedgerStore({ database: postgres, ledgerId });
  const rows = fc.sample(row, 60);
  const seed = (state: ReturnType<typeof createOverlay>) => {
    state.createTable(schema);
    for (const [i, values] of rows.entries()) state.insert("1_all", [BigInt(i + 1), ...values]);
  };
  await seedStore(store, ledgerId, seed);
  const overlay = createOverlay(memory, 0);
  overlay.begin(0);
  seed(overlay);
  memory.apply(0, overlay.changes());
});
after(async () => {
  await store?.close("now");
  await postgres?.stop();
  fs.rmSync(dir, { recursive: true, force: true });
});

test("rows come back as they went in", () => {
  const all = { table: "1_all", limit: 100 } as const;
  assert.deepEqual(store.state.find(all), memory.find(all));
});

test("property: PostgreSQL and memory agree on rows, order and count", () => {
  fc.assert(
    fc.property(
      condition,
      order,
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 0, max: 5 }),
      (where, by, limit, offset) => {
        const query: Query = { table: "1_all", where, order: by, limit, offset };
        const keys = (rows: readonly { values: readonly ColumnValue[] }[]) =>
          rows.map((one) => one.values[0]);
        assert.deepEqual(keys(store.state.find(query)), keys(memory.find(query)));
        assert.equal(store.state.count(query), memory.count(query));
      },
    ),
    { numRuns: 600 },
  );
});

test("a query on an indexed text or bytes column can use the index", async () => {
  const { default: pg } = await import("pg");
  const { findStatement } = await import("./query-sql.ts");
  const { ledgerSchemaName } = await import("../schema/ledger-tables.ts");
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query("set enable_seqscan = off; set enable_sort = on");
  for (const where of [
    { op: "eq", column: "t", value: "ab" },
    { op: "in", column: "t", values: ["ab", "a"] },
    { op: "eq", column: "b", value: Uint8Array.of(1) },
    { op: "eq", column: "m", value: "1" },
  ] as const) {
    const { text: sql, values } = findStatement(ledgerSchemaName(sampleLedgerId("query")), schema, {
      table: "1_all",
      where,
      limit: 50,
      order: [{ column: "f" }],
    });
    const { rows } = await client.query(`explain ${sql}`, values);
    const plan = rows.map((one: Record<string, string>) => one["QUERY PLAN"]).join("\n");
    assert.match(plan, /Index (Scan|Cond)/, plan);
  }
  await client.end();
});

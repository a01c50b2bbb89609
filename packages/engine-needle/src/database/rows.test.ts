/** Goal: forms of inserts, updates and selects. Method: contracts over the engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ADA, BLOCK_TIME, EngineRig } from "../testing/engine-rig.ts";

const columns = [
  ["title", "varchar"],
  ["mark", "character"],
  ["body", "text"],
  ["count", "number"],
  ["price", "money"],
  ["doc", "json"],
  ["done", "boolean"],
  ["due", "datetime"],
  ["weight", "double"],
  ["raw", "bytea"],
].map(([name, type]) => ({ name, type, update: "true" }));

function rigWith(...statements: readonly string[]): EngineRig {
  const rig = new EngineRig();
  rig.install({
    tables: [{ name: "things", columns }],
    contracts: statements.map(
      (body, at) => `contract Step${at} {\n    action {\n        ${body}\n    }\n}`,
    ),
  });
  return rig;
}

function run(rig: EngineRig, steps: number): void {
  for (let at = 0; at < steps; at++) {
    const outcome = rig.call(ADA, `Step${at}`);
    assert.equal(outcome.code, "ok", outcome.error);
  }
}

function rows(rig: EngineRig, input: object = {}): Record<string, string>[] {
  const answer = rig.query(ADA, "table.rows", { table: "things", ...input });
  return (answer as { rows: Record<string, string>[] }).rows;
}

/** The one error that a body ends with. */
function failure(body: string): string {
  const outcome = rigWith(body).call(ADA, "Step0");
  assert.notEqual(outcome.code, "ok", body);
  return outcome.error;
}

test("every column type takes its values and gives them back as text", () => {
  const rig = rigWith(
    `DBInsert("things", {title: "T", mark: "x", body: "long", count: 7, price: "12.50",
        doc: "{\\"b\\": 1, \\"a\\": [true]}", done: true, due: "2024-02-29 12:00:01",
        weight: 2.5, raw: "00ff"})
        DBInsert("things", {title: "defaults"})`,
  );
  run(rig, 1);
  assert.deepEqual(rows(rig), [
    {
      id: "1",
      title: "T",
      mark: "x",
      body: "long",
      count: "7",
      price: "12.5",
      doc: '{"a":[true],"b":1}',
      done: "true",
      due: "2024-02-29 12:00:01",
      weight: "2.5",
      raw: "00ff",
    },
    {
      id: "2",
      title: "defaults",
      mark: "0",
      body: "",
      count: "0",
      price: "0",
      doc: "",
      done: "false",
      due: "",
      weight: "",
      raw: "",
    },
  ]);
});

test("updates add, subtract, merge members, set times and nulls", () => {
  const rig = rigWith(
    `DBInsert("things", {count: 5, price: 100, doc: "{\\"a\\":1}", title: "t"})`,
    `DBUpdate("things", 1, {"+count": 3, "-price": "0.5", "doc->b": "x", title: "NULL"})`,
    `DBUpdateExt("things", {count: 8}, {"timestamp due": $block_time, "+count": 1, "-weight": 0.5})`,
    `DBInsert("things", {"doc->k": 5, "doc->l": "y"})`,
  );
  run(rig, 4);
  const seconds = Math.floor((BLOCK_TIME + 4 * 100) / 1000);
  const [first, second] = rows(rig);
  assert.deepEqual(
    { count: first!.count, price: first!.price, doc: first!.doc, title: first!.title },
    { count: "9", price: "99.5", doc: '{"a":1,"b":"x"}', title: "" },
  );
  assert.equal(first!.weight, "-0.5");
  assert.equal(first!.due, new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " "));
  assert.equal(second!.doc, '{"k":5,"l":"y"}');
  assert.deepEqual(rows(rig, { columns: "id, doc->k, doc->a", where: { title: "$isnull" } }), [
    { id: "1", "doc.k": "", "doc.a": "1" },
    { id: "2", "doc.k": "5", "doc.a": "" },
  ]);
});

test("writes that cannot be are refused with table and column", () => {
  const insert = `DBInsert("things", {count: 1})\n        `;
  const cases: readonly (readonly [string, RegExp])[] = [
    [`DBInsert("nowhere", {a: 1})`, /1_nowhere is not a custom table/],
    [`DBInsert("@2things", {a: 1})`, /2_things is not a custom table/],
    [`DBInsert("things", {nope: 1})`, /no column 'nope'/],
    [`var m map\n        DBInsert("things", m)`, /values are undefined/],
    [`DBInsert("things", {count: "many"})`, /column count: 'many' is not a whole number/],
    [`DBInsert("things", {price: "1,5"})`, /column price/],
    [`DBInsert("things", {doc: "{"})`, /column doc: not valid JSON/],
    [`DBInsert("things", {due: "2023-02-29"})`, /column due/],
    [`DBInsert("things", {due: "now()"})`, /prohibited/],
    [`DBInsert("things", {mark: "ab"})`, /column mark: longer than 1/],
    [`${insert}DBInsert("things", {id: 1})`, /taken/],
    [`DBUpdate("things", 1, {count: 1})`, /update for not existing record/],
    [`DBUpdateExt("things", {count: 77}, {count: 1})`, /update for not existing record/],
    [`var m map\n        DBUpdateExt("things", m, {count: 1})`, /there is not Where/],
    [`${insert}DBUpdate("things", 1, {"+title": 1})`, /\+ and - need a number/],
    [`${insert}DBUpdate("things", 1, {id: 2})`, /a key never changes/],
    [`${insert}DBUpdate("things", 1, {"+count": 9223372036854775807})`, /exceeds 64 bits/],
    [`DBInsert("platform_parameters", {a: 1})`, /not a custom table/],
  ];
  for (const [body, message] of cases) assert.match(failure(body), message, body);
});

test("selects order, page and aggregate", () => {
  const make = Array.from({ length: 30 }, (_, at) => {
    const title = ["red", "green", "blue"][at % 3];
    return `DBInsert("things", {count: ${at}, title: "${title}", price: ${at}})`;
  }).join("\n        ");
  const rig = rigWith(
    make,
    `$result = DBFind("things").Group("title").Select("title, count(*) as n, sum(price), max(count), avg(count)").Order("title")`,
    `$result = DBFind("things").Select("sum(count) as total").Where({title: "red"}).One("total")`,
    `$result = DBFind("things").Where({count: {"$lt": 0}}).One("title")`,
    `$result = DBSelect("things", "count", 0, {count: "-1"}, 1, 2, {title: "blue"}, "", "", false)`,
    `$result = DBCount("things", {title: ["red", {"$neq": "blue"}]})`,
    `$result = DBRow("things").Columns("title").Order([{count: "-1"}])`,
  );
  run(rig, 1);
  assert.equal(rows(rig).length, 25);
  assert.equal(rows(rig, { limit: -1 }).length, 30);
  assert.deepEqual(
    rows(rig, { columns: "count", order: [{ title: 1 }, { count: "-1" }], limit: 2, offset: 1 }),
    [{ count: "26" }, { count: "23" }],
  );
  assert.deepEqual(rig.query(ADA, "Step1"), [
    { title: "blue", n: "10", sum: "155", max: "29", avg: "15.5" },
    { title: "green", n: "10", sum: "145", max: "28", avg: "14.5" },
    { title: "red", n: "10", sum: "135", max: "27", avg: "13.5" },
  ]);
  assert.equal(rig.query(ADA, "Step2"), "135");
  assert.equal(rig.query(ADA, "Step3"), "");
  assert.deepEqual(rig.query(ADA, "Step4"), [{ count: "26" }, { count: "23" }]);
  assert.equal(rig.query(ADA, "Step5"), 10);
  assert.deepEqual(rig.query(ADA, "Step6"), { title: "blue" });
});

test("a select list is a closed language", () => {
  for (const list of [
    "pg_sleep(5)",
    "count(*); drop table x",
    "title || body",
    "sum(*)",
    "(select 1)",
    "sum(title)",
    "title, count(*)",
  ]) {
    const error = failure(`DBInsert("things", {count: 1})
        $result = DBFind("things").Select("${list}")`);
    assert.match(error, /select:|has none/, list);
  }
});

test("rows of shared tables belong to the transaction's ecosystem", () => {
  const rig = rigWith(
    `DBInsert("buffer_data", {key: "k", value: "{}", account: $account_id})`,
    `DBUpdateExt("buffer_data", {key: "k"}, {"value->a": "1"})`,
  );
  run(rig, 2);
  const answer = rig.query(ADA, "table.rows", { table: "buffer_data" }) as { rows: object[] };
  assert.deepEqual(
    answer.rows.map((row) => ({ ...row, account: "" })),
    [{ id: "1", key: "k", value: '{"a":"1"}', account: "", ecosystem: "1" }],
  );
});

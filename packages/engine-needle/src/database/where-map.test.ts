/**
 * Goal: where-maps select what the reference says. Method: random maps over random rows against a
 * model that looks at one row at a time.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import fc from "fast-check";
import { ADA, EngineRig } from "../testing/engine-rig.ts";

interface ModelRow {
  readonly n: number | null;
  readonly s: string | null;
  /** `{"k": v}`, or no document. */
  readonly k: string | null;
}
type Where = Record<string, unknown>;

const TEXTS = ["", "a", "ab", "B", "b%", "ä"];
const row = fc.record<ModelRow>({
  n: fc.option(fc.integer({ min: -2, max: 3 })),
  s: fc.option(fc.constantFrom(...TEXTS)),
  k: fc.option(fc.constantFrom("x", "y")),
});

const number = fc.integer({ min: -2, max: 3 });
const text = fc.constantFrom(...TEXTS);
const comparison = fc.constantFrom("$eq", "$neq", "$gt", "$gte", "$lt", "$lte");
const pattern = fc.constantFrom("$like", "$begin", "$end", "$ilike", "$ibegin", "$iend");
const plain = fc.constantFrom("a", "A", "b", "ä", "ab");
const operators = (value: fc.Arbitrary<unknown>) =>
  fc.oneof(
    value,
    fc.dictionary(comparison, value, { minKeys: 1, maxKeys: 2 }),
    fc.record({ $in: fc.array(value, { maxLength: 3 }) }),
    fc.record({ $nin: fc.array(value, { maxLength: 3 }) }),
    fc.array(fc.oneof(value, fc.dictionary(comparison, value, { minKeys: 1, maxKeys: 1 })), {
      minLength: 1,
      maxLength: 2,
    }),
    fc.constant("$isnull"),
  );
const simple = fc.record(
  {
    n: operators(number),
    s: fc.oneof(operators(text), fc.dictionary(pattern, plain, { minKeys: 1, maxKeys: 1 })),
    "d->k": fc.oneof(fc.constantFrom("x", "y"), fc.record({ $neq: fc.constantFrom("x", "y") })),
  },
  { requiredKeys: [] },
);
const where: fc.Arbitrary<Where> = fc.oneof(
  simple,
  fc.record({ $or: fc.array(simple, { maxLength: 3 }) }),
  fc.record({ $and: fc.array(simple, { maxLength: 3 }), n: operators(number) }),
  fc.record({
    $or: fc.array(fc.record({ $and: fc.array(simple, { maxLength: 2 }) }), { maxLength: 2 }),
  }),
);

type Cell = number | string | null;

function compare(cell: Cell, operator: string, value: Cell): boolean {
  if (cell === null || value === null) return false;
  const less = cell < value;
  const equal = cell === value;
  switch (operator) {
    case "$eq":
      return equal;
    case "$neq":
      return !equal;
    case "$gt":
      return !less && !equal;
    case "$gte":
      return !less;
    case "$lt":
      return less;
    default:
      return less || equal;
  }
}

function fold(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function holdsOperator(cell: Cell, operator: string, value: unknown): boolean {
  if (operator === "$in" || operator === "$nin") {
    const list = value as Cell[];
    if (list.length === 0 || cell === null) return false;
    return list.includes(cell) === (operator === "$in");
  }
  const kind = /^\$i?(like|begin|end)$/.exec(operator)?.[1];
  if (kind === undefined) return compare(cell, operator, value as Cell);
  if (cell === null) return false;
  const [have, want] = operator.startsWith("$i")
    ? [fold(cell as string), fold(value as string)]
    : [cell as string, value as string];
  if (kind === "begin") return have.startsWith(want);
  return kind === "end" ? have.endsWith(want) : have.includes(want);
}

function holdsEntry(cell: Cell, value: unknown): boolean {
  if (value === "$isnull") return cell === null;
  if (Array.isArray(value)) return value.every((item) => holdsEntry(cell, item));
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).every(([operator, wanted]) =>
      holdsOperator(cell, operator, wanted),
    );
  }
  return compare(cell, "$eq", value as Cell);
}

function holds(model: ModelRow, map: Where): boolean {
  return Object.entries(map).every(([key, value]) => {
    if (key === "$and") return (value as Where[]).every((item) => holds(model, item));
    if (key === "$or") {
      const list = value as Where[];
      return list.length === 0 || list.some((item) => holds(model, item));
    }
    if (key === "d->k") return holdsEntry(model.k, value);
    return holdsEntry(key === "n" ? model.n : model.s, value);
  });
}

function shelf(): EngineRig {
  const rig = new EngineRig();
  rig.install({
    tables: [
      {
        name: "shelf",
        columns: [
          { name: "n", type: "number", update: "true" },
          { name: "s", type: "varchar", update: "true" },
          { name: "d", type: "json", update: "true" },
        ],
      },
    ],
    contracts: [
      `contract Fill { data { Rows array } action {
        var i int
        var one map
        while i < Len($Rows) {
            one = $Rows[i]
            DBInsert("shelf", one)
            i = i + 1
        }
    } }`,
    ],
  });
  return rig;
}

test("random where-maps select the rows of the model", () => {
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 8 }),
      fc.array(where, { minLength: 1, maxLength: 12 }),
      (rows, maps) => {
        const rig = shelf();
        const filled = rig.call(ADA, "Fill", {
          Rows: rows.map(({ n, s, k }) => ({
            n: n ?? "NULL",
            s: s ?? "NULL",
            d: k === null ? "NULL" : JSON.stringify({ k }),
          })),
        });
        assert.equal(filled.code, "ok", filled.error);
        for (const map of maps) {
          const input = { table: "shelf", columns: "id", where: map, limit: -1, count: true };
          const answer = rig.query(ADA, "table.rows", input) as {
            rows: { id: string }[];
            count: string;
          };
          const expected = rows.flatMap((item, at) => (holds(item, map) ? [String(at + 1)] : []));
          assert.deepEqual(
            answer.rows.map(({ id }) => id),
            expected,
            JSON.stringify(map),
          );
          assert.equal(answer.count, String(expected.length));
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("values never become part of a query, and mistakes are named", () => {
  const rig = shelf();
  rig.call(ADA, "Fill", { Rows: [{ n: 1, s: "x' or '1'='1" }] });
  const select = (where: unknown) => rig.query(ADA, "table.rows", { table: "shelf", where });
  const rowsOf = (where: unknown) => (select(where) as { rows: unknown[] }).rows.length;
  assert.equal(rowsOf({ s: "' or '1'='1" }), 0);
  assert.equal(rowsOf({ s: "x' or '1'='1" }), 1);
  const cases: readonly (readonly [unknown, string])[] = [
    [{ nope: 1 }, "NEEDLE_NO_COLUMN"],
    [{ "n;drop": 1 }, "NEEDLE_NO_COLUMN"],
    [{ n: "abc" }, "NEEDLE_COLUMN_VALUE"],
    [{ n: { $near: 1 } }, "NEEDLE_WHERE"],
    [{ n: { $like: "1" } }, "NEEDLE_WHERE"],
    [{ n: { $in: "1,2" } }, "NEEDLE_WHERE"],
    [{ $or: { n: 1 } }, "NEEDLE_WHERE"],
    [{ "n->a": 1 }, "NEEDLE_WHERE"],
  ];
  for (const [where, code] of cases) {
    assert.throws(
      () => select(where),
      (error) => error instanceof HanseError && error.code === code,
      JSON.stringify(where),
    );
  }
});

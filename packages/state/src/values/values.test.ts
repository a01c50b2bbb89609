/** Goal: one form per value and one order per type. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createLikeMatcher } from "../conditions/like.ts";
import { canonicalJson, isCanonicalJson, jsonTextAt } from "./canonical-json.ts";
import { compareMoney, isCanonicalMoney, validateSchema, valueFault } from "./column-values.ts";

test("canonical JSON: sorted keys, exact integers, shortest numbers", () => {
  const cases: readonly (readonly [string, string])[] = [
    [' { "b" : 1 , "a" : [ ] } ', '{"a":[],"b":1}'],
    ["123456789012345678901234567890", "123456789012345678901234567890"],
    ["1.50", "1.5"],
    ["-0", "0"],
    ["-0.0", "0"],
    ["1e2", "100"],
    ['"\\u0041\\/\\u00e9"', '"A/é"'],
    ['"\\ud83d\\ude00"', '"😀"'],
    ['{"\\ue000":1,"😀":2}', '{"\ue000":1,"😀":2}'],
    ['{"😀":2,"a":{}}', '{"a":{},"😀":2}'],
    ['"\u007f"', '"\u007f"'],
  ];
  for (const [text, wanted] of cases) assert.equal(canonicalJson(text), wanted);
  const refused = [
    "",
    "{",
    "[1,]",
    "01",
    "+1",
    "nul",
    '"a',
    '"\\ud800"',
    '"\\u0000"',
    '"\n"',
    '{"a":1,"a":2}',
    "1 2",
    "1e999",
    "{a:1}",
    '"\\x"',
    '"\\',
    `${"[".repeat(70)}${"]".repeat(70)}`,
  ];
  for (const text of refused) assert.equal(isCanonicalJson(text), false, text);
  for (const text of refused) assert.throws(() => canonicalJson(text), /JSON/, text);
});

test("property: canonical JSON means the same and is its own canonical form", () => {
  fc.assert(
    fc.property(fc.jsonValue({ depthSize: "small" }), (value) => {
      const text = JSON.stringify(value);
      if (text.includes("\\u0000") || !text.isWellFormed() || /\\ud[89a-f]/.test(text)) return;
      const canonical = canonicalJson(text);
      assert.deepEqual(JSON.parse(canonical), JSON.parse(text));
      assert.equal(canonicalJson(canonical), canonical);
    }),
  );
});

test("text at a path in JSON", () => {
  const text = '{"a":[1,{"b":"x\\"y"},null,[]],"c":{"d":12345678901234567890},"e":"","f":true}';
  const at = (...path: string[]) => jsonTextAt(text, path);
  assert.equal(at("a", "0"), "1");
  assert.equal(at("a", "1", "b"), 'x"y');
  assert.equal(at("a", "2"), undefined);
  assert.equal(at("a", "3"), "[]");
  assert.equal(at("a", "-1"), "[]");
  assert.equal(at("a", "4"), undefined);
  assert.equal(at("a", "x"), undefined);
  assert.equal(at("c"), '{"d":12345678901234567890}');
  assert.equal(at("c", "d"), "12345678901234567890");
  assert.equal(at("e"), "");
  assert.equal(at("f"), "true");
  assert.equal(at("f", "g"), undefined);
  assert.equal(at("none"), undefined);
});

test("money: canonical form and order by value", () => {
  for (const good of ["0", "1", "-1", "0.5", "-0.05", "10.25", "9".repeat(200)]) {
    assert.ok(isCanonicalMoney(good), good);
  }
  for (const bad of [
    "",
    "-0",
    "00",
    "1.0",
    "1.",
    ".5",
    "1e3",
    "+1",
    " 1",
    "0.50",
    "-",
    "9".repeat(203),
  ]) {
    assert.ok(!isCanonicalMoney(bad), bad);
  }
  fc.assert(
    fc.property(fc.integer(), fc.integer(), (a, b) => {
      const text = (n: number) => String(n / 8);
      if (!isCanonicalMoney(text(a)) || !isCanonicalMoney(text(b))) return;
      assert.equal(Math.sign(compareMoney(text(a), text(b))), Math.sign(a - b));
    }),
  );
});

test("values that a column refuses", () => {
  assert.equal(valueFault("float", 1.5), undefined);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, -0]) assert.ok(valueFault("float", bad));
  assert.ok(valueFault("int", 5 as never));
  assert.ok(valueFault("bool", "true"));
  assert.ok(valueFault("json", '{"b":1, "a":2}'));
  assert.equal(valueFault("json", null), undefined);
});

test("schemas that are refused", () => {
  const id = { name: "id", type: "int" } as const;
  const refused = [
    { name: "T", columns: [id], indexes: [] },
    { name: "t", columns: [], indexes: [] },
    { name: "t", columns: [{ name: "id", type: "bool" }], indexes: [] },
    { name: "t", columns: [id, id], indexes: [] },
    { name: "t", columns: [id, { name: "_height", type: "int" }], indexes: [] },
    { name: "t", columns: [id, { name: "1a", type: "int" }], indexes: [] },
    { name: "t", columns: [id], indexes: ["x"] },
    { name: "t; drop table x", columns: [id], indexes: [] },
  ] as const;
  for (const schema of refused) assert.throws(() => validateSchema(schema), /table/);
});

test("like: wildcards, escapes and code points", () => {
  const like = (pattern: string, text: string, fold = false) =>
    createLikeMatcher(pattern, fold)?.(text);
  assert.equal(like("a%c", "abbc"), true);
  assert.equal(like("a_c", "a😀c"), true);
  assert.equal(like("a\\%c", "a%c"), true);
  assert.equal(like("a\\%c", "abc"), false);
  assert.equal(like("%", ""), true);
  assert.equal(like("_", ""), false);
  assert.equal(like("AÄ%", "aäx", true), false);
  assert.equal(like("AÄ%", "aÄx", true), true);
  assert.equal(like("a\\", "a"), undefined);
  assert.equal(like(`${"%a".repeat(50)}%b`, "a".repeat(2_000)), false);
});

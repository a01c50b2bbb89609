import assert from "node:assert/strict";
import { test } from "node:test";
import { parseColumnPermissions, parseTablePermissions } from "./permissions.ts";
import { isPlainCondition, parseRight } from "./rights.ts";

test("short forms are read off, everything else stays an expression", () => {
  assert.equal(parseRight("").kind, "always");
  assert.equal(parseRight(" 1 ").kind, "always");
  assert.equal(parseRight("0").kind, "never");
  assert.deepEqual(parseRight('ContractAccess("A", "@2B")'), {
    kind: "contractAccess",
    text: 'ContractAccess("A", "@2B")',
    names: ["A", "@2B"],
  });
  assert.deepEqual(parseRight("RoleAccess(1, 22)"), {
    kind: "roleAccess",
    text: "RoleAccess(1, 22)",
    ids: [1n, 22n],
  });
  assert.equal(parseRight('HasRole("a")').kind, "hasRole");
  assert.equal(parseRight('OrgAccess("a")').kind, "orgAccess");
  assert.equal(parseRight('OrgInParam("a")').kind, "orgInParam");
  for (const text of [
    'ContractConditions("A") || true',
    'HasRole("a") && $key_id == 5',
    'HasRole("a") &&',
    '(HasRole("a")',
    'HasRole("a") HasRole("b")',
    '!HasRole("a") != true',
    'ContractAccess("A"), ContractAccess("B")',
    "ContractAccess()",
    'ContractAccess("")',
    'ContractAccess("A" + "B")',
    "ContractAccess($Name)",
    'RoleAccess("1")',
    "$key_id == 5",
    "TRUE",
    "2",
  ]) {
    assert.equal(parseRight(text).kind, "expression", text);
    assert.equal(isPlainCondition(text), false, text);
  }
  assert.equal(isPlainCondition(""), false);
  assert.equal(isPlainCondition('HasRole("a","b")'), true);
});

test("short forms are joined as the language joins them", () => {
  const shape = (text: string): unknown => {
    const read = (right: ReturnType<typeof parseRight>): unknown => {
      if (right.kind === "all" || right.kind === "any") return { [right.kind]: right.of.map(read) };
      return right.kind === "not" ? { not: read(right.of) } : right.text;
    };
    return read(parseRight(text));
  };
  assert.deepEqual(shape('HasRole("a") && HasRole("b") || !(true || OrgAccess( "c" ))'), {
    any: [
      { all: ['HasRole("a")', 'HasRole("b")'] },
      { not: { any: ["true", 'OrgAccess( "c" )'] } },
    ],
  });
  assert.equal(parseRight('((HasRole("a")))').kind, "hasRole");
  assert.equal(isPlainCondition('HasRole("a") || true'), false);
  assert.equal(parseRight(Array(40).fill("true").join(" && ")).kind, "expression");
});

test("permissions name the field that is wrong", () => {
  const good = { insert: "true", update: "false", new_column: "false" };
  assert.equal(parseTablePermissions(good, "t").rows, undefined);
  const cases: readonly (readonly [unknown, string])[] = [
    [[], "t"],
    [{ ...good, insert: 1 }, "t.insert"],
    [{ ...good, delete: "true" }, "t.delete"],
    [{ ...good, rows: {} }, "t.rows"],
    [{ ...good, rows: [{ if: "true", when: 1 }] }, "t.rows[0].when"],
    [{ ...good, rows: [{ where: {} }] }, "t.rows[0].if"],
    [{ ...good, rows: [{ if: [] }] }, "t.rows[0].if"],
    [{ ...good, rows: [{ if: "true", where: { a: 1.5 } }] }, "t.rows[0].where.a"],
    [{ ...good, rows: [{ if: "true", where: { a: null } }] }, "t.rows[0].where.a"],
  ];
  for (const [value, field] of cases) {
    assert.throws(() => parseTablePermissions(value, "t"), {
      code: "ECOSYSTEM_PERMISSIONS",
      details: { field },
    });
  }
});

test("rights of a column come as text, object, or JSON inside the text", () => {
  assert.equal(parseColumnPermissions("false", "c").update.kind, "never");
  const nested = parseColumnPermissions('{"update":"false","read":"HasRole(\\"a\\")"}', "c");
  assert.equal(nested.update.kind, "never");
  assert.equal(nested.read?.kind, "hasRole");
  assert.equal(parseColumnPermissions({ update: "true", read: "" }, "c").read, undefined);
  assert.throws(() => parseColumnPermissions("{", "c"), { code: "ECOSYSTEM_PERMISSIONS" });
  assert.throws(() => parseColumnPermissions(7, "c"), { code: "ECOSYSTEM_PERMISSIONS" });
});

/**
 * Goal: rights of tables, columns and rows hold on every path. Method: random rights, people and
 * operations against a model that a reader can check by eye.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sender } from "@hanse/ledger";
import fc from "fast-check";
import { ADA, BEN, EngineRig, ROOT } from "../testing/engine-rig.ts";

interface Named {
  readonly text: string;
  holds(person: Sender, contract: string | undefined): boolean;
}

const RIGHTS: readonly Named[] = [
  { text: "true", holds: () => true },
  { text: "false", holds: () => false },
  { text: 'ContractAccess("Work")', holds: (_, contract) => contract === "Work" },
  { text: 'ContractAccess("@2Work", "Other")', holds: (_, contract) => contract === "Other" },
  { text: 'HasRole("clerk")', holds: (person) => person.roles.includes("clerk") },
  { text: 'OrgAccess("court")', holds: (person) => person.org === "court" },
  { text: 'OrgInParam("trusted")', holds: (person) => person.org === "harbour" },
  {
    text: `$key_id == ${BEN.keyId < 0n ? `0 - ${-BEN.keyId}` : BEN.keyId}`,
    holds: (person) => person === BEN,
  },
  {
    text: 'ContractAccess("Work") && HasRole("judge")',
    holds: (person, contract) => contract === "Work" && person.roles.includes("judge"),
  },
  { text: 'ContractConditions("ClerkOnly")', holds: (person) => person.roles.includes("clerk") },
];

const right = fc.constantFrom(...RIGHTS);
const person = fc.constantFrom(ADA, BEN, ROOT);

interface Rights {
  readonly insert: Named;
  readonly update: Named;
  readonly read: Named;
  readonly updateA: Named;
  readonly updateB: Named;
  readonly readB: Named;
}

const BODY = `data { Columns string "optional" } action {
        if $Columns == "insert" { DBInsert("t", {a: 1, b: 2}) }
        if $Columns == "a" { DBUpdate("t", 1, {a: 5}) }
        if $Columns == "b" { DBUpdateExt("t", {id: 1}, {"+b": 5}) }
        if $Columns == "ab" { DBUpdate("t", 1, {a: 5, b: 6}) }
        if $Columns == "read" { $result = DBFind("t").WhereId(1).Row() }
        if $Columns == "readA" { $result = DBFind("t").Columns("a").Where({id: 1}).Row() }
        if $Columns == "whereB" { $result = DBFind("t").Columns("a").Where({b: 2}).Row() }
        if $Columns == "orderB" { $result = DBFind("t").Columns("a").Order("b").Row() }
        if $Columns == "sumB" { $result = DBFind("t").Select("sum(b)").Row() }
        if $Columns == "countB" { $result = DBCount("t", {b: 2}) }
    }`;

/** Whether the operation goes through. */
const OPERATIONS: Readonly<
  Record<string, (rights: Rights, has: (right: Named) => boolean) => boolean>
> = {
  insert: (rights, has) => has(rights.insert),
  a: (rights, has) => has(rights.update) && has(rights.updateA),
  ab: (rights, has) => has(rights.update) && has(rights.updateA) && has(rights.updateB),
  b: (rights, has) => has(rights.update) && has(rights.updateB),
  // A condition that fails is an error, not a refusal of one column.
  read: (rights, has) =>
    has(rights.read) && (has(rights.readB) || !rights.readB.text.startsWith("ContractCond")),
  readA: (rights, has) => has(rights.read),
  whereB: (rights, has) => has(rights.read) && has(rights.readB),
  orderB: (rights, has) => has(rights.read) && has(rights.readB),
  sumB: (rights, has) => has(rights.read) && has(rights.readB),
  countB: (rights, has) => has(rights.read) && has(rights.readB),
};

function rigOf(rights: Rights): EngineRig {
  const rig = new EngineRig();
  const insert = `ContractAccess("Seed") || ${rights.insert.text}`;
  rig.install({
    parameters: { trusted: "lake, harbour" },
    tables: [
      {
        name: "t",
        columns: [
          { name: "a", type: "number", update: rights.updateA.text },
          { name: "b", type: "number", update: rights.updateB.text, read: rights.readB.text },
        ],
        permissions: {
          insert,
          update: rights.update.text,
          new_column: "false",
          read: rights.read.text,
        },
      },
    ],
    contracts: [
      `contract Work { ${BODY} }`,
      `contract Other { ${BODY} }`,
      // ContractConditions fails instead of being false: a right with it beside || would fail too.
      `contract Seed { action { DBInsert("t", {a: 1, b: 2}) } }`,
      `contract ClerkOnly { conditions { if !HasRole("clerk") { warning "only a clerk" } } }`,
    ],
  });
  const seeded = rig.call(ADA, "Seed");
  assert.equal(seeded.code, "ok", seeded.error);
  return rig;
}

const rights = fc.record<Rights>({
  insert: fc.constantFrom(...RIGHTS.filter((item) => !item.text.startsWith("ContractCond"))),
  update: right,
  read: right,
  updateA: right,
  updateB: right,
  readB: right,
});

test("random rights let through exactly what the model says", () => {
  const action = fc.record({
    person,
    contract: fc.constantFrom("Work", "Other"),
    operation: fc.constantFrom(...Object.keys(OPERATIONS)),
  });
  fc.assert(
    fc.property(rights, fc.array(action, { minLength: 15, maxLength: 15 }), (given, actions) => {
      const rig = rigOf(given);
      for (const { person: who, contract, operation } of actions) {
        const has = (item: Named) => item.holds(who, contract);
        const allowed = OPERATIONS[operation]!(given, has);
        const before = rig.state.getRow("1_t", 1n);
        const outcome = rig.call(who, contract, { Columns: operation });
        const place = `${operation} by ${who.name} through ${contract}: ${outcome.error}`;
        assert.equal(outcome.code === "ok", allowed, place);
        if (!allowed) {
          assert.match(outcome.error, /access denied|only a clerk/, place);
          assert.equal(rig.state.getRow("1_t", 1n), before);
        }
        if (operation === "read" && allowed) {
          assert.equal(outcome.result.includes("b:"), has(given.readB), place);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test("the row list of the engine and its doors apply the same rights", () => {
  fc.assert(
    fc.property(rights, person, (given, who) => {
      const rig = rigOf(given);
      const has = (item: Named) => {
        try {
          return item.holds(who, undefined);
        } catch {
          return false;
        }
      };
      const rows = () => rig.query(who, "table.rows", { table: "t" }) as { rows: object[] };
      const access = () => rig.engine.readAccess("1_t", who, rig.state, rig.block);
      if (!has(given.read)) {
        assert.throws(rows, /access denied|only a clerk/);
        assert.throws(access, /access denied|only a clerk/);
        return;
      }
      if (given.readB.text.startsWith("ContractCond") && !has(given.readB)) return;
      const columns = has(given.readB) ? ["id", "a", "b"] : ["id", "a"];
      assert.deepEqual(Object.keys(rows().rows[0]!), columns);
      assert.deepEqual(access(), { columns, rows: "all", filtered: false });
    }),
    { numRuns: 60 },
  );
});

test("a contract that only passes the call on does not count as the one that acts", () => {
  const rig = new EngineRig();
  rig.install({
    tables: [
      {
        name: "t",
        columns: [{ name: "a", type: "number", update: "true" }],
        permissions: { insert: 'ContractAccess("Inner")', update: "true", new_column: "false" },
      },
    ],
    contracts: [
      `contract Inner { action { DBInsert("t", {a: 1}) } }`,
      `contract Outer { action { Inner() } }`,
      `contract Mixed { action { Inner(); DBInsert("t", {a: 2}) } }`,
    ],
  });
  assert.equal(rig.call(ADA, "Inner").code, "ok");
  assert.equal(rig.call(ADA, "Outer").code, "ok");
  assert.equal(rig.call(ADA, "Mixed").code, "ACCESS_DENIED");
  assert.equal(rig.state.count({ table: "1_t" }), 2);
});

test("rows are filtered before limits and counts, and a filter may blank what it releases", () => {
  const rig = new EngineRig();
  const columns = [
    { name: "org", type: "varchar", update: "true" },
    { name: "secret", type: "varchar", update: "true" },
  ];
  const open = { insert: "true", update: "true", new_column: "false" };
  rig.install({
    tables: [
      {
        name: "own",
        columns,
        permissions: {
          ...open,
          rows: [{ if: 'HasRole("judge")' }, { if: ["true"], where: { org: "$org" } }],
        },
      },
      { name: "none", columns, permissions: { ...open, rows: [] } },
      {
        name: "blank",
        columns,
        permissions: { ...open, filter: 'ContractConditions("Blank")' },
      },
    ],
    contracts: [
      `contract Put { data { Table string; Org string } action { DBInsert($Table, {org: $Org, secret: "s"}) } }`,
      `contract Blank { conditions {
        var i int
        var row map
        if Len($data) > 2 { error "too many rows" }
        while i < Len($data) {
            row = $data[i]
            row["secret"] = "***"
            i = i + 1
        }
    } }`,
    ],
  });
  for (const Table of ["own", "none"]) {
    for (const Org of ["court", "harbour", "court", "harbour", "lake"]) {
      assert.equal(rig.call(ADA, "Put", { Table, Org }).code, "ok");
    }
  }
  const ids = (who: Sender | undefined, table: string, more: object = {}) => {
    const input = { table, columns: "id", count: true, ...more };
    const { rows, count } = rig.query(who, "table.rows", input) as {
      rows: { id: string }[];
      count: string;
    };
    return { ids: rows.map((row) => row.id).join(), count };
  };
  assert.deepEqual(ids(ADA, "own"), { ids: "2,4", count: "2" });
  assert.deepEqual(ids(ADA, "own", { limit: 1, offset: 1 }), { ids: "4", count: "2" });
  assert.deepEqual(ids(ADA, "own", { id: 1 }).ids, "");
  assert.deepEqual(ids(ADA, "own", { where: { org: "court" } }), { ids: "", count: "0" });
  assert.deepEqual(ids(BEN, "own"), { ids: "1,2,3,4,5", count: "5" });
  assert.deepEqual(ids(undefined, "own"), { ids: "", count: "0" });
  assert.deepEqual(ids(BEN, "none"), { ids: "", count: "0" });
  assert.deepEqual(rig.engine.readAccess("1_own", ADA, rig.state, rig.block)?.rows, {
    op: "eq",
    column: "org",
    value: "harbour",
  });
  rig.call(ADA, "Put", { Table: "blank", Org: "court" });
  assert.deepEqual(rig.query(ADA, "table.rows", { table: "blank" }), {
    rows: [{ id: "1", org: "court", secret: "***" }],
  });
  rig.call(ADA, "Put", { Table: "blank", Org: "court" });
  rig.call(ADA, "Put", { Table: "blank", Org: "court" });
  assert.throws(() => rig.query(ADA, "table.rows", { table: "blank" }), /too many rows/);
});

test("system tables are written by their own contracts and the founder only", () => {
  const rig = new EngineRig();
  rig.install({
    contracts: [
      `contract Grab { data { Table string } action { DBInsert($Table, {name: "x", value: "y"}) } }`,
      `contract Rewrite { action { DBUpdate("contracts", 1, {value: "contract MainCondition { }"}) } }`,
      `contract Steal { action { DBUpdateExt("parameters", {name: "founder_account"}, {value: $key_id}) } }`,
    ],
  });
  for (const Table of ["contracts", "parameters", "app_params", "tables", "pages", "languages"]) {
    const outcome = rig.call(ADA, "Grab", { Table });
    assert.notEqual(outcome.code, "ok", Table);
    assert.match(outcome.error, /access denied|only an administrator/, Table);
  }
  assert.match(rig.call(ADA, "Rewrite").error, /access denied|only an administrator/);
  // An administrator of the network may touch the table, its column only through EditContract.
  assert.match(rig.call(ROOT, "Rewrite").error, /column: access denied/);
  assert.equal(rig.call(ADA, "Steal").code, "ACCESS_DENIED");
});

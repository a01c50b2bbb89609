/**
 * Goal: nothing that an engine remembers changes what a call does or costs. Method: every call runs
 * in an engine that has seen all calls before and in one that has seen nothing.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sender } from "@hanse/ledger";
import fc from "fast-check";
import { type CallValue, encodeCall } from "../payload/call.ts";
import {
  ADA,
  BEN,
  EngineRig,
  packApplication,
  type RigApplication,
  ROOT,
} from "../testing/engine-rig.ts";
import { createNeedleEngine } from "./engine.ts";

const columns = [
  { name: "owner", type: "varchar", update: 'ContractConditions("Mine")' },
  { name: "count", type: "number", update: 'ContractAccess("Take") || $key_id == 5', read: "true" },
];

function version(number: number): RigApplication {
  return {
    version: `1.0.${number}`,
    parameters: { step: "1" },
    languages: { en: { hello: `hello ${number}` } },
    tables: [
      {
        name: "stock",
        columns:
          number < 2 ? columns : [...columns, { name: "note", type: "text", update: "true" }],
        permissions: {
          insert: 'ContractAccess("Put")',
          update: "true",
          new_column: "false",
          rows: [{ if: 'HasRole("judge")' }, { if: "true", where: { owner: "$org" } }],
        },
      },
    ],
    contracts: [
      `contract Put { data { Count int } action {
        $who = SenderOrganization()
        $result = DBInsert("stock", {owner: $who, count: $Count})
        EmitEvent("stock.put", {count: $Count})
    } }`,
      `contract Take { data { Id int; Count int } conditions {
        $row = DBFind("stock").WhereId($Id).Row()
        if !$row { error LangRes("hello") + " no " + Str($Id) }
    } action {
        DBUpdate("stock", $Id, {"-count": $Count})
        $result = Check("Id", $Id) + Int(AppParam(0, "step", 1)) + ${number}
    } }`,
      `contract Check { data { Id int } action { $result = Int(DBFind("stock").WhereId($Id).One("count")) } }`,
      `contract Sweep { action {
        $n = DBCount("stock", {count: {"$lt": 5}})
        DBUpdateExt("stock", {count: {"$lt": 5}}, {owner: "nobody"})
        $result = $n
    } }`,
      `contract Mine { conditions { if SenderOrganization() != "court" { warning "court only" } } }`,
      `contract Spin { data { Count int } action {
        var i int
        while i < $Count { i = i + 1 }
        $result = Undefined${number}()
    } }`,
      `contract Undefined${number} { action { $result = ${number} } }`,
    ],
  };
}

interface Step {
  readonly person: Sender;
  readonly name: string;
  readonly params: Readonly<Record<string, CallValue>>;
}

const small = fc.integer({ min: -1, max: 9 });
const step: fc.Arbitrary<Step> = fc
  .record({
    person: fc.constantFrom(ADA, BEN, ROOT),
    name: fc.constantFrom("Put", "Put", "Take", "Take", "Check", "Sweep", "Spin", "app.upgrade"),
    Id: small,
    Count: small,
  })
  .map(({ person, name, Id, Count }) => {
    const all: Readonly<Record<string, Readonly<Record<string, CallValue>>>> = {
      Put: { Count },
      Take: { Id, Count },
      Check: { Id },
      Sweep: {},
      Spin: { Count },
      "app.upgrade": { package: packApplication(version(Math.max(1, Count % 4))) },
    };
    return { person, name, params: all[name]! };
  });

test("a warm engine and a cold one agree on every outcome, change and unit of fuel", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 40 }), (steps) => {
      const rig = new EngineRig();
      rig.install(version(0));
      for (const { person, name, params } of steps) {
        rig.begin();
        const transaction = rig.transaction(person, encodeCall(name, params));
        const cold = rig.apply(createNeedleEngine(), person, transaction);
        const warm = rig.apply(rig.engine, person, transaction);
        const again = rig.apply(rig.engine, person, transaction);
        assert.deepEqual(warm, cold, name);
        assert.deepEqual(again, cold, name);
        seen.add(`${name} ${cold.outcome.code === "ok"}`);
        rig.commit(warm.outcome.code === "ok" ? warm.changes : []);
      }
    }),
    { numRuns: 25 },
  );
  // The steps reach both ends of what they try.
  for (const name of ["Put", "Take", "Sweep", "app.upgrade"])
    assert.ok(seen.has(`${name} true`), name);
  for (const name of ["Take", "Sweep", "app.upgrade"]) assert.ok(seen.has(`${name} false`), name);
});

/** What is refused before a program runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkNeedle, compileNeedle } from "../compiler/compile.ts";
import { compileError, Installed } from "../testing/run-source.ts";

const REFUSED: readonly (readonly [string, string])[] = [
  ["func f() { q = 1 }", "unknown variable q"],
  ["func f() { var a int\na = q }", "unknown identifier q"],
  ["func f() { if 1 { var a int }\na = 1 }", "unknown variable a"],
  ["func f() { a = 1\nvar a int }", "unknown variable a"],
  ["func f() { var a int, a string }", "'a' redeclared in this code block"],
  ["func f(a int) { var a int }", "'a' redeclared in this code block"],
  ["func f(a int, a string) { }", "duplicate argument 'a'"],
  ["func f() { }\nfunc f() { }", "Func 'f' redeclared"],
  ["contract B { func a() { }\nfunc a() { } }", "Func 'a' redeclared in this contract '@1B'"],
  ["contract B { }\ncontract B { }", "Contract 'B' redeclared"],
  [
    "contract B { data { time int } }",
    "param variable 'time' in the data section of the contract '@1B' collides with the 'builtin' variable",
  ],
  ["contract B { action { $key_id = 1 } }", "system variable $key_id cannot be changed"],
  ["contract B { action { $stack[0] = 1 } }", "system variable $stack cannot be changed"],
  ["contract B { action { $loop_1 = 1 } }", "system variable $loop_1 cannot be changed"],
  ["contract B { action { B() } }", "the contract can't call itself recursively"],
  ["contract B { action { @1B() } }", "the contract can't call itself recursively"],
  ["func f() int { return Len() }", "function Len must have 1 parameters"],
  ["func f() int { return Len([], 1) }", "function Len must have 1 parameters"],
  ['func f() string { return Sprintf("a") }', "function Sprintf must have at least 2 parameters"],
  ["func g(a int) { }\nfunc f() { g() }", "wrong count of parameters: need 1"],
  [
    "func f() { g() }\nfunc g() { }",
    "unknown identifier g: no function declared above, built-in or contract has this name",
  ],
  ["func g().T(a int) { }\nfunc f() { g().U(1) }", "unknown function tail 'U'"],
  ["func g().T(a int) { }\nfunc f() { g().T() }", "tail T must have 1 parameters"],
  ["func conditions { }", "conditions can only be in contract"],
  [
    'contract B { conditions { DBInsert("t", {a: 1}) } }',
    "'conditions' cannot call contracts or functions which can modify the blockchain database",
  ],
  [
    'contract B { func w() { DBUpdate("t", 1, {a: 1}) }\nfunc v() { w() }\nconditions { v() } }',
    "'conditions' cannot call contracts or functions which can modify the blockchain database",
  ],
  [
    'contract W { action { EmitEvent("e", {a: 1}) } }\ncontract B { conditions { W() } }',
    "'conditions' cannot call contracts or functions which can modify the blockchain database",
  ],
];

test("programs that cannot mean anything are refused", () => {
  for (const [source, expected] of REFUSED) assert.equal(compileError(source), expected, source);
});

const ACCEPTED: readonly string[] = [
  'func f() { var a int\nif 1 { var a string\na = "" } }',
  "func f() { f() }",
  "func f() { break }",
  "contract B { action { help() } }".replace("action", "func help() { }\naction"),
  "contract B { action { }\nconditions { } }",
  'contract W { action { DBInsert("t", {a: 1}) } }\ncontract B { action { W() } }',
  "contract R { action { $result = 1 } }\ncontract B { conditions { R() } }",
  "contract B { var x int\naction { x = 1 } }",
  "contract B { data { result int } action { } }",
];

test("programs of these forms are accepted", () => {
  for (const source of ACCEPTED) assert.equal(compileError(source), undefined, source);
});

test("unknown calls are accepted in extern mode", () => {
  const source = 'contract B { action { Later("A", 1) } }';
  assert.ok(compileError(source));
  assert.deepEqual(new Installed().install(source, 1n, true), []);
});

test("contracts of the environment are known with what they write", () => {
  const installed = new Installed();
  assert.deepEqual(installed.install('contract W { action { DBInsert("t", {a: 1}) } }'), []);
  assert.match(installed.install("contract B { conditions { W() } }")[0]!, /'conditions' cannot/);
  assert.deepEqual(installed.install("contract C { action { @1W() } }", 5n), []);
  assert.match(installed.install("contract D { action { W() } }", 5n)[0]!, /unknown identifier W/);
});

test("diagnostics have code, place and severity", () => {
  const diagnostics = checkNeedle('func f() int {\n  return q "x"\n}', { ecosystem: 1n }, "a.sim");
  const [warning, error] = diagnostics;
  assert.equal(warning!.severity, "warning");
  assert.equal(error!.code, "NEEDLE_UNKNOWN_NAME");
  assert.deepEqual(error!.range.start, { line: 2, column: 10, offset: 24 });
  assert.equal(error!.file, "a.sim");
});

test("what a contract is can be read from the unit", () => {
  const { unit } = compileNeedle(
    'contract A { data { X int "optional"\nY file "image hidden" } settings { k = 5 } action { DBInsert("t", {a: 1}) } }',
    { ecosystem: 3n },
  );
  const contract = unit!.contracts[0]!;
  assert.equal(contract.fullName, "@3A");
  assert.equal(contract.writes, true);
  assert.deepEqual(contract.fields, [
    { name: "X", type: "int", optional: true, tags: ["optional"] },
    { name: "Y", type: "file", optional: false, tags: ["image", "hidden"] },
  ]);
  assert.equal(contract.settings.get("k"), 5n);
  assert.equal(contract.baseFuel, 100 + 50 + 50 + 20);
});

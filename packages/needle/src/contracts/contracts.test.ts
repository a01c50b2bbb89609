/** Contracts: calls of contracts, variables, access, errors with their places, parameters, fuel. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import { Installed, runSource, SYSTEM } from "../testing/run-source.ts";
import { NeedleArray, NeedleMap } from "../values/value.ts";
import { checkParams, paramsFromJson } from "./params.ts";
import {
  evaluateCondition,
  runErrorToStatus,
  runErrorToText,
  runFunction,
} from "./run-contract.ts";

const INNER = `contract Inner {
  data { X int
         Y string "optional" }
  conditions { $z = 1 }
  action { $result = Str($X) + "|" + $Y + "|" + Str($z) }
}`;

function outer(body: string, before = INNER): string {
  const { error, text } = runSource(`${before}\ncontract Main { action { $X = 1; $outer = 9
${body} } }`);
  return error === undefined ? text : `! ${error.message}`;
}

test("contracts call contracts; variables of neither leak", () => {
  assert.equal(outer('$result = Inner("X", 5) + Str($X) + Str($outer)'), "5||119");
  assert.equal(outer('$result = Inner("X,Y", 5, "q")'), "5|q|1");
  assert.equal(outer('Inner("Y", "q")'), "! X is not defined");
  assert.equal(outer('Inner("X,Y", 5)'), "! wrong contract parameters");
  assert.equal(outer("Inner()"), "! X is not defined");
  assert.equal(outer('var m map\nm = {X: 7, Q: 1}\n$result = CallContract("Inner", m)'), "7||1");
  assert.equal(outer('$result = ExecContract("@1Inner", "X,Y", 5, "q")'), "5|q|1");
  assert.equal(outer('$result = @1Inner("X", "any type")'), "any type||1");
  assert.equal(outer('Inner("X", 1)\n$result = $z'), "! unknown extend identifier z");
  assert.equal(outer('var m map\nCallContract("None", m)'), "! unknown contract @1None");
});

test("values under other names become variables, except through CallContract", () => {
  const show = "contract Inner { action { $result = $extra } }";
  assert.equal(outer('$result = Inner("extra", 3)', show), "3");
  assert.equal(
    outer('var m map\nm["extra"] = 3\nCallContract("Inner", m)', show),
    "! unknown extend identifier extra",
  );
});

test("missing optional fields have zero values that can be used", () => {
  const zero = `contract Inner { data { M map "optional"; F file "optional"; A array "optional"; N int "optional" }
action { $M["k"] = 1
$result = [$M, $F, $A, $N] } }`;
  assert.equal(outer("$result = Inner()", zero), "[map[k:1] map[] [] 0]");
});

test("names of ecosystems: Name, @Name, @7Name; $parent, $this_contract, $stack", () => {
  const installed = new Installed();
  const show =
    'contract Show { action { $result = Sprintf("%s/%s/%s/%v", $parent, $this_contract, $original_contract, $stack) } }';
  assert.deepEqual(installed.install(show, 1n), []);
  assert.deepEqual(installed.install(show, 7n), []);
  const main =
    'contract Main { action { var a b c string\na = Show()\nb = @Show()\nc = @1Show()\n$result = a + " " + b + " " + c } }';
  assert.deepEqual(installed.install(main, 7n), []);
  assert.equal(
    installed.run("@7Main").text,
    "Main/Show/Main/[@7Main @7Show] @7Main/Show/Main/[@7Main @1Show] @7Main/Show/Main/[@7Main @1Show]",
  );
});

test("a loop of contracts is refused", () => {
  const installed = new Installed();
  assert.deepEqual(installed.install("contract A { action { B() } }", 1n, true), []);
  assert.deepEqual(installed.install("contract B { action { A() } }", 1n, true), []);
  assert.equal(installed.run("@1A").error?.message, "there is loop in @1A contract");
});

test("system variables", () => {
  const names = [
    ["key_id", "77"],
    ["account_id", "0000-0000-0000-0000-0077"],
    ["ecosystem_id", "1"],
    ["type", "5001"],
    ["time", "1700000000123"],
    ["block", "12"],
    ["block_time", "1700000000"],
    ["block_key_id", "3"],
    ["node_position", "0"],
    ["txcost", "20000000"],
    ["original_contract", "Main"],
    ["this_contract", "Main"],
    ["parent", ""],
    ["stack", "[@1Main]"],
    ["guest_key", "-110277540701013350"],
    ["guest_account", "1833-6466-5330-0853-8266"],
    ["black_hole_key", "0"],
    ["black_hole_account", "0000-0000-0000-0000-0000"],
    ["white_hole_key", "5555"],
    ["white_hole_account", "0000-0000-0000-0000-5555"],
    ["pre_block_data_hash", "09".repeat(32)],
    ["gen_block", "false"],
  ];
  for (const [name, expected] of names) {
    assert.equal(runSource(`contract Main { action { $result = $${name} } }`).text, expected, name);
  }
  const lenient = new Installed({}, "lenient");
  assert.deepEqual(lenient.install("contract Main { action { $result = $time } }"), []);
  assert.equal(lenient.run("@1Main").text, "1700000000");
});

test("conditions run first; a return in them only skips their rest", () => {
  const source = `contract Main { conditions { $a = 1
return
$a = 2 }
action { $result = $a } }`;
  assert.equal(runSource(source).text, "1");
});

test("what conditions call cannot write, even when it was unknown before", () => {
  const installed = new Installed({ DBInsert: () => 1n });
  assert.deepEqual(installed.install("contract Main { conditions { Later() } }", 1n, true), []);
  assert.deepEqual(installed.install('contract Later { action { DBInsert("t", {a: 1}) } }'), []);
  assert.equal(installed.run("@1Later").error, undefined);
  const { error } = installed.run("@1Main");
  assert.equal(error?.message, "DBInsert changes the ledger: conditions cannot call it");
});

test("ContractAccess looks at the contract that acts", () => {
  const installed = new Installed({
    DBInsert: (call) => (call.evaluate('ContractAccess("Allowed", "@2Other")') ? 1n : 0n),
  });
  const insert = '{ action { $result = DBInsert("t", {a: 1}) } }';
  assert.deepEqual(installed.install(`contract Allowed ${insert}\ncontract Refused ${insert}`), []);
  assert.deepEqual(
    installed.install("contract Main { action { $result = Str(Allowed()) + Str(Refused()) } }"),
    [],
  );
  assert.equal(installed.run("@1Main").text, "10");
});

test("ContractConditions runs the conditions of others", () => {
  const installed = new Installed();
  const source = `contract Open { action { } }
contract Passes { conditions { $x = 1 } }
contract Fails { conditions { if $key_id != 5 { error "not five" } } }
contract Main { data { C string } action { $result = CheckCondition($C) } }`;
  assert.deepEqual(installed.install(source), []);
  const check = (text: string) => {
    const { error, text: result } = installed.run("@1Main", { C: text });
    return error === undefined ? result : `! ${error.message}`;
  };
  assert.equal(check('ContractConditions("Passes")'), "true");
  assert.equal(check('ContractConditions("Open", "Fails")'), "true");
  assert.equal(check('ContractConditions("Passes", "Fails")'), "! not five");
  assert.equal(check('ContractConditions("None")'), "! Unknown contract None");
  assert.equal(check('ContractConditions("")'), "! empty contract name in ContractConditions");
  assert.equal(check("$key_id == 77 && true"), "true");
  assert.equal(check('$C == "x"'), "false");
  assert.equal(check(""), "false");
  assert.equal(check("1"), "true");
  assert.equal(check("0"), "false");
  assert.match(check("1 +"), /^! condition 1 \+: unexpected end/);
  assert.match(check('DBInsert("t", m)'), /^! condition/);
});

test("conditions cannot see or set the variables of the contract, only its fields", () => {
  const installed = new Installed();
  const source = `contract Main { data { F int }
action { $mine = 1
$result = CheckCondition("$F == 3")
if CheckCondition("$mine == 1") { $result = "seen" } } }`;
  assert.deepEqual(installed.install(source), []);
  const { error } = installed.run("@1Main", { F: 3n });
  assert.equal(error?.message, "unknown extend identifier mine");
});

test("errors name contract, line and column, and the way there", () => {
  const installed = new Installed();
  const source = `contract Calc {
  data { N int }
  action {
    $result = 10 / $N
  }
}
contract Main {
  action {
    Calc("N", 0)
  }
}`;
  assert.deepEqual(installed.install(source), []);
  const { error, fuelUsed } = installed.run("@1Main");
  assert.deepEqual(
    { ...error, steps: undefined },
    {
      kind: "panic",
      code: "NEEDLE_DIVISION",
      message: "divided by zero",
      id: undefined,
      contract: "@1Calc",
      line: 4,
      column: 18,
      builtin: undefined,
      steps: undefined,
    },
  );
  assert.ok(fuelUsed > 0n);
  assert.equal(runErrorToText(error!), "divided by zero [@1Calc:4:18 @1Main:9:5]");
  assert.deepEqual(runErrorToStatus(error!), {
    type: "panic",
    error: "divided by zero [@1Calc:4 @1Main:9]",
  });
});

test("a built-in that fails is named; a host's coded error keeps its code; bugs pass through", () => {
  const source = 'contract Main { action { DBInsert("t", {a: 1}) } }';
  const failing = (thrown: unknown) => {
    const installed = new Installed({
      DBInsert: () => {
        throw thrown;
      },
    });
    assert.deepEqual(installed.install(source), []);
    return installed.run("@1Main").error;
  };
  const error = failing(new HanseError("STATE_VALUE", "rejected", "column a: no"));
  assert.equal(error?.code, "STATE_VALUE");
  assert.equal(error?.builtin, "DBInsert");
  assert.equal(runErrorToText(error!), "column a: no [DBInsert @1Main:1:26]");
  assert.throws(() => failing(new TypeError("bug")), TypeError);
  assert.throws(() => failing(new HanseError("INVARIANT", "corrupt", "bug")), HanseError);
  const missing = new Installed();
  assert.deepEqual(missing.install(source), []);
  assert.equal(missing.run("@1Main").error?.code, "NEEDLE_UNAVAILABLE");
});

test("error objects are cut to 150 bytes and carry the code of Throw", () => {
  const long = runSource(`contract Main { action { error "${"é".repeat(200)}" } }`).error!;
  assert.deepEqual(runErrorToStatus(long), { type: "error", error: `${"é".repeat(75)}...` });
  const thrown = runSource('contract Main { action { Throw("C1", "text") } }').error!;
  assert.deepEqual(runErrorToStatus(thrown), { type: "exception", error: "text", id: "C1" });
  const percent = runSource('contract Main { action { error "100%d" } }').error!;
  assert.equal(runErrorToStatus(percent).error, "100%d");
});

test("results are texts of at most 255 bytes, and valid UTF-8", () => {
  assert.equal(runSource("contract Main { action { } }").text, "");
  const long = runSource(`contract Main { action { $result = "${"é".repeat(200)}" } }`);
  assert.equal(long.text, `${"é".repeat(127)}...`);
  const broken = runSource('contract Main { action { $result = Substr("é", 0, 1) } }');
  assert.equal(broken.error?.message, "result is not valid utf-8 string");
  assert.equal(
    runSource("contract Main { action { $x = $result } }").error?.message,
    "unknown extend identifier result",
  );
});

test("fuel of code, by the counts of the specification", () => {
  const fuelOf = (body: string) => {
    const base = 100 + 50;
    return Number(runSource(`contract Main { action { ${body} } }`).fuelUsed) - base;
  };
  assert.equal(fuelOf('return "a"'), 2);
  assert.equal(fuelOf('if 1 { return "a" }'), 4);
  assert.equal(
    fuelOf("var x y int\nx, y = 1, 2\nx, y = y, x\nreturn Str(x) + Str(y)"),
    2 + 4 + 4 + 106,
  );
  assert.equal(fuelOf("return $key_id"), 12);
  assert.equal(fuelOf("return {a: 1, b: [1, 2]}"), 2);
  const call = runSource(
    "func f(n int) int { return n }\ncontract Main { action { return f(1) } }",
  );
  assert.equal(Number(call.fuelUsed) - 150, 1 + 1 + 50 + 1 + 2 + 1);
});

test("fuel and memory end what has no end, with codes and places of their own", () => {
  const endless = runSource("contract Main {\n action {\n  while true { } } }", { fuel: 1_000 });
  assert.equal(endless.error?.code, "NEEDLE_FUEL");
  assert.equal(endless.error?.kind, "limit");
  assert.equal(endless.error?.message, "runtime cost limit overflow");
  assert.equal(endless.error?.line, 3);
  assert.equal(endless.fuelUsed, 1_000n);
  const growing = [
    'var s string\ns = "abc"\nwhile true { s = s + s }',
    "var a array\nvar i int\nwhile true { a[i] = [i]\ni = i + 1 }",
    'var m map\nvar i int\nwhile true { m[Str(i)] = "0123456789"\ni = i + 1 }',
    "var a array\nwhile true { a = [a, a] }",
    'var s string\ns = "x"\nwhile true { s = Replace(s, "x", "xxxxxxxxxx") }',
    'var s string\nwhile true { s = s + Sprintf("%10000d", 5) }',
  ];
  for (const body of growing) {
    const { error } = runSource(`contract Main { action { ${body} } }`, {
      memoryBytes: 1_000_000,
    });
    assert.equal(error?.code, "NEEDLE_MEMORY", body);
  }
});

test("what a loop no longer holds does not count against its memory", () => {
  const source = `contract Main { action {
var i int
var s string
while i < 20000 {
  s = "some text " + Str(i)
  i = i + 1
}
$result = s } }`;
  const { error, text } = runSource(source, { memoryBytes: 100_000 });
  assert.equal(error, undefined);
  assert.equal(text, "some text 19999");
});

test("parameters of transactions", () => {
  const installed = new Installed();
  const source = `contract P { data { B bool; I int; A address; F float; M money; S string; Y bytes; L array; O map; D file } action { } }
contract Q { data { B bool "optional"; F file "optional"; N money "optional" } action { } }`;
  assert.deepEqual(installed.install(source), []);
  const contract = installed.contracts.get("@1P")!;
  const good = new Map<string, never>(
    Object.entries({
      B: true,
      I: -5,
      A: 2n ** 62n,
      F: "2.5",
      M: "100",
      S: "s",
      Y: new Uint8Array([1]),
      L: [1, new Map([["k", "v"]])],
      O: new Map([["k", [null]]]),
      D: new Map<string, unknown>([
        ["Name", "n"],
        ["MimeType", "m"],
        ["Body", new Uint8Array(2)],
      ]),
    }) as never,
  );
  const values = checkParams(contract, good);
  assert.equal(values.get("I"), -5n);
  assert.equal(values.get("F"), 2.5);
  assert.ok((values.get("L") as NeedleArray).get(1) instanceof NeedleMap);
  const refuse = (name: string, value: unknown) => {
    const params = new Map<string, unknown>(good);
    if (value === undefined) params.delete(name);
    else params.set(name, value);
    try {
      checkParams(contract, params as never);
    } catch (thrown) {
      return (thrown as HanseError).message.replace("contract '@1P': ", "");
    }
    return undefined;
  };
  assert.equal(refuse("X", 1), "'X' parameter is not required");
  assert.equal(refuse("I", undefined), "Parameter I has not been found");
  assert.equal(refuse("B", 1), "invalid param 'B': invalid bool type");
  assert.equal(refuse("I", "1"), "invalid param 'I': invalid int type");
  assert.equal(refuse("I", 2n ** 63n), "invalid param 'I': invalid int type");
  assert.equal(refuse("F", "x"), "invalid param 'F': invalid float type");
  assert.equal(refuse("M", 5), "invalid param 'M': invalid money type");
  const unit = "inconsistent with the smallest reference unit and its integer multiples";
  assert.equal(refuse("M", "0"), `invalid param 'M': ${unit}`);
  assert.equal(refuse("M", "1.5"), `invalid param 'M': ${unit}`);
  assert.equal(refuse("S", 1), "invalid param 'S': invalid string type");
  assert.equal(refuse("Y", "x"), "invalid param 'Y': invalid bytes type");
  assert.equal(refuse("L", new Map()), "invalid param 'L': invalid array type");
  assert.equal(refuse("O", []), "invalid param 'O': invalid map type");
  assert.equal(refuse("D", 1), "invalid param 'D': invalid file type");
  assert.equal(refuse("D", new Map()), "invalid param 'D': invalid attrs of file");
  const optional = checkParams(installed.contracts.get("@1Q")!, new Map());
  assert.equal(optional.get("B"), false);
  assert.equal((optional.get("F") as NeedleMap).get("Name"), "");
});

test("parameters from JSON take the form of transactions", () => {
  const installed = new Installed();
  const source =
    "contract P { data { I int; F float; M money; Y bytes; L array; D file } action { } }";
  assert.deepEqual(installed.install(source), []);
  const contract = installed.contracts.get("@1P")!;
  const params = paramsFromJson(contract, {
    I: "9007199254740993",
    F: 1.5,
    M: 7,
    Y: "AQI=",
    L: [1, { a: "b" }],
    D: { Name: "n", MimeType: "m", Body: "" },
  });
  assert.equal(params.get("I"), 9007199254740993n);
  assert.equal(params.get("F"), "1.5");
  assert.deepEqual(params.get("Y"), new Uint8Array([1, 2]));
  checkParams(contract, params);
  assert.throws(() => paramsFromJson(contract, { I: 1.5 }), /invalid param 'I'/);
  assert.throws(() => paramsFromJson(contract, { __proto__x: 1 }), /not required/);
  assert.throws(() => paramsFromJson(contract, { Y: "?" }), /invalid param 'Y'/);
});

test("free functions and conditions can be run on their own", () => {
  const installed = new Installed();
  assert.deepEqual(installed.install("func half(n int) int { return n / 2 }"), []);
  const options = { host: installed, system: SYSTEM };
  const half = installed.freeFunctions.get("half")!;
  assert.equal(runFunction(half, [9n], options).value, 4n);
  assert.equal(runFunction(half, ["x"], options).error?.code, "NEEDLE_PARAMETER_TYPE");
  assert.equal(evaluateCondition("half(10) == 5", new Map(), options).value, true);
  const rows = NeedleArray.of([NeedleMap.of([["a", "1"]])]);
  const filter = "Len($data) == 1";
  assert.equal(evaluateCondition(filter, new Map([["data", rows]]), options).value, true);
});

test("functions of other programs are called as they are installed when the call runs", () => {
  const installed = new Installed();
  assert.deepEqual(installed.install("func twice(n int).Add(k int) int { return 2 * n + k }"), []);
  assert.deepEqual(installed.install("contract Main { action { $result = twice(4).Add(1) } }"), []);
  assert.equal(installed.run("@1Main").text, "9");
  assert.deepEqual(installed.install("func twice(n int).Add(k int) int { return 20 * n + k }"), []);
  assert.equal(installed.run("@1Main").text, "81");
});

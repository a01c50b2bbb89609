/** Goal: how calls end, what admission says, what reads give. Method: the engine over memory state. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCbor, type HanseError, utf8 } from "@hanse/protocol";
import { createOverlay } from "@hanse/state";
import { encodeCall } from "../payload/call.ts";
import { ADA, BEN, EngineRig, packApplication, ROOT } from "../testing/engine-rig.ts";

const items = { name: "items", columns: [{ name: "label", type: "varchar", update: "true" }] };

function code(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as HanseError).code;
  }
  return "nothing thrown";
}

test("errors of contracts carry their kind, contract, line and column, and undo everything", () => {
  const rig = new EngineRig();
  const fails = (name: string, statement: string) => `contract ${name} {
    action {
        DBInsert("items", {label: "x"})
        EmitEvent("items.made", {label: "x"})
        ${statement}
    }
}`;
  rig.install({
    tables: [items],
    contracts: [
      fails("Stop", 'error "no " + Str(7)'),
      fails("Warn", 'warning "careful"'),
      fails("Tell", 'info "know"'),
      fails("Crash", "$zero = 0\n        $result = 5 / $zero"),
      fails("Loop", "while true { $x = 1 }"),
      `contract Outer { action { Stop() } }`,
    ],
  });
  const ends = (name: string) => rig.call(ADA, name);
  assert.deepEqual(
    ["Stop", "Warn", "Tell", "Crash"].map((name) => ends(name).code),
    ["CONTRACT_ERROR", "CONTRACT_WARNING", "CONTRACT_INFO", "CONTRACT_PANIC"],
  );
  assert.match(ends("Stop").error, /^no 7 \[@1Stop:5:9\]$/);
  assert.match(ends("Crash").error, /divided by zero \[@1Crash:6:\d+\]/);
  assert.match(ends("Outer").error, /no 7 \[@1Stop:5:9 @1Outer:1:\d+\]/);
  const loop = ends("Loop");
  assert.equal(loop.code, "FUEL_EXHAUSTED");
  assert.equal(loop.fuelUsed, BigInt(rig.params.fuelPerTransactionMax));
  assert.deepEqual(loop.events, []);
  const small = new EngineRig({ contractMemoryBytesMax: 1_000_000 });
  small.install({
    contracts: [
      `contract Grow {
    action {
        var all array
        var i int
        while true {
            all[i] = "0123456789"
            i = i + 1
        }
    }
}`,
    ],
  });
  assert.equal(small.call(ADA, "Grow").code, "MEMORY_EXHAUSTED");
  assert.equal(rig.state.count({ table: "1_items" }), 0);
});

test("admission names what is wrong with a call", () => {
  const rig = new EngineRig();
  rig.install({
    contracts: [
      `contract Pay { data { Amount money; To int; Note string "optional" } action { } }`,
    ],
  });
  rig.check(ADA, "Pay", { Amount: "5", To: 1 });
  rig.check(ADA, "@1Pay", { Amount: 5, To: 1, Note: "x" });
  assert.equal(
    code(() => rig.check(ADA, "Nothing")),
    "NEEDLE_NO_CONTRACT",
  );
  assert.equal(
    code(() => rig.check(ADA, "@2Pay", { Amount: 5, To: 1 })),
    "NEEDLE_NO_CONTRACT",
  );
  assert.equal(
    code(() => rig.check(ADA, "Pay", { Amount: 5 })),
    "NEEDLE_PARAM_MISSING",
  );
  assert.equal(
    code(() => rig.check(ADA, "Pay", { Amount: 0, To: 1 })),
    "NEEDLE_PARAM_INVALID",
  );
  assert.equal(
    code(() => rig.check(ADA, "Pay", { Amount: 1.5, To: 1 })),
    "NEEDLE_PARAM_INVALID",
  );
  assert.equal(
    code(() => rig.check(ADA, "Pay", { Amount: 5, To: "1" })),
    "NEEDLE_PARAM_INVALID",
  );
  const extra = { Amount: 5, To: 1, Extra: 1 };
  assert.equal(
    code(() => rig.check(ADA, "Pay", extra)),
    "NEEDLE_PARAM_UNKNOWN",
  );
});

test("what admission refuses and a block holds nevertheless is an outcome, not a crash", () => {
  const rig = new EngineRig();
  const payloads = [
    utf8("rubbish"),
    encodeCbor(["Pay"]),
    encodeCbor(["", new Map()]),
    encodeCbor(["Pay", new Map(), 1]),
    encodeCbor(["Pay", []]),
    encodeCbor(["Nothing", new Map()]),
    encodeCbor(["app.install", new Map([["package", utf8("x")]])]),
    encodeCbor(["app.other", new Map()]),
  ];
  for (const payload of payloads) {
    const outcome = rig.run(ADA, payload);
    assert.notEqual(outcome.code, "ok");
    assert.ok(outcome.error.length > 10, outcome.error);
  }
});

test("an application with a call of something that is not there is refused with its place", () => {
  const rig = new EngineRig();
  const outcome = rig.call(ROOT, "app.install", {
    package: packApplication({
      contracts: ["contract A {\n    action {\n        Missing()\n    }\n}"],
    }),
  });
  assert.equal(outcome.code, "NEEDLE_COMPILE");
  assert.match(outcome.error, /contracts\/A\.sim.*Missing.*\[Ln:3 Col:9\]/);
  const condition = rig.call(ROOT, "app.install", {
    package: packApplication({
      tables: [
        { ...items, permissions: { insert: "true &&", update: "true", new_column: "true" } },
      ],
    }),
  });
  assert.equal(condition.code, "NEEDLE_CONDITION");
  assert.match(condition.error, /tables\/items\.json: permissions\.insert/);
});

test("contracts of one package call each other in any order; results come back", () => {
  const rig = new EngineRig();
  rig.install({
    contracts: [
      `contract A { action { $result = B("N", 20) + 1 } }`,
      `contract B { data { N int } action { $mine = $N * 2; $result = $mine } }`,
      `contract C { action { $mine = 1; B("N", 3); $result = $mine } }`,
    ],
  });
  assert.equal(rig.call(ADA, "A").result, "41");
  assert.equal(rig.call(ADA, "C").result, "1");
  assert.equal(rig.call(ADA, "B", { N: 4 }).result, "8");
});

test("an upgrade takes effect with the next call, also after reads kept the old one in memory", () => {
  const rig = new EngineRig();
  const source = (answer: number) => `contract Answer { action { $result = ${answer} } }`;
  rig.install({ contracts: [source(41)] });
  assert.equal(rig.call(ADA, "Answer").result, "41");
  assert.equal(rig.query(ADA, "Answer"), 41);
  const upgrade = (version: string, by = ROOT) =>
    rig.call(by, "app.upgrade", { package: packApplication({ version, contracts: [source(42)] }) });
  assert.equal(upgrade("1.1.0", ADA).code, "APP_DENIED");
  assert.equal(rig.call(ADA, "Answer").result, "41");
  const outcome = upgrade("1.1.0");
  assert.equal(outcome.code, "ok", outcome.error);
  assert.equal(JSON.parse(outcome.result).previousVersion, "1.0.0");
  assert.deepEqual(outcome.events, [
    { name: "app.upgraded", data: '{"name":"app","version":"1.1.0"}' },
  ]);
  assert.equal(rig.call(ADA, "Answer").result, "42");
  assert.equal(rig.query(ADA, "Answer"), 42);
});

test("reads run with the caller's rights and cannot write", () => {
  const rig = new EngineRig();
  rig.install({
    tables: [items],
    contracts: [
      `contract Add { data { Label string } action { $result = DBInsert("items", {label: $Label}) } }`,
      `contract Sneak { action { CallContract("Add", $given) } }`,
      `contract Who { action { $result = [$key_id, $account_id] } }`,
      `contract All { data { Limit int "optional" } action { $result = DBFind("items").Limit($Limit) } }`,
    ],
  });
  rig.call(ADA, "Add", { Label: "one" });
  rig.call(ADA, "Add", { Label: "two" });
  assert.deepEqual(rig.query(ADA, "All", { Limit: 1 }), [{ id: "1", label: "one" }]);
  assert.equal(
    code(() => rig.query(ADA, "Add", { Label: "x" })),
    "NEEDLE_NOT_READ_ONLY",
  );
  assert.equal(
    code(() => rig.query(ADA, "Sneak")),
    "NEEDLE_NOT_READ_ONLY",
  );
  assert.equal(rig.state.count({ table: "1_items" }), 2);
  assert.deepEqual(rig.query(undefined, "Who"), [
    "-110277540701013350",
    "1833-6466-5330-0853-8266",
  ]);
  assert.equal(
    code(() => rig.query(ADA, "no.such")),
    "NEEDLE_NO_READ",
  );
  assert.equal(
    code(() => rig.query(ADA, "All", [])),
    "NEEDLE_PARAMS",
  );
});

test("the engine describes tables, contracts and applications", () => {
  const rig = new EngineRig();
  rig.install({
    tables: [items],
    parameters: { fee: "3" },
    contracts: [
      `contract Fee { data { N int "optional" } action { $result = AppParam(0, "fee", 1) } }`,
    ],
  });
  assert.equal(rig.call(ADA, "Fee").result, "3");
  const { applications } = rig.query(ADA, "app.list") as { applications: { name: string }[] };
  assert.deepEqual(
    applications.map(({ name }) => name),
    ["app"],
  );
  const app = rig.query(ADA, "app.show", { name: "app" }) as Record<string, unknown>;
  assert.deepEqual(app.contracts, ["Fee"]);
  assert.deepEqual(app.parameters, { fee: "3" });
  const contract = rig.query(ADA, "contract.show", { name: "Fee" }) as Record<string, unknown>;
  assert.equal(contract.readOnly, true);
  assert.deepEqual(contract.fields, [
    { name: "N", type: "int", optional: true, tags: ["optional"] },
  ]);
  const table = rig.query(ADA, "table.show", { name: "items" }) as { columns: { name: string }[] };
  assert.deepEqual(
    table.columns.map(({ name }) => name),
    ["id", "label"],
  );
  assert.equal(
    code(() => rig.query(BEN, "contract.show", { name: "No" })),
    "NEEDLE_NO_CONTRACT",
  );
});

test("rows to load are declared by a contract or learned from its calls", () => {
  const rig = new EngineRig();
  rig.install({
    tables: [items],
    contracts: [
      `contract Declared { settings { prefetch = "items:A, items:B" } data { A int; B int } action { } }`,
      `contract Learned { data { A int; B int } action { $r = DBFind("items").WhereId($B).Row() } }`,
    ],
  });
  const touches = (name: string) =>
    rig.engine.touches!(rig.transaction(ADA, encodeCall(name, { A: 7, B: 9 })));
  assert.deepEqual(touches("Declared"), []);
  rig.call(ADA, "Declared", { A: 1, B: 2 });
  rig.call(ADA, "Learned", { A: 5, B: 5 });
  assert.deepEqual(touches("Declared"), [
    { table: "1_items", key: 7n },
    { table: "1_items", key: 9n },
  ]);
  rig.call(ADA, "Learned", { A: 1, B: 2 });
  assert.deepEqual(touches("Learned"), [{ table: "1_items", key: 9n }]);
});

test("data cost fuel by what they cost a node, and look-ups of nothing are bounded", () => {
  const rig = new EngineRig();
  rig.install({
    tables: [items],
    contracts: [
      `contract Read { action { $r = DBFind("items").WhereId(5).Row() } }`,
      `contract Search { action { $r = DBFind("items").Where({label: "x"}).Row() } }`,
      `contract Probe { data { N int } action {
        var i int
        while i < $N {
            $x = EcosysParam("no" + Str(i))
            i = i + 1
        }
    } }`,
      `contract Scan { action {
        while true {
            $n = DBCount("items", {label: "x"})
        }
    } }`,
    ],
  });
  assert.ok(rig.call(ADA, "Read").fuelUsed >= 1_000n);
  assert.ok(rig.call(ADA, "Search").fuelUsed >= 10_000n);
  assert.equal(rig.call(ADA, "Probe", { N: 1_000 }).code, "ok");
  const probed = rig.call(ADA, "Probe", { N: 1_001 });
  assert.equal(probed.code, "CONTRACT_PANIC");
  assert.match(probed.error, /more than 1000 contracts, parameters or texts/);
  assert.equal(rig.call(ADA, "Scan").code, "FUEL_EXHAUSTED");
});

test("an application is there for the next call of the same block, a failed one is not", () => {
  const rig = new EngineRig();
  const answer = (number: number, version: string) =>
    packApplication({
      version,
      contracts: [`contract Answer { action { $result = ${number} } }`],
    });
  const steps: readonly (readonly [typeof ADA, Uint8Array])[] = [
    [ROOT, encodeCall("Answer")],
    [ADA, encodeCall("app.install", { package: answer(1, "1.0.0") })],
    [ADA, encodeCall("Answer")],
    [ROOT, encodeCall("app.install", { package: answer(1, "1.0.0") })],
    [ADA, encodeCall("Answer")],
    [ADA, encodeCall("app.upgrade", { package: answer(2, "1.1.0") })],
    [ADA, encodeCall("Answer")],
    [ROOT, encodeCall("app.upgrade", { package: answer(3, "1.1.0") })],
    [ADA, encodeCall("Answer")],
  ];
  rig.begin();
  const state = createOverlay(rig.state, rig.block.height);
  const ends = steps.map(([sender, payload], index) => {
    state.begin(index);
    const transaction = rig.transaction(sender, payload);
    const outcome = rig.engine.apply({ block: rig.block, transaction, index, sender, state });
    return outcome.code === "ok" && outcome.result.length < 5 ? outcome.result : outcome.code;
  });
  assert.deepEqual(ends, [
    "NEEDLE_NO_CONTRACT",
    "APP_DENIED",
    "NEEDLE_NO_CONTRACT",
    "ok",
    "1",
    "APP_DENIED",
    "1",
    "ok",
    "3",
  ]);
  assert.equal(
    code(() => rig.query(ADA, "Answer")),
    "NEEDLE_NO_CONTRACT",
  );
  rig.commit(state.changes());
  assert.equal(rig.query(ADA, "Answer"), 3);
});

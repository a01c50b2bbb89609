/** The built-ins row by row, and what hosts are asked for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FindRequest, HostFunctions, NeedleCall } from "../host/host.ts";
import { evaluated, Installed, runSource } from "../testing/run-source.ts";
import { NeedleArray, NeedleMap } from "../values/value.ts";
import { BUILTINS } from "./table.ts";

function check(rows: readonly (readonly [string, string])[], before = ""): void {
  for (const [expression, expected] of rows) {
    assert.equal(evaluated(expression, before), expected, expression);
  }
}

test("texts, in bytes", () => {
  check([
    ['Size("héllo")', "6"],
    ['Substr("hello", 1, 3)', "ell"],
    ['Substr("hello", 3, 9)', "lo"],
    ['Substr("hello", -1, 3)', ""],
    ['Substr("hello", 1, -3)', ""],
    ['Substr("hello", 6, 1)', ""],
    ['Size(Substr("é", 0, 1))', "1"],
    ['Substr("é", 0, 1) + Substr("é", 1, 1)', "é"],
    ['Substr("é", 0, 1) == "é"', "false"],
    ['Contains("abc", "")', "true"],
    ['Contains("abc", "bc")', "true"],
    ['Contains("é", Substr("é", 1, 1))', "true"],
    ['HasPrefix("abc", "ab")', "true"],
    ['HasPrefix("é", Substr("é", 0, 1))', "true"],
    ['Replace("abab", "b", "cc")', "accacc"],
    ['Replace("ab", "", "-")', "-a-b-"],
    ['Size(Replace("é", Substr("é", 1, 1), ""))', "1"],
    ['Len(Split("", ","))', "1"],
    ['Split("a,b,", ",")', "[a b ]"],
    ['Split("aé", "")', "[a é]"],
    ['Join(["a", 1, nil, 1.5], "-")', "a-1-<nil>-1.5"],
    ['TrimSpace("\\t a b\u00a0\u2003\\n")', "a b"],
    ['ToUpper("straße éя")', "STRAßE ÉЯ"],
    ['ToLower("ÀΣ İ")', "àσ i"],
    ['CheckNumberChars("aZ9")', "true"],
    ['CheckNumberChars("a b")', "false"],
    ['RegexpMatch("abc", "^a.c$")', "true"],
    ['RegexpMatch("é", "\\u00e9")', "true"],
    ['RegexpMatch("a", "(")', "! error parsing regexp: missing closing )"],
    ['BytesToString(StringToBytes("\ufeffa"))', "a"],
    ['HexToBytes("0aFF")', "[10 255]"],
    ['HexToBytes("0")', "! text is not hexadecimal: an even number of digits 0-9, a-f needed"],
    ['EncodeBase64("hello")', "aGVsbG8="],
    ['DecodeBase64("aGVsbG8=")', "hello"],
    ['DecodeBase64("a")', "! text is not base64 with padding"],
  ]);
});

test("containers and JSON", () => {
  check(
    [
      ["Len([1, 2])", "2"],
      ["Len(nil)", "0"],
      ["Len(m)", "! parameter 1 of Len must be an array"],
      ["Append([1], 2)", "[1 2]"],
      ["GetMapKeys(m)", "[b a é]"],
      ["SortedKeys(m)", "[a b é]"],
      ["HasSlice(1, [2, 1])", "true"],
      ['HasSlice("1", [1])', "false"],
      ["HasSlice(m, [m])", "true"],
      ["JSONEncode(m)", '{"b":1,"a":[1,"x",null],"é":{"k":true}}'],
      ['JSONEncode("<&>\\t")', '"<&>\\t"'],
      ["JSONEncode(Money(5))", '"5"'],
      ['JSONEncode(StringToBytes("hi"))', '"aGk="'],
      ['JSONEncodeIndent([1], "  ")', "[\n  1\n]"],
      ['JSONEncodeIndent([1], "")', "[1]"],
      ['JSONDecode("{\\"b\\":1,\\"a\\":2.5}")', "map[a:2.5 b:1]"],
      ['GetType(JSONDecode("[1]"))', "[]interface {}"],
      ['JSONEncode(JSONDecode("[1, 2.50]"))', "[1,2.50]"],
      ['JSONDecode("{\\"a\\": [1, {\\"n\\": 10}]} trailing")', "map[a:[1 map[n:10]]]"],
      ['JSONDecode(`{"k":"\\u00e9\\ud83d\\ude00"}`)', "map[k:é😀]"],
      ['JSONDecode(`"\\ud800"`)', "\ufffd"],
      ['JSONDecode("{")', "! unmarshalling json: unexpected end of JSON input"],
      ['JSONDecode("[01]")', '! unmarshalling json: unexpected "1" at 2'],
      [
        'JSONDecode("{\\"__proto__\\":{\\"x\\":1},\\"constructor\\":2}")',
        "map[__proto__:map[x:1] constructor:2]",
      ],
      ["Int(j[0])", "5"],
      ["j[0] + 1", "! unsupported combination of types in the operator"],
    ],
    'var m map\nvar j array\nm = {b: 1, a: [1, "x", nil], "é": {k: true}}\nj = JSONDecode("[5]")',
  );
});

test("formats", () => {
  check([
    [
      'Sprintf("%d|%5d|%-5d|%05d|%+d|%x|%X|%#x", 5, 5, 5, 5, 5, 255, 255, 255)',
      "5|    5|5    |00005|+5|ff|FF|0xff",
    ],
    ['Sprintf("%s|%10s|%-10s|%.2s", "a", "b", "c", "defg")', "a|         b|c         |de"],
    ['Sprintf("%q %q", "d\\ne", 65)', "\"d\\ne\" 'A'"],
    ['Sprintf("%d", "5")', "%!d(string=5)"],
    ['Sprintf("%d %d", 1)', "1 %!d(MISSING)"],
    ['Sprintf("%d", 5, 6)', "5%!(EXTRA int64=6)"],
    ['Sprintf("%s", nil)', "%!s(<nil>)"],
    ['Sprintf("%v", nil)', "<nil>"],
    ['Sprintf("%.2f|%8.3f|%-8.1f|%+.0f", 3.14159, 2.5, 2.25, 0.5)', "3.14|   2.500|2.2     |+0"],
    [
      'Sprintf("%e|%g|%.3g|%E", 12345.678, 1234567.0, 12345.678, 0.00012)',
      "1.234568e+04|1.234567e+06|1.23e+04|1.200000E-04",
    ],
    ['Sprintf("%f", Float("1e22"))', "10000000000000000000000.000000"],
    ['Sprintf("%.1e", 9.96)', "1.0e+01"],
    ['Sprintf("%t %v", true, [1, "a", 1.5])', "true [1 a 1.5]"],
    ['Sprintf("%x", "hi")', "6869"],
    ['Sprintf("%s", Money("12"))', "12"],
    ['Sprintf("%d%%", 5)', "5%"],
    ['Sprintf("%*d|%-*d|", 5, 1, 4, 2)', "    1|2   |"],
    ['Sprintf("%[2]d %[1]d", 1, 2)', "2 1"],
    ['Sprintf("%T", 1)', "int64"],
    ['Sprintf("%c %U", 65, 8364)', "A U+20AC"],
    ['Sprintf("%d %", 1)', "1 %!(NOVERB)"],
    ['Sprintf("%z", 1)', "%!z(int64=1)"],
  ]);
});

test("numbers", () => {
  check([
    ["Floor(-1.5)", "-2"],
    ['Floor("2.7")', "2"],
    ["Round(2.5)", "3"],
    ["Round(-2.5)", "-3"],
    ['Round("x")', "! incorrect float value"],
    ['Round(Float("1e30"))', "! incorrect float result"],
    ["Sqrt(16)", "4"],
    ["Sqrt(-1)", "! incorrect float result"],
    ["Log(0)", "! incorrect float result"],
    ["Log(1)", "0"],
    ["Log10(1000)", "3"],
    ["Pow(2, 10)", "1024"],
    ["Pow(2, 0.5)", "1.4142135623730951"],
    ["Pow(10, 400)", "! incorrect float result"],
    ["MathMod(-7.5, 2.0)", "-1.5"],
    ["MathMod(7, 2)", "! parameter 1 of MathMod has wrong type int64, expected float"],
    ["MathModDecimal(Money(-7), Money(2))", "-1"],
    ['Div("10", "3")', "3.3333333333333333"],
    ['Div("-2", "3")', "-0.6666666666666667"],
    ['Div("1", "x")', "! divided by zero"],
    ['GreaterThan("10", "9")', "true"],
    ['GreaterThanOrEqual("1.0", "1")', "true"],
    ['LessThan("abc", "0.1")', "true"],
    ['LessThanOrEqual("2", "1")', "false"],
    ['SqrtDecimal("16")', "4"],
    ['SqrtDecimal("2")', "1"],
    ['SqrtDecimal("0")', "0"],
    ['SqrtDecimal("1000000")', "1000"],
    ['FormatMoney("12345", 2)', "123.45"],
    ['FormatMoney("", 2)', "0"],
    ['FormatMoney("1.5", 2)', "! wrong money format"],
    ['FormatMoney("1", -1)', "! digit must be positive"],
    [`FormatMoney("${"1".repeat(31)}", 2)`, "! too long money"],
    ["Random(5, 5)", "! wrong random parameters min: 5, max: 5"],
    ["Random(-1, 5)", "! wrong random parameters min: -1, max: 5"],
  ]);
  const drawn = new Set<string>();
  const draws = runSource(`contract Main { action { var a array
var i int
while i < 60 { a[i] = Random(10, 13)
i = i + 1 }
$result = Join(a, ",") } }`).text;
  for (const one of draws.split(",")) drawn.add(one);
  assert.deepEqual([...drawn].sort(), ["10", "11", "12"]);
});

test("time is UTC and comes from the block", () => {
  check([
    ["BlockTime()", "2023-11-14 22:13:20"],
    ["DateTime(0)", "1970-01-01 00:00:00"],
    ["DateTime(-1)", "1969-12-31 23:59:59"],
    ["DateTime(951782400)", "2000-02-29 00:00:00"],
    ['UnixDateTime("2024-02-29 12:30:01")', "1709209801"],
    ['UnixDateTime("2023-02-29 00:00:00")', "0"],
    ['UnixDateTime("no")', "0"],
    ['DateTimeLocation(0, "Etc/GMT-2")', "1970-01-01 02:00:00"],
    ['UnixDateTimeLocation("1970-01-01 02:00:00", "Etc/GMT-2")', "0"],
    [
      'DateTimeLocation(0, "Mars/Base")',
      "! Load location: no zone Mars/Base; there are UTC and Etc/GMT-14 to Etc/GMT+12",
    ],
    ['UnixDateTimeLocation("x", "UTC")', "! Parse time: x is not YYYY-MM-DD HH:MM:SS"],
    [
      'DateFormat("Mon Jan _2 03:04:05.000 PM 06 Z07:00", 1700000000)',
      "Tue Nov 14 10:13:20.000 PM 23 Z",
    ],
    ['DateFormat("Monday, 2 January 2006 -0700", 0)', "Thursday, 1 January 1970 +0000"],
    ["DateTime(AddDate(1706659200, 0, 1, 0))", "2024-03-02 00:00:00"],
    ["DateTime(AddDate(1706659200, -1, 0, -30))", "2023-01-01 00:00:00"],
    [
      "DateTime(9223372036854775807)",
      "! 9223372036854775807 is too far away for a date: seconds since 1970 expected",
    ],
  ]);
});

test("hashes and account texts", () => {
  check([
    ['Hash("abc")', "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    ['Sha256("abc")', "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    ["Hash(5)", "! Unsupported type int64"],
    // RFC 4231, test case 2.
    [
      'HMac("Jefe", "what do ya want for nothing?", false)',
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ],
    ['Size(HMac("a", "b", true))', "32"],
    ['Len(Split(Str(DoubleHash(StringToBytes("a"))), " "))', "32"],
    ['AddressToId("1833-6466-5330-0853-8266")', "-110277540701013350"],
    ['AddressToId("-110277540701013350")', "-110277540701013350"],
    ['AddressToId("1833-6466-5330-0853-8267")', "0"],
    ['AddressToId("x")', "0"],
    ["IdToAddress(-110277540701013350)", "1833-6466-5330-0853-8266"],
    ["IdToAddress(1)", "invalid"],
  ]);
});

test("conditions that may be stored", () => {
  const allowed = [
    "0",
    "1",
    "true",
    "false",
    'ContractConditions("MainCondition")',
    'ContractAccess("@1A", "B")',
    "RoleAccess(1, 2)",
    'HasRole("clerk")',
  ];
  for (const text of allowed) check([[`Str(nil)`, ""]], `ValidateCondition(\`${text}\`, 1)`);
  check([["1", "! condition $key_id == 5 is not allowed"]], 'ValidateCondition("$key_id == 5", 1)');
  check(
    [["1", "! incorrect parameter of the condition function"]],
    'ValidateCondition(`ContractAccess("a b")`, 1)',
  );
  check(
    [["1", "! incorrect parameter of the condition function"]],
    "ValidateCondition(`RoleAccess(x)`, 1)",
  );
  check([["1", "! the condition is empty"]], 'ValidateCondition("", 1)');
});

test("texts of programs", () => {
  check([['ContractName("func a() { }\\ncontract B { }")', "a"]]);
  check(
    [["1", "1"]],
    'ValidateEditContractNewValue("contract A { }", "contract A { action { } }")',
  );
  check(
    [["1", "! contracts or functions names cannot be changed"]],
    'ValidateEditContractNewValue("contract B { }", "contract A { }")',
  );
  check(
    [["1", "! contract cannot be removed or inserted"]],
    'ValidateEditContractNewValue("contract A { }\\nfunc b() { }", "contract A { }")',
  );
  const source = `contract Kept { settings { rate = 5, name = "x" } }
contract Main { action { $result = Str(Settings("@1Kept", "rate")) + Str(Settings("Kept", "name")) + Str(Settings("@1Kept", "no")) + Str(IsObject("Kept", 1)) + Str(IsObject("None", 1)) } }`;
  assert.equal(runSource(source).text, "5xtruefalse");
});

function withHost(functions: Partial<HostFunctions>, body: string): string {
  const installed = new Installed(functions);
  const errors = installed.install(`contract Main { action { ${body} } }`);
  assert.deepEqual(errors, []);
  const { error, text } = installed.run("@1Main");
  return error === undefined ? text : `! ${error.message}`;
}

test("searches reach the host as they were said", () => {
  const asked: [string, FindRequest][] = [];
  const rows = NeedleArray.of([
    NeedleMap.of([
      ["id", "7"],
      ["name", "n"],
      ["doc", '{"a":{"b":5},"title":"T"}'],
      ["doc.x", "path"],
    ]),
  ]);
  const host: Partial<HostFunctions> = {
    DBFind: (_call: NeedleCall, table, request) => {
      asked.push([table, request]);
      return table === "none" ? NeedleArray.of([]) : rows;
    },
  };
  assert.equal(
    withHost(
      host,
      '$result = DBFind("t").Where({id: 7}).Columns(["id", "name"]).Order({id: "-1"}).Limit(3).Offset(1).One("name")',
    ),
    "n",
  );
  const [table, request] = asked[0]!;
  assert.equal(table, "t");
  assert.equal(request.where!.get("id"), 7n);
  assert.deepEqual((request.columns as NeedleArray).toItems(), ["id", "name"]);
  assert.equal(request.limit, 3n);
  assert.equal(request.offset, 1n);
  assert.equal(request.firstOnly, false);
  assert.equal(withHost(host, '$r = DBFind("t").WhereId(7).Row()\n$result = $r["id"]'), "7");
  assert.equal(
    withHost(host, '$r = DBRow("t").Columns("name").WhereId(7)\n$result = $r["name"]'),
    "n",
  );
  assert.equal(asked[2]![1].limit, 1n);
  assert.equal(withHost(host, '$result = Len(DBFind("t"))'), "1");
  assert.equal(withHost(host, '$result = DBFind("none").One("name")'), "");
  assert.equal(withHost(host, '$r = DBFind("none").Row()\nif !$r { $result = "empty" }'), "empty");
  assert.equal(withHost(host, '$result = DBFind("t").One("doc->title")'), "T");
  assert.equal(withHost(host, '$result = DBFind("t").One("doc->x")'), "path");
  assert.equal(
    withHost(host, '$result = DBFind("t").Limit("5")'),
    "! Limit of a search must be of type int",
  );
  assert.equal(
    withHost(
      host,
      '$x = "t"\n$result = Len(DBFind($x).All(true).Ecosystem(2).Group("a").Select("count(id)"))',
    ),
    "1",
  );
  assert.equal(
    withHost(host, '$result = DBSelect("t", "id", 0, "", 0, 5, {a: 1}, "", "", false)'),
    '[map[id:7 name:n doc:{"a":{"b":5},"title":"T"} doc.x:path]]',
  );
});

test("arguments of built-ins have exact types; nil is an empty text", () => {
  const host: Partial<HostFunctions> = {
    DBInsert: (_call, table, values) => BigInt(`${values.size}${table.length}`),
    EmitEvent: () => undefined,
    LangRes: (_call, id, languages) => `${id}/${languages}`,
    SenderOrganization: () => "org",
    HasRole: (_call, role) => role === "clerk",
    RoleAccess: (_call, roles) => roles.includes(2n),
  };
  assert.equal(withHost(host, '$result = DBInsert("t", {a: 1})'), "11");
  assert.equal(
    withHost(host, '$result = DBInsert("t", [1])'),
    "! parameter 2 of DBInsert has wrong type []interface {}, expected map",
  );
  assert.equal(withHost(host, "$result = DBInsert(nil, {a: 1, b: 2})"), "20");
  assert.equal(withHost(host, 'EmitEvent("e", {a: 1})\n$result = 1'), "1");
  assert.equal(withHost(host, '$result = LangRes("x") + LangRes("y", "de")'), "x/eny/de");
  assert.equal(
    withHost(
      host,
      '$result = SenderOrganization() + Str(HasRole("clerk")) + Str(RoleAccess(1, 2))',
    ),
    "orgtruetrue",
  );
});

test("functions of system contracts only work from there", () => {
  const made: string[] = [];
  const installed = new Installed({ CreateTable: (_call, name) => void made.push(name) });
  const body = '{ action { CreateTable("t", "[]", "{}", 1) } }';
  assert.deepEqual(installed.install(`contract NewTable ${body}\ncontract Mine ${body}`), []);
  assert.equal(installed.run("@1NewTable").error, undefined);
  assert.deepEqual(made, ["t"]);
  assert.match(
    installed.run("@1Mine").error!.message,
    /^CreateTable can only be called with condition: ContractAccess\("@1NewTable"/,
  );
});

test("every built-in is described once and priced", () => {
  for (const [name, one] of BUILTINS) {
    assert.equal(one.name, name);
    assert.ok(one.fuel > 0 && one.doc.endsWith("."), name);
    assert.ok(one.parameters.length >= one.optional, name);
  }
});

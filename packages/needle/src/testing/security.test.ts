/** What hostile programs try. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { NeedleArray } from "../values/value.ts";
import { runSource } from "./run-source.ts";

function codeOf(body: string, memoryBytes = 2_000_000, fuel = 2_000_000): string | undefined {
  const source = `contract Main { action { ${body} } }`;
  return runSource(source, { memoryBytes, fuel }).error?.code;
}

test("names of JavaScript's own objects are ordinary keys", () => {
  const body = `var m map
m["__proto__"] = 1
m["constructor"] = 2
m["toString"] = 3
$result = Str(m) + Str(m["hasOwnProperty"]) + Str(m["valueOf"])
$r = JSONDecode(JSONEncode(m))
$result = $result + Str($r)`;
  const { text } = runSource(`contract Main { action { ${body} } }`);
  assert.equal(
    text,
    "map[__proto__:1 constructor:2 toString:3]map[__proto__:1 constructor:2 toString:3]",
  );
  assert.equal(({} as { x?: unknown }).x, undefined);
  for (const name of ["constructor", "toString", "__proto__"]) {
    const { error } = runSource(`contract Main { action { $result = $${name} } }`);
    assert.equal(error?.code, "NEEDLE_UNKNOWN_VARIABLE");
    assert.throws(() => runSource(`contract Main { action { ${name}() } }`), /identifier/);
  }
});

test("lists that hold each other end when they are shown, encoded or compared", () => {
  const loop = "var a b array\na = [1]\nb = [1]\na[0] = b\nb[0] = a\n";
  for (const use of [
    "$result = Str(a)",
    "$result = JSONEncode(a)",
    'x = Sprintf("%v", a)',
    'x = Sprintf("%d", a)',
    'x = Join(a, ",")',
    "$result = a",
    "error a",
  ]) {
    assert.equal(codeOf(`var x string\n${loop}${use}`), "NEEDLE_VALUE_DEPTH", use);
  }
  const twin = `${loop}var c d array\nc = [1]\nd = [1]\nc[0] = d\nd[0] = c\n`;
  assert.equal(codeOf(`${twin}$result = HasSlice(a, [c])`), "NEEDLE_VALUE_DEPTH");
});

test("values that double at every level end at fuel or memory", () => {
  const double = "var a array\nvar i int\na = [1]\nwhile i < 60 { a = [a, a]\ni = i + 1 }\n";
  for (const use of [
    "Str(a)",
    "JSONEncode(a)",
    'Sprintf("%v", a)',
    'Sprintf("%d", a)',
    'Join(a, ",")',
  ]) {
    const code = codeOf(`${double}$result = ${use}`);
    assert.ok(code === "NEEDLE_FUEL" || code === "NEEDLE_MEMORY", `${use}: ${code}`);
  }
});

test("big texts are accounted before they are made", () => {
  const big = 'var s string\ns = "0123456789"\nvar i int\nwhile i < 13 { s = s + s\ni = i + 1 }\n';
  const cases = [
    'Replace(s, "0", s)',
    'Replace(s, "", s)',
    "Join([s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s], s)",
    'Sprintf("%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s", s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s)',
    'Len(Split(s, ""))',
    "JSONEncodeIndent([[[[1]]]], s)",
  ];
  for (const one of cases) assert.equal(codeOf(`${big}$result = ${one}`), "NEEDLE_MEMORY", one);
  assert.equal(codeOf('$result = Sprintf("%9999999999d|%.9999999d", 1, 1)'), undefined);
});

test("JSON nested without end is refused", () => {
  const deep = `var s string
var i int
s = "["
while i < 16 { s = s + s
i = i + 1 }
$result = JSONDecode(s)`;
  assert.equal(codeOf(deep), "NEEDLE_VALUE_DEPTH");
});

test("money cannot grow without end", () => {
  const body = "var m money\nvar i int\nm = 10\nwhile i < 64 { m = m * m\ni = i + 1 }";
  assert.equal(codeOf(body), "NEEDLE_MONEY_DIGITS");
});

test("patterns that explode elsewhere do not here", () => {
  const text = `s = "a"\nwhile i < 12 { s = s + s\ni = i + 1 }\n`;
  const run = (pattern: string) =>
    codeOf(
      `var s string\nvar i int\n${text}$result = RegexpMatch(s, \`${pattern}\`)`,
      2e6,
      20_000_000,
    );
  const start = performance.now();
  assert.equal(run("(a|aa)+$x"), undefined);
  assert.equal(run("(a*)*b"), undefined);
  assert.equal(run("((a{1,50}){1,50}){1,50}"), "NEEDLE_PATTERN");
  assert.equal(run("((((){1000}){1000}){1000}){1000}"), "NEEDLE_PATTERN");
  assert.ok(performance.now() - start < 20_000);
});

test("what a limit of fuel allows takes a bounded time", () => {
  const bodies = [
    "while true { }",
    "var i int\nwhile true { i = i + 1 }",
    'var s string\nwhile true { s = ToUpper("some text of some length, to be changed") }',
    "var a array\na = [1,2,3]\nwhile true { $x = JSONDecode(JSONEncode(a)) }",
    "while true { $x = Pow(1.5, 2.5) }",
    'while true { $x = Hash("text") }',
    "while true { $x = Random(1, 100) }",
    'while true { $x = RegexpMatch("aaaaaaaaaaaaaaaaaaaaaaaa", "(a|b)*c") }',
    'while true { $x = Sprintf("%.3f %e %v", 1.5, 2.5, [1, 2]) }',
    'while true { $x = DateFormat("2006-01-02 15:04:05 Monday January", 1700000000) }',
    'while true { $x = SqrtDecimal("2000000000000000000000000000") }',
  ];
  for (const body of bodies) {
    // Processor time: neighbours on the machine do not count.
    const start = process.cpuUsage();
    const code = codeOf(body, 100_000_000, 1_000_000);
    const used = process.cpuUsage(start);
    const milliseconds = (used.user + used.system) / 1_000;
    assert.equal(code, "NEEDLE_FUEL", body);
    // About 20 to 100 ns for one unit of fuel; ten times as much is a price that is wrong.
    assert.ok(milliseconds < 1_000, `${body}: ${milliseconds} ms`);
  }
});

test("lists out of which longer ones grew count with all they hold", () => {
  const body = `var list x y array
var i int
while true { x = [0]
y = x
y[50000] = 1
list[i] = x
i = i + 1 }`;
  assert.equal(codeOf(body, 20_000_000, 20_000_000), "NEEDLE_MEMORY");
});

test("parts of long texts do not hold the whole", () => {
  const body = `var list parts array
var s string
var i j int
while i < 30 { s = Str(i) + "0123456789"
  j = 0
  while j < 19 { s = s + s
    j = j + 1 }
  parts = Split(s + ",x,0123456789012345", ",")
  list[i] = parts[2]
  i = i + 1 }
parts = []
s = ""
$result = list`;
  const source = `contract Main { action { ${body} } }`;
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  const before = process.memoryUsage().heapUsed;
  const { error, value } = runSource(source, { memoryBytes: 100_000_000, fuel: 100_000_000 });
  assert.equal(error, undefined);
  collect();
  const held = process.memoryUsage().heapUsed - before;
  assert.equal((value as NeedleArray).length, 30);
  // The 30 texts they were cut from have 6 MB each.
  assert.ok(held < 20_000_000, `${held} bytes`);
});

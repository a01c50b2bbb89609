/** Statements, types of variables, functions: what programs do when they run. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Installed, runSource } from "../testing/run-source.ts";

/** Result of a body of `action`, after declarations. */
function run(body: string, declarations = ""): string {
  const { error, text } = runSource(`${declarations}\ncontract Main { action {\n${body}\n} }`);
  return error === undefined ? text : `! ${error.message}`;
}

test("variables begin with the zero of their type, in every turn of a loop", () => {
  const body = `var a bool, b bytes, c int, d float, e money, f string, g array, h map, i address, j file
$result = [a, b, c, d, e, f, g, h, i, j]`;
  assert.equal(run(body), "[false [] 0 0 0  [] map[] 0 map[]]");
  const loop = `var i int\nvar out array
while i < 3 { var x int, m map
  x = x + 1
  m[Str(i)] = x
  out[i] = m
  i = i + 1 }
$result = out`;
  assert.equal(run(loop), "[map[0:1] map[1:1] map[2:1]]");
});

test("assignment: several targets, swap, surplus values, results of a call", () => {
  assert.equal(run("var x y int\nx, y = 1, 2\nx, y = y, x\n$result = Str(x) + Str(y)"), "21");
  assert.equal(run("var x int\nx, $b = 1, 2\n$result = x + $b"), "3");
  assert.equal(run("var x y int\nx, y = 1, 2, 3\n$result = Str(x) + Str(y)"), "23");
  const two = 'func two() int, string { return 1, "b" }';
  assert.equal(run("var x int, y string\nx, y = two()\n$result = Str(x) + y", two), "1b");
  assert.equal(run("$result = two()", two), "b");
  assert.equal(run("var x y int\nx, y = 1"), "! stack is empty: 2 variables but 1 values");
});

test("strict types of local variables", () => {
  const mismatch = (name: string, value: string, declared: string) =>
    `! variable '${name}' (type ${value}) cannot be represented by the type ${declared}`;
  assert.equal(run('var i int\ni = "1"'), mismatch("i", "string", "int64"));
  assert.equal(run("var f float\nf = 1"), mismatch("f", "int64", "float64"));
  assert.equal(run("var m map\nm = []"), mismatch("m", "[]interface {}", "*types.Map"));
  assert.equal(run("var s string\ns = true"), mismatch("s", "bool", "string"));
  assert.equal(run("var i int\ni = nil\n$result = Str(i)"), "");
  assert.equal(run('var m money\nm = "12.9"\n$result = m'), "12");
  assert.equal(run("var a address\na = 5\n$result = a"), "5");
});

test("types of $ variables", () => {
  assert.equal(
    run('$q = 1\n$q = "a"'),
    "! $q (type string) cannot be represented by the type int64",
  );
  assert.equal(run("$q = 1\n$q = nil"), "! $q (type nil) cannot be represented by the type int64");
});

test("a $ variable that holds nil takes any type", () => {
  assert.equal(run('var m map\n$q = m["x"]\n$q = "a"\n$result = $q'), "a");
  assert.equal(run("$result = $never"), "! unknown extend identifier never");
  assert.equal(
    run("var m map\n$q = []\n$q = m"),
    "! $q (type *types.Map) cannot be represented by the type []interface {}",
  );
});

test("lenient programs may change types", () => {
  const installed = new Installed({}, "lenient");
  const source = `func f() int { return "x" }
contract Main { action { var i int, m money
  i = "1"
  $q = 1
  $q = "a"
  m = 5
  $result = i + $q + f() + GetType(m) } }`;
  assert.deepEqual(installed.install(source), []);
  assert.equal(installed.run("@1Main").text, "1axdecimal.Decimal");
});

test("elements", () => {
  assert.equal(run("var a array\na[2] = 1\n$result = a"), "[<nil> <nil> 1]");
  assert.equal(run("var a array\na[1000001] = 1"), "! the index is out of range");
  assert.equal(run("var a array\na[-1] = 1"), "! slice index out of range: -1 is negative");
  assert.equal(run('var a array\na["x"] = 1'), "! index of array cannot be type string");
  assert.equal(run("var m map\nm[1] = 1"), "! index of map cannot be type int64");
  assert.equal(run('var m map\nm["m"] = m'), "! self assignment");
  assert.equal(run("var a array\na[0] = a"), "! self assignment");
  assert.equal(
    run("var a array\n$result = a[0]"),
    "! slice index out of range: 0 in an array of 0",
  );
  assert.equal(run('var m map\n$result = GetType(m["x"])'), "string");
  assert.equal(run('var s string\n$result = s["x"]'), "! Type string doesn't support indexing");
  assert.equal(run('var m map\nm["b"] = 1\nm["a"] = 2\nm["b"] = 3\n$result = m'), "map[b:3 a:2]");
});

test("lists are shared until one of them grows", () => {
  assert.equal(run("var a b array\na = [1, 2]\nb = a\nb[0] = 9\n$result = a"), "[9 2]");
  const grown = "var a b array\na = [1, 2]\nb = a\nb[2] = 3\n";
  assert.equal(run(`${grown}b[0] = 9\n$result = [a, b]`), "[[1 2] [9 2 3]]");
  assert.equal(run(`${grown}a[0] = 9\n$result = [a, b]`), "[[9 2] [1 2 3]]");
  assert.equal(run(`${grown}a[2] = 7\n$result = [a, b]`), "[[1 2 7] [1 2 3]]");
  assert.equal(run('var a b map\na = {x: 1}\nb = a\nb["y"] = 2\n$result = a'), "map[x:1 y:2]");
});

test("if, elif, else, while, break, continue, return", () => {
  const pick = `func pick(n int) string {
  if n == 1 { return "one" }
  elif n == 2
  { return "two" }

  else { return "many" }
}`;
  assert.equal(run("$result = pick(1) + pick(2) + pick(3)", pick), "onetwomany");
  const loop = `var i s int
while true {
  i = i + 1
  if i == 3 { continue }
  if i > 5 { break }
  s = s + i
}
$result = s`;
  assert.equal(run(loop), "12");
  assert.equal(run("$result = 1\nbreak\n$result = 2"), "1");
  assert.equal(run("$result = 1\nreturn\n$result = 2"), "1");
});

test("error, warning, info end the run", () => {
  for (const level of ["error", "warning", "info"]) {
    const { error } = runSource(`contract Main { action { ${level} "a" + "b" } }`);
    assert.equal(error?.kind, level);
    assert.equal(error?.message, "ab");
  }
  assert.equal(run("error [1, 2]"), "! [1 2]");
});

test("results of functions", () => {
  const mismatch =
    "! function 'f' return index[0] (type string) cannot be represented by the type int64";
  assert.equal(run("$result = f()", 'func f() int { return "a" }'), mismatch);
  assert.equal(run("$result = Str(f())", "func f() int { return nil }"), "");
  assert.equal(
    run("$result = f()", "func f() int, int { return 1 }"),
    "! func 'f' not enough arguments to return, need [int64]",
  );
  assert.equal(
    run("$result = f()", "func f() int { }"),
    "! stack is empty: function 'f' has returned no value",
  );
  assert.equal(run("f()\n$result = 1", "func f() int { }"), "1");
});

test("arguments of functions", () => {
  const f = "func f(a int, b string) string { return Str(a) + b }";
  assert.equal(run('$result = f(2.9, "x")', f), "2x");
  assert.equal(
    run('$result = f("2", "x")', f),
    "! parameter 1 has wrong type (string, expected int64)",
  );
  assert.equal(
    run("$result = f(1, 2)", f),
    "! parameter 2 has wrong type (int64, expected string)",
  );
  assert.equal(run('$result = f(7, 8, 1, "x")', f), "1x");
  assert.equal(run('$result = GetType(g("text"))', "func g(m map) string { return m }"), "string");
  assert.equal(run('Len("x")'), "! parameter 1 of Len must be an array");
});

test("variadic functions, spread arguments", () => {
  const sum = `func sum(first int, rest ...) int {
  var i total int
  total = first
  while i < Len(rest) { total = total + Int(rest[i])
    i = i + 1 }
  return total
}`;
  assert.equal(run("$result = sum(4)", sum), "4");
  assert.equal(run("$result = sum(1, 5, 6)", sum), "12");
  assert.equal(run("$x = [2, 3]\n$result = sum(1, $x...)", sum), "6");
  assert.equal(run("$x = 5\n$result = sum(1, $x...)", sum), "! ... needs an array, not int64");
  assert.equal(
    run("$x = [1, 2]\n$result = count($x)", "func count(all ...) int { return Len(all) }"),
    "1",
  );
  assert.equal(run('$x = ["a", "b"]\n$result = Sprintf("%s-%s", $x...)'), "a-b");
});

test("tails in any order, pipes", () => {
  const box = `func box(n int).Add(k int).Names(list ...) string {
  return Sprintf("%d/%d/%v", n, k, list)
}
func g(s string, n int) string { return s + Str(n) }`;
  assert.equal(run("$result = box(1)", box), "1/0/[]");
  assert.equal(run("$result = box(1).Add(2)", box), "1/2/[]");
  assert.equal(run('$result = box(1).Names("x", "y").Add(9)', box), "1/9/[x y]");
  assert.equal(run("$result = box(1).Add([7])", box), "1/[7]/[]");
  assert.equal(run("$result = box(1).Add(2).g(5)", box), "1/2/[]5");
  assert.equal(run("$result = box(1).g(5).g(6)", box), "1/0/[]56");
  assert.equal(run("$result = box(1).Size()", box), "6");
});

test("nested functions see the variables around them while these live", () => {
  const body = `var n int
n = 5
func add(k int) int {
  func twice() int { return 2 * (n + k) }
  n = n + 1
  return twice()
}
$result = Str(add(10)) + " " + Str(add(10)) + " " + Str(n)`;
  assert.equal(run(body), "32 34 7");
});

test("recursion ends at its depth", () => {
  const f = "func f(n int) int { if n == 0 { return 0 }\nreturn 1 + f(n - 1) }";
  assert.equal(run("$result = f(800)", f), "800");
  const { error } = runSource(`${f}\ncontract Main { action { f(-1) } }`);
  assert.equal(error?.code, "NEEDLE_CALL_DEPTH");
  assert.equal(error?.message, "max call depth");
});

test("a variable in the body of a contract does not exist when the contract runs", () => {
  const { error } = runSource("contract Main { var x int\naction { $result = x } }");
  assert.match(error!.message, /^wrong var x/);
});

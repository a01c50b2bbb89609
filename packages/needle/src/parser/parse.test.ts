/** Grammar of spec/needle.md: what is read how, and what is refused with which words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileError, evaluated, runSource } from "../testing/run-source.ts";
import type { ContractDeclaration, Expression, FunctionDeclaration } from "./ast.ts";
import { parseNeedle, parseNeedleExpression } from "./parse.ts";

/** Told where an expression stands inside a literal. */
const ASSIGN =
  ": calls, operators and indexes cannot stand in a map or array, assign the value to a variable first";

/** An expression with all its parentheses. */
function shape(node: Expression): string {
  switch (node.kind) {
    case "literal":
      return typeof node.value === "string" ? JSON.stringify(node.value) : String(node.value);
    case "name":
      return node.name;
    case "extern":
      return `$${node.name}`;
    case "index":
      return `${shape(node.container)}[${shape(node.index)}]`;
    case "unary":
      return `(${node.operator}${shape(node.operand)})`;
    case "binary":
      return `(${shape(node.left)}${node.operator}${shape(node.right)})`;
    case "map":
      return `{${node.items.map(({ key, value }) => `${key}:${shape(value)}`).join(",")}}`;
    case "array":
      return `[${node.items.map(shape).join(",")}]`;
    case "sequence":
      return node.items.map(shape).join(" ; ");
    case "call": {
      const args = (values: readonly Expression[], spread: boolean) =>
        `(${values.map(shape).join(",")}${spread ? "..." : ""})`;
      const chain = node.chain.map(
        (link) => `.${link.name.text}${args(link.arguments.values, link.arguments.spread)}`,
      );
      return `${shape(node.callee)}${args(node.arguments.values, node.arguments.spread)}${chain.join("")}`;
    }
  }
}

const SHAPES: readonly (readonly [string, string])[] = [
  ["1+2*3", "(1+(2*3))"],
  ["1*2+3", "((1*2)+3)"],
  ["1-2-3", "((1-2)-3)"],
  ["8/4/2", "((8/4)/2)"],
  ["a || b && c", "(a||(b&&c))"],
  ["a && b == c", "(a&&(b==c))"],
  ["a == b < c", "(a==(b<c))"],
  ["a < b + c", "(a<(b+c))"],
  ["-a * b", "((-a)*b)"],
  ["a - -b", "(a-(-b))"],
  ["!a == b", "((!a)==b)"],
  ["!-!a", "(!(-(!a)))"],
  ["(1+2)*3", "((1+2)*3)"],
  ["m[a+1] - 1", "(m[(a+1)]-1)"],
  ['$m["k"]', '$m["k"]'],
  ["f(1, g(2))", "f(1,g(2))"],
  ["f(1, x...)", "f(1,x...)"],
  ["f(1,)", "f(1)"],
  ["f(1).T(2).U()", "f(1).T(2).U()"],
  ['@1Inner("A", 1)', '@1Inner("A",1)'],
  [
    '{a: 1, "b": [x, $y], $k: nil, data: true, map: {z: 1,},}',
    "{a:1,b:[x,$y],$k:null,data:true,map:{z:1}}",
  ],
  ["[]", "[]"],
  ['[1, a: 2, "b": x]', "[1,{a:2},{b:x}]"],
  ["{\n a\n:\n1\n,\n}", "{a:1}"],
  ["f(\n1\n+\n2\n)", "f((1+2))"],
  ["(1\n+ 2)", "(1+2)"],
  ["1 +\n2", "(1+2)"],
  ["1 2 3", "1 ; 2 ; 3"],
  ["x = 5", "x ; 5"],
  ["# 1", "1"],
];

test("expressions group as the table of operators says", () => {
  for (const [source, expected] of SHAPES) {
    const { expression, diagnostics } = parseNeedleExpression(source);
    assert.ok(expression, `${source}: ${diagnostics[0]?.message}`);
    assert.equal(shape(expression), expected, source);
  }
});

test("the last of adjacent operands counts", () => {
  assert.equal(evaluated("1 2 3"), "3");
  assert.equal(
    runSource('contract Main { action { var x int; if x = 5 { $result = "t" } } }').text,
    "t",
  );
});

const REFUSED: readonly (readonly [string, string])[] = [
  ["var a int", "unknown command keyword 'var'"],
  ["contract A {", "must be '}' (end of text)"],
  ["contract { }", "must be the name punctuation '{'"],
  ["contract A ( )", "must be '{' punctuation '('"],
  ["func f(a) { }", "must be type punctuation ')'"],
  ["func f(a 5) { }", "wrong parameters int '5'"],
  ["func f(a ..., b ...) { }", "... parameter must be one"],
  ["func f(a ...).5() { }", "must be '{' float '.5'"],
  ["func f(a ...).if() { }", "must be the name of the tail keyword 'if'"],
  ["func f() x { }", "must be type name 'x'"],
  ["func f() { { } }", "must be '}' or a statement, not punctuation '{'"],
  ["func f() { if { } }", "there is not eval expression"],
  ["func f() { while { } }", "there is not eval expression"],
  ["func f() { else { } }", "there is not if before else"],
  ["func f() { elif 1 { } }", "there is not if before elif"],
  ["func f() { if 1 { } else if 1 { } }", "must be '{' keyword 'if'"],
  ["func f() { var }", "wrong variables punctuation '}'"],
  ["func f() { var int }", "wrong variables type 'int'"],
  ["func f() { var a }", "must be type punctuation '}'"],
  ["func f() { var _a int }", "identifier expected, got name '_a'"],
  ["func f() { var é int }", "identifier expected, got name 'é'"],
  ["func f() { a b }", "must be '=' name 'b'"],
  ["func f() { error }", "unexpected end of the expression punctuation '}'"],
  ["func f() { x = 1 + }", "unexpected end of the expression punctuation '}'"],
  ["func f() { x = * 1 }", "unexpected operator; expecting operand operator '*'"],
  ["func f() { x = (1 }", "there is not pair: must be ')' punctuation '}'"],
  ["func f() { x = a[0][1] }", "multi-index is not supported: assign to a variable first"],
  ["func f() { a[0][1] = 1 }", "multi-index is not supported: assign to a variable first"],
  [
    "func f() { x = g()[0] }",
    "the result of a call cannot be indexed: assign it to a variable first",
  ],
  ["func f() { x = {} }", "unexpected lexeme; expecting string key, not punctuation '}'"],
  ["func f() { x = {a: 1+2} }", `unexpected lexeme; expecting comma, not operator '+'${ASSIGN}`],
  ["func f() { x = {a: g()} }", `unexpected lexeme; expecting comma, not punctuation '('${ASSIGN}`],
  ["func f() { x = {a: -1} }", `unexpected lexeme; expecting a value, not operator '-'${ASSIGN}`],
  ["func f() { x = [a[1]] }", `unexpected lexeme; expecting comma, not punctuation '['${ASSIGN}`],
  ["func f() { x = [1,] }", "unexpected lexeme; expecting a value, not punctuation ']'"],
  ["func f() { x = {a 1} }", "unexpected lexeme; expecting colon, not int '1'"],
  ["func f() { x = [1, 2", "unclosed array initialization"],
  ["func f() { x = {a: 1", "unclosed map initialization"],
  ["func f() { data { } }", "data can only be in contract"],
  ["func f() { settings { } }", "settings can only be in contract"],
  ["contract A { data { a b int } }", "expecting type of the data field"],
  ["contract A { data { int } }", "expecting name of the data field"],
  ['contract A { data { "t" } }', "unexpected tag"],
  ["contract A { settings { a 1 } }", "must be '=' int '1'"],
  ["contract A { settings { a = -1 } }", "must be number or string operator '-'"],
  ["func f() { g(x..., 1) }", "... parameter must be the last one"],
];

test("broken texts are refused with what was expected", () => {
  for (const [source, expected] of REFUSED) {
    const first = parseNeedle(source).diagnostics.find((one) => one.severity === "error");
    assert.equal(first?.message, expected, source);
  }
});

test("contracts: data, settings, functions", () => {
  const { program, diagnostics } = parseNeedle(`
contract A {
  data { A, B int "optional hidden"
         C string; D money }
  settings { x = 1, y = "s"
    z = true; n = nil f = 1.5 }
  func help(a, b int, c string, rest ...).Tail(d map) int string { }
  conditions { }
  func action { }
}`);
  assert.deepEqual(diagnostics, []);
  const contract = program.items[0] as ContractDeclaration;
  assert.deepEqual(
    contract.data.map(({ name, type, tag }) => [name.text, type, tag]),
    [
      ["A", "int", "optional hidden"],
      ["B", "int", "optional hidden"],
      ["C", "string", ""],
      ["D", "money", ""],
    ],
  );
  assert.deepEqual(
    contract.settings.map(({ name, value }) => [name.text, value]),
    [
      ["x", 1n],
      ["y", "s"],
      ["z", true],
      ["n", null],
      ["f", 1.5],
    ],
  );
  const [help, conditions, action] = contract.body.statements as FunctionDeclaration[];
  assert.deepEqual(
    help!.parameters.map(({ name, type }) => `${name.text} ${type}`),
    ["a int", "b int", "c string", "rest ..."],
  );
  assert.equal(help!.tails[0]!.name.text, "Tail");
  assert.deepEqual(help!.results, ["int", "string"]);
  assert.equal(conditions!.name.text, "conditions");
  assert.equal(action!.name.text, "action");
});

test("types of var groups", () => {
  const { program } = parseNeedle("func f() { var a, b int c string\nvar d e int, g map }");
  const [first, second] = (program.items[0] as FunctionDeclaration).body.statements;
  const types = (node: typeof first) =>
    node?.kind === "var" ? node.variables.map(({ name, type }) => `${name.text} ${type}`) : [];
  assert.deepEqual(types(first), ["a int", "b int", "c string"]);
  assert.deepEqual(types(second), ["d int", "e int", "g map"]);
});

test("an expression ends with its line unless an operator, comma or bracket is open", () => {
  assert.equal(
    compileError("func f() { var a int\na = 1\n+ 2 }"),
    "must be '}' or a statement, not operator '+'",
  );
  assert.equal(
    runSource("contract Main { action { var a int\na = 1 +\n2\n$result = a } }").text,
    "3",
  );
  assert.equal(
    runSource("contract Main { action { var a, b int\na,\nb = 1,\n2\n$result = a + b } }").text,
    "3",
  );
});

test("several broken statements are all reported, and what stands between is read", () => {
  const { program, diagnostics } = parseNeedle(`
func a() { x = + }
contract B {
  action {
    var y
    z = 1
    if { q = 2 }
    w = [1,,2]
  }
}
func c() int { return 1 }`);
  const lines = diagnostics.map(({ range }) => range.start.line);
  assert.deepEqual(lines, [2, 5, 7, 8]);
  assert.deepEqual(
    program.items.map((item) => item.name.text),
    ["a", "B", "c"],
  );
});

test("nesting is bounded", () => {
  const cases = [
    `func f() { x = ${"(".repeat(10_000)}1 }`,
    `func f() { x = ${"[".repeat(10_000)} }`,
    `func f() { ${"if 1 {".repeat(10_000)} }`,
    `func f() { x = ${"!".repeat(10_000)}1 }`,
    `func f() { x = 1${"+1".repeat(10_000)} }`,
    `func f() { x = g(1)${".h(1)".repeat(10_000)} }`,
    `func f() { ${"func g() {".repeat(10_000)} }`,
    `func f() { x = ${"f(".repeat(10_000)} }`,
    `func f() { x = ${"a[".repeat(10_000)} }`,
  ];
  for (const source of cases) {
    const { diagnostics } = parseNeedle(source);
    assert.ok(
      diagnostics.some((one) => one.code === "NEEDLE_NESTING"),
      source.slice(0, 30),
    );
  }
});

test("a chain may go on at the start of the next line", () => {
  const source = `func g(n int).T(a int) int { return n + a }
contract Main { action { $result = g(1)
    .T(2) } }`;
  assert.equal(runSource(source).text, "3");
});

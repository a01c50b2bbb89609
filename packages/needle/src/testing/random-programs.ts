/** For property tests: programs by the grammar, with names and types that fit now and then. */
import fc from "fast-check";

const name = fc.constantFrom("a", "b", "c", "m", "list", "s");
const extern = fc.constantFrom("$x", "$y", "$key_id", "$stack", "$result", "$F");
const literal = fc.oneof(
  fc.integer({ min: 0, max: 99 }).map(String),
  fc.constantFrom(
    "1.5",
    "true",
    "false",
    "nil",
    '""',
    '"text"',
    '"é12"',
    "`raw`",
    "9223372036854775807",
  ),
);
const builtinName = fc.constantFrom(
  "Int",
  "Str",
  "Float",
  "Money",
  "Len",
  "Size",
  "JSONEncode",
  "JSONDecode",
  "GetType",
  "ToUpper",
  "Floor",
  "Sqrt",
  "Hash",
  "GetMapKeys",
);

const { value, expression } = fc.letrec<{ value: string; expression: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    literal,
    name,
    extern,
    fc.array(tie("value"), { maxLength: 3 }).map((items) => `[${items.join(", ")}]`),
    fc
      .array(fc.tuple(name, tie("value")), { minLength: 1, maxLength: 3 })
      .map((items) => `{${items.map(([key, one]) => `${key}: ${one}`).join(", ")}}`),
  ),
  expression: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("value"),
    fc
      .tuple(
        tie("expression"),
        fc.constantFrom("+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">=", "&&", "||"),
        tie("expression"),
      )
      .map(([left, operator, right]) => `${left} ${operator} ${right}`),
    tie("expression").map((inner) => `(${inner})`),
    fc.tuple(fc.constantFrom("!", "-"), name).map(([sign, inner]) => sign + inner),
    fc.tuple(builtinName, tie("expression")).map(([fn, inner]) => `${fn}(${inner})`),
    fc.tuple(name, tie("expression")).map(([container, index]) => `${container}[${index}]`),
    tie("expression").map((inner) => `helper(${inner}, 2)`),
    fc
      .tuple(tie("expression"), tie("expression"))
      .map(([one, two]) => `helper(1).T(${one}).U(${two}, 3)`),
    tie("expression").map((inner) => `Sprintf("%v %5d", ${inner})`),
    fc.tuple(tie("expression"), tie("expression")).map(([one, two]) => `Append(${one}, ${two})`),
  ),
}));

const { block } = fc.letrec<{ block: string; statement: string }>((tie) => ({
  statement: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.tuple(fc.oneof(name, extern), expression).map(([target, one]) => `${target} = ${one}`),
    fc
      .tuple(name, expression, expression)
      .map(([container, index, one]) => `${container}[${index}] = ${one}`),
    fc.tuple(name, name, expression, expression).map(([a, b, x, y]) => `${a}, ${b} = ${x}, ${y}`),
    expression.map((one) => `return ${one}`),
    expression.map((one) => `error ${one}`),
    fc.constantFrom("break", "continue", "return", "var q int", "a = a + 1"),
    fc
      .tuple(expression, tie("block"), tie("block"))
      .map(([one, yes, no]) => `if ${one} ${yes} elif b ${no} else ${no}`),
    fc.tuple(expression, tie("block")).map(([one, inner]) => `while ${one} ${inner}`),
    expression.map((one) => `helper(${one})`),
  ),
  block: fc
    .array(tie("statement"), { maxLength: 4 })
    .map((statements) => `{\n${statements.join("\n")}\n}`),
}));

/** A program with a contract `Main` that most of the time compiles. */
export const randomProgram: fc.Arbitrary<string> = fc.tuple(block, block).map(
  ([first, second]) => `func helper(n int, rest ...).T(t int).U(u ...) int {
var a, b, c int, m map, list array, s string
if n > 3 ${first}
return n
}
contract Main {
data { F int }
conditions {
var a, b, c int, m map, list array, s string
if $F > 100 ${second}
}
action {
var a, b, c int, m map, list array, s string
if true ${second}
}
}`,
);

/** An expression alone. */
export const randomExpression: fc.Arbitrary<string> = expression;
export const randomValue: fc.Arbitrary<string> = value;

/** Any tokens side by side. */
export const randomTokens: fc.Arbitrary<string> = fc
  .array(
    fc.constantFrom(
      ...'contract func return if elif else error while data settings nil action conditions var ... int map { } ( ) [ ] , : . = # + - ! * / && == < \n ; a b $x @1C 1 2.5 "s" `r` // /* */ % \'é \\'.split(
        " ",
      ),
    ),
    { maxLength: 60 },
  )
  .map((tokens) => tokens.join(" "));

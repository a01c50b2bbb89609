/** Expressions: a Pratt parser. */
import type { Token } from "../lexer/token.ts";
import type {
  Arguments,
  BinaryOperator,
  CallExpression,
  ChainLink,
  Expression,
  ExternExpression,
  LiteralExpression,
  NameExpression,
} from "./ast.ts";
import type { TokenCursor } from "./token-cursor.ts";

/** How tightly an operator binds its left side; all associate to the left. */
const BINDING: ReadonlyMap<string, number> = new Map([
  ["||", 10],
  ["&&", 15],
  ["==", 20],
  ["!=", 20],
  ["<", 22],
  ["<=", 22],
  [">", 22],
  [">=", 22],
  ["+", 25],
  ["-", 25],
  ["*", 30],
  ["/", 30],
]);
const STRAY = new Set(["=", ":", ".", "#"]);

/** An expression to its end: line, closing bracket, comma or block. */
export function parseExpression(cursor: TokenCursor): Expression {
  const start = cursor.token.start;
  const items: Expression[] = [];
  let depth = 0;
  skipStray(cursor);
  items.push(parseOperators(cursor, 0));
  depth = cursor.depth;
  while (goesOn(cursor)) {
    skipStray(cursor);
    if (!startsOperand(cursor.token)) break;
    cursor.diagnostics.add(
      "warning",
      "NEEDLE_ADJACENT",
      "operands without an operator between them: only the last one counts",
      cursor.token,
    );
    items.push(parseOperators(cursor, 0));
    depth = Math.max(depth, cursor.depth);
  }
  cursor.deepen(depth + (items.length > 1 ? 1 : 0));
  return items.length === 1
    ? items[0]!
    : { kind: "sequence", items, range: cursor.rangeFrom(start) };
}

function goesOn(cursor: TokenCursor): boolean {
  if (cursor.open > 0) cursor.skipNewlines();
  const { token } = cursor;
  return (token.kind === "punctuation" && STRAY.has(token.text)) || startsOperand(token);
}

function skipStray(cursor: TokenCursor): void {
  while (cursor.token.kind === "punctuation" && STRAY.has(cursor.token.text)) {
    cursor.diagnostics.add(
      "warning",
      "NEEDLE_STRAY",
      `'${cursor.token.text}' has no meaning here and is ignored`,
      cursor.token,
    );
    cursor.next();
    if (cursor.open > 0) cursor.skipNewlines();
  }
}

function startsOperand(token: Token): boolean {
  switch (token.kind) {
    case "int":
    case "float":
    case "string":
    case "name":
    case "extern":
      return true;
    case "keyword":
      return token.text === "true" || token.text === "false" || token.text === "nil";
    case "punctuation":
      return token.text === "(" || token.text === "[";
    default:
      return false;
  }
}

function parseOperators(cursor: TokenCursor, binding: number): Expression {
  const start = cursor.token.start;
  let left = parseUnary(cursor);
  let depth = cursor.depth;
  for (;;) {
    if (cursor.open > 0) cursor.skipNewlines();
    const { token } = cursor;
    const rank = token.kind === "operator" ? BINDING.get(token.text) : undefined;
    if (rank === undefined || rank <= binding) break;
    cursor.next();
    cursor.skipNewlines();
    const right = parseOperators(cursor, rank);
    depth = Math.max(depth, cursor.depth) + 1;
    cursor.deepen(depth);
    left = {
      kind: "binary",
      operator: token.text as BinaryOperator,
      left,
      right,
      operatorRange: { start: token.start, end: token.end },
      range: cursor.rangeFrom(start),
    };
  }
  cursor.depth = depth;
  return left;
}

function parseUnary(cursor: TokenCursor): Expression {
  if (cursor.open > 0) cursor.skipNewlines();
  const { token } = cursor;
  if (!cursor.is("!") && !cursor.is("-")) return parsePrimary(cursor);
  const operators: Token[] = [];
  while (cursor.is("!") || cursor.is("-")) {
    operators.push(cursor.next());
    cursor.skipNewlines();
  }
  let operand = parsePrimary(cursor);
  for (const operator of operators.reverse()) {
    cursor.deepen(cursor.depth + 1);
    operand = {
      kind: "unary",
      operator: operator.text as "!" | "-",
      operand,
      range: cursor.rangeFrom(token === operator ? token.start : operator.start),
    };
  }
  return operand;
}

function literalOf(token: Token): LiteralExpression | undefined {
  const range = { start: token.start, end: token.end };
  switch (token.kind) {
    case "int":
      return { kind: "literal", value: BigInt(token.text), range };
    case "float":
      return { kind: "literal", value: Number(token.text), range };
    case "string":
      return { kind: "literal", value: token.text, range };
    case "keyword":
      if (token.text === "true") return { kind: "literal", value: true, range };
      if (token.text === "false") return { kind: "literal", value: false, range };
      if (token.text === "nil") return { kind: "literal", value: null, range };
  }
  return undefined;
}

function parsePrimary(cursor: TokenCursor): Expression {
  const { token } = cursor;
  cursor.depth = 1;
  const literal = literalOf(token);
  if (literal !== undefined) {
    cursor.next();
    refuseIndex(cursor, "a literal");
    return literal;
  }
  if (token.kind === "name" || token.kind === "extern") return parseReference(cursor);
  if (cursor.is("(")) {
    cursor.next();
    const inner = withOpen(cursor, () =>
      cursor.nest(() => {
        cursor.skipNewlines();
        const expression = parseExpression(cursor);
        cursor.skipNewlines();
        if (!cursor.is(")")) cursor.failAt("NEEDLE_PAIR", "there is not pair: must be ')'");
        return expression;
      }),
    );
    cursor.next();
    refuseIndex(cursor, "an expression in parentheses");
    return inner;
  }
  if (cursor.is("{") || cursor.is("[")) return parseContainer(cursor);
  if (token.kind === "operator") {
    cursor.failAt("NEEDLE_OPERAND", "unexpected operator; expecting operand");
  }
  return cursor.failAt("NEEDLE_OPERAND", "unexpected end of the expression");
}

function withOpen<T>(cursor: TokenCursor, parse: () => T): T {
  cursor.open += 1;
  try {
    return parse();
  } finally {
    cursor.open -= 1;
  }
}

/** A variable, an element of it, or a call with its chain. */
function parseReference(cursor: TokenCursor): Expression {
  const token = cursor.next();
  const reference = referenceOf(token);
  if (cursor.is("(")) return parseCall(cursor, reference);
  if (!cursor.is("[")) return reference;
  const index = parseIndex(cursor);
  cursor.deepen(cursor.depth + 1);
  if (cursor.is("[")) {
    cursor.fail("NEEDLE_MULTI_INDEX", "multi-index is not supported: assign to a variable first");
  }
  return { kind: "index", container: reference, index, range: cursor.rangeFrom(token.start) };
}

export function referenceOf(token: Token): NameExpression | ExternExpression {
  const range = { start: token.start, end: token.end };
  return token.kind === "extern"
    ? { kind: "extern", name: token.text, range }
    : { kind: "name", name: token.text, range };
}

/** `[ expression ]`. */
export function parseIndex(cursor: TokenCursor): Expression {
  cursor.expect("[");
  const index = withOpen(cursor, () =>
    cursor.nest(() => {
      cursor.skipNewlines();
      const expression = parseExpression(cursor);
      cursor.skipNewlines();
      if (!cursor.is("]")) cursor.failAt("NEEDLE_PAIR", "there is not pair: must be ']'");
      return expression;
    }),
  );
  cursor.next();
  return index;
}

function refuseIndex(cursor: TokenCursor, what: string): void {
  if (cursor.is("[")) {
    cursor.fail("NEEDLE_INDEX", `${what} cannot be indexed: assign it to a variable first`);
  }
}

function parseArguments(cursor: TokenCursor): Arguments {
  cursor.expect("(");
  let depth = 0;
  const parsed = withOpen(cursor, () =>
    cursor.nest(() => {
      const values: Expression[] = [];
      let spread = false;
      cursor.skipNewlines();
      while (!cursor.is(")")) {
        values.push(parseExpression(cursor));
        depth = Math.max(depth, cursor.depth);
        cursor.skipNewlines();
        if (cursor.take("...")) {
          spread = true;
          cursor.skipNewlines();
          if (!cursor.is(")")) cursor.fail("NEEDLE_SPREAD", "... parameter must be the last one");
        } else if (cursor.take(",")) cursor.skipNewlines();
        else if (!cursor.is(")")) cursor.failAt("NEEDLE_PAIR", "there is not pair: must be ')'");
      }
      return { values, spread };
    }),
  );
  cursor.next();
  cursor.depth = depth;
  return parsed;
}

function parseCall(cursor: TokenCursor, callee: NameExpression | ExternExpression): CallExpression {
  const parsed = parseArguments(cursor);
  let depth = cursor.depth + 1;
  const chain: ChainLink[] = [];
  while (continuesChain(cursor)) {
    cursor.skipNewlines();
    cursor.expect(".");
    cursor.skipNewlines();
    const { token } = cursor;
    if (token.kind !== "name" && token.kind !== "extern") {
      cursor.failAt("NEEDLE_TAIL", "must be the name of the tail");
    }
    cursor.next();
    const name = { text: token.text, range: { start: token.start, end: token.end } };
    chain.push({ name, arguments: parseArguments(cursor) });
    // Each link may become a call around all before it.
    depth = Math.max(depth, cursor.depth) + 1;
    cursor.deepen(depth);
  }
  refuseIndex(cursor, "the result of a call");
  cursor.deepen(depth);
  return {
    kind: "call",
    callee,
    arguments: parsed,
    chain,
    range: cursor.rangeFrom(callee.range.start),
  };
}

/** A dot after a call, also at the start of a following line: no statement begins with a dot. */
function continuesChain(cursor: TokenCursor): boolean {
  let ahead = 0;
  while (cursor.peek(ahead).kind === "newline") ahead += 1;
  const dot = cursor.peek(ahead);
  if (dot.kind !== "punctuation" || dot.text !== ".") return false;
  do ahead += 1;
  while (cursor.peek(ahead).kind === "newline");
  const name = cursor.peek(ahead);
  const open = cursor.peek(ahead + 1);
  return (
    (name.kind === "name" || name.kind === "extern") &&
    open.kind === "punctuation" &&
    open.text === "("
  );
}

/** Fails with `<what> <current token>`, and the way out where the token belongs to an expression. */
function failInContainer(cursor: TokenCursor, what: string): never {
  const isExpression =
    cursor.token.kind === "operator" || cursor.is("(") || cursor.is("[") || cursor.is(".");
  const hint =
    ": calls, operators and indexes cannot stand in a map or array, assign the value to a variable first";
  cursor.fail("NEEDLE_CONTAINER", `${what} ${cursor.shown()}${isExpression ? hint : ""}`);
}

/** A value inside a literal: no operators, calls or indexing there. */
function parseContainerValue(cursor: TokenCursor, unclosed: string): Expression {
  const { token } = cursor;
  cursor.depth = 1;
  if (token.kind === "end") cursor.fail("NEEDLE_UNCLOSED", unclosed);
  const literal = literalOf(token);
  if (literal !== undefined) {
    cursor.next();
    return literal;
  }
  if (token.kind === "name" || token.kind === "extern") return referenceOf(cursor.next());
  if (cursor.is("{") || cursor.is("[")) return parseContainer(cursor);
  return failInContainer(cursor, "unexpected lexeme; expecting a value, not");
}

/** The text of a map key: a name, string, `$name` or keyword stands for itself. */
function keyOf(token: Token): string | undefined {
  switch (token.kind) {
    case "name":
    case "string":
    case "type":
      return token.text;
    case "keyword":
      return token.text === "..." ? undefined : token.text;
    case "extern":
      return `$${token.text}`;
    default:
      return undefined;
  }
}

function parseContainer(cursor: TokenCursor): Expression {
  return cursor.nest(() => (cursor.is("{") ? parseMap(cursor) : parseArray(cursor)));
}

function parseMap(cursor: TokenCursor): Expression {
  const start = cursor.expect("{").start;
  const items: { key: string; value: Expression }[] = [];
  let depth = 0;
  do {
    cursor.skipNewlines();
    if (items.length > 0 && cursor.is("}")) break;
    if (cursor.token.kind === "end") {
      cursor.fail("NEEDLE_UNCLOSED", "unclosed map initialization");
    }
    const key = keyOf(cursor.token);
    if (key === undefined) {
      cursor.failAt("NEEDLE_CONTAINER", "unexpected lexeme; expecting string key, not");
    }
    cursor.next();
    cursor.skipNewlines();
    if (!cursor.take(":")) {
      cursor.failAt("NEEDLE_CONTAINER", "unexpected lexeme; expecting colon, not");
    }
    cursor.skipNewlines();
    items.push({ key, value: parseContainerValue(cursor, "unclosed map initialization") });
    depth = Math.max(depth, cursor.depth);
    cursor.skipNewlines();
  } while (cursor.take(","));
  closeContainer(cursor, "}", "unclosed map initialization");
  cursor.deepen(depth + 1);
  return { kind: "map", items, range: cursor.rangeFrom(start) };
}

function parseArray(cursor: TokenCursor): Expression {
  const start = cursor.expect("[").start;
  const items: Expression[] = [];
  let depth = 0;
  cursor.skipNewlines();
  if (!cursor.is("]")) {
    do {
      cursor.skipNewlines();
      const from = cursor.token;
      const value = parseContainerValue(cursor, "unclosed array initialization");
      depth = Math.max(depth, cursor.depth);
      cursor.skipNewlines();
      if (cursor.is(":")) {
        const key = keyOf(from);
        if (key === undefined) {
          cursor.failAt("NEEDLE_CONTAINER", "unexpected lexeme; expecting comma, not");
        }
        cursor.next();
        cursor.skipNewlines();
        const entry = parseContainerValue(cursor, "unclosed array initialization");
        depth = Math.max(depth, cursor.depth + 1);
        cursor.skipNewlines();
        items.push({
          kind: "map",
          items: [{ key, value: entry }],
          range: cursor.rangeFrom(from.start),
        });
      } else items.push(value);
    } while (cursor.take(","));
  }
  closeContainer(cursor, "]", "unclosed array initialization");
  cursor.deepen(depth + 1);
  return { kind: "array", items, range: cursor.rangeFrom(start) };
}

function closeContainer(cursor: TokenCursor, close: string, unclosed: string): void {
  if (cursor.token.kind === "end") cursor.fail("NEEDLE_UNCLOSED", unclosed);
  if (!cursor.is(close)) {
    failInContainer(cursor, "unexpected lexeme; expecting comma, not");
  }
  cursor.next();
}

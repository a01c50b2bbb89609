/** Statements, functions and blocks. A broken statement is reported and left out; the rest is read. */
import type { TypeName } from "../values/value.ts";
import type {
  Block,
  Expression,
  ExternExpression,
  FunctionDeclaration,
  Identifier,
  NameExpression,
  Parameter,
  Statement,
  Tail,
} from "./ast.ts";
import { parseExpression, parseIndex, referenceOf } from "./expressions.ts";
import { ParseAbort, type TokenCursor } from "./token-cursor.ts";

/** Names of variables, parameters and fields: ASCII letters, digits, `_`, a letter first. */
const VARIABLE_NAME = /^[a-zA-Z][a-zA-Z0-9_]*$/;

export function parseVariableName(cursor: TokenCursor): Identifier {
  const { token } = cursor;
  if (token.kind !== "name" || !VARIABLE_NAME.test(token.text)) {
    cursor.fail("NEEDLE_NAME", `identifier expected, got ${cursor.shown()}`);
  }
  cursor.next();
  return { text: token.text, range: { start: token.start, end: token.end } };
}

/** Name of a function, contract, setting or tail. */
export function parseName(cursor: TokenCursor): Identifier {
  const { token } = cursor;
  if (token.kind !== "name") cursor.failAt("NEEDLE_NAME", "must be the name");
  cursor.next();
  return { text: token.text, range: { start: token.start, end: token.end } };
}

export function isFunctionStart(cursor: TokenCursor): boolean {
  return cursor.is("func") || cursor.is("action") || cursor.is("conditions");
}

export function parseFunction(cursor: TokenCursor): FunctionDeclaration {
  const start = cursor.token.start;
  cursor.take("func");
  cursor.skipNewlines();
  const { token } = cursor;
  let name: Identifier;
  if (cursor.is("action") || cursor.is("conditions")) {
    cursor.next();
    name = { text: token.text, range: { start: token.start, end: token.end } };
  } else name = parseName(cursor);
  const parameters = cursor.is("(") ? parseParameters(cursor) : [];
  const tails: Tail[] = [];
  while (cursor.take(".")) {
    cursor.skipNewlines();
    if (cursor.token.kind !== "name") {
      cursor.failAt("NEEDLE_TAIL", "must be the name of the tail");
    }
    const tail = parseName(cursor);
    cursor.skipNewlines();
    tails.push({ name: tail, parameters: cursor.is("(") ? parseParameters(cursor) : [] });
  }
  const results: TypeName[] = [];
  for (;;) {
    if (cursor.token.kind === "type") results.push(cursor.next().text as TypeName);
    else if (cursor.token.kind === "newline" || cursor.is(",")) cursor.next();
    else break;
  }
  if (!cursor.is("{")) {
    if (cursor.token.kind === "name") cursor.failAt("NEEDLE_TYPE", "must be type");
    cursor.failAt("NEEDLE_SYNTAX", "must be '{'");
  }
  const body = parseBlock(cursor);
  return {
    kind: "function",
    name,
    parameters,
    tails,
    results,
    body,
    range: cursor.rangeFrom(start),
  };
}

function parseParameters(cursor: TokenCursor): readonly Parameter[] {
  cursor.expect("(");
  const parameters: Parameter[] = [];
  let names: Identifier[] = [];
  for (;;) {
    const { token } = cursor;
    if (cursor.is(")")) break;
    if (token.kind === "newline" || cursor.is(",")) cursor.next();
    else if (token.kind === "type" || cursor.is("...")) {
      if (names.length === 0) cursor.failAt("NEEDLE_SYNTAX", "wrong parameters");
      if (parameters.at(-1)?.type === "..." || (cursor.is("...") && names.length > 1)) {
        cursor.fail("NEEDLE_SPREAD", "... parameter must be one");
      }
      const type = token.text as TypeName | "...";
      parameters.push(...names.map((name) => ({ name, type })));
      names = [];
      cursor.next();
    } else if (token.kind === "name") names.push(parseVariableName(cursor));
    else cursor.failAt("NEEDLE_SYNTAX", "wrong parameters");
  }
  if (names.length > 0) cursor.failAt("NEEDLE_TYPE", "must be type");
  cursor.next();
  return parameters;
}

/** `{ statements }`, newlines before it allowed. */
export function parseBlock(cursor: TokenCursor): Block {
  cursor.skipNewlines();
  const start = cursor.expect("{").start;
  const statements = cursor.nest(() => parseStatements(cursor));
  if (!cursor.is("}")) cursor.failAt("NEEDLE_SYNTAX", "must be '}'");
  cursor.next();
  return { statements, range: cursor.rangeFrom(start) };
}

function parseStatements(cursor: TokenCursor): readonly Statement[] {
  const statements: Statement[] = [];
  for (;;) {
    cursor.skipNewlines();
    if (cursor.is("}") || cursor.token.kind === "end" || cursor.diagnostics.full) break;
    // A new contract cannot stand inside a block: the closing brace is missing.
    if (cursor.is("contract")) break;
    const statement = recovering(cursor, () => parseStatement(cursor));
    if (statement !== undefined) statements.push(statement);
  }
  return statements;
}

/** Runs a parser; after a fault goes on behind the line (and the blocks begun on it). */
export function recovering<T>(cursor: TokenCursor, parse: () => T): T | undefined {
  const from = cursor.index;
  const open = cursor.open;
  try {
    return parse();
  } catch (thrown) {
    if (!(thrown instanceof ParseAbort)) throw thrown;
    cursor.open = open;
    skipStatement(cursor);
    if (cursor.index === from && !cursor.is("}")) cursor.next();
    return undefined;
  }
}

function skipStatement(cursor: TokenCursor): void {
  let braces = 0;
  for (;;) {
    const { token } = cursor;
    if (token.kind === "end") return;
    if (token.kind === "newline" && braces === 0) return;
    if (cursor.is("contract") && token.start.column === 1) return;
    if (cursor.is("{")) braces += 1;
    if (cursor.is("}")) {
      if (braces === 0) return;
      braces -= 1;
    }
    cursor.next();
  }
}

function endsStatement(cursor: TokenCursor): boolean {
  return cursor.token.kind === "newline" || cursor.token.kind === "end" || cursor.is("}");
}

export function parseStatement(cursor: TokenCursor): Statement {
  const { token } = cursor;
  if (isFunctionStart(cursor)) return parseFunction(cursor);
  if (token.kind === "keyword") {
    switch (token.text) {
      case "var":
        return parseVar(cursor);
      case "if":
        return parseIf(cursor);
      case "while": {
        cursor.next();
        const condition = parseCondition(cursor);
        const block = parseBlock(cursor);
        return { kind: "while", condition, block, range: cursor.rangeFrom(token.start) };
      }
      case "break":
      case "continue":
        cursor.next();
        return { kind: token.text, range: cursor.rangeFrom(token.start) };
      case "return": {
        cursor.next();
        const values = endsStatement(cursor) ? [] : parseExpressions(cursor);
        return { kind: "return", values, range: cursor.rangeFrom(token.start) };
      }
      case "error":
      case "warning":
      case "info": {
        cursor.next();
        if (endsStatement(cursor)) {
          cursor.failAt("NEEDLE_OPERAND", "unexpected end of the expression");
        }
        const value = parseExpression(cursor);
        return { kind: "fail", level: token.text, value, range: cursor.rangeFrom(token.start) };
      }
      case "elif":
      case "else":
        cursor.fail("NEEDLE_ELSE", `there is not if before ${token.text}`);
        break;
      case "data":
      case "settings":
        cursor.fail("NEEDLE_PLACE", `${token.text} can only be in contract`);
    }
  }
  if (token.kind === "name" || token.kind === "extern") return parseReferenceStatement(cursor);
  return cursor.failAt("NEEDLE_SYNTAX", "must be '}' or a statement, not");
}

/** The condition of `if` and `while`. */
function parseCondition(cursor: TokenCursor): Expression {
  if (cursor.is("{") || cursor.token.kind === "newline" || cursor.token.kind === "end") {
    cursor.fail("NEEDLE_CONDITION", "there is not eval expression");
  }
  return parseExpression(cursor);
}

function parseExpressions(cursor: TokenCursor): readonly Expression[] {
  const values: Expression[] = [];
  do {
    cursor.skipNewlines();
    values.push(parseExpression(cursor));
  } while (cursor.take(","));
  return values;
}

function parseVar(cursor: TokenCursor): Statement {
  const start = cursor.next().start;
  const variables: { name: Identifier; type: TypeName }[] = [];
  let names: Identifier[] = [];
  while (!endsStatement(cursor)) {
    if (cursor.is(",")) cursor.next();
    else if (cursor.token.kind === "type") {
      if (names.length === 0) cursor.failAt("NEEDLE_SYNTAX", "wrong variables");
      const type = cursor.next().text as TypeName;
      variables.push(...names.map((name) => ({ name, type })));
      names = [];
    } else names.push(parseVariableName(cursor));
  }
  if (names.length > 0) cursor.failAt("NEEDLE_TYPE", "must be type");
  if (variables.length === 0) cursor.failAt("NEEDLE_SYNTAX", "wrong variables");
  return { kind: "var", variables, range: cursor.rangeFrom(start) };
}

function parseIf(cursor: TokenCursor): Statement {
  const start = cursor.next().start;
  const branches = [{ condition: parseCondition(cursor), block: parseBlock(cursor) }];
  let otherwise: Block | undefined;
  for (;;) {
    const follower = afterNewlines(cursor);
    if (follower === "elif") {
      cursor.skipNewlines();
      cursor.next();
      branches.push({ condition: parseCondition(cursor), block: parseBlock(cursor) });
    } else if (follower === "else") {
      cursor.skipNewlines();
      cursor.next();
      otherwise = parseBlock(cursor);
      break;
    } else break;
  }
  return { kind: "if", branches, otherwise, range: cursor.rangeFrom(start) };
}

function afterNewlines(cursor: TokenCursor): string | undefined {
  let ahead = 0;
  while (cursor.peek(ahead).kind === "newline") ahead += 1;
  const token = cursor.peek(ahead);
  return token.kind === "keyword" ? token.text : undefined;
}

/** Assignment, element assignment or call. */
function parseReferenceStatement(cursor: TokenCursor): Statement {
  const { token } = cursor;
  const follower = cursor.peek();
  if (follower.kind === "punctuation" && follower.text === "(") {
    const expression = parseExpression(cursor);
    return { kind: "expression", expression, range: cursor.rangeFrom(token.start) };
  }
  const first = referenceOf(cursor.next());
  if (cursor.is("[")) {
    const index = parseIndex(cursor);
    if (cursor.is("[")) {
      cursor.fail("NEEDLE_MULTI_INDEX", "multi-index is not supported: assign to a variable first");
    }
    if (!cursor.take("=")) cursor.failAt("NEEDLE_SYNTAX", "must be '='");
    cursor.skipNewlines();
    const value = parseExpression(cursor);
    const range = cursor.rangeFrom(token.start);
    return { kind: "setIndex", container: first, index, value, range };
  }
  const targets: (NameExpression | ExternExpression)[] = [first];
  while (cursor.take(",")) {
    cursor.skipNewlines();
    if (cursor.token.kind !== "name" && cursor.token.kind !== "extern") {
      cursor.failAt("NEEDLE_NAME", "must be the name");
    }
    targets.push(referenceOf(cursor.next()));
  }
  if (!cursor.take("=")) cursor.failAt("NEEDLE_SYNTAX", "must be '='");
  const values = parseExpressions(cursor);
  return { kind: "assign", targets, values, range: cursor.rangeFrom(token.start) };
}

/** Programs: contracts and functions. Any text gives a tree and diagnostics, never an exception. */
import { type Diagnostic, DiagnosticList } from "../diagnostics/diagnostic.ts";
import { lexNeedle } from "../lexer/lex.ts";
import type { TypeName } from "../values/value.ts";
import type {
  ContractDeclaration,
  DataField,
  Expression,
  FunctionDeclaration,
  Program,
  Setting,
  Statement,
} from "./ast.ts";
import { parseExpression } from "./expressions.ts";
import {
  isFunctionStart,
  parseFunction,
  parseName,
  parseStatement,
  parseVariableName,
  recovering,
} from "./statements.ts";
import { ParseAbort, TokenCursor } from "./token-cursor.ts";

export interface ParseResult {
  readonly program: Program;
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads a program text. `file` only names the source in diagnostics. */
export function parseNeedle(source: string, file?: string): ParseResult {
  const diagnostics = new DiagnosticList(file);
  const { tokens, comments } = lexNeedle(source, diagnostics);
  const cursor = new TokenCursor(tokens, diagnostics);
  const start = cursor.token.start;
  const items: (ContractDeclaration | FunctionDeclaration)[] = [];
  for (;;) {
    cursor.skipNewlines();
    if (cursor.token.kind === "end" || diagnostics.full) break;
    const item = recovering(cursor, () => parseItem(cursor));
    if (item !== undefined) items.push(item);
    else skipToItem(cursor);
  }
  const range = { start, end: cursor.token.end };
  return {
    program: { kind: "program", items, comments, range },
    diagnostics: diagnostics.items,
  };
}

/** Reads a text that is one expression, such as an access condition. */
export function parseNeedleExpression(
  source: string,
  file?: string,
): { readonly expression: Expression | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const diagnostics = new DiagnosticList(file);
  const { tokens } = lexNeedle(source, diagnostics);
  const cursor = new TokenCursor(tokens, diagnostics);
  try {
    cursor.skipNewlines();
    const expression = parseExpression(cursor);
    cursor.skipNewlines();
    if (cursor.token.kind !== "end") {
      cursor.failAt("NEEDLE_SYNTAX", "must be the end of the expression, not");
    }
    return { expression, diagnostics: diagnostics.items };
  } catch (thrown) {
    if (!(thrown instanceof ParseAbort)) throw thrown;
    return { expression: undefined, diagnostics: diagnostics.items };
  }
}

function parseItem(cursor: TokenCursor): ContractDeclaration | FunctionDeclaration {
  if (cursor.is("contract")) return parseContract(cursor);
  if (isFunctionStart(cursor)) return parseFunction(cursor);
  return cursor.failAt("NEEDLE_COMMAND", "unknown command");
}

/** After a broken item: to the next line that begins one. */
function skipToItem(cursor: TokenCursor): void {
  while (cursor.token.kind !== "end") {
    if (cursor.is("contract") || (cursor.is("func") && cursor.token.start.column === 1)) return;
    cursor.next();
  }
}

function parseContract(cursor: TokenCursor): ContractDeclaration {
  const start = cursor.next().start;
  cursor.skipNewlines();
  const name = parseName(cursor);
  cursor.skipNewlines();
  const open = cursor.expect("{").start;
  const data: DataField[] = [];
  const settings: Setting[] = [];
  const statements: Statement[] = [];
  cursor.nest(() => {
    for (;;) {
      cursor.skipNewlines();
      if (cursor.is("}") || cursor.token.kind === "end" || cursor.diagnostics.full) break;
      if (cursor.is("contract") && cursor.token.start.column === 1) break;
      recovering(cursor, () => {
        if (cursor.take("data")) parseData(cursor, data);
        else if (cursor.take("settings")) parseSettings(cursor, settings);
        else statements.push(parseStatement(cursor));
      });
    }
  });
  if (!cursor.is("}")) cursor.failAt("NEEDLE_SYNTAX", "must be '}'");
  cursor.next();
  const body = { statements, range: cursor.rangeFrom(open) };
  return { kind: "contract", name, data, settings, body, range: cursor.rangeFrom(start) };
}

function parseData(cursor: TokenCursor, fields: DataField[]): void {
  cursor.skipNewlines();
  cursor.expect("{");
  for (;;) {
    cursor.skipNewlines();
    if (cursor.take("}")) return;
    if (cursor.token.kind === "end") cursor.failAt("NEEDLE_SYNTAX", "must be '}'");
    const first = cursor.token.kind;
    if (first === "string") cursor.fail("NEEDLE_DATA", "unexpected tag");
    if (first !== "name") cursor.fail("NEEDLE_DATA", "expecting name of the data field");
    const names = [parseVariableName(cursor)];
    while (cursor.take(",")) {
      cursor.skipNewlines();
      names.push(parseVariableName(cursor));
    }
    const typed = cursor.token;
    if (typed.kind !== "type") cursor.fail("NEEDLE_DATA", "expecting type of the data field");
    cursor.next();
    const type = typed.text as TypeName;
    const tag = cursor.token.kind === "string" ? cursor.next().text : "";
    fields.push(...names.map((name) => ({ name, type, tag })));
    if (cursor.token.kind !== "newline" && !cursor.is("}")) {
      cursor.failAt("NEEDLE_DATA", "fields end at the end of the line, not at");
    }
  }
}

function parseSettings(cursor: TokenCursor, settings: Setting[]): void {
  cursor.skipNewlines();
  cursor.expect("{");
  for (;;) {
    cursor.skipNewlines();
    if (cursor.take(",")) continue;
    if (cursor.take("}")) return;
    if (cursor.token.kind === "end") cursor.failAt("NEEDLE_SYNTAX", "must be '}'");
    const name = parseName(cursor);
    if (!cursor.take("=")) cursor.failAt("NEEDLE_SYNTAX", "must be '='");
    const { token } = cursor;
    let value: Setting["value"];
    if (token.kind === "int") value = BigInt(token.text);
    else if (token.kind === "float") value = Number(token.text);
    else if (token.kind === "string") value = token.text;
    else if (cursor.is("true")) value = true;
    else if (cursor.is("false")) value = false;
    else if (cursor.is("nil")) value = null;
    else cursor.failAt("NEEDLE_SYNTAX", "must be number or string");
    cursor.next();
    settings.push({ name, value });
  }
}

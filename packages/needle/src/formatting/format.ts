/**
 * One layout for programs: indentation by four spaces per open bracket, one space around operators
 * and behind commas, at most one empty line. Lines stay lines: what was on one line stays on one,
 * so that nothing moves into or out of a statement.
 */
import { type Diagnostic, DiagnosticList, hasErrors } from "../diagnostics/diagnostic.ts";
import { lexNeedle } from "../lexer/lex.ts";
import type { Comment, Token } from "../lexer/token.ts";

const INDENT = "    ";

type Piece =
  | { readonly kind: "token"; readonly token: Token; readonly text: string }
  | { readonly kind: "comment"; readonly comment: Comment; readonly text: string };

export interface FormatResult {
  /** Undefined when the text cannot be read token by token. */
  readonly text: string | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** Lays a program out anew. Formatting the outcome again changes nothing. Never throws. */
export function formatNeedle(source: string): FormatResult {
  const list = new DiagnosticList();
  const { tokens, comments } = lexNeedle(source, list);
  if (hasErrors(list.items)) return { text: undefined, diagnostics: list.items };
  const well = source.toWellFormed();
  const pieces: Piece[] = [];
  let comment = 0;
  for (const token of tokens) {
    while (comment < comments.length && comments[comment]!.start.offset < token.start.offset) {
      const one = comments[comment++]!;
      pieces.push({ kind: "comment", comment: one, text: one.text.trimEnd() });
    }
    if (token.kind === "end") break;
    pieces.push({ kind: "token", token, text: well.slice(token.start.offset, token.end.offset) });
  }
  return { text: new Layout().run(pieces), diagnostics: [] };
}

function startOf(piece: Piece) {
  return piece.kind === "token" ? piece.token.start : piece.comment.start;
}

function endOf(piece: Piece) {
  return piece.kind === "token" ? piece.token.end : piece.comment.end;
}

function isNewline(piece: Piece): boolean {
  return piece.kind === "token" && piece.token.kind === "newline" && piece.text === "\n";
}

class Layout {
  readonly #lines: string[] = [];
  #depth = 0;

  run(pieces: readonly Piece[]): string {
    let line: Piece[] = [];
    for (const piece of pieces) {
      if (isNewline(piece)) {
        this.#line(line);
        line = [];
      } else line.push(piece);
    }
    this.#line(line);
    while (this.#lines.at(-1) === "") this.#lines.pop();
    return this.#lines.length === 0 ? "" : `${this.#lines.join("\n")}\n`;
  }

  #line(all: readonly Piece[]): void {
    // A separator at the end of a line says nothing.
    const line = [...all];
    while (isSemicolon(line.at(-1))) line.pop();
    if (line.length === 0) {
      if (this.#lines.length > 0 && this.#lines.at(-1) !== "") this.#lines.push("");
      return;
    }
    let closing = 0;
    while (closing < line.length && isClosing(line[closing]!)) closing += 1;
    let net = 0;
    for (const piece of line) net += bracketStep(piece);
    const level = Math.max(0, this.#depth - closing);
    this.#lines.push(INDENT.repeat(level) + spaced(line));
    this.#depth = Math.max(0, this.#depth + net);
  }
}

function isSemicolon(piece: Piece | undefined): boolean {
  return piece?.kind === "token" && piece.token.kind === "newline";
}

function isSign(piece: Piece | undefined, signs: string): boolean {
  return (
    piece?.kind === "token" && piece.token.kind === "punctuation" && signs.includes(piece.text)
  );
}

function isClosing(piece: Piece): boolean {
  return isSign(piece, ")]}");
}

function bracketStep(piece: Piece): number {
  if (isSign(piece, "([{")) return 1;
  return isClosing(piece) ? -1 : 0;
}

/** Pieces of one line with one space where one belongs. */
function spaced(line: readonly Piece[]): string {
  let text = "";
  for (let i = 0; i < line.length; i++) {
    const piece = line[i]!;
    const before = line[i - 1];
    if (before !== undefined && needsSpace(before, piece, line[i - 2], line, i)) text += " ";
    text += isSemicolon(piece) ? ";" : piece.text;
  }
  return text;
}

function needsSpace(
  before: Piece,
  piece: Piece,
  earlier: Piece | undefined,
  line: readonly Piece[],
  at: number,
): boolean {
  if (piece.kind === "comment" || before.kind === "comment") return true;
  const touching = endOf(before).offset === startOf(piece).offset;
  if (isSemicolon(piece)) return false;
  if (isSemicolon(before)) return true;
  if (isSign(piece, ",)]") || isSign(before, "([")) return false;
  if (piece.text === "..." && piece.token.kind === "keyword") {
    // `rest ...` of a declaration keeps its space, `list...` of a call has none.
    return !touching;
  }
  if (isSign(piece, ".") || isSign(before, ".")) return !touching;
  if (isSign(piece, ":")) return false;
  if (isSign(before, ",:")) return true;
  if (isSign(before, "#") || isSign(piece, "#")) return !touching;
  if (isSign(piece, "(")) {
    // A call; not what stands behind a keyword or operator.
    const named = before.token.kind === "name" || before.token.kind === "extern";
    return !named;
  }
  if (isSign(piece, "[")) {
    const named = before.token.kind === "name" || before.token.kind === "extern";
    return !(named && touching);
  }
  if (isSign(before, "{") && isSign(piece, "}")) return true;
  if (isSign(before, "{")) return !opensLiteral(line, at - 1);
  if (isSign(piece, "}")) return !closesLiteral(line, at);
  if (before.token.kind === "operator" && isUnary(before, earlier)) return false;
  return true;
}

/** A minus or exclamation mark in front of its operand. */
function isUnary(operator: Piece, before: Piece | undefined): boolean {
  if (operator.text === "!") return true;
  if (operator.text !== "-") return false;
  if (before === undefined || before.kind === "comment") return true;
  const { kind } = before.token;
  if (kind === "operator" || kind === "newline") return true;
  if (kind === "keyword") return !["true", "false", "nil"].includes(before.text);
  return kind === "punctuation" && !isSign(before, ")]}");
}

/** `{` of a map: in front of it stands what an expression can begin behind. */
function opensLiteral(line: readonly Piece[], at: number): boolean {
  const before = line[at - 1];
  if (before === undefined || before.kind === "comment") return false;
  if (isSign(before, "([,:=")) return true;
  return before.token.kind === "keyword" && before.text === "return";
}

function closesLiteral(line: readonly Piece[], at: number): boolean {
  let depth = 0;
  for (let i = at; i >= 0; i--) {
    const piece = line[i]!;
    if (isSign(piece, "}")) depth += 1;
    else if (isSign(piece, "{") && --depth === 0) return opensLiteral(line, i);
  }
  return false;
}

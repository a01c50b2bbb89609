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

/** A line as it will be written; where the type of a data field begins, for lining types up. */
interface Line {
  readonly text: string;
  readonly typeAt: number | undefined;
}

/** Wider columns of names than this are not lined up. */
const NAME_WIDTH_MAX = 30;

class Layout {
  readonly #lines: Line[] = [];
  /** Open brackets: indentation of the line that opened them, and what they are. */
  readonly #open: { readonly level: number; readonly kind: "literal" | "data" | "other" }[] = [];
  /** Braces of map literals, which have no space inside. */
  readonly #literals = new Set<Piece>();

  run(pieces: readonly Piece[]): string {
    this.#findLiterals(pieces);
    let line: Piece[] = [];
    for (const piece of pieces) {
      if (isNewline(piece)) {
        this.#line(line);
        line = [];
      } else line.push(piece);
    }
    this.#line(line);
    while (this.#lines.at(-1)?.text === "") this.#lines.pop();
    const texts = this.#lined();
    return texts.length === 0 ? "" : `${texts.join("\n")}\n`;
  }

  #findLiterals(pieces: readonly Piece[]): void {
    const open: Piece[] = [];
    let before: Piece | undefined;
    for (const piece of pieces) {
      if (isSign(piece, "{")) {
        if (beginsExpression(before)) this.#literals.add(piece);
        open.push(piece);
      } else if (isSign(piece, "}")) {
        const opener = open.pop();
        if (opener !== undefined && this.#literals.has(opener)) this.#literals.add(piece);
      }
      if (piece.kind === "token" && !isSemicolon(piece)) before = piece;
    }
  }

  #line(all: readonly Piece[]): void {
    // A separator at the end of a line says nothing.
    const line = [...all];
    while (isSemicolon(line.at(-1))) line.pop();
    if (line.length === 0) {
      if (this.#lines.length > 0 && this.#lines.at(-1)!.text !== "") {
        this.#lines.push({ text: "", typeAt: undefined });
      }
      return;
    }
    const inner = this.#open.at(-1);
    let level = inner === undefined ? 0 : inner.level + 1;
    let leading = 0;
    for (; leading < line.length && isClosing(line[leading]!); leading++) {
      level = this.#open.pop()?.level ?? 0;
    }
    const typeAt = inner?.kind === "data" && leading === 0 ? typeIndex(line) : undefined;
    const indent = INDENT.repeat(level);
    this.#lines.push({
      text: indent + this.#spaced(line),
      typeAt:
        typeAt === undefined
          ? undefined
          : (indent + this.#spaced(line.slice(0, typeAt))).length + 1,
    });
    for (let i = leading; i < line.length; i++) {
      if (isSign(line[i], "([{")) this.#open.push({ level, kind: this.#kindOf(line, i) });
      else if (isClosing(line[i]!)) this.#open.pop();
    }
  }

  #kindOf(line: readonly Piece[], at: number): "literal" | "data" | "other" {
    if (this.#literals.has(line[at]!)) return "literal";
    const before = line[at - 1];
    const isData = before?.kind === "token" && before.token.kind === "keyword";
    return isData && before.text === "data" ? "data" : "other";
  }

  /** The lines, types of data fields that stand below one another in one column. */
  #lined(): string[] {
    const texts: string[] = [];
    for (let from = 0; from < this.#lines.length; ) {
      let to = from;
      let width = 0;
      while (this.#lines[to]?.typeAt !== undefined) {
        width = Math.max(width, this.#lines[to]!.typeAt!);
        to += 1;
      }
      if (to === from) texts.push(this.#lines[from++]!.text);
      for (; from < to; from++) {
        const { text, typeAt } = this.#lines[from]!;
        const fill = width > NAME_WIDTH_MAX ? 0 : width - typeAt!;
        texts.push(text.slice(0, typeAt) + " ".repeat(fill) + text.slice(typeAt));
      }
    }
    return texts;
  }

  /** Pieces of one line with one space where one belongs. */
  #spaced(line: readonly Piece[]): string {
    let text = "";
    for (let i = 0; i < line.length; i++) {
      const piece = line[i]!;
      const before = line[i - 1];
      if (before !== undefined && this.#needsSpace(before, piece, line[i - 2])) text += " ";
      text += isSemicolon(piece) ? ";" : piece.text;
    }
    return text;
  }

  #needsSpace(before: Piece, piece: Piece, earlier: Piece | undefined): boolean {
    if (isSign(before, "{") && isSign(piece, "}")) return true;
    if (this.#literals.has(before) && isSign(before, "{") && piece.kind === "token") return false;
    if (this.#literals.has(piece) && isSign(piece, "}") && before.kind === "token") return false;
    return needsSpace(before, piece, earlier);
  }
}

/** In a line of a data field: the piece that is its type. */
function typeIndex(line: readonly Piece[]): number | undefined {
  const at = line.findIndex((piece) => piece.kind === "token" && piece.token.kind === "type");
  const names = line.slice(0, Math.max(0, at));
  const plain = names.every(
    (piece) => isSign(piece, ",") || (piece.kind === "token" && piece.token.kind === "name"),
  );
  return at > 0 && plain ? at : undefined;
}

/** What stands behind it begins an expression: a brace there opens a map. */
function beginsExpression(before: Piece | undefined): boolean {
  if (before === undefined || before.kind === "comment") return false;
  if (isSign(before, "([,:=")) return true;
  return before.token.kind === "keyword" && before.text === "return";
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

function needsSpace(before: Piece, piece: Piece, earlier: Piece | undefined): boolean {
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
  if (before.token.kind === "operator" && isUnary(before, earlier)) {
    // `! =` must not become another operator.
    const joins = piece.token.kind === "operator" && piece.text !== "!" && piece.text !== "-";
    return joins || isSign(piece, "=");
  }
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

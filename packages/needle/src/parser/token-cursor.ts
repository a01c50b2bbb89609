import type { DiagnosticList, Position, SourceRange } from "../diagnostics/diagnostic.ts";
import type { Token } from "../lexer/token.ts";

/** Blocks, parentheses and literals inside one another. */
export const NESTING_MAX = 64;
/** Operators inside one another in one expression, chains of equal rank included. */
export const EXPRESSION_DEPTH_MAX = 128;

/** Unwinds to the nearest place where parsing can go on; its diagnostic is already recorded. */
export class ParseAbort extends Error {}

/** The tokens still to be read, and what the parser has to say about them. */
export class TokenCursor {
  readonly #tokens: readonly Token[];
  readonly diagnostics: DiagnosticList;
  #at = 0;
  #nesting = 0;
  /** Open parentheses and index brackets: newlines inside them count as white space. */
  open = 0;
  /** Depth of the expression parsed last. */
  depth = 0;

  constructor(tokens: readonly Token[], diagnostics: DiagnosticList) {
    this.#tokens = tokens;
    this.diagnostics = diagnostics;
  }

  get token(): Token {
    return this.#tokens[this.#at]!;
  }

  get index(): number {
    return this.#at;
  }

  peek(ahead = 1): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)]!;
  }

  /** End of the token before. */
  get lastEnd(): Position {
    return this.#at === 0 ? this.token.start : this.#tokens[this.#at - 1]!.end;
  }

  rangeFrom(start: Position): SourceRange {
    return { start, end: this.lastEnd };
  }

  next(): Token {
    const token = this.token;
    if (this.#at < this.#tokens.length - 1) this.#at += 1;
    return token;
  }

  /** The current token is this sign, operator or keyword. */
  is(text: string): boolean {
    const token = this.token;
    return (
      token.text === text &&
      (token.kind === "punctuation" || token.kind === "operator" || token.kind === "keyword")
    );
  }

  take(text: string): boolean {
    if (!this.is(text)) return false;
    this.next();
    return true;
  }

  skipNewlines(): void {
    while (this.token.kind === "newline") this.next();
  }

  /** What a message calls the current token. */
  shown(): string {
    const token = this.token;
    switch (token.kind) {
      case "end":
        return "(end of text)";
      case "newline":
        return "(unexpected new line)";
      case "string":
        return `string "${token.text.slice(0, 20)}"`;
      case "extern":
        return `'$${token.text.slice(0, 40)}'`;
      default:
        return `${token.kind} '${token.text.slice(0, 40)}'`;
    }
  }

  fail(code: string, message: string, range?: SourceRange): never {
    this.diagnostics.add("error", code, message, range ?? this.token);
    throw new ParseAbort();
  }

  /** Fails with `<what> <current token>`. */
  failAt(code: string, what: string): never {
    this.fail(code, `${what} ${this.shown()}`);
  }

  expect(text: string): Token {
    if (!this.is(text)) this.failAt("NEEDLE_SYNTAX", `must be '${text}'`);
    return this.next();
  }

  nest<T>(parse: () => T): T {
    if (this.#nesting >= NESTING_MAX) {
      this.fail("NEEDLE_NESTING", `nesting is deeper than ${NESTING_MAX} levels`);
    }
    this.#nesting += 1;
    try {
      return parse();
    } finally {
      this.#nesting -= 1;
    }
  }

  deepen(depth: number): void {
    this.depth = depth;
    if (depth > EXPRESSION_DEPTH_MAX) {
      this.fail("NEEDLE_NESTING", `expression is deeper than ${EXPRESSION_DEPTH_MAX} operators`);
    }
  }
}

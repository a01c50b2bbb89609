/** Source text to tokens. Never throws: what fits nowhere becomes a diagnostic and is left out. */
import { DiagnosticList, type Position } from "../diagnostics/diagnostic.ts";
import { TYPE_NAMES } from "../values/value.ts";
import { type Comment, KEYWORDS, type Token, type TokenKind } from "./token.ts";

/** Longest source, in UTF-16 units. */
export const SOURCE_CHARS_MAX = 4 * 1024 * 1024;

const TYPES: ReadonlySet<string> = new Set(TYPE_NAMES);
const INT_MAX = 9_223_372_036_854_775_807n;
const PUNCTUATION = "()[]{},:.=#";

function isDigit(unit: number): boolean {
  return unit >= 48 && unit <= 57;
}

function isNameStart(unit: number): boolean {
  return (unit >= 97 && unit <= 122) || (unit >= 65 && unit <= 90) || unit === 95 || unit >= 128;
}

function isNamePart(unit: number): boolean {
  return isNameStart(unit) || isDigit(unit);
}

export interface LexResult {
  readonly tokens: readonly Token[];
  readonly comments: readonly Comment[];
}

/** Contents of a double-quoted string: four escapes, replaced over the whole text in this order. */
function withEscapes(raw: string): string {
  if (!raw.includes("\\")) return raw;
  return raw
    .replaceAll('\\"', '"')
    .replaceAll("\\t", "\t")
    .replaceAll("\\r", "\r")
    .replaceAll("\\n", "\n");
}

class Lexer {
  readonly #source: string;
  readonly #diagnostics: DiagnosticList;
  readonly tokens: Token[] = [];
  readonly comments: Comment[] = [];
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(source: string, diagnostics: DiagnosticList) {
    this.#source = source;
    this.#diagnostics = diagnostics;
  }

  #here(): Position {
    return { line: this.#line, column: this.#at - this.#lineStart + 1, offset: this.#at };
  }

  #push(kind: TokenKind, text: string, start: Position): void {
    this.tokens.push({ kind, text, start, end: this.#here() });
  }

  #error(message: string, start: Position, code = "NEEDLE_LEXEME"): void {
    this.#diagnostics.add("error", code, message, { start, end: this.#here() });
  }

  run(): void {
    const source = this.#source;
    while (this.#at < source.length) {
      const unit = source.charCodeAt(this.#at);
      if (unit === 32 || unit === 9 || unit === 13) {
        this.#at += 1;
      } else if (unit === 10 || unit === 59) {
        const start = this.#here();
        this.#at += 1;
        this.tokens.push({ kind: "newline", text: "\n", start, end: this.#here() });
        if (unit === 10) this.#newLine();
      } else if (isNameStart(unit)) this.#name();
      else if (isDigit(unit) || (unit === 46 && isDigit(source.charCodeAt(this.#at + 1)))) {
        this.#number();
      } else if (unit === 34) this.#quoted();
      else if (unit === 96) this.#raw();
      else if (unit === 36 || unit === 64) this.#prefixed(unit);
      else if (unit === 47 && source[this.#at + 1] === "/") this.#lineComment();
      else if (unit === 47 && source[this.#at + 1] === "*") this.#blockComment();
      else this.#sign();
    }
    const end = this.#here();
    this.tokens.push({ kind: "end", text: "", start: end, end });
  }

  #newLine(): void {
    this.#line += 1;
    this.#lineStart = this.#at;
  }

  #nameEnd(from: number): number {
    let at = from;
    while (at < this.#source.length && isNamePart(this.#source.charCodeAt(at))) at += 1;
    return at;
  }

  #name(): void {
    const start = this.#here();
    const from = this.#at;
    this.#at = this.#nameEnd(from + 1);
    const text = this.#source.slice(from, this.#at);
    this.#push(KEYWORDS.has(text) ? "keyword" : TYPES.has(text) ? "type" : "name", text, start);
  }

  /** `$name` and `@1Name`. */
  #prefixed(unit: number): void {
    const start = this.#here();
    const from = this.#at;
    this.#at = this.#nameEnd(from + 1);
    if (this.#at === from + 1) {
      this.#error(`unknown lexeme '${this.#source[from]}'`, start);
    } else if (unit === 36) this.#push("extern", this.#source.slice(from + 1, this.#at), start);
    else this.#push("name", this.#source.slice(from, this.#at), start);
  }

  #number(): void {
    const source = this.#source;
    const start = this.#here();
    const from = this.#at;
    let points = 0;
    while (this.#at < source.length) {
      const unit = source.charCodeAt(this.#at);
      if (unit === 46) points += source[this.#at + 1] === "." ? 2 : 1;
      else if (!isDigit(unit)) break;
      // `0...` ends a number before the dots of a spread argument.
      if (source.startsWith("...", this.#at)) {
        points -= 2;
        break;
      }
      this.#at += 1;
    }
    const text = source.slice(from, this.#at);
    if (isNameStart(source.charCodeAt(this.#at))) {
      const letter = this.#here();
      const shown = source[this.#at]!;
      this.#at = this.#nameEnd(this.#at);
      this.#error(`unknown lexeme '${shown}'`, letter);
      this.#push("int", "0", start);
    } else if (points > 1) {
      this.#error(`'${text.slice(0, 40)}' is not a number: more than one point`, start);
      this.#push("float", "0", start);
    } else if (points === 1) this.#push("float", text, start);
    else {
      let zeros = 0;
      while (zeros < text.length - 1 && text.charCodeAt(zeros) === 48) zeros += 1;
      const digits = text.slice(zeros);
      const fits = digits.length <= 19 && BigInt(digits) <= INT_MAX;
      if (!fits) this.#error(`integer ${text.slice(0, 40)} is out of the 64-bit range`, start);
      this.#push("int", fits ? digits : "0", start);
    }
  }

  #quoted(): void {
    const source = this.#source;
    const start = this.#here();
    const from = ++this.#at;
    let ended = false;
    while (this.#at < source.length) {
      const unit = source.charCodeAt(this.#at++);
      if (unit === 34) {
        ended = true;
        break;
      }
      if (unit === 92 && this.#at < source.length) {
        if (source.charCodeAt(this.#at++) === 10) this.#newLine();
      } else if (unit === 10) this.#newLine();
    }
    if (!ended) this.#error("string is not closed: '\"' is missing", start, "NEEDLE_UNCLOSED");
    const raw = source.slice(from, ended ? this.#at - 1 : this.#at);
    this.#push("string", withEscapes(raw), start);
  }

  #raw(): void {
    const start = this.#here();
    const from = this.#at + 1;
    const end = this.#source.indexOf("`", from);
    const stop = end < 0 ? this.#source.length : end;
    this.#advanceOver(stop);
    if (end < 0) this.#error("string is not closed: '`' is missing", start, "NEEDLE_UNCLOSED");
    else this.#at += 1;
    this.#push("string", this.#source.slice(from, stop), start);
  }

  #advanceOver(stop: number): void {
    for (;;) {
      const line = this.#source.indexOf("\n", this.#at);
      if (line < 0 || line >= stop) break;
      this.#at = line + 1;
      this.#newLine();
    }
    this.#at = stop;
  }

  #lineComment(): void {
    const start = this.#here();
    const from = this.#at;
    const end = this.#source.indexOf("\n", from);
    this.#at = end < 0 ? this.#source.length : end;
    this.comments.push({ text: this.#source.slice(from, this.#at), start, end: this.#here() });
  }

  #blockComment(): void {
    const start = this.#here();
    const from = this.#at;
    const end = this.#source.indexOf("*/", from + 2);
    this.#advanceOver(end < 0 ? this.#source.length : end + 2);
    if (end < 0) this.#error("comment is not closed: '*/' is missing", start, "NEEDLE_UNCLOSED");
    this.comments.push({ text: this.#source.slice(from, this.#at), start, end: this.#here() });
  }

  #sign(): void {
    const source = this.#source;
    const start = this.#here();
    if (source.startsWith("...", this.#at)) {
      this.#at += 3;
      this.#push("keyword", "...", start);
      return;
    }
    const first = source[this.#at]!;
    const pair = source.slice(this.#at, this.#at + 2);
    if (
      pair === "&&" ||
      pair === "||" ||
      pair === "==" ||
      pair === "!=" ||
      pair === "<=" ||
      pair === ">="
    ) {
      this.#at += 2;
      this.#push("operator", pair, start);
    } else if (PUNCTUATION.includes(first)) {
      this.#at += 1;
      this.#push("punctuation", first, start);
    } else if ("!+-*/<>".includes(first)) {
      this.#at += 1;
      this.#push("operator", first, start);
    } else {
      this.#at += 1;
      this.#error(`unknown lexeme '${first}'`, start);
    }
  }
}

/** Tokens of a source, the last one of kind `end`; comments apart. */
export function lexNeedle(source: string, diagnostics = new DiagnosticList()): LexResult {
  let text = source.isWellFormed() ? source : source.toWellFormed();
  if (text.length > SOURCE_CHARS_MAX) {
    const start = { line: 1, column: 1, offset: 0 };
    const message = `source is longer than ${SOURCE_CHARS_MAX} characters`;
    diagnostics.add("error", "NEEDLE_SOURCE_LENGTH", message, { start, end: start });
    text = "";
  }
  const lexer = new Lexer(text, diagnostics);
  lexer.run();
  return { tokens: lexer.tokens, comments: lexer.comments };
}

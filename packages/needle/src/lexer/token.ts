import type { Position } from "../diagnostics/diagnostic.ts";

export type TokenKind =
  | "newline"
  | "name"
  | "extern"
  | "int"
  | "float"
  | "string"
  | "keyword"
  | "type"
  | "punctuation"
  | "operator"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  /**
   * As written; without `$` for an extern variable, the contents after escapes for a string,
   * `\n` for a line feed and `;` alike.
   */
  readonly text: string;
  readonly start: Position;
  readonly end: Position;
}

export interface Comment {
  /** With its marks. */
  readonly text: string;
  readonly start: Position;
  readonly end: Position;
}

export const KEYWORDS: ReadonlySet<string> = new Set([
  "contract",
  "func",
  "return",
  "if",
  "elif",
  "else",
  "error",
  "warning",
  "info",
  "while",
  "data",
  "settings",
  "nil",
  "action",
  "conditions",
  "true",
  "false",
  "break",
  "continue",
  "var",
]);

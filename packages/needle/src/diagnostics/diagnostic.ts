/** What the parser and the checker say about a source. */

/** A place in a source: line and column from 1, offset from 0; all count UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
  readonly offset: number;
}

export interface SourceRange {
  readonly start: Position;
  /** Just behind the last character. */
  readonly end: Position;
}

export type Severity = "error" | "warning";

export interface Diagnostic {
  /** Stable, `NEEDLE_…`. */
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly range: SourceRange;
  readonly file?: string;
}

/** More are dropped: the rest of a source that breaks so often helps nobody. */
export const DIAGNOSTICS_MAX = 100;

export class DiagnosticList {
  readonly items: Diagnostic[] = [];
  readonly #file: string | undefined;

  constructor(file?: string) {
    this.#file = file;
  }

  add(severity: Severity, code: string, message: string, range: SourceRange): void {
    if (this.items.length >= DIAGNOSTICS_MAX) return;
    this.items.push({
      code,
      severity,
      message,
      range,
      ...(this.#file === undefined ? {} : { file: this.#file }),
    });
  }

  get full(): boolean {
    return this.items.length >= DIAGNOSTICS_MAX;
  }
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((item) => item.severity === "error");
}

/** `message [Ln:3 Col:7]`, the form in which messages have always named their place. */
export function diagnosticToText(diagnostic: Diagnostic): string {
  const { line, column } = diagnostic.range.start;
  const file = diagnostic.file === undefined ? "" : `${diagnostic.file}: `;
  return `${file}${diagnostic.message} [Ln:${line} Col:${column}]`;
}

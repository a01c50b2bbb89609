/** What a benchmark case is, and how its figures are judged. */

export interface BenchContext {
  /** Ends within 30 s, at the price of wider error and smaller tables; the figures say so. */
  readonly quick: boolean;
  /** Folder of this case alone, removed afterwards. */
  readonly folder: string;
  /** A line on what is being done. */
  note(text: string): void;
  /** Remembers what must be undone whatever happens; run in reverse order. */
  defer(undo: () => Promise<void> | void): void;
}

/** Figure name to value; names end with their unit. */
export type Figures = Readonly<Record<string, number>>;

export interface Target {
  readonly figure: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface BenchCase {
  readonly name: string;
  readonly about: string;
  readonly targets: readonly Target[];
  run(context: BenchContext): Promise<Figures>;
}

export interface Verdict {
  readonly target: Target;
  readonly met: boolean;
  /** E.g. `>= 10000`. */
  readonly text: string;
}

export function judge(targets: readonly Target[], figures: Figures): Verdict[] {
  return targets.map((target) => {
    const value = figures[target.figure];
    const { atLeast, atMost } = target;
    const met =
      value !== undefined &&
      Number.isFinite(value) &&
      (atLeast === undefined || value >= atLeast) &&
      (atMost === undefined || value <= atMost);
    const text = [
      ...(atLeast === undefined ? [] : [`>= ${formatFigure(atLeast)}`]),
      ...(atMost === undefined ? [] : [`<= ${formatFigure(atMost)}`]),
    ].join(" and ");
    return { target, met, text };
  });
}

/** Numbers as one reads them: three digits that matter, thousands apart. */
export function formatFigure(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size >= 1000)
    return Math.round(value)
      .toString()
      .replaceAll(/\B(?=(\d{3})+$)/gu, " ");
  if (size >= 100 || Number.isInteger(value)) return value.toFixed(0);
  return value.toPrecision(3);
}

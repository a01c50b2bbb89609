/** Steps with their times: bars on a terminal, plain lines elsewhere, silence with `--json`. */
import cliProgress from "cli-progress";
import type { Console } from "./console.ts";

export interface StepRecord {
  readonly step: string;
  readonly ms: number;
  readonly ok: boolean;
}

export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

export interface Steps {
  /** Runs one step, prints it with its time, remembers it. */
  run<T>(
    title: string,
    work: (progress: Progress) => Promise<T>,
    detail?: (value: T) => string,
  ): Promise<T>;
  readonly records: readonly StepRecord[];
}

/** Tells how far a step is; total may grow. */
export type Progress = (done: number, total: number, what?: string) => void;

export function createSteps(console: Console, now: () => number = () => performance.now()): Steps {
  const records: StepRecord[] = [];
  return {
    records,
    async run(title, work, detail) {
      const { paint } = console;
      const began = now();
      const bar = console.interactive
        ? new cliProgress.SingleBar(
            {
              format: `  {bar} ${title} {value}/{total} {what}`,
              barsize: 20,
              hideCursor: true,
              clearOnComplete: true,
              stopOnComplete: false,
              stream: console.stdout as NodeJS.WritableStream,
            },
            cliProgress.Presets.shades_classic,
          )
        : undefined;
      let barRuns = false;
      const progress: Progress = (done, total, what = "") => {
        if (bar === undefined) return;
        if (!barRuns) bar.start(total, done, { what });
        else {
          bar.setTotal(total);
          bar.update(done, { what });
        }
        barRuns = true;
      };
      const finish = (ok: boolean, text: string) => {
        if (barRuns) bar?.stop();
        const ms = now() - began;
        records.push({ step: title, ms: Math.round(ms), ok });
        const mark = ok ? paint.green("ok  ") : paint.red("FAIL");
        console.line(
          `  ${mark} ${title}${text === "" ? "" : paint.dim(`  ${text}`)}  ${paint.dim(formatDuration(ms))}`,
        );
      };
      let value: Awaited<ReturnType<typeof work>>;
      try {
        value = await work(progress);
      } catch (error) {
        finish(false, "");
        throw error;
      }
      finish(true, detail?.(value) ?? "");
      return value;
    },
  };
}

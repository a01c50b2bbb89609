import type { NeedleRun } from "../runtime/run.ts";
import { toText } from "../values/convert.ts";
import type { NeedleValue } from "../values/value.ts";
export function formatText(run: NeedleRun, format: string, values: readonly NeedleValue[]): string {
  let at = 0;
  return format.replace(/%[dsvt]/g, () => toText(values[at++] ?? null, run));
}

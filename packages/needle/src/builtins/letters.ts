/** Case and white space by tables that never change with the machine. */
import { LOWER_RUNS, UPPER_RUNS } from "./letter-table.ts";

function parseRuns(runs: readonly string[]): ReadonlyMap<number, number> {
  const map = new Map<number, number>();
  for (const run of runs.flatMap((line) => line.split(" "))) {
    const [first, last, step, delta] = run.split(",").map(Number) as [
      number,
      number,
      number,
      number,
    ];
    for (let code = first; code <= last; code += step) map.set(code, code + delta);
  }
  return map;
}

let lower: ReadonlyMap<number, number> | undefined;
let upper: ReadonlyMap<number, number> | undefined;

function mapped(text: string, table: ReadonlyMap<number, number>): string {
  let made = "";
  for (const sign of text) {
    const target = table.get(sign.codePointAt(0)!);
    made += target === undefined ? sign : String.fromCodePoint(target);
  }
  return made;
}

/** Character by character: a letter never becomes two. */
export function lowerText(text: string): string {
  lower ??= parseRuns(LOWER_RUNS);
  return mapped(text, lower);
}

export function upperText(text: string): string {
  upper ??= parseRuns(UPPER_RUNS);
  return mapped(text, upper);
}

/** Code points with the property White_Space of Unicode 16. */
function isSpace(unit: number): boolean {
  return (
    (unit >= 9 && unit <= 13) ||
    unit === 32 ||
    unit === 0x85 ||
    unit === 0xa0 ||
    unit === 0x1680 ||
    (unit >= 0x2000 && unit <= 0x200a) ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x3000
  );
}

export function trimSpace(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text.charCodeAt(from))) from += 1;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

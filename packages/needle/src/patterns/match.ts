/** Searching with an automaton: all states at once, one character after the other. */
import type { Meter } from "../values/convert.ts";
import type { Assertion, Pattern } from "./parse-pattern.ts";

/** States visited for one unit of fuel. */
const STATES_PER_FUEL = 8;

function isWord(unit: number): boolean {
  return (
    (unit >= 48 && unit <= 57) ||
    (unit >= 65 && unit <= 90) ||
    unit === 95 ||
    (unit >= 97 && unit <= 122)
  );
}

/** `before` and `after` are code points, -1 at the ends of the text. */
function holds(what: Assertion, before: number, after: number): boolean {
  switch (what) {
    case "begin":
      return before === -1;
    case "end":
      return after === -1;
    case "lineBegin":
      return before === -1 || before === 10;
    case "lineEnd":
      return after === -1 || after === 10;
    case "word":
      return isWord(before) !== isWord(after);
    case "notWord":
      return isWord(before) === isWord(after);
  }
}

function inRanges(ranges: readonly number[], code: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) {
    if (code < ranges[i]!) return false;
    if (code <= ranges[i + 1]!) return true;
  }
  return false;
}

/** Whether the pattern matches anywhere in the text; time at most states times characters. */
export function matchesPattern(pattern: Pattern, text: string, meter: Meter): boolean {
  const { states, start } = pattern;
  /** Step in which a state was last entered. */
  const entered = new Int32Array(states.length).fill(-1);
  let current: number[] = [];
  let at = 0;
  let before = -1;
  for (let step = 0; ; step++) {
    const after = at < text.length ? text.codePointAt(at)! : -1;
    const reached: number[] = [];
    const waiting = [start, ...current];
    let visited = 0;
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
      if (entered[index] === step) continue;
      entered[index] = step;
      visited += 1;
      const state = states[index]!;
      switch (state.kind) {
        case "match":
          return true;
        case "split":
          waiting.push(state.next, state.other);
          break;
        case "assert":
          if (holds(state.what, before, after)) waiting.push(state.next);
          break;
        case "set":
          reached.push(index);
      }
    }
    meter.useFuel(Math.ceil(visited / STATES_PER_FUEL));
    if (after === -1) return false;
    current = [];
    for (const index of reached) {
      const state = states[index]!;
      if (state.kind === "set" && inRanges(state.ranges, after)) current.push(state.next);
    }
    before = after;
    at += after > 0xffff ? 2 : 1;
  }
}

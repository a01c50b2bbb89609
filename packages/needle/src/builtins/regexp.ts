/** `RegexpMatch`: patterns in RE2 syntax. */

import { matchesPattern } from "../patterns/match.ts";
import { type Pattern, parsePattern } from "../patterns/parse-pattern.ts";
import { panic } from "../runtime/fault.ts";
import { type Builtin, builtin, parameter as p } from "./builtin.ts";

/** `\uXXXX` in a pattern stands for that character. */
function unquoteUnicode(pattern: string): string {
  return pattern.replace(/\\u([0-9a-fA-F]{4})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)).toWellFormed(),
  );
}

export const REGEXP_BUILTINS: readonly Builtin[] = [
  builtin(
    "RegexpMatch",
    [p("s", "string"), p("pattern", "string")],
    "bool",
    "Whether a pattern (RE2 syntax) matches somewhere in a text; time grows with both lengths only.",
    {},
    (run, text, pattern) => {
      // Reading a pattern costs about as much as a few statements per character.
      run.useFuel(8 * pattern.length);
      let parsed: Pattern;
      try {
        parsed = parsePattern(unquoteUnicode(pattern));
      } catch (thrown) {
        if (!(thrown instanceof SyntaxError)) throw thrown;
        throw panic("NEEDLE_PATTERN", `error parsing regexp: ${thrown.message}`);
      }
      run.useMemory(64 * parsed.states.length);
      run.useFuel(parsed.states.length);
      return matchesPattern(parsed, text.toWellFormed(), run);
    },
  ),
];

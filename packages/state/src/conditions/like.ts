/** SQL LIKE: `%` any text, `_` one character (code point), `\` takes the next one literally. */

const ANY = -1;
const ONE = -2;

/** ASCII letters to lower case: what ILIKE folds under collation "C". */
function foldAscii(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code;
}

function codePoints(text: string, fold: boolean): number[] {
  const codes: number[] = [];
  for (const char of text) {
    const code = char.codePointAt(0)!;
    codes.push(fold ? foldAscii(code) : code);
  }
  return codes;
}

/**
 * A matcher in time O(pattern x text), never exponential. Undefined when the pattern is no plain
 * text or ends with a lone escape, which PostgreSQL refuses.
 */
export function createLikeMatcher(
  pattern: string,
  fold: boolean,
): ((text: string) => boolean) | undefined {
  if (!pattern.isWellFormed() || pattern.includes("\0")) return undefined;
  const parts: number[] = [];
  let escaped = false;
  for (const code of codePoints(pattern, fold)) {
    if (escaped) {
      parts.push(code);
      escaped = false;
    } else if (code === 92) escaped = true;
    else if (code === 37) parts.push(ANY);
    else if (code === 95) parts.push(ONE);
    else parts.push(code);
  }
  if (escaped) return undefined;
  return (text) => {
    const codes = codePoints(text, fold);
    let p = 0;
    let t = 0;
    // Where to resume after the last `%`: greedy with one level of backtracking is enough.
    let resumeP = -1;
    let resumeT = -1;
    while (t < codes.length) {
      const part = parts[p];
      if (part === ANY) {
        resumeP = ++p;
        resumeT = t;
      } else if (part !== undefined && (part === ONE || part === codes[t])) {
        p++;
        t++;
      } else if (resumeP >= 0) {
        p = resumeP;
        t = ++resumeT;
      } else return false;
    }
    while (parts[p] === ANY) p++;
    return p === parts.length;
  };
}

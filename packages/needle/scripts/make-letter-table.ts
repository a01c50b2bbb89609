/**
 * Writes src/builtins/letter-table.ts: the simple case mappings (one code point to one code point)
 * of the Unicode version that runs this script. Run it only together with a new version of the
 * language: the table is part of consensus.
 *   node packages/needle/scripts/make-letter-table.ts
 */
import { writeFileSync } from "node:fs";

type Run = [first: number, last: number, step: number, delta: number];

function runs(map: (text: string) => string): Run[] {
  const found: Run[] = [];
  for (let code = 0; code <= 0x1ffff; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const mapped = map(String.fromCodePoint(code));
    const target = mapped.codePointAt(0)!;
    if (String.fromCodePoint(target) !== mapped || target === code) continue;
    const delta = target - code;
    const last = found.at(-1);
    if (last !== undefined && last[3] === delta) {
      const gap = code - last[1];
      if (last[0] === last[1] && gap <= 2) {
        last[2] = gap;
        last[1] = code;
        continue;
      }
      if (gap === last[2]) {
        last[1] = code;
        continue;
      }
    }
    found.push([code, code, 1, delta]);
  }
  return found;
}

function table(name: string, doc: string, found: readonly Run[]): string {
  const lines: string[] = [];
  for (let i = 0; i < found.length; i += 4) {
    const part = found.slice(i, i + 4).map((run) => run.join(","));
    lines.push(`  "${part.join(" ")}",`);
  }
  return `/** ${doc} */\nexport const ${name}: readonly string[] = [\n${lines.join("\n")}\n];\n`;
}

const upper = runs((text) => text.toUpperCase());
// Lower case of U+0130 alone is two code points in full mappings, "i" in simple ones.
const lower = runs((text) => (text === "\u0130" ? "i" : text.toLowerCase()));

const text = `/**
 * Simple case mappings of Unicode ${process.versions.unicode}, made by scripts/make-letter-table.ts. Runs of
 * "first,last,step,delta": every step-th code point from first to last maps to itself plus delta.
 */
${table("LOWER_RUNS", "To lower case.", lower)}
${table("UPPER_RUNS", "To upper case.", upper)}`;
writeFileSync(new URL("../src/builtins/letter-table.ts", import.meta.url), text);

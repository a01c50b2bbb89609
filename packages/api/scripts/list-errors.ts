/**
 * Lists every error code of the product from its source, for docs/reference/errors.md:
 *
 *     node packages/api/scripts/list-errors.ts --write
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ERROR_KINDS } from "../src/problems/problem.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const ERRORS_FILE = `${ROOT}docs/reference/errors.md`;

export interface ListedError {
  readonly code: string;
  readonly rooms: readonly string[];
  /** Where the source says it beside the code. */
  readonly kinds: readonly string[];
}

const CODE = /"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"(?:,\s*"([a-zA-Z]+)")?/g;
/** Beginnings of codes that no `new HanseError` shows, because a function of the room adds the kind. */
const MORE_BEGINNINGS = ["SIGNER", "BLOCK", "LEDGER", "NEEDLE", "CONTRACT", "ORDERING"];
/** Capital texts with such a beginning that are no codes. */
const NO_CODES: ReadonlySet<string> = new Set(["LEDGER_"]);

/** Codes in alphabetical order. */
export function listErrors(): ListedError[] {
  const files = globSync("packages/*/src/**/*.ts", { cwd: ROOT }).filter(
    (file) => !/\.test\.ts$|\/testing\//.test(file),
  );
  const texts = files.map((file) => [file, readFileSync(`${ROOT}${file}`, "utf8")] as const);
  const beginnings = new Set(MORE_BEGINNINGS);
  for (const [, text] of texts) {
    for (const [, code] of text.matchAll(/new HanseError\(\s*"([A-Z0-9_]+)"/g)) {
      beginnings.add(code!.split("_")[0]!);
    }
  }
  const found = new Map<string, { rooms: Set<string>; kinds: Set<string> }>();
  for (const [file, text] of texts) {
    const room = file.split("/")[1]!;
    for (const [, code, next] of text.matchAll(CODE)) {
      if (!beginnings.has(code!.split("_")[0]!) || NO_CODES.has(code!)) continue;
      const entry = found.get(code!) ?? { rooms: new Set(), kinds: new Set() };
      entry.rooms.add(room);
      if (next !== undefined && Object.hasOwn(ERROR_KINDS, next)) entry.kinds.add(next);
      found.set(code!, entry);
    }
  }
  return [...found]
    .map(([code, { rooms, kinds }]) => ({
      code,
      rooms: [...rooms].sort(),
      kinds: [...kinds].sort(),
    }))
    .sort((a, b) => (a.code < b.code ? -1 : 1));
}

export function renderErrors(list: readonly ListedError[]): string {
  const kinds = Object.entries(ERROR_KINDS).map(
    ([kind, { status, title, retry }]) =>
      `| ${kind} | ${status} | ${title} | ${retry ? "yes, after `Retry-After` seconds" : "no"} |`,
  );
  const rows = list.map(
    ({ code, rooms, kinds: of }) => `| ${code} | ${of.join(", ")} | ${rooms.join(", ")} |`,
  );
  return `# Error codes

Made from the source by \`node packages/api/scripts/list-errors.ts --write\`; a test compares the two.

Every refusal carries a stable code that is never reused. Over HTTP it is a problem document
(RFC 9457) with \`code\`, \`detail\` (one sentence that names the field and the remedy) and, where they
apply, \`field\`, \`retryAfter\` and \`details\`. The status follows from the kind:

| kind | status | meaning | worth repeating |
| --- | --- | --- | --- |
${kinds.join("\n")}

A contract that fails is not an error of a request: the transaction is final, and its outcome has
another code than \`ok\`.

## Codes

An empty kind means that the code's room decides it in one place, or that it is an outcome's or a
verdict's code.

| code | kind | room |
| --- | --- | --- |
${rows.join("\n")}
`;
}

if (process.argv.includes("--write")) writeFileSync(ERRORS_FILE, renderErrors(listErrors()));

/**
 * Puts the tables of built-ins and system variables into spec/needle.md, between its marks.
 *   node packages/needle/scripts/spec-tables.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Builtin } from "../src/builtins/builtin.ts";
import { BUILTIN_CHAPTERS } from "../src/builtins/table.ts";
import * as limits from "../src/runtime/limits.ts";
import { SYSTEM_VARIABLES } from "../src/runtime/system-variables.ts";

export const SPEC_PATH = fileURLToPath(new URL("../../../spec/needle.md", import.meta.url));

function signature(one: Builtin): string {
  const fixed = one.parameters.length - one.optional;
  const parameters = one.parameters.map(({ name, type }, index) => {
    const shown = type === "any" ? name : `${name} ${type}`;
    if (one.variadic && index === one.parameters.length - 1) return `${shown}...`;
    return index >= fixed ? `[${shown}]` : shown;
  });
  const tails = one.tails.map(({ name }) => `.${name}`).join(" ");
  return `\`${one.name}(${parameters.join(", ")})\`${tails === "" ? "" : ` with tails \`${tails}\``}`;
}

function flags(one: Builtin): string {
  const all = [
    one.writes ? "W" : "",
    one.host ? "H" : "",
    one.callers === undefined ? "" : `X: ${one.callers.join(", ")}`,
    one.profile === "lenient" ? "lenient" : "",
  ];
  return all.filter((flag) => flag !== "").join(" ");
}

function builtinTables(): string {
  return BUILTIN_CHAPTERS.map(({ title, builtins }) => {
    const rows = builtins.map(
      (one) =>
        `| ${signature(one)} | ${one.result === "none" ? "" : one.result} | ${one.fuel} | ${flags(one)} | ${one.doc} |`,
    );
    return `### ${title}\n\n| call | result | fuel | | |\n|---|---|---|---|---|\n${rows.join("\n")}`;
  }).join("\n\n");
}

function variableTable(): string {
  const rows = [...SYSTEM_VARIABLES.values()].map(
    ({ name, type, doc }) => `| \`$${name}\` | ${type} | ${doc} |`,
  );
  return `| variable | type | value |\n|---|---|---|\n${rows.join("\n")}`;
}

function limitTable(): string {
  const rows = Object.entries(limits).map(([name, value]) => `| \`${name}\` | ${value} |`);
  return `| limit | value |\n|---|---|\n${rows.join("\n")}`;
}

/** The text of the specification with its tables made anew. */
export function withTables(text: string): string {
  const tables = { builtins: builtinTables(), variables: variableTable(), limits: limitTable() };
  let made = text;
  for (const [name, table] of Object.entries(tables)) {
    const begin = `<!-- table: ${name} -->`;
    const end = `<!-- end: ${name} -->`;
    const from = made.indexOf(begin);
    const to = made.indexOf(end);
    if (from < 0 || to < from) throw new Error(`spec/needle.md has no marks for ${name}`);
    made = `${made.slice(0, from + begin.length)}\n${table}\n${made.slice(to)}`;
  }
  return made;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(SPEC_PATH, withTables(readFileSync(SPEC_PATH, "utf8")));
}

/**
 * Goal: the rules of the house that no compiler checks. Method: read every source file, its
 * imports and its text, and hold them against test/tidy/rooms.ts.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";
import test from "node:test";
import { bannedFolders, edges, LINES_MAX, longFiles, rooms } from "./rooms.ts";

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "");
const source = files.filter((file) => /\.(ts|tsx|mjs)$/.test(file) && !file.includes("/vectors/"));
const text = new Map<string, string>();
for (const file of source) {
  try {
    text.set(file, readFileSync(file, "utf8"));
  } catch {
    // Deleted in the working tree but not yet in the index.
  }
}

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const found: Import[] = [];
  const pattern =
    /^\s*(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"|import\(\s*"([^"]+)"\s*\)/gm;
  for (const match of (text.get(file) ?? "").matchAll(pattern)) {
    found.push({ file, target: match[2] ?? match[3]!, typeOnly: match[1] !== undefined });
  }
  return found;
}

const roomOf = (file: string) => /^packages\/([^/]+)\//.exec(file)?.[1];
const isTest = (file: string) => /\.test\.ts$|\/(bench|scripts|testing)\//.test(file);
const rank = new Map(rooms.map((room, i) => [room.name, i]));

test("every package is a room with a rank", () => {
  const packages = new Set(source.map(roomOf).filter((room) => room !== undefined));
  for (const name of packages) assert.ok(rank.has(name), `packages/${name} is not in rooms.ts`);
});

test("arrows point down and go through doors", () => {
  const breaches: string[] = [];
  for (const file of source) {
    const room = roomOf(file);
    if (room === undefined || isTest(file)) continue;
    const own = rooms[rank.get(room)!]!;
    const manifest = JSON.parse(readFileSync(`packages/${room}/package.json`, "utf8")) as {
      dependencies?: Record<string, string>;
      optionalDependencies?: Record<string, string>;
    };
    for (const { target } of importsOf(file)) {
      if (target.startsWith(".")) {
        const resolved = path.join(path.dirname(file), target);
        if (!resolved.startsWith(`packages/${room}/`))
          breaches.push(`${file}: leaves its room by ${target}`);
        continue;
      }
      if (target.startsWith("#") || isBuiltin(target)) continue;
      const [, other, inside] = /^@hanse\/([^/]+)(\/.*)?$/.exec(target) ?? [];
      if (other !== undefined) {
        if (inside !== undefined)
          breaches.push(`${file}: goes behind the door of ${other}: ${target}`);
        const allowed = own.only?.includes(other) ?? (rank.get(other) ?? 99) < rank.get(room)!;
        if (!allowed) breaches.push(`${file}: ${room} may not import ${other}`);
      }
      const name = target
        .split("/")
        .slice(0, target.startsWith("@") ? 2 : 1)
        .join("/");
      if ((manifest.dependencies?.[name] ?? manifest.optionalDependencies?.[name]) === undefined) {
        breaches.push(`${file}: ${name} is not a dependency in packages/${room}/package.json`);
      }
    }
  }
  assert.deepEqual(breaches, []);
});

test("pure rooms touch nothing outside", () => {
  const banned = [
    [/\bDate\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)/, "the clock"],
    [/\bperformance\s*\./, "the clock"],
    [/\bMath\s*\.\s*random\b/, "randomness"],
    [/\bcrypto\s*\.\s*(getRandomValues|randomUUID|randomBytes)\b/, "randomness"],
    [/\bset(Timeout|Interval|Immediate)\s*\(/, "timers"],
    [/\bfetch\s*\(\s*["'`]|\bnew\s+(WebSocket|Worker|EventSource)\b/, "the network or threads"],
    [/\bprocess\s*\./, "the process"],
    [/\bconsole\s*\./, "the console"],
    [/\.(localeCompare|toLocale\w*)\s*\(|\bIntl\s*\./, "the locale"],
  ] as const;
  const bannedModules =
    /^node:(fs|net|tls|http|https|http2|dgram|dns|child_process|cluster|worker_threads|os|process|timers|perf_hooks|async_hooks|vm)(\/|$)/;
  const breaches: string[] = [];
  for (const file of source) {
    const room = roomOf(file);
    if (room === undefined || isTest(file) || !rooms[rank.get(room) ?? 0]!.pure) continue;
    if (edges[file] !== undefined) continue;
    const code = (text.get(file) ?? "").replace(/\/\*[\s\S]*?\*\/|(^|[^:])\/\/.*$/gm, "$1");
    for (const [pattern, what] of banned) {
      const hit = pattern.exec(code);
      if (hit !== null) breaches.push(`${file}: touches ${what}: ${hit[0]}`);
    }
    for (const { target } of importsOf(file)) {
      if (bannedModules.test(target)) breaches.push(`${file}: imports ${target}`);
    }
  }
  assert.deepEqual(breaches, []);
});

test("folders say what is in them", () => {
  const breaches = new Set<string>();
  for (const file of source) {
    for (const part of path.dirname(file).split("/")) {
      if (bannedFolders.includes(part)) breaches.add(path.dirname(file));
    }
    const base = path.basename(file).replace(/\.(test|bench)?\.?(ts|tsx|mjs)$/, "");
    if (!/^[a-z0-9]+([-.][a-z0-9]+)*$/.test(base)) breaches.add(`${file}: not kebab-case`);
  }
  assert.deepEqual([...breaches], []);
});

test("files stay readable in one sitting", () => {
  const long: string[] = [];
  for (const [file, content] of text) {
    const lines = content.split("\n").length;
    if (lines > LINES_MAX && longFiles[file] === undefined) long.push(`${file}: ${lines} lines`);
  }
  assert.deepEqual(long, []);
});

test("process.env stays at the edges", () => {
  const breaches: string[] = [];
  for (const [file, content] of text) {
    const room = roomOf(file);
    if (room === undefined || room === "node" || room === "cli" || isTest(file) || edges[file])
      continue;
    if (/\bprocess\s*\.\s*env\b/.test(content)) breaches.push(file);
  }
  assert.deepEqual(breaches, []);
});

test("documents link only to what is there", () => {
  const broken: string[] = [];
  for (const file of files.filter((name) => name.endsWith(".md"))) {
    const content = readFileSync(file, "utf8").replace(/```[\s\S]*?```/g, "");
    for (const match of content.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)]*)?\)/g)) {
      const target = path.join(path.dirname(file), match[1]!);
      const known = files.some(
        (name) => name === target || name.startsWith(`${target.replace(/\/$/, "")}/`),
      );
      if (!known) broken.push(`${file}: ${match[1]}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("the repository reads nothing outside itself", () => {
  const breaches: string[] = [];
  for (const [file, content] of text) {
    if (file === "test/tidy/tidy.test.ts") continue;
    if (/["'`](\.\.\/)+shared\//.test(content)) breaches.push(file);
  }
  assert.deepEqual(breaches, []);
});

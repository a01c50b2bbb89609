// Entry of every npm command. Runs on any Node from 20 on, installs what is missing, and hands
// over to the Node version that the project pins. Plain JavaScript, built-in modules only.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const [command = "help", ...args] = process.argv.slice(2);

/** What each command runs, under the pinned Node. */
const commands = {
  start: ["packages/cli/src/main-job/start.ts"],
  test: ["scripts/run-tests.ts"],
  check: ["scripts/check.ts"],
  bench: ["bench/main.ts"],
  sim: ["test/simulation/main.ts"],
  faults: ["scripts/faults/main.ts"],
};

function say(text) {
  process.stderr.write(`hanse: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

/** The lock file that npm writes into node_modules after a complete install. */
const installedLock = path.join(root, "node_modules", ".package-lock.json");

function isInstalled() {
  if (!existsSync(installedLock)) return false;
  const lock = statSync(path.join(root, "package-lock.json")).mtimeMs;
  if (statSync(installedLock).mtimeMs >= lock) return true;
  // A checkout touches files: compare contents before paying for an install.
  const packagesOf = (file) => JSON.parse(readFileSync(file, "utf8")).packages;
  const wanted = packagesOf(path.join(root, "package-lock.json"));
  const present = packagesOf(installedLock);
  return Object.entries(wanted).every(
    ([name, entry]) =>
      name === "" ||
      entry.link ||
      entry.optional ||
      name.startsWith("packages/") ||
      present[name]?.version === entry.version,
  );
}

function install() {
  if (isInstalled()) return;
  say("installing packages (once, about half a minute)…");
  const npm = process.env.npm_execpath;
  const argv = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const started = Date.now();
  for (let attempt = 1; ; attempt++) {
    const result = npm?.endsWith(".js")
      ? spawnSync(process.execPath, [npm, ...argv], { cwd: root, stdio: ["ignore", 2, 2] })
      : spawnSync("npm", argv, {
          cwd: root,
          stdio: ["ignore", 2, 2],
          shell: process.platform === "win32",
        });
    if (result.status === 0) break;
    if (attempt === 3) fail("npm ci failed three times; see its message above");
    say(`npm ci failed (attempt ${attempt} of 3), trying again…`);
  }
  say(`packages installed in ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

function pinnedNode() {
  const bin = path.join(
    root,
    "node_modules",
    "node",
    "bin",
    process.platform === "win32" ? "node.exe" : "node",
  );
  if (existsSync(bin)) return bin;
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= 24) return process.execPath;
  fail(
    "the pinned Node 24 is missing from node_modules (its install script may have been blocked); " +
      "run `npm rebuild node`, or use Node 24 or newer yourself",
  );
}

if (!Object.hasOwn(commands, command)) {
  fail(`unknown command "${command}"; known: ${Object.keys(commands).join(", ")}`);
}
install();
const node = pinnedNode();
const child = spawn(node, [...commands[command], ...args], {
  cwd: root,
  stdio: "inherit",
  env: {
    ...process.env,
    // Children started by name ("node", "tsc") come from the project as well.
    PATH: [path.dirname(node), path.join(root, "node_modules", ".bin"), process.env.PATH].join(
      path.delimiter,
    ),
  },
});
// The terminal already sends Ctrl-C to the whole group; other signals are passed on.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => fail(`cannot run ${node}: ${error.message}`));
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));

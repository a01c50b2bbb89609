/**
 * Runs every test in stages, one after the other: the cheap ones first, those that start real
 * processes alone. Usage: npm test -- [--stage NAME[,NAME]] [part of a path …]
 */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";

interface Stage {
  readonly name: string;
  readonly files: readonly string[];
  readonly concurrency: number;
  /** Longest a single file may take, milliseconds. */
  readonly timeoutMs: number;
}

const stages: readonly Stage[] = [
  {
    name: "unit",
    files: [
      "test/tidy/*.test.ts",
      "packages/*/src/**/*.test.ts",
      "examples/**/*.test.ts",
      "bench/**/*.test.ts",
    ],
    concurrency: 2,
    timeoutMs: 600_000,
  },
  {
    name: "simulation",
    files: ["test/simulation/**/*.test.ts"],
    concurrency: 1,
    timeoutMs: 900_000,
  },
  {
    name: "e2e",
    files: ["test/e2e/**/*.test.ts", "test/conformance/**/*.test.ts"],
    concurrency: 1,
    timeoutMs: 900_000,
  },
];

/** Makes property tests draw the same values in every run. */
const SEED_MODULE = new URL("property-seed.ts", import.meta.url).href;

const CHROMIUM_PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** A Debian package for some of the tests; what cannot be had is skipped by name later. */
function installByApt(name: string, ...debianPackages: readonly string[]): void {
  if (process.platform !== "linux" || process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    console.log(`${name}: not installed and apt-get not usable here; its tests will be skipped`);
    return;
  }
  console.log(`${name}: installing by apt-get for its tests…`);
  const options = {
    stdio: ["ignore", "ignore", "inherit"] as ("ignore" | "inherit")[],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  spawnSync("apt-get", ["update", "-qq"], options);
  const done = spawnSync(
    "apt-get",
    ["install", "-y", "-qq", "--no-install-recommends", ...debianPackages],
    options,
  );
  if (done.status !== 0) console.log(`${name}: apt-get failed; its tests will be skipped`);
}

function provideChromium(): void {
  if (process.env.CHROMIUM_BIN !== undefined || CHROMIUM_PATHS.some((file) => existsSync(file)))
    return;
  installByApt("chromium", "chromium");
}

function isOnPath(program: string): boolean {
  // What only root calls is often on root's path alone.
  const folders = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => existsSync(path.join(folder, program)));
}

function provideEtcd(): void {
  if (process.env.ETCD_BIN !== undefined || isOnPath("etcd")) return;
  // With a service manager Debian starts a server on 2379 too; tests take other ports.
  installByApt("etcd", "etcd-server");
}

function provideNetworkTools(): void {
  if (isOnPath("ip") && isOnPath("nft")) return;
  installByApt("network namespaces", "iproute2", "nftables");
}

interface Totals {
  passed: number;
  failed: number;
  skipped: string[];
  failures: string[];
}

function filesOf(stage: Stage, filters: readonly string[]): string[] {
  return stage.files
    .flatMap((pattern) => globSync(pattern))
    .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)))
    .sort();
}

function mentions(text: string): (file: string) => boolean {
  return (file) => readFileSync(file, "utf8").includes(text);
}

async function runStage(stage: Stage, filters: readonly string[], totals: Totals): Promise<void> {
  const files = filesOf(stage, filters);
  if (files.length === 0) return;
  console.log(`\n── ${stage.name}: ${files.length} files ──`);
  const started = performance.now();
  const stream = run({
    files: files.map((file) => path.resolve(file)),
    execArgv: ["--import", SEED_MODULE],
    concurrency: stage.concurrency,
    timeout: stage.timeoutMs,
  });
  stream.on("test:pass", (event) => {
    // Suites and files are containers; count what was really executed.
    if (event.details.type === "suite") return;
    if (event.skip !== undefined && event.skip !== false) {
      totals.skipped.push(
        `${event.name}${typeof event.skip === "string" ? ` (${event.skip})` : ""}`,
      );
    } else totals.passed += 1;
  });
  stream.on("test:fail", (event) => {
    if (event.details.type === "suite") return;
    totals.failed += 1;
    totals.failures.push(
      `${event.name}${event.file === undefined ? "" : ` — ${path.relative(process.cwd(), event.file)}`}`,
    );
  });
  await new Promise<void>((resolve, reject) => {
    stream
      .compose(new spec())
      .on("end", resolve)
      .on("error", reject)
      .pipe(process.stdout, { end: false });
  });
  console.log(`── ${stage.name}: ${((performance.now() - started) / 1000).toFixed(0)} s ──`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { stage: { type: "string" } },
});
const names = stages.map((stage) => stage.name);
const wanted = values.stage?.split(",") ?? names;
for (const name of wanted) {
  if (!names.includes(name)) {
    console.error(`--stage: no stage "${name}"; known: ${names.join(", ")}`);
    process.exit(2);
  }
}
const chosen = stages.filter((stage) => wanted.includes(stage.name));
const files = chosen.flatMap((stage) => filesOf(stage, positionals));
if (files.some(mentions("CHROMIUM_BIN"))) provideChromium();
if (files.some(mentions("ETCD_MISSING"))) provideEtcd();
if (files.some(mentions("findMissing"))) provideNetworkTools();
const totals: Totals = { passed: 0, failed: 0, skipped: [], failures: [] };
const startedAt = performance.now();
for (const stage of chosen) await runStage(stage, positionals, totals);

console.log(`\nall stages: ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
for (const name of totals.skipped) console.log(`skipped: ${name}`);
for (const name of totals.failures) console.log(`failed: ${name}`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped.length} skipped`);
process.exit(totals.failed === 0 && totals.passed > 0 ? 0 : 1);

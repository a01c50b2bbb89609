/**
 * `npm run bench`: measures the product through its public API, over real PostgreSQL with
 * everything durable, under open-loop load from a process of its own.
 *
 *     npm run bench -- [--list] [--only NAME[,NAME]] [--quick] [--json FILE]
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { renderTable } from "@hanse/cli";
import pc from "picocolors";
import {
  type BenchCase,
  type BenchContext,
  type Figures,
  formatFigure,
  judge,
} from "./bench-case.ts";
import { BENCH_CASES } from "./cases/all-cases.ts";

interface Options {
  readonly list: boolean;
  readonly quick: boolean;
  readonly only: readonly string[] | undefined;
  readonly json: string | undefined;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      list: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      json: { type: "string" },
    },
  });
  const only = values.only?.split(",").map((name) => name.trim());
  for (const name of only ?? []) {
    if (!BENCH_CASES.some((one) => one.name === name)) {
      throw new Error(
        `--only ${name}: no such case; known: ${BENCH_CASES.map((one) => one.name).join(", ")}`,
      );
    }
  }
  return { list: values.list, quick: values.quick, only, json: values.json };
}

async function runCase(benchCase: BenchCase, quick: boolean): Promise<Figures> {
  const folder = mkdtempSync(path.join(tmpdir(), `hanse-bench-${benchCase.name}-`));
  const undos: (() => Promise<void> | void)[] = [
    () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }),
  ];
  const context: BenchContext = {
    quick,
    folder,
    note: (text) => process.stderr.write(`  ${text}\n`),
    defer: (undo) => void undos.push(undo),
  };
  const onSignal = () => {
    void undoAll(undos).finally(() => process.exit(130));
  };
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  try {
    return await benchCase.run(context);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
    await undoAll(undos);
  }
}

async function undoAll(undos: (() => Promise<void> | void)[]): Promise<void> {
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
    try {
      await undo();
    } catch (error) {
      process.stderr.write(`  cleaning up: ${error instanceof Error ? error.message : error}\n`);
    }
  }
}

const plain = pc.createColors(false);

function printFigures(results: ReadonlyMap<string, Figures>): void {
  const rows: string[][] = [];
  for (const [name, figures] of results) {
    const { targets } = BENCH_CASES.find((one) => one.name === name)!;
    const verdicts = judge(targets, figures);
    for (const [figure, value] of Object.entries(figures)) {
      const verdict = verdicts.find((one) => one.target.figure === figure);
      const judged = verdict === undefined ? "" : verdict.met ? "met" : "missed";
      rows.push([name, figure, formatFigure(value).padStart(10), verdict?.text ?? "", judged]);
    }
  }
  const head = ["CASE", "FIGURE", "     VALUE", "TARGET", "VERDICT"];
  process.stdout.write(`${renderTable(head, rows, plain)}\n`);
}

function listCases(): void {
  const rows = BENCH_CASES.map(({ name, about }) => [name, about]);
  process.stdout.write(`${renderTable(["CASE", "WHAT IT MEASURES"], rows, plain)}\n`);
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options.list) {
    listCases();
    return 0;
  }
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? "unknown CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
  process.stderr.write(`${machine}${options.quick ? ", quick" : ""}\n`);
  const results = new Map<string, Figures>();
  let failed = 0;
  for (const benchCase of BENCH_CASES) {
    if (options.only !== undefined && !options.only.includes(benchCase.name)) continue;
    const began = performance.now();
    process.stderr.write(`${benchCase.name}: ${benchCase.about}\n`);
    const busy = loadavg()[0]!;
    if (busy > 1)
      process.stderr.write(`  other work runs on this machine (load ${busy.toFixed(1)})\n`);
    try {
      results.set(benchCase.name, await runCase(benchCase, options.quick));
    } catch (error) {
      failed++;
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.stderr.write(`  failed: ${text}\n`);
    }
    process.stderr.write(`  ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
    if (options.json !== undefined) {
      writeFileSync(options.json, `${JSON.stringify(Object.fromEntries(results), undefined, 2)}\n`);
    }
  }
  printFigures(results);
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
}

/**
 * `npm start`: four organizations keep one record. Sets the network up or goes on from where it
 * was, and stays until Ctrl-C. With `--check`: the whole main job once, then out.
 *
 *     node packages/cli/src/main-job/start.ts [--check] [--dir FOLDER] [--port-base PORT] [--json]
 */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { HanseError } from "@hanse/protocol";
import { parseInteger } from "../command-context.ts";
import { PORT_BASE } from "../network-folder/free-ports.ts";
import type { NetworkFolder } from "../network-folder/network-folder.ts";
import { isNetworkFolder, loadNetworkFolder } from "../network-folder/network-folder.ts";
import { type Console, createConsole } from "../output/console.ts";
import { EXIT_CODES, type ExitCode } from "../output/exit-codes.ts";
import { createSteps, formatDuration } from "../output/progress.ts";
import { reportError, usageError } from "../output/report-error.ts";
import { downNetwork, readNetworkStatus } from "../processes/network-lifecycle.ts";
import {
  loadLiveProcess,
  removeProcessRecord,
  saveProcessRecord,
} from "../processes/process-record.ts";
import { watchStatus } from "../status/watch-status.ts";
import { runCheck } from "./check.ts";
import { REPOSITORY_FOLDER } from "./deeds-network.ts";
import { renderWelcome } from "./render-welcome.ts";
import { setUpDeeds } from "./set-up.ts";

const DEFAULT_DIR = path.join(REPOSITORY_FOLDER, ".hanse", "network");
const HELP = `usage: npm start -- [--check] [--dir FOLDER] [--port-base PORT] [--json]
  Four organizations keep one record: sets the network up, or goes on from where it was, and shows
  it until Ctrl-C.
  --check           do the main job once in a folder of its own, which is removed, and end
  --dir FOLDER      folder of the network (.hanse/network in the repository)
  --port-base PORT  look for free ports from here up (${PORT_BASE})
  --json            one JSON document instead of text
  -h, --help        show this help
`;
const PARENT_CHECK_MS = 1_000;

interface Options {
  readonly check: boolean;
  readonly help: boolean;
  readonly json: boolean;
  readonly dir: string | undefined;
  readonly portBase: number;
}

function readOptions(argv: readonly string[]): Options {
  let values: {
    check?: boolean;
    json?: boolean;
    dir?: string;
    "port-base"?: string;
    help?: boolean;
  };
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        check: { type: "boolean" },
        json: { type: "boolean" },
        dir: { type: "string" },
        "port-base": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }));
  } catch (error) {
    usageError(`${(error as Error).message}; known: --check, --dir, --port-base, --json`);
  }
  const portBase = values["port-base"];
  return {
    check: values.check === true,
    help: values.help === true,
    json: values.json === true,
    dir: values.dir,
    portBase:
      portBase === undefined ? PORT_BASE : parseInteger("--port-base", portBase, 1024, 65_000),
  };
}

/** Aborts on the usual signals and when the process that started us is gone. */
function watchForEnd(): AbortSignal {
  const controller = new AbortController();
  let asked = 0;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (asked++ > 0) process.exit(130); // Attached nodes notice and stop by themselves.
      controller.abort();
    });
  }
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid !== parent) controller.abort();
  }, PARENT_CHECK_MS);
  timer.unref();
  return controller.signal;
}

/** One `npm start` per folder: a second one would take the nodes away from the first. */
function claimFolder(dir: string): () => void {
  const file = `${dir}.start.json`;
  const running = loadLiveProcess(file, path.basename(import.meta.filename));
  if (running !== undefined && running.pid !== process.pid) {
    throw new HanseError(
      "CLI_START_RUNS",
      "conflict",
      `${dir}: npm start runs here already (process ${running.pid}); stop it with Ctrl-C there, or use another folder with --dir`,
    );
  }
  mkdirSync(path.dirname(file), { recursive: true });
  saveProcessRecord(file, { pid: process.pid, startedAt: Date.now(), attached: true });
  return () => removeProcessRecord(file);
}

async function stayUp(options: Options, console: Console, signal: AbortSignal): Promise<ExitCode> {
  const dir = path.resolve(options.dir ?? DEFAULT_DIR);
  const began = performance.now();
  const release = claimFolder(dir);
  let network: NetworkFolder | undefined;
  try {
    const deeds = await setUpDeeds({
      dir,
      portBase: options.portBase,
      steps: createSteps(console),
      signal,
    });
    network = deeds.network;
    console.line(`  ready in ${formatDuration(performance.now() - began)}`);
    console.line();
    console.line(renderWelcome(network, console.paint, process.cwd()));
    console.line();
    const running = network;
    await watchStatus(
      console,
      () => readNetworkStatus(running),
      signal,
      console.paint.dim("Ctrl-C stops all nodes; the next npm start goes on from here"),
    );
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    network ??= isNetworkFolder(dir) ? loadNetworkFolder(dir) : undefined;
    if (network !== undefined) {
      const stopped = await downNetwork(network);
      const count = stopped.filter((one) => one.how !== "was not running").length;
      if (count > 0) console.line(`${count} nodes stopped`);
    }
    release();
  }
  return EXIT_CODES.ok;
}

async function main(): Promise<ExitCode> {
  const json = process.argv.includes("--json");
  const console = createConsole({ json });
  try {
    const options = readOptions(process.argv.slice(2));
    if (options.help) {
      process.stdout.write(HELP);
      return EXIT_CODES.ok;
    }
    const signal = watchForEnd();
    if (!options.check) return await stayUp(options, console, signal);
    const { dir, portBase } = options;
    await runCheck({ console, portBase, signal, ...(dir === undefined ? {} : { dir }) });
    return EXIT_CODES.ok;
  } catch (error) {
    return reportError(error, console);
  }
}

process.exitCode = await main();

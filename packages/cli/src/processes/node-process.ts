/** Starting and stopping the processes of a network's nodes. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { HanseError } from "@hanse/protocol";
import type { NodeEntry } from "../network-folder/network-folder.ts";
import { humanizeLogLine, readLastLines } from "./log-tail.ts";
import {
  loadLiveProcess,
  type ProcessRecord,
  removeProcessRecord,
  saveProcessRecord,
} from "./process-record.ts";

const LEAVE_WITH_PARENT = fileURLToPath(new URL("./leave-with-parent.mjs", import.meta.url));

/** The program of a node; the same for `hanse node start` and for the nodes of a network. */
export function nodeProgramFile(): string {
  return path.join(path.dirname(fileURLToPath(import.meta.resolve("@hanse/node"))), "main.ts");
}

/** Where Node keeps stripped and compiled sources between starts; beside what npm installed. */
export const COMPILE_CACHE_FOLDER = fileURLToPath(
  new URL("../../../../node_modules/.cache/hanse", import.meta.url),
);

/**
 * Flags of Node for a node's process. A larger young generation than 16 MiB keeps garbage resident
 * for little; a smaller one costs CPU time: about 15 % at 8 MiB (bench case `solo-batch`).
 */
export const NODE_FLAGS: readonly string[] = ["--max-semi-space-size=16"];

export interface RunningProcess {
  readonly pid: number;
  readonly attached: boolean;
  /** True when this very call started it. */
  readonly fresh: boolean;
  /** Present for processes of ours; their exit can be seen. */
  readonly child: ChildProcess | undefined;
}

export interface SpawnOptions {
  /** Attached nodes stop when the calling process ends, whatever ends it. */
  readonly attached: boolean;
  /** Environment on top of our own. */
  readonly env?: Readonly<Record<string, string>>;
}

export function findRunningProcess(node: NodeEntry): ProcessRecord | undefined {
  return loadLiveProcess(node.processFile, node.configFile);
}

/** Starts the node unless its process already runs; does not wait until it is ready. */
export function startNodeProcess(node: NodeEntry, options: SpawnOptions): RunningProcess {
  const running = findRunningProcess(node);
  if (running !== undefined) {
    return { pid: running.pid, attached: running.attached, fresh: false, child: undefined };
  }
  mkdirSync(path.dirname(node.logFile), { recursive: true });
  const log = openSync(node.logFile, "a");
  try {
    const child = spawn(
      process.execPath,
      [
        ...NODE_FLAGS,
        ...(options.attached ? ["--import", LEAVE_WITH_PARENT] : []),
        nodeProgramFile(),
        "--config",
        node.configFile,
      ],
      {
        // A session of its own: Ctrl-C in the terminal reaches us alone, and we stop the nodes in
        // order instead of all being cut at once.
        detached: true,
        stdio: [options.attached ? "pipe" : "ignore", log, log],
        env: { NODE_COMPILE_CACHE: COMPILE_CACHE_FOLDER, ...process.env, ...options.env },
        cwd: node.folder,
      },
    );
    if (child.pid === undefined) {
      throw new HanseError(
        "CLI_NODE_START",
        "unavailable",
        `node ${node.id}: its process could not be started; see ${node.logFile}`,
      );
    }
    saveProcessRecord(node.processFile, {
      pid: child.pid,
      startedAt: Date.now(),
      attached: options.attached,
    });
    child.stdin?.on("error", () => {}); // It may end before us: seen by its exit, not by its pipe.
    if (!options.attached) child.unref();
    return { pid: child.pid, attached: options.attached, fresh: true, child };
  } finally {
    closeSync(log);
  }
}

export interface StopResult {
  readonly id: string;
  /** `killed` = it did not stop in time and was ended by force. */
  readonly how: "was not running" | "stopped" | "killed";
  readonly ms: number;
}

export const STOP_TIMEOUT_MS = 20_000;

/** Asks the node to stop (SIGTERM) and waits; ends it by force after `timeoutMs`. */
export async function stopNodeProcess(
  node: NodeEntry,
  timeoutMs: number = STOP_TIMEOUT_MS,
): Promise<StopResult> {
  const began = performance.now();
  const running = findRunningProcess(node);
  if (running === undefined) {
    removeProcessRecord(node.processFile);
    return { id: node.id, how: "was not running", ms: 0 };
  }
  sendSignal(running.pid, "SIGTERM");
  let how: StopResult["how"] = "stopped";
  if (!(await waitForEnd(node, timeoutMs))) {
    sendSignal(running.pid, "SIGKILL");
    await waitForEnd(node, 5_000);
    how = "killed";
  }
  removeProcessRecord(node.processFile);
  return { id: node.id, how, ms: performance.now() - began };
}

/** Whether the node's process ended within the time. */
export async function waitForEnd(node: NodeEntry, timeoutMs: number): Promise<boolean> {
  const until = performance.now() + timeoutMs;
  while (findRunningProcess(node) !== undefined) {
    if (performance.now() >= until) return false;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return true;
}

export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // Already gone is fine.
  }
}

/** Why a node ended, from the end of its log: the last error it told, else its last lines. */
export function describeEnd(node: NodeEntry): string {
  const lines = readLastLines(node.logFile, 60);
  const told = lines.findLast((line) => {
    try {
      return (JSON.parse(line) as { level?: number }).level! >= 50;
    } catch {
      return /error|fatal/iu.test(line);
    }
  });
  return humanizeLogLine(told ?? lines.at(-1) ?? "it wrote nothing");
}

/** Server processes and the node's end: none is left behind, none of an earlier run is in the way. */
import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import type net from "node:net";
import path from "node:path";
import { HanseError } from "@hanse/protocol";
import { processStart } from "./folder-lock.ts";
import type { UserId } from "./unprivileged-user.ts";

const ORPHAN_TIMEOUT_MS = 10_000;

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Whether a process is a server over this very data folder. */
function isServerOf(pid: number, dataDir: string): boolean {
  if (processStart(pid) === undefined) return false;
  if (process.platform !== "linux") return true;
  try {
    const name = fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim();
    return name === "postgres" && fs.readlinkSync(`/proc/${pid}/cwd`) === fs.realpathSync(dataDir);
  } catch {
    return false;
  }
}

/** Stops the server that a killed node left behind; clears a process id file that means nobody. */
export async function clearOrphan(dataDir: string): Promise<void> {
  const file = path.join(dataDir, "postmaster.pid");
  let lines: string[];
  try {
    lines = fs.readFileSync(file, "utf8").split("\n");
  } catch {
    return;
  }
  const pid = Number(lines[0]);
  const socket = lines[4] ?? "";
  // A temporary folder of ours for the socket of the run that was killed.
  if (/\/hanse-[A-Za-z0-9]{6}$/.test(socket)) fs.rmSync(socket, { recursive: true, force: true });
  if (!Number.isInteger(pid) || pid <= 1 || !isServerOf(pid, dataDir)) {
    fs.rmSync(file, { force: true });
    return;
  }
  const kill = (signal: NodeJS.Signals) => {
    try {
      process.kill(pid, signal);
    } catch {
      // Already gone.
    }
  };
  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    kill(signal);
    for (let waited = 0; waited < ORPHAN_TIMEOUT_MS; waited += 20) {
      if (!isServerOf(pid, dataDir)) return;
      await wait(20);
    }
  }
  throw new HanseError(
    "STORAGE_FOLDER_IN_USE",
    "conflict",
    `${dataDir}: the database server ${pid} of an earlier run does not end: stop it`,
    { details: { pid } },
  );
}

/**
 * Shuts the server down when this process ends in a way that lets it do nothing any more: a shell
 * waits for the end of a pipe that only we hold open. Not a substitute for `clearOrphan`: the shell
 * may be killed as well.
 */
export function watchOver(pid: number, user: UserId | undefined): ChildProcess | undefined {
  if (process.platform === "win32") return undefined;
  const watcher = spawn(
    "/bin/sh",
    ["-c", 'read _; kill -INT "$1" 2>/dev/null', "sh", String(pid)],
    {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
      cwd: "/",
      env: {},
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    },
  );
  watcher.on("error", () => {});
  watcher.stdin?.on("error", () => {});
  watcher.unref();
  (watcher.stdin as net.Socket | null)?.unref();
  return watcher;
}

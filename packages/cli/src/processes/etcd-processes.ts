/** The processes of an etcd that a network on this machine runs itself. */
import { spawn } from "node:child_process";
import { accessSync, closeSync, constants, openSync } from "node:fs";
import path from "node:path";
import { HanseError } from "@hanse/protocol";
import type { EtcdMemberEntry } from "../network-folder/etcd-members.ts";
import { isPortFree } from "../network-folder/free-ports.ts";
import type { SpawnOptions } from "./node-process.ts";
import { sendSignal } from "./node-process.ts";
import {
  loadLiveProcess,
  type ProcessRecord,
  removeProcessRecord,
  saveProcessRecord,
} from "./process-record.ts";

/** A member that does not follow SIGTERM for so long is ended by force. */
const STOP_MS_MAX = 10_000;

/**
 * Becomes etcd itself, so that the process id stays; a watcher beside it ends it when the pipe from
 * the command that started it ends, however that command went.
 */
const LEAVE_WITH_PARENT =
  'exec 3<&0; (cat <&3 >/dev/null; kill $$ 2>/dev/null) & exec "$0" "$@" 3<&-';

/** etcd's program from `ETCD_BIN` or PATH. */
export function findEtcdBinary(
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const named = environment.ETCD_BIN;
  const folders = (environment.PATH ?? "").split(path.delimiter);
  const candidates =
    named === undefined ? folders.map((folder) => path.join(folder, "etcd")) : [named];
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return path.isAbsolute(file);
    } catch {
      return false;
    }
  });
}

/** @throws HanseError `CLI_ETCD_BINARY` when there is none. */
export function requireEtcdBinary(
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const found = findEtcdBinary(environment);
  if (found !== undefined) return found;
  throw new HanseError(
    "CLI_ETCD_BINARY",
    "notFound",
    "no etcd in ETCD_BIN or PATH: install it (Debian: apt-get install etcd-server), or give the addresses of a running one with --etcd",
  );
}

export function findRunningEtcd(member: EtcdMemberEntry): ProcessRecord | undefined {
  return loadLiveProcess(member.processFile, member.configFile);
}

/**
 * Starts the members that do not run; nodes wait for them by themselves.
 * @throws HanseError `CLI_ETCD_BINARY`, `CLI_ETCD_START`, `CLI_PORT_TAKEN`
 */
export async function startEtcdMembers(
  members: readonly EtcdMemberEntry[],
  options: SpawnOptions,
): Promise<void> {
  for (const member of members) {
    if (findRunningEtcd(member) !== undefined) continue;
    for (const port of [member.clientPort, member.peerPort]) {
      if (await isPortFree(port)) continue;
      const message = `${member.name}: port ${port} is used by another program; stop that program`;
      throw new HanseError("CLI_PORT_TAKEN", "conflict", message, { details: { port } });
    }
    startMember(member, requireEtcdBinary(process.env), options);
  }
}

function startMember(member: EtcdMemberEntry, binary: string, options: SpawnOptions): void {
  const log = openSync(member.logFile, "a");
  try {
    const program = [binary, "--config-file", member.configFile];
    const [file, ...args] = options.attached
      ? ["/bin/sh", "-c", LEAVE_WITH_PARENT, ...program]
      : program;
    const child = spawn(file!, args, {
      detached: true,
      stdio: [options.attached ? "pipe" : "ignore", log, log],
      cwd: member.folder,
    });
    if (child.pid === undefined) {
      const message = `${member.name}: its process could not be started; see ${member.logFile}`;
      throw new HanseError("CLI_ETCD_START", "unavailable", message);
    }
    child.stdin?.on("error", () => {}); // etcd may end before us.
    const { attached } = options;
    saveProcessRecord(member.processFile, { pid: child.pid, startedAt: Date.now(), attached });
    child.unref();
    (child.stdin as { unref?: () => void } | null)?.unref?.();
  } finally {
    closeSync(log);
  }
}

/** Asks the members to stop, all at once: those left alone would only look for the others. */
export async function stopEtcdMembers(members: readonly EtcdMemberEntry[]): Promise<void> {
  const running = members.filter((member) => findRunningEtcd(member) !== undefined);
  for (const member of running) {
    const pid = findRunningEtcd(member)?.pid;
    if (pid !== undefined) sendSignal(pid, "SIGTERM");
  }
  const until = performance.now() + STOP_MS_MAX;
  for (const member of running) {
    for (let left = findRunningEtcd(member); left !== undefined; left = findRunningEtcd(member)) {
      if (performance.now() > until) sendSignal(left.pid, "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    removeProcessRecord(member.processFile);
  }
}

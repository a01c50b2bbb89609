/**
 * Which process runs a node: a small file in the node's folder. A process id alone may meanwhile
 * belong to somebody else, so the record is believed only while a process of that id runs with this
 * node's configuration file on its command line.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

export interface ProcessRecord {
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Whether it stops when the command that started it ends. */
  readonly attached: boolean;
}

export function saveProcessRecord(file: string, record: ProcessRecord): void {
  writeFileSync(`${file}.tmp`, `${JSON.stringify(record)}\n`);
  renameSync(`${file}.tmp`, file);
}

export function removeProcessRecord(file: string): void {
  rmSync(file, { force: true });
}

/** The record of a process that still runs this node, or undefined; a stale file is no error. */
export function loadLiveProcess(file: string, configFile: string): ProcessRecord | undefined {
  if (!existsSync(file)) return undefined;
  let record: ProcessRecord;
  try {
    record = JSON.parse(readFileSync(file, "utf8")) as ProcessRecord;
  } catch {
    return undefined; // Torn by a crash while it was written: as good as none.
  }
  if (!Number.isInteger(record.pid) || record.pid <= 1) return undefined;
  return commandLineOf(record.pid).includes(configFile) ? record : undefined;
}

/** Empty when no such process runs (a zombie has no command line either). */
export function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    if (existsSync("/proc/self/cmdline")) return "";
  }
  try {
    return execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}

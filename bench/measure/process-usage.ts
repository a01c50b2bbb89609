/** What processes cost: CPU time, resident memory and bytes on disk, read from Linux' /proc. */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/** Clock ticks per second in /proc/PID/stat; 100 on every Linux (USER_HZ). */
const TICKS_PER_SECOND = 100;

interface ProcessStat {
  readonly parent: number;
  /** Own time and that of children already waited for, in seconds. */
  readonly cpuSeconds: number;
}

function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // It ended in the meantime.
  }
  // The command name in brackets may hold spaces; numbers follow the last bracket (proc(5)).
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const ticks = fields[11]! + fields[12]! + fields[13]! + fields[14]!;
  return { parent: fields[1]!, cpuSeconds: ticks / TICKS_PER_SECOND };
}

/** Ids of the processes given and of everything below them: a node and its PostgreSQL. */
export function findProcessTree(roots: readonly number[]): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = readStat(pid)?.parent;
    if (parent === undefined) continue;
    const list = children.get(parent) ?? [];
    list.push(pid);
    children.set(parent, list);
  }
  const found: number[] = [];
  const queue = [...roots];
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    if (found.includes(pid)) continue;
    found.push(pid);
    queue.push(...(children.get(pid) ?? []));
  }
  return found;
}

/** CPU seconds used so far by the processes given and everything below them. */
export function readCpuSeconds(roots: readonly number[]): number {
  let seconds = 0;
  for (const pid of findProcessTree(roots)) seconds += readStat(pid)?.cpuSeconds ?? 0;
  return seconds;
}

/** Kilobytes of a line of /proc/PID/status, in bytes; 0 when it has ended. */
function readStatusBytes(pid: number, field: string): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, "mu").exec(status);
    return line === null ? 0 : Number(line[1]) * 1024;
  } catch {
    return 0;
  }
}

/** Resident bytes of one process (VmRSS); 0 when it has ended. */
export const readResidentBytes = (pid: number): number => readStatusBytes(pid, "VmRSS");

/** Highest resident bytes of one process so far (VmHWM); 0 when it has ended. */
export const readPeakResidentBytes = (pid: number): number => readStatusBytes(pid, "VmHWM");

const below = (pid: number) => findProcessTree([pid]).filter((found) => found !== pid);

/** Memory of its own (RssAnon) of everything below a process: a node's PostgreSQL, summed up. */
export function readPrivateBytesBelow(pid: number): number {
  return below(pid).reduce((sum, child) => sum + readStatusBytes(child, "RssAnon"), 0);
}

/**
 * Resident shared memory below a process, counted once: all PostgreSQL processes map the same, and
 * the one that touched most of it has the most resident.
 */
export function readSharedBytesBelow(pid: number): number {
  return Math.max(0, ...below(pid).map((child) => readStatusBytes(child, "RssShmem")));
}

/** Bytes that a folder takes on disk (allocated blocks, so sparse and short files count fairly). */
export function readFolderBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    try {
      if (entry.isDirectory()) bytes += readFolderBytes(file);
      else bytes += lstatSync(file).blocks * 512;
    } catch {
      // PostgreSQL removes files while we look.
    }
  }
  return bytes;
}

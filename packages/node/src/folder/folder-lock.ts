/** One process per node folder: a lock file that names its owner, and outlives no owner. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HanseError } from "@hanse/protocol";

export interface FolderLock {
  release(): void;
}

const FILE = "node.lock";

interface Owner {
  readonly pid: number;
  /** Start of the process in kernel ticks where the system tells it; tells a reused pid apart. */
  readonly started: string;
}

/** Field 22 of /proc/<pid>/stat (proc(5)); empty where there is no such file. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the program's name in brackets and may hold anything.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

function isAlive(owner: Owner): boolean {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const started = startOf(owner.pid);
  return started === "" || owner.started === "" || started === owner.started;
}

function readOwner(file: string): Owner | undefined {
  try {
    const { pid, started } = JSON.parse(readFileSync(file, "utf8")) as Partial<Owner>;
    if (typeof pid === "number" && typeof started === "string") return { pid, started };
  } catch {
    // Unreadable: written by nobody who runs.
  }
  return undefined;
}

/** @throws HanseError `NODE_FOLDER_LOCKED` naming the process that holds it. */
export function lockFolder(folder: string): FolderLock {
  const file = join(folder, FILE);
  const own = join(folder, `${FILE}.${process.pid}`);
  const owner: Owner = { pid: process.pid, started: startOf(process.pid) };
  writeFileSync(own, JSON.stringify(owner), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        // A hard link comes into being whole or not at all.
        linkSync(own, file);
        return { release: () => rmSync(file, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const holder = readOwner(file);
      if (holder !== undefined && isAlive(holder)) refuse(folder, holder);
      const stale = join(folder, `${FILE}.stale.${process.pid}`);
      renameSync(file, stale);
      const moved = readOwner(stale);
      if (moved !== undefined && moved.pid !== holder?.pid && isAlive(moved)) {
        // Another starter was faster: this is its lock, not the stale one.
        renameSync(stale, file);
        refuse(folder, moved);
      }
      rmSync(stale, { force: true });
    }
    return refuse(folder, { pid: 0, started: "" });
  } finally {
    rmSync(own, { force: true });
  }
}

function refuse(folder: string, holder: Owner): never {
  throw new HanseError(
    "NODE_FOLDER_LOCKED",
    "conflict",
    `node.dataDir: ${folder} is in use by process ${holder.pid}; stop that node, or give this one a folder of its own`,
    { details: { field: "node.dataDir", pid: holder.pid } },
  );
}

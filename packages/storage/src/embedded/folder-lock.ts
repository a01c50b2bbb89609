/**
 * One process per storage folder. Linux: an abstract Unix socket named after the folder, which the
 * kernel frees with the process, whatever ends it. Everywhere: a file that names the owner by
 * process id and start time, so that neither kill -9 nor a process id given out again deceives.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { HanseError } from "@hanse/protocol";

interface Owner {
  readonly pid: number;
  /** What the system says about when the process began; compared, never read as a time. */
  readonly started: string;
}

/** When a process began, as text; undefined when there is no such process. */
export function processStart(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
  }
  try {
    if (process.platform === "linux") {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
      // The name stands in parentheses and may hold anything; field 22 is the start time.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[0] === "Z" || fields[0] === "X") return undefined;
      const boot = fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      return `${boot}:${fields[19]}`;
    }
    if (process.platform !== "win32") {
      const text = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
      return text.trim() === "" ? undefined : text.trim();
    }
  } catch {
    return undefined;
  }
  return "running";
}

function inUse(dir: string, pid: number | undefined): HanseError {
  return new HanseError(
    "STORAGE_FOLDER_IN_USE",
    "conflict",
    `${dir} is in use by ${pid === undefined ? "another process" : `process ${pid}`}: stop that node or choose another folder`,
    { details: { dir, ...(pid === undefined ? {} : { pid }) } },
  );
}

function readOwner(file: string): Owner | undefined {
  try {
    const owner = JSON.parse(fs.readFileSync(file, "utf8")) as Owner;
    return typeof owner.pid === "number" ? owner : undefined;
  } catch {
    return undefined;
  }
}

async function listenAbstract(dir: string): Promise<net.Server | undefined> {
  if (process.platform !== "linux") return undefined;
  const { dev, ino } = fs.statSync(dir);
  const name = createHash("sha256").update(`${dev}:${ino}`).digest("hex").slice(0, 32);
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path: `\0hanse-storage-${name}` }, () => resolve());
  });
  server.unref();
  return server;
}

/**
 * Takes the folder for this process until `release`.
 * @throws HanseError `STORAGE_FOLDER_IN_USE`
 */
export async function lockFolder(dir: string): Promise<{ release(): void }> {
  const file = path.join(dir, "lock.json");
  let server: net.Server | undefined;
  try {
    server = await listenAbstract(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") {
      throw inUse(dir, readOwner(file)?.pid);
    }
    // No such sockets here (a sandbox): the file alone has to do.
  }
  const me: Owner = { pid: process.pid, started: processStart(process.pid) ?? "running" };
  const text = `${JSON.stringify(me)}\n`;
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        fs.writeFileSync(file, text, { flag: "wx", mode: 0o600 });
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt === 3) throw error;
      }
      const owner = readOwner(file);
      const isAlive = owner !== undefined && processStart(owner.pid) === owner.started;
      const isOurs = owner !== undefined && owner.pid === me.pid && owner.started === me.started;
      // With the socket in hand nobody else can hold the folder on this machine.
      if (isAlive && (server === undefined || isOurs) && !(isOurs && server !== undefined)) {
        throw inUse(dir, owner.pid);
      }
      fs.rmSync(file, { force: true });
    }
  } catch (error) {
    server?.close();
    throw error;
  }
  return {
    release() {
      if (readOwner(file)?.pid === me.pid) fs.rmSync(file, { force: true });
      server?.close();
    },
  };
}

/** PostgreSQL refuses to run as root: when we are root, another user of the machine runs it. */
import fs from "node:fs";

export interface UserId {
  readonly uid: number;
  readonly gid: number;
}

/** Accounts tried in this order; the last resort is what Linux maps unknown users to. */
const ACCOUNTS = ["hanse", "postgres", "nobody"];
const OVERFLOW_USER: UserId = { uid: 65_534, gid: 65_534 };

function lookUp(name: string): UserId | undefined {
  let text: string;
  try {
    text = fs.readFileSync("/etc/passwd", "utf8");
  } catch {
    return undefined;
  }
  for (const line of text.split("\n")) {
    const fields = line.split(":");
    if (fields[0] === name) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  return undefined;
}

/**
 * Who runs PostgreSQL: undefined = ourselves (we are not root); else the owner of the data folder
 * where it is not root's, or the first of the known accounts.
 */
export function userForPostgres(dataDir: string): UserId | undefined {
  if (process.getuid === undefined || process.getuid() !== 0) return undefined;
  try {
    const { uid, gid } = fs.statSync(dataDir);
    if (uid !== 0) return { uid, gid };
  } catch {
    // Not there yet.
  }
  for (const name of ACCOUNTS) {
    const user = lookUp(name);
    if (user !== undefined && user.uid !== 0) return user;
  }
  return OVERFLOW_USER;
}

/** Whether a user may pass through every folder of a path (mode bits; access lists are not read). */
export function canTraverse(path: string, user: UserId | undefined): boolean {
  if (user === undefined) return true;
  let at = path;
  for (;;) {
    const stat = fs.statSync(at, { throwIfNoEntry: false });
    if (stat !== undefined) {
      const shift = stat.uid === user.uid ? 6 : stat.gid === user.gid ? 3 : 0;
      if (stat.isDirectory() && ((stat.mode >> shift) & 1) === 0) return false;
    }
    const parent = at.slice(0, Math.max(1, at.lastIndexOf("/")));
    if (parent === at) return true;
    at = parent;
  }
}

/** Gives a folder and all in it to a user. */
export function chownAll(path: string, user: UserId): void {
  fs.lchownSync(path, user.uid, user.gid);
  for (const entry of fs.readdirSync(path, { withFileTypes: true, recursive: true })) {
    fs.lchownSync(`${entry.parentPath}/${entry.name}`, user.uid, user.gid);
  }
}

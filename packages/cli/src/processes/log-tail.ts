/** Reading the end of log files, and following them. */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from "node:fs";

const TAIL_BYTES_MAX = 256 * 1024;

/** The last lines of a file, at most `TAIL_BYTES_MAX` back; none when it does not exist. */
export function readLastLines(file: string, count: number): string[] {
  if (!existsSync(file)) return [];
  const fd = openSync(file, "r");
  try {
    const size = fstatSync(fd).size;
    const length = Math.min(size, TAIL_BYTES_MAX);
    const buffer = Buffer.alloc(length);
    readSync(fd, buffer, 0, length, size - length);
    const lines = buffer.toString("utf8").split("\n");
    if (length < size) lines.shift();
    if (lines.at(-1) === "") lines.pop();
    return count === 0 ? [] : lines.slice(-count);
  } finally {
    closeSync(fd);
  }
}

/** Calls `onLine` for each line appended from now on, until the signal aborts; polls each 200 ms. */
export async function followLines(
  file: string,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let at = existsSync(file) ? statSync(file).size : 0;
  let rest = "";
  while (!signal.aborted) {
    const size = existsSync(file) ? statSync(file).size : 0;
    if (size < at) at = 0; // The file was replaced or cut.
    if (size > at) {
      const fd = openSync(file, "r");
      const length = Math.min(size - at, TAIL_BYTES_MAX);
      const buffer = Buffer.alloc(length);
      readSync(fd, buffer, 0, length, at);
      closeSync(fd);
      at += length;
      const lines = (rest + buffer.toString("utf8")).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line);
    } else {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

const LEVELS: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};

/** An error's stack stays in the file, like that of the line's own error. */
function factText(value: unknown): string {
  if (typeof value === "string") return value;
  const error = value as { stack?: unknown; message?: unknown } | null;
  const isError = typeof error?.stack === "string" && typeof error.message === "string";
  return isError ? (error.message as string) : JSON.stringify(value);
}

/** A node's JSON log line as a sentence; anything else is returned as it is. */
export function humanizeLogLine(line: string): string {
  if (!line.startsWith("{")) return line;
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const {
    level,
    time,
    msg,
    pid: _pid,
    hostname: _hostname,
    name: _name,
    node: _node,
    severity: _severity,
    err,
    event,
    ...others
  } = entry;
  const clock =
    typeof time === "number" ? new Date(time).toISOString().slice(11, 23) : String(time);
  // The stack stays in the file; its first sentence is often the line's own already.
  const reason = (err as { message?: unknown } | undefined)?.message;
  const isNews = typeof reason === "string" && !String(msg ?? "").includes(reason);
  const rest: Record<string, unknown> = isNews ? { ...others, reason } : others;
  const facts = Object.entries(rest)
    .map(([key, value]) => `${key}=${factText(value)}`)
    .join(" ");
  // The line for whoever started the node: the only one without a time.
  if (level === undefined && event === "ready") return `${"".padEnd(12)} ready ${facts}`;
  const label = typeof level === "number" ? (LEVELS[level] ?? String(level)) : String(level);
  return `${clock} ${label.padEnd(5)} ${String(msg ?? "")}${facts === "" ? "" : `  ${facts}`}`;
}

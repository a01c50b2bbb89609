/** A node as a process of its own, as an operator runs it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const READY_MS_MAX = 120_000;

export interface NodeProcess {
  readonly child: ChildProcess;
  /** Address of its API. */
  readonly url: string;
  /** Everything it wrote, line by line. */
  readonly lines: readonly string[];
  /** Sends the signal and waits for the end; the exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | string>;
}

/** Starts it; rejects with what it wrote when it ends before it is ready. */
export async function startNodeProcess(
  configFile: string,
  args: readonly string[] = [],
): Promise<NodeProcess> {
  const child = spawn(process.execPath, [MAIN, "--config", configFile, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const ended = new Promise<number | string>((resolve) => {
    child.once("exit", (code, signal) => resolve(code ?? signal ?? "?"));
  });
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`not ready: ${lines.join("\n")}`)),
      READY_MS_MAX,
    );
    const read = (line: string) => {
      lines.push(line);
      if (!line.startsWith('{"event":"ready"')) return;
      clearTimeout(timer);
      resolve((JSON.parse(line) as { api: string }).api);
    };
    createInterface({ input: child.stdout! }).on("line", read);
    createInterface({ input: child.stderr! }).on("line", read);
    void ended.then((how) => {
      clearTimeout(timer);
      // Lines may still be on their way when the exit is told.
      setTimeout(() => reject(new Error(`ended with ${how}: ${lines.join("\n")}`)), 100);
    });
  });
  return {
    child,
    url,
    lines,
    end(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

/** The exit code and output of a start that must fail. */
export async function runToEnd(
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, output };
}

/** Runs the load in a process of its own. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { LoadPlan, LoadReport } from "./load-plan.ts";

const PROGRAM = fileURLToPath(new URL("./load-process.ts", import.meta.url));

type Message = { ready: true } | { report: LoadReport } | { error: string };

export interface PreparedLoad {
  /** Offers the load now. */
  run(): Promise<LoadReport>;
  kill(): void;
}

/** Resolves when everything is signed and connected. */
export async function prepareLoad(plan: LoadPlan): Promise<PreparedLoad> {
  const child = fork(PROGRAM, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const queue: Message[] = [];
  let wake: (() => void) | undefined;
  child.on("message", (message) => {
    queue.push(message as Message);
    wake?.();
  });
  let ended = false;
  child.on("exit", () => {
    ended = true;
    wake?.();
  });
  const next = async (): Promise<Message> => {
    while (queue.length === 0) {
      if (ended) throw new Error("the load process ended without a report");
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const message = queue.shift()!;
    if ("error" in message) throw new Error(`load process: ${message.error}`);
    return message;
  };
  child.send(plan);
  await next();
  return {
    async run() {
      child.send({ go: true });
      const message = await next();
      if (!("report" in message)) throw new Error("load process: unexpected message");
      return message.report;
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

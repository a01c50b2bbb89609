/** Seeds spread over worker threads; each seed is a world of its own. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { BrokenRule } from "./mutations.ts";
import type { RunResult } from "./run.ts";
import type { Trouble } from "./worlds.ts";

export interface SeedOrder {
  readonly seed: number;
  readonly focus: Trouble;
  readonly mutation: BrokenRule | undefined;
  /** Run it again and compare the digests of everything that happened. */
  readonly twice: boolean;
}

const WORKERS_MAX = 8;

/** `onResult` returns true to stop handing out seeds. Resolves when all handed out are done. */
export async function runSeeds(
  orders: Iterable<SeedOrder>,
  onResult: (result: RunResult) => boolean,
): Promise<void> {
  const queue = orders[Symbol.iterator]();
  let stopped = false;
  const threads = Math.min(WORKERS_MAX, availableParallelism());
  const drive = (worker: Worker) =>
    new Promise<void>((resolve, reject) => {
      const next = () => {
        const order = stopped ? undefined : queue.next();
        if (order === undefined || order.done === true) resolve();
        else worker.postMessage(order.value);
      };
      worker.on("message", (result: RunResult) => {
        if (onResult(result)) stopped = true;
        next();
      });
      worker.on("error", reject);
      next();
    });
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL("./worker.ts", import.meta.url)),
  );
  try {
    await Promise.all(workers.map(drive));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** Runs the seeds that the parent hands over, one by one. */
import { parentPort } from "node:worker_threads";
import type { SeedOrder } from "./pool.ts";
import { runWorld } from "./worlds.ts";

const port = parentPort!;
port.on("message", (order: SeedOrder) => {
  const { seed, focus, mutation, twice } = order;
  const run = async () => {
    const result = await runWorld({ seed, focus, mutation });
    if (!twice) return result;
    const again = await runWorld({ seed, focus, mutation });
    if (again.digest === result.digest) return result;
    return { ...result, failure: "two runs of this seed differ: something is not deterministic" };
  };
  run().then(
    (result) => port.postMessage(result),
    (error: unknown) =>
      port.postMessage({
        seed,
        failure: error instanceof Error ? String(error.stack) : String(error),
        heights: 0,
        offences: 0,
        steps: 0,
        virtualMs: 0,
        digest: "",
      }),
  );
});

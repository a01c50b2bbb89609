/** The load process: gets its plan as the first message of its parent, starts on the second. */
import type { LoadPlan } from "./load-plan.ts";
import { runLoad } from "./run-load.ts";

function nextMessage(): Promise<unknown> {
  return new Promise((resolve) => process.once("message", resolve));
}

process.on("disconnect", () => process.exit(1)); // Nobody is left to report to.
try {
  const plan = (await nextMessage()) as LoadPlan;
  const report = await runLoad(plan, async () => {
    const go = nextMessage();
    process.send!({ ready: true });
    await go;
  });
  process.send!({ report });
} catch (error) {
  process.send!({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
process.disconnect();

/** Entry of the `hanse` command. */
import { runHanse } from "./program.ts";

const interrupted = new AbortController();
let signals = 0;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    // The first asks the command to finish in order, the second ends it at once.
    if (signals++ > 0) process.exit(130);
    interrupted.abort();
  });
}
// `hanse … | head` closes our output early: nobody reads on, so there is nothing more to do.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});
process.exitCode = await runHanse(process.argv.slice(2), { signal: interrupted.signal });

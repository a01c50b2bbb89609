/** Status that stays up: a table drawn in place on a terminal, lines on change elsewhere. */
import type { Console } from "../output/console.ts";
import { createLiveView } from "../output/live-view.ts";
import type { NodeSnapshot } from "./node-snapshot.ts";
import { describeChanges, renderStatusTable } from "./render-status.ts";

const WATCH_INTERVAL_MS = 1_000;

/** Reads and shows until the signal aborts. With `--json`: one document per line on each change. */
export async function watchStatus(
  console: Console,
  read: () => Promise<readonly NodeSnapshot[]>,
  signal: AbortSignal,
  footer = "",
): Promise<void> {
  const view = console.interactive ? createLiveView(console.stdout) : undefined;
  let before: readonly NodeSnapshot[] | undefined;
  try {
    while (!signal.aborted) {
      const nodes = await read();
      if (signal.aborted) break;
      if (view !== undefined) {
        const table = renderStatusTable(nodes, console.paint);
        view.draw(footer === "" ? table : `${table}\n${footer}`);
      } else {
        const changes = describeChanges(before, nodes);
        const clock = new Date().toISOString().slice(11, 19);
        if (console.json && changes.length > 0) {
          console.stdout.write(`${JSON.stringify({ time: Date.now(), nodes })}\n`);
        } else for (const line of changes) console.line(`${clock} ${line}`);
      }
      before = nodes;
      await pause(WATCH_INTERVAL_MS, signal);
    }
  } finally {
    view?.end();
  }
}

/** Resolves after the time, or as soon as the signal aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}

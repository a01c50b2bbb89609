/** Writes one snapshot in a thread of its own. */
import { Worker } from "node:worker_threads";
import { decodeSnapshotContent, type SnapshotContent } from "@hanse/ordering";
import { type ErrorKind, HanseError } from "@hanse/protocol";
import type { SnapshotThreadAnswer } from "./snapshot-thread.ts";
import type { WriteSnapshotOptions } from "./write-snapshot.ts";

export interface SnapshotThread {
  readonly done: Promise<SnapshotContent>;
  /** Ends it; what it has written so far is removed with the next attempt. */
  cancel(): Promise<void>;
}

export function runSnapshotThread(options: WriteSnapshotOptions): SnapshotThread {
  const worker = new Worker(new URL("./snapshot-thread.ts", import.meta.url), {
    workerData: options,
    name: "snapshot",
  });
  const done = new Promise<SnapshotContent>((resolve, reject) => {
    worker.on("message", (answer: SnapshotThreadAnswer) => {
      if ("content" in answer) {
        resolve(decodeSnapshotContent(answer.content));
        return;
      }
      const { code, kind, message, details } = answer.error;
      reject(new HanseError(code, kind as ErrorKind, message, { details }));
    });
    worker.on("error", reject);
    worker.on("exit", () =>
      reject(
        new HanseError("STORAGE_CLOSED", "unavailable", "the writing of a snapshot was ended"),
      ),
    );
  });
  // Whoever cancels may not be waiting for it.
  done.catch(() => {});
  return {
    done,
    async cancel() {
      await worker.terminate();
    },
  };
}

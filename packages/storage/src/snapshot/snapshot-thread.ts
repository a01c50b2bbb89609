/** Entry of the thread that writes one snapshot: encoding a large state must not hold up a node. */
import { parentPort, workerData } from "node:worker_threads";
import { encodeSnapshotContent } from "@hanse/ordering";
import { toHanseError } from "@hanse/protocol";
import type { WireError } from "../worker/calls.ts";
import { storageError } from "../worker/sql-client.ts";
import { type WriteSnapshotOptions, writeSnapshot } from "./write-snapshot.ts";

export type SnapshotThreadAnswer = { readonly content: Uint8Array } | { readonly error: WireError };

let answer: SnapshotThreadAnswer;
try {
  const content = await writeSnapshot(workerData as WriteSnapshotOptions);
  answer = { content: encodeSnapshotContent(content) };
} catch (thrown) {
  const { code, kind, message, details } =
    thrown instanceof Error && "code" in thrown
      ? storageError(thrown, "writing a snapshot")
      : toHanseError(thrown);
  answer = { error: { code, kind, message, details } };
}
parentPort!.postMessage(answer);

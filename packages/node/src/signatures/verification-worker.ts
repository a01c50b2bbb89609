/** Thread of the verification pool: packed claims in, one byte per claim out. */
import { parentPort } from "node:worker_threads";
import { readyKeyBackends, verifySignature } from "@hanse/protocol";
import { unpackClaims } from "./claim-packing.ts";

const port = parentPort!;
await readyKeyBackends();
port.on("message", ({ job, packed, count }: { job: number; packed: Uint8Array; count: number }) => {
  const verdicts = new Uint8Array(count);
  let i = 0;
  for (const { key, message, signature } of unpackClaims(packed)) {
    verdicts[i++] = verifySignature(key, message, signature) ? 1 : 0;
  }
  port.postMessage({ job, verdicts }, [verdicts.buffer]);
});

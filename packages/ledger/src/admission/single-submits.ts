/**
 * Single submits joined into batches without waiting for anybody: a few batches are under way, and
 * what comes meanwhile forms the next one. Verification and journal then cost one round for many.
 */
import { type Bytes, HanseError } from "@hanse/protocol";
import type { Accepted } from "./admission.ts";
import { refuse } from "./refusals.ts";

export interface SingleSubmitsOptions {
  readonly submitMany: (list: readonly Bytes[]) => Promise<(Accepted | HanseError)[]>;
  /** Batches under way at once. */
  readonly batchesMax: number;
  readonly batchCountMax: number;
  /** Transactions that may wait for a batch; more are refused as busy. */
  readonly waitingMax: number;
}

interface Waiting {
  readonly bytes: Bytes;
  readonly done: (accepted: Accepted) => void;
  readonly fail: (error: unknown) => void;
}

export function createSingleSubmits(
  options: SingleSubmitsOptions,
): (bytes: Bytes) => Promise<Accepted> {
  const waiting: Waiting[] = [];
  let batches = 0;

  async function run(): Promise<void> {
    batches++;
    while (waiting.length > 0) {
      const group = waiting.splice(0, options.batchCountMax);
      try {
        const results = await options.submitMany(group.map((item) => item.bytes));
        for (const [i, result] of results.entries()) {
          if (result instanceof HanseError) group[i]!.fail(result);
          else group[i]!.done(result);
        }
      } catch (thrown) {
        for (const item of group) item.fail(thrown);
      }
    }
    batches--;
  }

  return (bytes) => {
    if (waiting.length >= options.waitingMax) {
      const details = { retryAfterSeconds: 1 };
      return Promise.reject(
        refuse("busy", "too many transactions wait to be verified: submit again", details),
      );
    }
    return new Promise((done, fail) => {
      waiting.push({ bytes, done, fail });
      if (batches < options.batchesMax) void run();
    });
  };
}

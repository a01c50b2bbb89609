/**
 * Sends transactions that this node accepted to the other nodes, in batches: at once when the line
 * was quiet, then at most one round per interval. What stays pending long is sent again, because a
 * link may lose what was on it.
 */
import type { Clock } from "@hanse/ordering";
import type { Bytes } from "@hanse/protocol";
import { BATCH_COUNT_MAX, encodeTransactionBatch, toBatches } from "./batch.ts";

/** Transactions that wait to be sent; the rest is left to the repetition. */
const QUEUE_MAX = 50_000;

export interface SpreaderOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly repeatMs: number;
  /** Local transactions admitted before the time given that still wait, oldest first. */
  readonly pendingBefore: (time: number) => Iterable<Bytes>;
}

export interface Spreader {
  /** Takes encoded batches, each for every other node. */
  onBatch(send: (batch: Bytes) => void): void;
  add(transactions: readonly Bytes[]): void;
  close(): void;
}

export function createSpreader(options: SpreaderOptions): Spreader {
  const { clock } = options;
  let send: ((batch: Bytes) => void) | undefined;
  let queue: Bytes[] = [];
  let pause: { cancel(): void } | undefined;
  let repeat: { cancel(): void } | undefined;
  let closed = false;

  function flush(): void {
    pause = undefined;
    if (queue.length === 0 || closed) return;
    const transactions = queue;
    queue = [];
    for (const batch of toBatches(transactions)) send?.(encodeTransactionBatch(batch));
    pause = clock.setTimer(options.intervalMs, flush);
  }

  function sendAgain(): void {
    repeat = undefined;
    if (closed) return;
    const again: Bytes[] = [];
    for (const bytes of options.pendingBefore(clock.now() - options.repeatMs)) {
      if (again.length >= BATCH_COUNT_MAX) break;
      again.push(bytes);
    }
    for (const batch of toBatches(again)) send?.(encodeTransactionBatch(batch));
    for (const _ of options.pendingBefore(Number.POSITIVE_INFINITY)) {
      armRepeat();
      break;
    }
  }

  function armRepeat(): void {
    repeat ??= clock.setTimer(options.repeatMs, sendAgain);
  }

  return {
    onBatch(handler) {
      send = handler;
      // What the journal brought back was admitted before anybody listened.
      armRepeat();
    },
    add(transactions) {
      if (send === undefined || closed) return;
      for (const bytes of transactions) if (queue.length < QUEUE_MAX) queue.push(bytes);
      armRepeat();
      if (pause === undefined) flush();
    },
    close() {
      closed = true;
      pause?.cancel();
      repeat?.cancel();
    },
  };
}

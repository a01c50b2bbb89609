/** Callers that wait for a transaction to be final or expired. */
import type { Clock } from "@hanse/ordering";
import { HanseError } from "@hanse/protocol";

export interface Waiters<T> {
  /**
   * @throws HanseError `LEDGER_WAITERS` when too many wait, `LEDGER_WAIT_TIMEOUT` when the time is
   * over, `LEDGER_CLOSED` when the ledger stops.
   */
  wait(key: string, timeoutMs: number): Promise<T>;
  resolve(key: string, value: T): void;
  close(): void;
}

interface Waiter<T> {
  readonly done: (value: T) => void;
  readonly fail: (error: HanseError) => void;
  readonly timer: { cancel(): void };
}

export function createWaiters<T>(clock: Clock, countMax: number): Waiters<T> {
  const waiting = new Map<string, Set<Waiter<T>>>();
  let count = 0;
  return {
    wait(key, timeoutMs) {
      if (count >= countMax) {
        const message = `at most ${countMax} callers may wait at once: ask for the status instead`;
        return Promise.reject(
          new HanseError("LEDGER_WAITERS", "limit", message, { details: { retryAfterSeconds: 1 } }),
        );
      }
      count++;
      return new Promise((done, fail) => {
        const timer = clock.setTimer(timeoutMs, () => {
          const own = waiting.get(key);
          if (own?.delete(waiter) !== true) return;
          if (own.size === 0) waiting.delete(key);
          count--;
          const message = `not final within ${timeoutMs} ms: it may still become so, ask for its status`;
          fail(new HanseError("LEDGER_WAIT_TIMEOUT", "unavailable", message));
        });
        const waiter: Waiter<T> = { done, fail, timer };
        const own = waiting.get(key);
        if (own === undefined) waiting.set(key, new Set([waiter]));
        else own.add(waiter);
      });
    },
    resolve(key, value) {
      const own = waiting.get(key);
      if (own === undefined) return;
      waiting.delete(key);
      count -= own.size;
      for (const waiter of own) {
        waiter.timer.cancel();
        waiter.done(value);
      }
    },
    close() {
      for (const own of waiting.values()) {
        for (const waiter of own) {
          waiter.timer.cancel();
          waiter.fail(new HanseError("LEDGER_CLOSED", "unavailable", "this node is stopping"));
        }
      }
      waiting.clear();
      count = 0;
    },
  };
}

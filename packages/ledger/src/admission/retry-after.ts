/** When a refused client should come again: backlog over measured commit rate, never a constant. */
import type { Hash } from "@hanse/protocol";

/** Seconds. */
export const RETRY_AFTER_MIN = 1;
export const RETRY_AFTER_MAX = 60;

/** Time constant of the measured rate, milliseconds. */
const RATE_WINDOW_MS = 10_000;
/** Before anything was measured: transactions per second. */
const RATE_INITIAL = 100;

export interface CommitRate {
  /** Tells of a committed block. */
  record(committed: number, now: number): void;
  /** Tells that work waits again after an idle time, which must not count as slowness. */
  resume(now: number): void;
  /** Transactions per second, smoothed over about ten seconds; falls while work waits in vain. */
  perSecond(now: number): number;
}

export function createCommitRate(): CommitRate {
  let rate: number | undefined;
  let last: number | undefined;
  let pending = 0;
  const decay = (elapsedMs: number) => Math.exp(-elapsedMs / RATE_WINDOW_MS);
  return {
    record(committed, now) {
      pending += committed;
      if (last === undefined) {
        last = now;
        return;
      }
      const elapsedMs = now - last;
      // Blocks of one burst are measured together.
      if (elapsedMs < 50) return;
      const measured = (pending * 1_000) / elapsedMs;
      const keep = rate === undefined ? 0 : decay(elapsedMs);
      rate = (rate ?? 0) * keep + measured * (1 - keep);
      last = now;
      pending = 0;
    },
    resume(now) {
      last = now;
      pending = 0;
    },
    perSecond(now) {
      const elapsedMs = last === undefined ? 0 : Math.max(0, now - last - 1_000);
      return (rate ?? RATE_INITIAL) * decay(elapsedMs);
    },
  };
}

/**
 * Whole seconds until `backlog` transactions should have gone at `rate` per second; spread by up to
 * a quarter, by the transaction's id, so that refused clients do not come back together.
 */
export function retryAfterSeconds(backlog: number, rate: number, id: Hash): number {
  const seconds = backlog / Math.max(rate, 1e-3);
  const spread = 1 + ((id[0]! << 8) | id[1]!) / 0x4_0000;
  return Math.min(RETRY_AFTER_MAX, Math.max(RETRY_AFTER_MIN, Math.ceil(seconds * spread)));
}

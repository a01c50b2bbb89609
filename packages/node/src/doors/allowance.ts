/** How much callers may ask per second, each for itself; the least recently seen are forgotten. */
import { HanseError } from "@hanse/protocol";

/** Seconds of allowance one may owe. */
const DEBT_SECONDS_MAX = 60;
/** Callers remembered; a forgotten one starts with a full allowance again. */
const CALLERS_MAX = 10_000;

export class Allowance {
  readonly #perSecond: number;
  readonly #callers = new Map<string, { tokens: number; at: number }>();

  /** A caller may save up one second's worth. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  #set(caller: string, tokens: number, now: number): void {
    // Back to the end: the least recently seen leaves first.
    this.#callers.delete(caller);
    this.#callers.set(caller, { tokens, at: now });
    if (this.#callers.size > CALLERS_MAX) {
      this.#callers.delete(this.#callers.keys().next().value!);
    }
  }

  #tokens(caller: string, now: number): number {
    const own = this.#callers.get(caller);
    if (own === undefined) return this.#perSecond;
    const elapsed = Math.max(0, now - own.at) / 1000;
    return Math.min(this.#perSecond, own.tokens + elapsed * this.#perSecond);
  }

  /** Takes what a request turned out to cost, into debt if need be. */
  charge(caller: string, cost: number, now: number): void {
    const least = -DEBT_SECONDS_MAX * this.#perSecond;
    this.#set(caller, Math.max(least, this.#tokens(caller, now) - cost), now);
  }

  /**
   * Spends `cost`; `now` in milliseconds. What costs more than a second's worth is still allowed
   * to a caller who has not asked for a second.
   * @throws HanseError `API_READ_QUOTA` with the time to wait.
   */
  spend(caller: string, cost: number, now: number): void {
    const full = this.#perSecond;
    const tokens = this.#tokens(caller, now);
    const needed = Math.min(cost, full);
    this.#set(caller, tokens < needed ? tokens : tokens - needed, now);
    if (tokens >= needed) return;
    throw new HanseError(
      "API_READ_QUOTA",
      "limit",
      `more than ${full} reads per second (large ones count several times): slow down`,
      { details: { retryAfterSeconds: Math.max(1, Math.ceil((needed - tokens) / full)) } },
    );
  }
}

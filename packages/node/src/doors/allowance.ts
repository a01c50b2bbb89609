/** How much callers may ask per second, each for itself; the least recently seen are forgotten. */
import { HanseError } from "@hanse/protocol";

/** Callers remembered; a forgotten one starts with a full allowance again. */
const CALLERS_MAX = 10_000;

export class Allowance {
  readonly #perSecond: number;
  readonly #callers = new Map<string, { tokens: number; at: number }>();

  /** A caller may save up one second's worth. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /**
   * Spends `cost`; `now` in milliseconds. What costs more than a second's worth is still allowed
   * to a caller who has not asked for a second.
   * @throws HanseError `API_READ_QUOTA` with the time to wait.
   */
  spend(caller: string, cost: number, now: number): void {
    const full = this.#perSecond;
    const own = this.#callers.get(caller) ?? { tokens: full, at: now };
    const elapsed = Math.max(0, now - own.at) / 1000;
    const tokens = Math.min(full, own.tokens + elapsed * full);
    const needed = Math.min(cost, full);
    // Back to the end: the least recently seen leaves first.
    this.#callers.delete(caller);
    this.#callers.set(caller, { tokens: tokens < needed ? tokens : tokens - needed, at: now });
    if (this.#callers.size > CALLERS_MAX) {
      this.#callers.delete(this.#callers.keys().next().value!);
    }
    if (tokens >= needed) return;
    throw new HanseError(
      "API_READ_QUOTA",
      "limit",
      `more than ${full} reads per second (large ones count several times): slow down`,
      { details: { retryAfterSeconds: Math.max(1, Math.ceil((needed - tokens) / full)) } },
    );
  }
}

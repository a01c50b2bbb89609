/**
 * What a node may send in all, over every link: an allowance that refills steadily. Urgent
 * messages are sent whatever it says and count; the rest waits, link by link in turn.
 */

/** The allowance never saves more than this part of a second. */
const BURST_SECONDS = 0.1;
/** Bytes below which a burst would make every frame wait. */
const BURST_BYTES_MIN = 16 * 1024;

export class OutboundBudget {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  readonly #waiting = new Set<() => void>();
  #tokens: number;
  #at: number;
  #timer: NodeJS.Timeout | undefined;
  /** Times a link had to wait. */
  waits = 0;

  /** `bytesPerSecondMax` 0 = no bound; `now` in milliseconds, monotonic. */
  constructor(bytesPerSecondMax: number, now: () => number) {
    this.#perSecond = bytesPerSecondMax === 0 ? Number.POSITIVE_INFINITY : bytesPerSecondMax;
    this.#burst = Math.max(BURST_BYTES_MIN, this.#perSecond * BURST_SECONDS);
    this.#now = now;
    this.#tokens = this.#burst;
    this.#at = now();
  }

  /** Bytes that may be sent at once; below 1 = wait. */
  get left(): number {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return this.#perSecond;
    const now = this.#now();
    const refill = ((now - this.#at) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + refill);
    this.#at = now;
    return this.#tokens;
  }

  /** Takes even what is not there. */
  take(bytes: number): void {
    this.#tokens -= bytes;
  }

  /** Calls once when something may be sent again; who asked first is called first. */
  wait(resume: () => void): void {
    if (!this.#waiting.has(resume)) this.waits++;
    this.#waiting.add(resume);
    this.#arm();
  }

  /** The link is gone. */
  forget(resume: () => void): void {
    this.#waiting.delete(resume);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting.clear();
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0) return;
    const missing = Math.max(1, 1 - this.left);
    const ms = Math.min(1000, Math.ceil((missing / this.#perSecond) * 1000));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      for (const resume of [...this.#waiting]) {
        if (this.left < 1) break;
        this.#waiting.delete(resume);
        resume();
      }
      this.#arm();
    }, ms);
  }
}

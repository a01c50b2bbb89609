/** What a node sees of one peer on its link, as the facts of a health value. */
import type { HealthFacts } from "./health-value.ts";

/** Newest values kept of each kind. */
const SAMPLES_MAX = 32;
/** Smaller bursts vanish in the buffers of the system and say nothing of the line. */
const BURST_BYTES_MIN = 64 * 1024;
/** Time in which the past loses half its weight in `availability`. */
const HALF_LIFE_MS = 3_600_000;

const PPM = 1_000_000;

class Recent {
  readonly #values: number[] = [];

  push(value: number): void {
    this.#values.push(value);
    if (this.#values.length > SAMPLES_MAX) this.#values.shift();
  }

  get mean(): number | undefined {
    const { length } = this.#values;
    return length === 0 ? undefined : this.#values.reduce((sum, one) => sum + one, 0) / length;
  }

  get median(): number | undefined {
    return [...this.#values].sort((a, b) => a - b)[Math.floor(this.#values.length / 2)];
  }
}

export class LinkMeter {
  readonly #now: () => number;
  readonly #attempts = new Recent();
  readonly #roundTripsMs = new Recent();
  readonly #lost = new Recent();
  readonly #kilobits = new Recent();
  #since: number;
  #upSince: number | undefined;
  #knownMs = 0;
  #upMs = 0;

  /** `now` in milliseconds, monotonic. */
  constructor(now: () => number) {
    this.#now = now;
    this.#since = now();
  }

  /** An attempt to reach it ended. */
  onAttempt(reached: boolean): void {
    this.#attempts.push(reached ? PPM : 0);
  }

  onLink(up: boolean): void {
    this.#settle();
    this.#upSince = up ? this.#now() : undefined;
  }

  /** Undefined = no answer in time. */
  onProbe(roundTripMs: number | undefined): void {
    this.#lost.push(roundTripMs === undefined ? PPM : 0);
    if (roundTripMs !== undefined) this.#roundTripsMs.push(roundTripMs);
  }

  /** So many bytes took so long to leave while more was waiting. */
  onBurst(bytes: number, ms: number): void {
    if (bytes >= BURST_BYTES_MIN) this.#kilobits.push((bytes * 8) / Math.max(ms, 0.01));
  }

  get facts(): HealthFacts {
    this.#settle();
    const roundTripMs = this.#roundTripsMs.median;
    const kilobits = this.#kilobits.median;
    const floor = (value: number | undefined) =>
      value === undefined ? undefined : Math.floor(value);
    return {
      availability: this.#knownMs < 1 ? undefined : floor((this.#upMs * PPM) / this.#knownMs),
      reach: floor(this.#attempts.mean),
      roundTripUs: roundTripMs === undefined ? undefined : Math.floor(roundTripMs * 1000),
      loss: floor(this.#lost.mean),
      kilobitsPerSecond: floor(kilobits),
    };
  }

  /** Brings the times up to now, the past fading. */
  #settle(): void {
    const now = this.#now();
    const passedMs = now - this.#since;
    if (passedMs <= 0) return;
    const fade = 2 ** (-passedMs / HALF_LIFE_MS);
    this.#knownMs = this.#knownMs * fade + passedMs;
    this.#upMs = this.#upMs * fade + (this.#upSince === undefined ? 0 : passedMs);
    this.#since = now;
  }
}

/** Lets one loop sleep until its time or until something happens, whichever comes first. */
import type { Clock } from "@hanse/ordering";

export class WakeUp {
  readonly #clock: Clock;
  #sleeper: (() => void) | undefined;
  /** Something happened since the last sleep. */
  #pending = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wake(): void {
    this.#pending = true;
    const sleeper = this.#sleeper;
    this.#sleeper = undefined;
    sleeper?.();
  }

  /** At most so long; at once when something happened since the last sleep. */
  sleep(ms: number): Promise<void> {
    if (this.#pending) {
      this.#pending = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        this.#sleeper = undefined;
        this.#pending = false;
        resolve();
      };
      const timer = this.#clock.setTimer(Math.max(1, ms), done);
      this.#sleeper = done;
    });
  }
}

/**
 * How CometBFT learns that there is work: a small transaction of ours in its own, unshared mempool.
 * It never stands in a block. While it lies there CometBFT proposes; after each block it asks whether
 * to keep it, and the answer is whether work still waits.
 */
import type { Clock } from "@hanse/ordering";
import { type Bytes, equalBytes } from "@hanse/protocol";

/** Pause before a bell that could not be delivered is rung again. */
const RETRY_MS = 200;
/** Work that waits for so long without a block: the bell may be lost. */
const RING_AGAIN_MS = 1_000;
/** First byte of a bell; our headers begin with 0. */
const BELL = 0xbe;

export interface DoorbellParts {
  readonly clock: Clock;
  readonly hasWork: () => boolean;
  /** Hands a bell to CometBFT's mempool. */
  readonly deliver: (bell: Bytes) => Promise<void>;
}

export class Doorbell {
  readonly #parts: DoorbellParts;
  #bell: Bytes | undefined;
  #count = 0;
  #rungAt = 0;
  #timer: { cancel(): void } | undefined;
  #stopped = false;

  constructor(parts: DoorbellParts) {
    this.#parts = parts;
  }

  /** There may be work. */
  wake(): void {
    if (this.#stopped || !this.#parts.hasWork()) return;
    if (this.#bell === undefined) this.#ring();
    else this.#watch(RING_AGAIN_MS);
  }

  /** A block came; the bell was seen. */
  progress(): void {
    this.#rungAt = this.#parts.clock.now();
  }

  /** CometBFT lost what it had in memory. */
  lost(): void {
    this.#bell = undefined;
    this.#watch(RETRY_MS);
  }

  /** Whether a transaction may be, or stay, in CometBFT's mempool. */
  keep(bell: Bytes): boolean {
    if (this.#bell === undefined || !equalBytes(bell, this.#bell)) return false;
    if (this.#parts.hasWork()) return true;
    this.#bell = undefined;
    return false;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #ring(): void {
    const { clock } = this.#parts;
    const bell = new Uint8Array(17);
    bell[0] = BELL;
    const view = new DataView(bell.buffer);
    // CometBFT remembers what it has seen, also from before our own restart.
    view.setFloat64(1, clock.now());
    view.setFloat64(9, this.#count++);
    this.#bell = bell;
    this.#rungAt = clock.now();
    this.#parts.deliver(bell).then(
      () => this.#watch(RING_AGAIN_MS),
      () => {
        if (this.#bell === bell) this.#bell = undefined;
        this.#watch(RETRY_MS);
      },
    );
  }

  /** Looks again later; one timer at a time. */
  #watch(ms: number): void {
    if (this.#stopped || this.#timer !== undefined) return;
    this.#timer = this.#parts.clock.setTimer(ms, () => {
      this.#timer = undefined;
      const late = this.#parts.clock.now() - this.#rungAt >= RING_AGAIN_MS;
      if (late) this.#bell = undefined;
      this.wake();
    });
  }
}

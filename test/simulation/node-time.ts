/** One node's own time: it may stand still, its work may be slow, its clock may be wrong. */
import type { World } from "./world.ts";

/** What disk and application need of time. */
export interface Timeline {
  readonly now: number;
  after(ms: number, run: () => void): { cancel(): void };
}

export class NodeTime implements Timeline {
  readonly #world: World;
  #waiting: (() => void)[] | undefined;
  /** How many times as long disk and application take. */
  slowness = 1;
  /** Added to the clock, milliseconds. */
  clockOffsetMs = 0;
  /** How much faster the clock runs than time: 0.001 gains a millisecond each second. */
  readonly drift: number;

  constructor(world: World, drift: number) {
    this.#world = world;
    this.drift = drift;
  }

  get now(): number {
    return this.#world.now;
  }

  /** Milliseconds since the run began, as the node's clock shows them. */
  get shown(): number {
    return Math.floor(this.#world.now * (1 + this.drift)) + this.clockOffsetMs;
  }

  /** Work of disk or application. */
  after(ms: number, run: () => void): { cancel(): void } {
    return this.#schedule(ms * this.slowness, run);
  }

  /** A timer by the node's clock. */
  timer(ms: number, run: () => void): { cancel(): void } {
    return this.#schedule(ms / (1 + this.drift), run);
  }

  /** Something that comes from outside, now. */
  receive(run: () => void): void {
    if (this.#waiting === undefined) run();
    else this.#waiting.push(run);
  }

  pause(): void {
    this.#waiting ??= [];
  }

  resume(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    for (const run of waiting ?? []) run();
  }

  #schedule(ms: number, run: () => void): { cancel(): void } {
    let cancelled = false;
    this.#world.after(ms, () => {
      if (!cancelled) this.receive(() => cancelled || run());
    });
    return {
      cancel() {
        cancelled = true;
      },
    };
  }
}

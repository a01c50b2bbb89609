/** Virtual time: one queue of events, microtasks drained between them, everything hashed. */
import { setImmediate } from "node:timers";

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

export class World {
  #now = 0;
  #order = 0;
  #heap: Entry[] = [];
  #digest = 0x811c9dc5;
  #digestHigh = 0x9747b28c;
  steps = 0;

  /** Milliseconds since the beginning of the run. */
  get now(): number {
    return this.#now;
  }

  /** Digest of everything noted so far: equal seeds give equal digests. */
  get digest(): string {
    return (this.#digestHigh >>> 0).toString(16) + (this.#digest >>> 0).toString(16);
  }

  note(...values: readonly number[]): void {
    for (const value of values) {
      this.#digest = Math.imul(this.#digest ^ value, 0x01000193);
      this.#digestHigh = Math.imul(this.#digestHigh ^ (this.#digest >>> 13), 0x5bd1e995) + value;
    }
  }

  after(ms: number, run: () => void): { cancel(): void } {
    const entry: Entry = {
      at: this.#now + Math.max(0, ms),
      order: this.#order++,
      run,
      cancelled: false,
    };
    this.#push(entry);
    return {
      cancel() {
        entry.cancelled = true;
      },
    };
  }

  /** Resolves with the value after virtual time. */
  later<T>(ms: number, make: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.after(ms, () => {
        try {
          resolve(make());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Runs until the time, or until `done` says so; false = the queue ran dry or time is up. */
  async run(until: number, done: () => boolean = () => false): Promise<boolean> {
    await drain();
    for (;;) {
      if (done()) return true;
      const entry = this.#heap[0];
      if (entry === undefined || entry.at > until) {
        this.#now = Math.max(this.#now, until);
        return false;
      }
      this.#pop();
      if (entry.cancelled) continue;
      this.#now = entry.at;
      this.steps++;
      entry.run();
      await drain();
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!isBefore(entry, heap[up]!)) break;
      heap[i] = heap[up]!;
      i = up;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** All microtasks run before an immediate does; the order among them is Node's and fixed. */
function drain(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Which envelopes of an origin were here already; of each origin the newest are remembered. */

/** Sequence numbers remembered for each origin. */
export const SEEN_MAX = 4096;

export class SeenEnvelopes {
  readonly #origins = new Map<string, { newest: number[]; known: Set<number>; floor: number }>();

  /** Whether an envelope like this would be taken. */
  isNew(origin: string, sequence: number): boolean {
    const seen = this.#origins.get(origin);
    return seen === undefined || (sequence > seen.floor && !seen.known.has(sequence));
  }

  /** Call it once the seal was checked: a forger must not use up numbers. */
  add(origin: string, sequence: number): void {
    let seen = this.#origins.get(origin);
    if (seen === undefined) {
      seen = { newest: [], known: new Set(), floor: -1 };
      this.#origins.set(origin, seen);
    }
    seen.known.add(sequence);
    seen.newest.push(sequence);
    if (seen.newest.length <= SEEN_MAX) return;
    // What is forgotten raises the floor, so that it cannot come again.
    const oldest = seen.newest.shift()!;
    seen.known.delete(oldest);
    seen.floor = Math.max(seen.floor, oldest);
  }

  /** Forgets who is no node any more. */
  keepOnly(origins: { has(origin: string): boolean }): void {
    for (const origin of this.#origins.keys()) {
      if (!origins.has(origin)) this.#origins.delete(origin);
    }
  }
}

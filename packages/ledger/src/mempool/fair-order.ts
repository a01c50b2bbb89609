/**
 * Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) over organizations and, inside each,
 * over senders; first in first out inside a sender. Every turn gives a queue the same allowance in
 * bytes, so that neither many small nor few large transactions crowd others out.
 */
import type { OrganizationQueue, PoolEntry, SenderQueue } from "./mempool.ts";

/** Allowance of one turn, bytes. */
const QUANTUM_BYTES = 2_048;
/** Added to each transaction's size: its cost beyond its bytes. */
const OVERHEAD_BYTES = 256;

interface Source {
  peek(): PoolEntry | undefined;
  advance(): void;
}

function createRoundRobin<S extends Source>(sources: S[], start: number): Source & { last?: S } {
  const deficits = new Float64Array(sources.length);
  const ring = sources.map((_, i) => (i + start) % sources.length);
  let at = 0;
  let granted = false;
  let ready: PoolEntry | undefined;

  const rr: Source & { last?: S } = {
    peek() {
      if (ready !== undefined) return ready;
      while (ring.length > 0) {
        if (at >= ring.length) at = 0;
        const index = ring[at]!;
        if (!granted) {
          deficits[index]! += QUANTUM_BYTES;
          granted = true;
        }
        const entry = sources[index]!.peek();
        if (entry === undefined) {
          ring.splice(at, 1);
          granted = false;
          continue;
        }
        if (entry.cost <= deficits[index]!) {
          ready = entry;
          return entry;
        }
        at++;
        granted = false;
      }
      return undefined;
    },
    advance() {
      if (ready === undefined) return;
      const index = ring[at]!;
      deficits[index]! -= ready.cost;
      sources[index]!.advance();
      rr.last = sources[index]!;
      ready = undefined;
    },
  };
  return rr;
}

interface SenderSource extends Source {
  readonly queue: SenderQueue;
}
interface OrganizationSource extends Source {
  readonly queue: OrganizationQueue;
}

function senderSource(queue: SenderQueue): SenderSource {
  let entry = queue.first;
  return {
    queue,
    peek: () => entry,
    advance() {
      entry = entry?.next;
    },
  };
}

function organizationSource(queue: OrganizationQueue): OrganizationSource {
  const sources: SenderSource[] = [];
  let start = 0;
  for (const sender of queue.senders.values()) {
    sources.push(senderSource(sender));
    if (sender === queue.lastServed) start = sources.length;
  }
  const rr = createRoundRobin(sources, sources.length === 0 ? 0 : start % sources.length);
  return {
    queue,
    peek: () => rr.peek(),
    advance() {
      rr.advance();
      queue.lastServed = rr.last?.queue;
    },
  };
}

export function costOf(bytes: number): number {
  return bytes + OVERHEAD_BYTES;
}

/** Pending transactions in the order in which they deserve a place; the pool must not change meanwhile. */
export function* fairOrder(
  organizations: Iterable<OrganizationQueue>,
  lastServed: { organization?: OrganizationQueue | undefined },
): Generator<PoolEntry> {
  const sources: OrganizationSource[] = [];
  let start = 0;
  for (const queue of organizations) {
    sources.push(organizationSource(queue));
    if (queue === lastServed.organization) start = sources.length;
  }
  const rr = createRoundRobin(sources, sources.length === 0 ? 0 : start % sources.length);
  for (let entry = rr.peek(); entry !== undefined; entry = rr.peek()) {
    rr.advance();
    lastServed.organization = rr.last?.queue;
    yield entry;
  }
}

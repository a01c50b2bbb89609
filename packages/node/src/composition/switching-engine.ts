/** A ledger's engines one after the other: where one hands over, the next one is opened and goes on. */
import type { OrderingEngine, OrderingEra } from "@hanse/ordering";
import { type HanseError, toHanseError } from "@hanse/protocol";

export interface SwitchingParts {
  /** The engine of genesis; it calls `handOver` when another one orders from an era on. */
  open(handOver: (era: OrderingEra) => void): OrderingEngine;
  /** The engine of a later era. @throws HanseError when this node cannot run it. */
  openNext(era: OrderingEra): OrderingEngine;
  /** The ledger goes on without this node. */
  onFailure(error: HanseError): void;
}

/** The first engine stays open behind the second one: it serves the blocks that it ordered. */
export function createSwitchingEngine(parts: SwitchingParts): OrderingEngine {
  const opened: OrderingEngine[] = [];
  let stopped = false;

  async function goOn(era: OrderingEra): Promise<void> {
    if (stopped) return;
    const next = parts.openNext(era);
    opened.push(next);
    await next.start();
    next.wake();
  }

  const first = parts.open((era) => {
    goOn(era).catch((error: unknown) => parts.onFailure(toHanseError(error)));
  });
  opened.push(first);
  const current = () => opened.at(-1)!;
  return {
    get kind() {
      return current().kind;
    },
    start: () => first.start(),
    status: () => current().status(),
    wake: () => current().wake(),
    async stop(how) {
      stopped = true;
      for (const engine of opened.toReversed()) await engine.stop(how);
    },
  };
}

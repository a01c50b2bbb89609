/** Batches of transactions between nodes: the ledger's on one side, the transport on the other. */
import type { Ledger } from "@hanse/ledger";
import type { TlsTransport } from "@hanse/network";
import { type Bytes, HanseError } from "@hanse/protocol";
import type { DoorLog } from "../doors/services.ts";

/** Bytes of batches from peers that wait for admission; more are dropped, for peers repeat them. */
const WAITING_BYTES_MAX = 32 * 1024 * 1024;
/** Batches admitted at the same time: verification of one goes on while the next is read. */
const RUNNING_MAX = 4;

export function spreadTransactions(
  ledger: Ledger,
  transport: TlsTransport,
  log: DoorLog,
): { readonly dropped: number } {
  const queue: { from: string; batch: Bytes }[] = [];
  const counts = { dropped: 0 };
  let waitingBytes = 0;
  let running = 0;

  async function run(): Promise<void> {
    running++;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      waitingBytes -= next.batch.length;
      try {
        await ledger.incoming(next.batch, next.from);
      } catch (error) {
        if (error instanceof HanseError && error.kind !== "corrupt") {
          log.warn({ peer: next.from, code: error.code }, "peer sent a broken batch");
          transport.disconnect(next.from, `${error.code}: broken batch of transactions`);
        } else {
          log.error({ peer: next.from, err: error }, "a batch from a peer could not be taken");
        }
      }
    }
    running--;
  }

  ledger.onOutgoing((batch) => transport.broadcast("transactions", batch));
  transport.onMessage((from, channel, batch) => {
    if (channel !== "transactions") return;
    if (waitingBytes + batch.length > WAITING_BYTES_MAX) {
      counts.dropped++;
      return;
    }
    waitingBytes += batch.length;
    queue.push({ from, batch });
    if (running < RUNNING_MAX) void run();
  });
  transport.onPeer((peer, up) => {
    if (!up) return;
    for (const batch of ledger.pendingBatches()) transport.send(peer, "transactions", batch);
  });
  return counts;
}

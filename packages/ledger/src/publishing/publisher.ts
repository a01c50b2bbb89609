/**
 * What became durable, for streams that anybody can resume by height. A stream holds no queue: it is
 * a cursor that reads newest blocks from a small ring and older ones from the store, at the pace of
 * its reader.
 */
import { decodeBlock, HanseError, type Hash, hashHeader } from "@hanse/protocol";
import { type CodecTable, decodeTransaction } from "../execution/prepared-block.ts";
import type { LedgerReads, Outcome } from "../pipeline/interfaces.ts";

export interface PublishedTransaction {
  readonly id: Hash;
  /** Account id of the sender. */
  readonly sender: Hash;
  readonly engine: string;
  readonly outcome: Outcome;
}

/** A durable block as streams tell it; events are in the outcomes. */
export interface PublishedBlock {
  readonly height: number;
  readonly hash: Hash;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly proposer: string;
  readonly transactions: readonly PublishedTransaction[];
}

/** Blocks in order and without gaps; ends when closed. */
export interface Subscription extends AsyncIterable<PublishedBlock> {
  close(): void;
}

export interface Publisher {
  publish(block: PublishedBlock): void;
  /** @throws HanseError `LEDGER_SUBSCRIPTIONS` when too many are open. */
  subscribe(fromHeight: number): Subscription;
  close(): void;
}

/** Newest blocks kept in memory for streams that are up to date. */
const RING_BLOCKS = 64;
/** Blocks above this many transactions are read from the store instead. */
const RING_TRANSACTIONS = 20_000;

export function createPublisher(
  store: LedgerReads,
  codecs: CodecTable,
  durableHeight: number,
  subscriptionsMax: number,
): Publisher {
  const ring = new Map<number, PublishedBlock>();
  const open = new Set<{ wake: (() => void) | undefined; closed: boolean }>();
  let newest = durableHeight;
  let ringTransactions = 0;

  async function load(height: number): Promise<PublishedBlock> {
    const recent = ring.get(height);
    if (recent !== undefined) return recent;
    const stored = await store.block(height);
    if (stored === undefined) {
      throw new HanseError(
        "LEDGER_BLOCK_PRUNED",
        "notFound",
        `fromHeight: block ${height} is not kept here: begin later, or at an archive node`,
        { details: { height } },
      );
    }
    const block = decodeBlock(stored.bytes);
    const outcomes = await store.outcomes(height);
    return {
      height,
      hash: hashHeader(block.header),
      time: block.header.time,
      proposer: block.header.proposer,
      transactions: block.transactions.map((bytes, i) => {
        const { id, sender, engine } = decodeTransaction(codecs, bytes);
        return { id, sender, engine, outcome: outcomes[i]! };
      }),
    };
  }

  return {
    publish(block) {
      newest = block.height;
      ring.set(block.height, block);
      ringTransactions += block.transactions.length;
      for (const [height, old] of ring) {
        if (ring.size <= RING_BLOCKS && ringTransactions <= RING_TRANSACTIONS) break;
        ring.delete(height);
        ringTransactions -= old.transactions.length;
      }
      for (const stream of open) {
        stream.wake?.();
        stream.wake = undefined;
      }
    },
    subscribe(fromHeight) {
      if (open.size >= subscriptionsMax) {
        throw new HanseError(
          "LEDGER_SUBSCRIPTIONS",
          "limit",
          `at most ${subscriptionsMax} streams are open at once: close one or ask another node`,
          { details: { retryAfterSeconds: 10 } },
        );
      }
      const stream: { wake: (() => void) | undefined; closed: boolean } = {
        wake: undefined,
        closed: false,
      };
      open.add(stream);
      const close = () => {
        stream.closed = true;
        open.delete(stream);
        stream.wake?.();
        stream.wake = undefined;
      };
      async function* blocks(): AsyncGenerator<PublishedBlock> {
        try {
          for (let height = Math.max(1, fromHeight); !stream.closed; height++) {
            while (height > newest && !stream.closed) {
              await new Promise<void>((wake) => {
                stream.wake = wake;
              });
            }
            if (stream.closed) return;
            yield await load(height);
          }
        } finally {
          close();
        }
      }
      return { close, [Symbol.asyncIterator]: blocks };
    },
    close() {
      for (const stream of open) {
        stream.closed = true;
        stream.wake?.();
      }
      open.clear();
    },
  };
}

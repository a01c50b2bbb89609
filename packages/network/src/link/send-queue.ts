/** What waits for one peer: a queue per channel under one bound in bytes. */
import type { Channel } from "@hanse/ordering";
import type { Bytes } from "@hanse/protocol";
import { CHANNELS, FRAME_HEAD_BYTES } from "../frames/frame-codec.ts";

export interface QueuedMessage {
  readonly channel: Channel;
  readonly message: Bytes;
  /** An envelope of another node. */
  readonly relayed: boolean;
}

/**
 * Where both wait, `sync` gets this many bytes for each of `transactions`: a long catch-up of one
 * peer must not silence the transactions to it.
 */
export const SYNC_SHARE = 3;

class Fifo {
  #items: (QueuedMessage | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: QueuedMessage): void {
    this.#items.push(item);
  }

  shift(): QueuedMessage | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

export class SendQueue {
  readonly #bytesMax: number;
  readonly #onDrop: (channel: Channel) => void;
  readonly #queues = new Map<Channel, Fifo>(CHANNELS.map((channel) => [channel, new Fifo()]));
  #bytes = 0;
  /** Bytes of `sync` sent beyond its share since `transactions` began to wait. */
  #syncAhead = 0;

  constructor(bytesMax: number, onDrop: (channel: Channel) => void) {
    this.#bytesMax = bytesMax;
    this.#onDrop = onDrop;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds a message. Over the bound, the oldest of the least urgent channel goes first; a message
   * is itself dropped rather than push out something more urgent.
   */
  push(channel: Channel, message: Bytes, relayed = false): void {
    const size = message.length + FRAME_HEAD_BYTES;
    const own = CHANNELS.indexOf(channel);
    for (let i = CHANNELS.length - 1; i >= own && this.#bytes + size > this.#bytesMax; i--) {
      const victim = CHANNELS[i]!;
      const queue = this.#queues.get(victim)!;
      while (this.#bytes + size > this.#bytesMax) {
        const dropped = queue.shift();
        if (dropped === undefined) break;
        this.#bytes -= dropped.message.length + FRAME_HEAD_BYTES;
        this.#onDrop(victim);
      }
    }
    if (this.#bytes + size > this.#bytesMax) {
      this.#onDrop(channel);
      return;
    }
    this.#queues.get(channel)!.push({ channel, message, relayed });
    this.#bytes += size;
  }

  /**
   * The next message: `consensus` before all others, the others by `SYNC_SHARE`. `urgentOnly`
   * leaves everything but `consensus` where it is.
   */
  shift(urgentOnly = false): QueuedMessage | undefined {
    const next =
      this.#queues.get("consensus")!.shift() ?? (urgentOnly ? undefined : this.#shiftShared());
    if (next !== undefined) this.#bytes -= next.message.length + FRAME_HEAD_BYTES;
    return next;
  }

  #shiftShared(): QueuedMessage | undefined {
    const sync = this.#queues.get("sync")!;
    const transactions = this.#queues.get("transactions")!;
    if (sync.length === 0 || transactions.length === 0) {
      this.#syncAhead = 0;
      return sync.shift() ?? transactions.shift();
    }
    const next = this.#syncAhead > 0 ? transactions.shift()! : sync.shift()!;
    const size = next.message.length + FRAME_HEAD_BYTES;
    this.#syncAhead += next.channel === "sync" ? size : -SYNC_SHARE * size;
    return next;
  }
}

/** What waits for one peer: a queue per channel under one bound in bytes. */
import type { Channel } from "@hanse/ordering";
import type { Bytes } from "@hanse/protocol";
import { CHANNELS, FRAME_HEAD_BYTES } from "../frames/frame-codec.ts";

class Fifo {
  #items: (Bytes | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: Bytes): void {
    this.#items.push(item);
  }

  shift(): Bytes | undefined {
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
  push(channel: Channel, message: Bytes): void {
    const size = message.length + FRAME_HEAD_BYTES;
    const own = CHANNELS.indexOf(channel);
    for (let i = CHANNELS.length - 1; i >= own && this.#bytes + size > this.#bytesMax; i--) {
      const victim = CHANNELS[i]!;
      const queue = this.#queues.get(victim)!;
      while (this.#bytes + size > this.#bytesMax) {
        const dropped = queue.shift();
        if (dropped === undefined) break;
        this.#bytes -= dropped.length + FRAME_HEAD_BYTES;
        this.#onDrop(victim);
      }
    }
    if (this.#bytes + size > this.#bytesMax) {
      this.#onDrop(channel);
      return;
    }
    this.#queues.get(channel)!.push(message);
    this.#bytes += size;
  }

  /** The most urgent message. */
  shift(): { readonly channel: Channel; readonly message: Bytes } | undefined {
    for (const channel of CHANNELS) {
      const message = this.#queues.get(channel)!.shift();
      if (message === undefined) continue;
      this.#bytes -= message.length + FRAME_HEAD_BYTES;
      return { channel, message };
    }
    return undefined;
  }
}

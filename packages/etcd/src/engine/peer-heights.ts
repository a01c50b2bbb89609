/** What the others have durable, by their own word: for status and for what etcd may forget. */
import type { Height, OrderingStatus } from "@hanse/ordering";
import type { ValidatorSet } from "@hanse/protocol";

export class PeerHeights {
  readonly #self: string;
  readonly #peers = new Map<string, { connected: boolean; height: Height }>();

  constructor(self: string) {
    this.#self = self;
  }

  connection(peer: string, connected: boolean): void {
    this.#peers.set(peer, { height: this.#peers.get(peer)?.height ?? 0, connected });
  }

  claim(peer: string, height: Height): void {
    const before = this.#peers.get(peer)?.height ?? 0;
    this.#peers.set(peer, { connected: true, height: Math.max(before, height) });
  }

  /** The least height that is durable with every member, ours included. */
  slowest(set: ValidatorSet, own: Height): Height {
    let slowest = own;
    for (const { id } of set.members) {
      if (id !== this.#self) slowest = Math.min(slowest, this.#peers.get(id)?.height ?? 0);
    }
    return slowest;
  }

  status(set: ValidatorSet): OrderingStatus["peers"] {
    return set.members
      .filter(({ id }) => id !== this.#self)
      .map(({ id }) => {
        const peer = this.#peers.get(id);
        return { id, connected: peer?.connected ?? false, height: peer?.height ?? 0 };
      });
  }
}

/** Links between simulated nodes: loss, duplication, delay, reordering, cuts in either direction. */

import type { Random } from "./random.ts";
import { type Channel, crc32, type Transport, type ValidatorId } from "./wiring.ts";
import type { World } from "./world.ts";

export interface LinkQuality {
  readonly loss: number;
  /** Loss of large frames: the ledger goes through many views of one height. */
  readonly proposalLoss: number;
  readonly duplication: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
}

export interface Endpoint {
  /** Unique per instance: twins share an id and differ in this. */
  readonly address: string;
  readonly id: ValidatorId;
  receive(from: ValidatorId, channel: Channel, bytes: Uint8Array): void;
  peerChanged(id: ValidatorId, up: boolean): void;
}

/** Votes are shorter, frames with blocks or many certificates longer. */
const LARGE_BYTES = 250;

export class Network {
  readonly #world: World;
  readonly #random: Random;
  readonly #endpoints = new Map<string, Endpoint>();
  /** "from>to" addresses that deliver nothing. */
  readonly #cuts = new Set<string>();
  /** Counts the breaks of an address's links; what was sent before one does not arrive. */
  readonly #breaks = new Map<string, number>();
  quality: LinkQuality;
  /** An instance whose links lose half of everything. */
  flaky: string | undefined;
  /** Sees every message that an instance hands to the network. */
  onSend: (from: Endpoint, bytes: Uint8Array) => void = () => {};

  constructor(world: World, random: Random, quality: LinkQuality) {
    this.#world = world;
    this.#random = random;
    this.quality = quality;
  }

  join(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint.address, endpoint);
    for (const other of this.#endpoints.values()) {
      if (other.id === endpoint.id) continue;
      this.#world.after(1, () => {
        if (this.#endpoints.get(endpoint.address) !== endpoint) return;
        if (this.#endpoints.get(other.address) !== other) return;
        other.peerChanged(endpoint.id, true);
        endpoint.peerChanged(other.id, true);
      });
    }
  }

  leave(endpoint: Endpoint): void {
    if (this.#endpoints.get(endpoint.address) !== endpoint) return;
    this.#endpoints.delete(endpoint.address);
    const twin = [...this.#endpoints.values()].some((other) => other.id === endpoint.id);
    if (twin) return;
    for (const other of this.#endpoints.values()) {
      this.#world.after(1, () => {
        if (this.#endpoints.get(other.address) === other) other.peerChanged(endpoint.id, false);
      });
    }
  }

  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  mend(from: string, to: string): void {
    this.#cuts.delete(`${from}>${to}`);
  }

  heal(): void {
    this.#cuts.clear();
  }

  /** All links of an instance break and are there again a moment later. */
  reset(address: string): void {
    this.#breaks.set(address, this.#breaksOf(address) + 1);
    const endpoint = this.#endpoints.get(address);
    if (endpoint === undefined) return;
    for (const other of this.#endpoints.values()) {
      if (other.id === endpoint.id) continue;
      for (const [ms, up] of [
        [1, false],
        [3, true],
      ] as const) {
        this.#world.after(ms, () => {
          if (this.#endpoints.get(address) !== endpoint) return;
          if (this.#endpoints.get(other.address) !== other) return;
          other.peerChanged(endpoint.id, up);
          endpoint.peerChanged(other.id, up);
        });
      }
    }
  }

  #breaksOf(address: string): number {
    return this.#breaks.get(address) ?? 0;
  }

  /** To every instance with this id. */
  send(from: Endpoint, to: ValidatorId, channel: Channel, bytes: Uint8Array): void {
    for (const target of this.#endpoints.values()) {
      if (target.id === to && target !== from) this.#deliver(from, target, channel, bytes);
    }
  }

  #deliver(from: Endpoint, to: Endpoint, channel: Channel, bytes: Uint8Array): void {
    const { loss, proposalLoss, duplication, delayMsMin, delayMsMax } = this.quality;
    if (this.#cuts.has(`${from.address}>${to.address}`)) return;
    if (this.#random.chance(loss)) return;
    const isFlaky = from.address === this.flaky || to.address === this.flaky;
    if (isFlaky && this.#random.chance(0.5)) return;
    if (bytes.length > LARGE_BYTES && this.#random.chance(proposalLoss)) return;
    const breaks = this.#breaksOf(from.address) + this.#breaksOf(to.address);
    const copies = this.#random.chance(duplication) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delay = delayMsMin + this.#random.unit() * (delayMsMax - delayMsMin);
      this.#world.after(delay, () => {
        if (this.#endpoints.get(to.address) !== to) return;
        if (this.#breaksOf(from.address) + this.#breaksOf(to.address) !== breaks) return;
        this.#world.note(Math.round(this.#world.now * 1000), bytes.length, crc32(bytes));
        to.receive(from.id, channel, bytes);
      });
    }
  }

  transport(
    endpoint: Endpoint & {
      onMessage?: (from: ValidatorId, channel: Channel, bytes: Uint8Array) => void;
      onPeer?: (id: ValidatorId, up: boolean) => void;
    },
    life: { operation(): boolean },
  ): Transport {
    const others = () => {
      const ids = new Set<ValidatorId>();
      for (const other of this.#endpoints.values()) if (other.id !== endpoint.id) ids.add(other.id);
      return [...ids];
    };
    const send = (to: ValidatorId, channel: Channel, bytes: Uint8Array) => {
      if (!life.operation()) return;
      this.onSend(endpoint, bytes);
      this.send(endpoint, to, channel, bytes);
    };
    return {
      self: endpoint.id,
      send,
      broadcast: (channel, bytes) => {
        if (!life.operation()) return;
        // Seen even when nobody listens: a set of one votes too.
        this.onSend(endpoint, bytes);
        for (const id of others()) send(id, channel, bytes);
      },
      onMessage: (handler) => {
        endpoint.onMessage = handler;
      },
      onPeer: (handler) => {
        endpoint.onPeer = handler;
      },
      peers: others,
    };
  }
}

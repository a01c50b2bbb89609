/** Blocks from peers: the body of a record that we lack, ranges when we are far behind. */
import type { BlockSource, Clock, Height } from "@hanse/ordering";
import { bodyFromBytes } from "@hanse/ordering";
import {
  type Bytes,
  decodeBlock,
  decodeFinalityProof,
  equalBytes,
  type FinalityProof,
  type Hash,
  hashHeader,
} from "@hanse/protocol";
import type { Body, BodyStore } from "../bodies/body-store.ts";
import { RANGE_BLOCKS_MAX, RANGE_BYTES_MAX, type WireMessage } from "../wire/messages.ts";
import type { EtcdTuning } from "./options.ts";

export interface FetcherOptions {
  readonly blocks: BlockSource;
  readonly bodies: BodyStore;
  readonly clock: Clock;
  readonly tuning: EtcdTuning;
  readonly peers: () => readonly string[];
  readonly stopped: () => boolean;
  readonly send: (to: string | "all", message: WireMessage) => void;
  readonly wait: (ms: number) => Promise<void>;
  readonly onBadPeer: (peer: string, code: string) => void;
}

export interface FetchedBlock {
  readonly body: Body;
  readonly proof: FinalityProof | undefined;
}

export class Fetcher {
  readonly #options: FetcherOptions;
  #wanted: { readonly height: Height; readonly hash: Hash } | undefined;
  #found: Body | undefined;
  #range:
    | { readonly from: Height; readonly peer: string; blocks?: readonly FetchedBlock[] }
    | undefined;
  /** Turns over the peers, so that a silent one costs one round. */
  #turn = 0;

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  /** The body of a record, from our disk or whoever has it; undefined when stopped. */
  async body(height: Height, hash: Hash, preferred: string): Promise<Body | undefined> {
    const { bodies, tuning, clock, send, wait, stopped } = this.#options;
    const stored = bodies.get(height);
    if (stored !== undefined && equalBytes(stored.body.hash, hash)) return stored.body;
    this.#wanted = { height, hash };
    this.#found = undefined;
    try {
      let askedAt: number | undefined;
      while (!stopped()) {
        if (this.#found !== undefined) return this.#found;
        const now = clock.now();
        if (askedAt === undefined || now - askedAt >= tuning.resendMs) {
          const peer = askedAt === undefined ? preferred : this.#nextPeer();
          if (peer !== undefined) send(peer, { t: "getBlock", height, hash });
          askedAt = now;
        }
        await wait(askedAt + tuning.resendMs - now);
      }
      return undefined;
    } finally {
      this.#wanted = undefined;
      this.#found = undefined;
    }
  }

  /** Blocks from a height on, of one peer; empty when it does not answer in time. */
  async range(from: Height, to: Height): Promise<readonly FetchedBlock[]> {
    const { clock, tuning, send, wait, stopped } = this.#options;
    const peer = this.#nextPeer();
    if (peer === undefined) return [];
    this.#range = { from, peer };
    send(peer, { t: "getRange", from, to: Math.min(to, from + RANGE_BLOCKS_MAX - 1) });
    const until = clock.now() + 4 * tuning.resendMs;
    while (!stopped() && this.#range?.blocks === undefined && clock.now() < until) {
      await wait(until - clock.now());
    }
    const blocks = this.#range?.blocks ?? [];
    this.#range = undefined;
    return blocks;
  }

  receiveBlock(peer: string, bytes: Bytes): void {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    const body = bodyFromBytes(bytes);
    if (!equalBytes(body.hash, wanted.hash)) this.#options.onBadPeer(peer, "ETCD_OTHER_BLOCK");
    else this.#found = body;
  }

  receiveRange(peer: string, message: Extract<WireMessage, { t: "range" }>): void {
    const range = this.#range;
    if (range?.peer !== peer || message.from !== range.from || range.blocks !== undefined) return;
    const blocks: FetchedBlock[] = [];
    for (const [i, { block, proof }] of message.blocks.entries()) {
      const body = bodyFromBytes(block);
      const { header } = body.block;
      if (header.height !== range.from + i) {
        this.#options.onBadPeer(peer, "ETCD_RANGE");
        break;
      }
      blocks.push({
        body,
        proof: proof.length === 0 ? undefined : decodeFinalityProof(proof, header),
      });
    }
    range.blocks = blocks;
  }

  /** A peer's questions, from what is durable here or on our disk. */
  async answer(
    peer: string,
    message: Extract<WireMessage, { t: "getBlock" | "getRange" }>,
  ): Promise<void> {
    const { blocks, bodies, send } = this.#options;
    if (message.t === "getRange") {
      const { from } = message;
      const found = await blocks.blocks(from, message.to, RANGE_BYTES_MAX);
      const items = found.map(({ bytes, certificate }) => ({ block: bytes, proof: certificate }));
      send(peer, { t: "range", from, blocks: items });
      return;
    }
    const { height, hash } = message;
    const waiting = bodies.get(height);
    if (waiting !== undefined && equalBytes(waiting.body.hash, hash)) {
      send(peer, { t: "block", block: waiting.body.bytes });
      return;
    }
    const [stored] = await blocks.blocks(height, height, 1);
    if (stored === undefined || !equalBytes(hashHeader(decodeBlock(stored.bytes).header), hash))
      return;
    send(peer, { t: "block", block: stored.bytes });
  }

  #nextPeer(): string | undefined {
    const peers = this.#options.peers();
    return peers.length === 0 ? undefined : peers[this.#turn++ % peers.length];
  }
}

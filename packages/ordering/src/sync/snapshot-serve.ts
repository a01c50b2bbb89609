/** Answers peers that ask for snapshots: one piece at a time for each, whatever they send. */
import { type Bytes, type Hash, toHanseError, type ValidatorId } from "@hanse/protocol";
import { TokenBuckets } from "../driver/runtime.ts";
import type { Clock, Height, Transport } from "../engine/interfaces.ts";
import {
  encodeSnapshotMessage,
  type SnapshotMessage,
  type SnapshotOffer,
} from "./snapshot-messages.ts";

/** Questions of one peer that wait; more are dropped. An honest peer has at most four under way. */
export const QUESTIONS_PER_PEER_MAX = 8;
/** Questions of one peer per second. */
export const QUESTIONS_PER_SECOND = 400;

/** Where complete snapshots of this node are kept. */
export interface SnapshotSource {
  /** Lowest block kept here. */
  readonly lowest: Height;
  /** The newest first. */
  readonly offers: readonly SnapshotOffer[];
  manifest(id: Hash): Promise<Bytes | undefined>;
  chunk(id: Hash, index: number): Promise<Bytes | undefined>;
}

export interface SnapshotServeOptions {
  readonly transport: Pick<Transport, "send">;
  readonly clock: Clock;
  readonly source: SnapshotSource;
  readonly report: (event: {
    readonly t: "serveFailed" | "flooded";
    readonly peer: ValidatorId;
    readonly message: string;
  }) => void;
}

export class SnapshotServe {
  readonly #options: SnapshotServeOptions;
  readonly #buckets: TokenBuckets;
  /** Questions that wait, by peer; the first is being answered. */
  readonly #waiting = new Map<ValidatorId, SnapshotMessage[]>();
  #stopped = false;

  constructor(options: SnapshotServeOptions) {
    this.#options = options;
    this.#buckets = new TokenBuckets(options.clock, QUESTIONS_PER_SECOND);
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
  }

  receive(from: ValidatorId, message: SnapshotMessage): void {
    if (this.#stopped) return;
    let waiting = this.#waiting.get(from);
    if (waiting === undefined) {
      waiting = [];
      this.#waiting.set(from, waiting);
    }
    if (waiting.length >= QUESTIONS_PER_PEER_MAX || !this.#buckets.take(from)) {
      const text = `more than ${QUESTIONS_PER_PEER_MAX} questions at once`;
      this.#options.report({ t: "flooded", peer: from, message: text });
      return;
    }
    waiting.push(message);
    if (waiting.length === 1) void this.#answerAll(from, waiting);
  }

  async #answerAll(peer: ValidatorId, waiting: SnapshotMessage[]): Promise<void> {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      try {
        const answer = await this.#answer(next);
        if (this.#stopped) return;
        if (answer !== undefined) {
          this.#options.transport.send(peer, "sync", encodeSnapshotMessage(answer));
        }
      } catch (thrown) {
        const { message } = toHanseError(thrown);
        this.#options.report({ t: "serveFailed", peer, message });
      }
      waiting.shift();
    }
    if (this.#waiting.get(peer) === waiting) this.#waiting.delete(peer);
  }

  async #answer(question: SnapshotMessage): Promise<SnapshotMessage | undefined> {
    const { source } = this.#options;
    const none = new Uint8Array(0);
    switch (question.t) {
      case "getOffers":
        return { t: "offers", lowest: source.lowest, offers: source.offers };
      case "getManifest": {
        const manifest = (await source.manifest(question.id)) ?? none;
        return { t: "manifest", id: question.id, manifest };
      }
      case "getChunk": {
        const { id, index } = question;
        return { t: "chunk", id, index, bytes: (await source.chunk(id, index)) ?? none };
      }
      default:
        return undefined;
    }
  }
}

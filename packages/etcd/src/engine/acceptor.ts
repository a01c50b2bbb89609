/** The follower's part: checks what a leader offers and vouches for it once it is on the disk. */
import { bodyFromBytes } from "@hanse/ordering";
import { equalBytes, HanseError } from "@hanse/protocol";
import type { Body, BodyStore } from "../bodies/body-store.ts";
import type { WireMessage } from "../wire/messages.ts";
import type { EtcdEngineOptions } from "./options.ts";
import type { Progress } from "./progress.ts";
import { isSignedByProposer } from "./record-signature.ts";

/** Offers for heights that are not open yet: the newest few. */
const WAITING_MAX = 4;

type Offer = Extract<WireMessage, { t: "offer" }>;

export interface AcceptorOptions {
  readonly engine: EtcdEngineOptions;
  readonly bodies: BodyStore;
  readonly progress: Progress;
  readonly stopped: () => boolean;
  readonly send: (to: string, message: WireMessage) => void;
  readonly onRefused: (proposer: string, reason: string) => void;
}

export class Acceptor {
  readonly #options: AcceptorOptions;
  #waiting: { readonly from: string; readonly offer: Offer; readonly body: Body }[] = [];
  /** One offer is checked at a time. */
  #work: Promise<void> = Promise.resolve();
  #queued = 0;

  constructor(options: AcceptorOptions) {
    this.#options = options;
  }

  /** @throws HanseError of kind `malformed` when the block's body is not its header's. */
  receive(from: string, offer: Offer): void {
    const { progress } = this.#options;
    const body = bodyFromBytes(offer.block);
    const { height } = body.block.header;
    if (height <= progress.tip.height) return;
    if (height > progress.tip.height + 1) {
      this.#waiting = [...this.#waiting.slice(1 - WAITING_MAX), { from, offer, body }];
      return;
    }
    this.#enqueue(from, offer, body);
  }

  /** The height above a new tip is open. */
  follow(): void {
    const { progress } = this.#options;
    const open = progress.tip.height + 1;
    const ready = this.#waiting.filter(({ body }) => body.block.header.height === open);
    this.#waiting = this.#waiting.filter(({ body }) => body.block.header.height > open);
    for (const { from, offer, body } of ready) this.#enqueue(from, offer, body);
  }

  #enqueue(from: string, offer: Offer, body: Body): void {
    // A leader repeats itself; what is dropped here comes again.
    if (this.#queued >= WAITING_MAX) return;
    this.#queued++;
    this.#work = this.#work
      .then(() => this.#accept(from, offer, body))
      .catch((error: unknown) => {
        this.#options.onRefused(from, error instanceof Error ? error.message : String(error));
      })
      .finally(() => {
        this.#queued--;
      });
  }

  /** Resolves when nothing is being checked. */
  idle(): Promise<void> {
    return this.#work;
  }

  async #accept(from: string, offer: Offer, body: Body): Promise<void> {
    const { engine, bodies, progress, stopped, send, onRefused } = this.#options;
    const { header } = body.block;
    const { height } = header;
    const { term, signature } = offer;
    if (stopped() || height !== progress.tip.height + 1) return;
    const kept = bodies.get(height);
    if (kept !== undefined && kept.term > term) return;
    if (kept !== undefined && kept.term === term) {
      // Read back after a start it may not be durable yet.
      await engine.disk.sync();
      if (equalBytes(kept.body.hash, body.hash))
        send(from, { t: "stored", height, hash: body.hash });
      return;
    }
    const misfit = header.proposer !== from ? `offered by ${from}` : progress.misfit(body.block);
    if (misfit !== undefined) return onRefused(from, `block ${height}: ${misfit}`);
    if (body.bytes.length > engine.blockBytesMax) {
      return onRefused(from, `block ${height}: ${body.bytes.length} bytes`);
    }
    const record = { header, hash: body.hash, term, signature };
    if (!(await isSignedByProposer(engine, record, progress.set))) {
      return onRefused(from, `block ${height}: the leader's signature does not hold`);
    }
    const verdict = await engine.app.validateBlock(body.block, body.hash);
    if (stopped() || height !== progress.tip.height + 1) return;
    if (!verdict.ok) return onRefused(from, `block ${height}: ${verdict.reason}`);
    try {
      await bodies.save({ term, body });
    } catch (error) {
      if (error instanceof HanseError && error.code === "ETCD_BODIES") {
        return onRefused(from, error.message);
      }
      throw error;
    }
    if (!stopped()) send(from, { t: "stored", height, hash: body.hash });
  }
}

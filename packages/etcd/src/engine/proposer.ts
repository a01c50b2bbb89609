/** The leader's part: builds a block, has it kept by enough members, puts it in order. */
import type { Height } from "@hanse/ordering";
import { bodyFromBytes } from "@hanse/ordering";
import { encodeBlock, equalBytes, type Hash } from "@hanse/protocol";
import type { Body, BodyStore } from "../bodies/body-store.ts";
import type { OrderLog } from "../order/order-log.ts";
import { type OrderingRecord, orderedMessage } from "../order/ordering-record.ts";
import type { WireMessage } from "../wire/messages.ts";
import { proofWeightMin } from "./attestations.ts";
import type { Leadership } from "./leadership.ts";
import type { EtcdEngineOptions, EtcdTuning } from "./options.ts";
import type { Progress } from "./progress.ts";

export interface ProposerOptions {
  readonly engine: EtcdEngineOptions;
  readonly engineEpoch: number;
  readonly tuning: EtcdTuning;
  readonly log: OrderLog;
  readonly bodies: BodyStore;
  readonly progress: Progress;
  readonly leadership: Leadership;
  readonly stopped: () => boolean;
  readonly send: (to: string | "all", message: WireMessage) => void;
  /** Resolves after the pause, or as soon as something happened. */
  readonly wait: (ms: number) => Promise<void>;
  readonly wake: () => void;
}

interface Offer {
  readonly body: Body;
  readonly record: OrderingRecord;
  /** Members that have the body on their disks. */
  readonly stored: Set<string>;
  /** Why our own disk does not have it. */
  failed: unknown;
}

export type ProposalOutcome =
  | {
      readonly kind: "ordered";
      readonly record: OrderingRecord;
      readonly body: Body;
      readonly stored: number;
    }
  /** Nothing to put in order. */
  | { readonly kind: "idle" }
  /** Too few members keep the body, for too long. */
  | { readonly kind: "alone" }
  /** Somebody else leads, or the height is taken. */
  | { readonly kind: "deposed" };

export class Proposer {
  readonly #options: ProposerOptions;
  /** The only block that we offer at its height in its term. */
  #offer: Offer | undefined;

  constructor(options: ProposerOptions) {
    this.#options = options;
  }

  /** A member has the body on its disk. */
  stored(member: string, height: Height, hash: Hash): void {
    const offer = this.#offer;
    if (offer === undefined || offer.record.header.height !== height) return;
    if (equalBytes(offer.record.hash, hash)) offer.stored.add(member);
  }

  /**
   * One block above the tip, in our term.
   * @throws HanseError of kind `unavailable` when etcd does not answer: call again.
   */
  async propose(): Promise<ProposalOutcome> {
    const { leadership, progress, log, stopped } = this.#options;
    const term = leadership.held;
    if (term === undefined) return { kind: "deposed" };
    const height = progress.tip.height + 1;
    const known = this.#offer?.record;
    if (known?.header.height !== height || known.term !== term.revision) {
      this.#offer = undefined;
      const body = await this.#build(height);
      if (body === undefined) return { kind: "idle" };
      this.#keep(body, term.revision);
    }
    const offer = this.#offer!;
    const isLost = () => stopped() || leadership.held?.revision !== term.revision;
    if (!(await this.#spread(offer, isLost))) {
      return isLost() ? { kind: "deposed" } : { kind: "alone" };
    }
    if (isLost()) return { kind: "deposed" };
    const outcome = await log.append(offer.record, isLost);
    if (!outcome.appended) return { kind: "deposed" };
    this.#offer = undefined;
    return { kind: "ordered", record: offer.record, body: offer.body, stored: offer.stored.size };
  }

  async #build(height: Height): Promise<Body | undefined> {
    const { engine, engineEpoch, progress } = this.#options;
    const { tip } = progress;
    const block = await engine.app.buildBlock({
      height,
      view: 0,
      parent: tip,
      lastCert: new Uint8Array(0),
      evidence: [],
      proposer: engine.transport.self,
      set: progress.set,
      nextSet: progress.nextSet,
      engineEpoch,
      lastSetChangeHeight: progress.lastSetChangeHeight,
      policyExtra: new Uint8Array(0),
      now: Math.max(engine.clock.now(), tip.time + Math.max(1, engine.blockIntervalMsMin)),
    });
    // The work vanished: nobody waits for an empty block but the proof of the newest state.
    if (block.transactions.length === 0 && !progress.proofBlockDue) return undefined;
    return bodyFromBytes(encodeBlock(block));
  }

  #keep(body: Body, term: number): void {
    const { engine, engineEpoch, bodies, wake } = this.#options;
    const { header } = body.block;
    const { height } = header;
    const signature = engine.sign(
      orderedMessage({
        ledgerId: engine.ledgerId,
        engineEpoch,
        height,
        term,
        blockHash: body.hash,
      }),
    );
    const record = { header, hash: body.hash, term, signature };
    const offer: Offer = { body, record, stored: new Set(), failed: undefined };
    this.#offer = offer;
    // Beside the sending: no other block can stand here in this term, whatever a crash leaves.
    bodies.save({ term, body }).then(
      () => {
        offer.stored.add(engine.transport.self);
        wake();
      },
      (error: unknown) => {
        offer.failed = error;
        wake();
      },
    );
  }

  /** Until enough weight keeps the body; false when the lead is lost or nobody answers for too long. */
  async #spread(offer: Offer, isLost: () => boolean): Promise<boolean> {
    const { engine, progress, tuning, send, wait } = this.#options;
    const { set } = progress;
    const least = proofWeightMin(set);
    const { term, signature } = offer.record;
    const message: WireMessage = { t: "offer", term, block: offer.body.bytes, signature };
    const began = engine.clock.now();
    let sentAt: number | undefined;
    let pauseMs = tuning.resendMs;
    for (;;) {
      let weight = 0;
      for (const { id, vote } of set.members) if (offer.stored.has(id)) weight += vote;
      if (offer.failed !== undefined) throw offer.failed;
      if (weight >= least) return true;
      const now = engine.clock.now();
      if (isLost() || now - began > tuning.resignAfterMs) return false;
      if (sentAt === undefined || now - sentAt >= pauseMs) {
        if (sentAt === undefined) send("all", message);
        else {
          for (const { id } of set.members) {
            if (id !== engine.transport.self && !offer.stored.has(id)) send(id, message);
          }
          pauseMs *= 2;
        }
        sentAt = now;
      }
      await wait(sentAt + pauseMs - now);
    }
  }
}

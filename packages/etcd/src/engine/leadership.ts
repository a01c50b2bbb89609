/**
 * Who leads: whoever holds the term's key on a living lease. The lease only makes way for a
 * successor; what a leader may write is decided by the term's revision in its transactions.
 */
import type { Clock, Height, ValidatorPolicy } from "@hanse/ordering";
import { HanseError, type ValidatorSet } from "@hanse/protocol";
import type { EtcdApi } from "../gateway/etcd-api.ts";
import type { OrderLog, Term } from "../order/order-log.ts";
import type { EtcdTuning } from "./options.ts";

/** Views of the policy that are asked for further candidates, per member. */
const VIEWS_PER_MEMBER = 3;

export interface LeadershipOptions {
  readonly self: string;
  readonly etcd: EtcdApi;
  readonly log: OrderLog;
  readonly clock: Clock;
  readonly policy: ValidatorPolicy;
  readonly tuning: EtcdTuning;
  /** The lease was not renewed in time, or the term ended. */
  readonly onLost: () => void;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  #held: (Term & { readonly lease: string }) | undefined;
  #term: Term | undefined;
  /** Since when nobody leads; undefined while somebody does. */
  #vacantSince: number | undefined;
  #notBefore = 0;
  #renewal: { cancel(): void } | undefined;
  #closed = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#vacantSince = options.clock.now();
  }

  /** Our own term, while we lead. */
  get held(): Term | undefined {
    return this.#held;
  }

  /** The newest term that we heard of; undefined = vacant. */
  get term(): Term | undefined {
    return this.#term;
  }

  /** What etcd says of the term. */
  observe(term: Term | undefined): void {
    this.#term = term;
    if (term !== undefined) this.#vacantSince = undefined;
    else this.#vacantSince ??= this.#options.clock.now();
    if (this.#held === undefined || term?.revision === this.#held.revision) return;
    // News from before our own term began is late, not a loss.
    if (term !== undefined && term.revision < this.#held.revision) this.#term = this.#held;
    else this.#drop();
  }

  /** Milliseconds until we should stand for the lead; undefined = we should not. */
  candidateInMs(set: ValidatorSet, height: Height): number | undefined {
    const { clock, self, tuning } = this.#options;
    if (this.#held !== undefined || this.#vacantSince === undefined) return undefined;
    const place = this.#preference(set, height).indexOf(self);
    if (place < 0) return undefined;
    const now = clock.now();
    const turn = this.#vacantSince + place * tuning.campaignStepMs;
    return Math.max(0, turn - now, this.#notBefore - now);
  }

  /** @throws HanseError as `EtcdApi` does. */
  async campaign(): Promise<void> {
    const { etcd, log, self, tuning } = this.#options;
    const lease = await etcd.grantLease(tuning.leaseMs);
    let term: Term | undefined;
    try {
      term = await log.campaign(self, lease);
    } catch (error) {
      // The request may still take effect; the lease's end undoes it.
      await etcd.revokeLease(lease).catch(() => {});
      throw error;
    }
    if (term === undefined || this.#closed) {
      await etcd.revokeLease(lease).catch(() => {});
      return;
    }
    this.#held = { ...term, lease };
    this.#term = term;
    this.#vacantSince = undefined;
    this.#renewLater(lease, this.#options.clock.now());
  }

  /** Gives way at once, so that nobody waits for the lease's end. */
  async resign(penaltyMs: number): Promise<void> {
    const held = this.#held;
    this.#notBefore = this.#options.clock.now() + penaltyMs;
    this.#drop();
    if (held !== undefined) await this.#options.etcd.revokeLease(held.lease).catch(() => {});
  }

  /** No renewal any more: the lease ends by itself unless `resign` is called. */
  close(): void {
    this.#closed = true;
    this.#renewal?.cancel();
  }

  #drop(): void {
    this.#renewal?.cancel();
    this.#renewal = undefined;
    if (this.#held === undefined) return;
    this.#held = undefined;
    this.#options.onLost();
  }

  #renewLater(lease: string, renewedAt: number): void {
    const { clock, tuning } = this.#options;
    this.#renewal = clock.setTimer(tuning.leaseMs / 3, () => {
      void this.#renew(lease, renewedAt);
    });
  }

  async #renew(lease: string, renewedAt: number): Promise<void> {
    const { clock, etcd, tuning } = this.#options;
    const asked = clock.now();
    let alive: boolean | undefined;
    try {
      alive = await etcd.keepAlive(lease);
    } catch (error) {
      if (!(error instanceof HanseError)) throw error;
    }
    if (this.#held?.lease !== lease || this.#closed) return;
    const last = alive === true ? asked : renewedAt;
    if (alive === false || clock.now() - last > tuning.leaseMs) this.#drop();
    else this.#renewLater(lease, last);
  }

  /** Members in the order in which they should stand: the policy's leaders, then the rest. */
  #preference(set: ValidatorSet, height: Height): string[] {
    const order = new Set<string>();
    const { length } = set.members;
    for (let view = 0; view < VIEWS_PER_MEMBER * length && order.size < length; view++) {
      order.add(this.#options.policy.leader(set, height, view));
    }
    for (const { id, propose } of set.members) if (propose > 0) order.add(id);
    return [...order];
  }
}

/** What this member knows of the order in etcd: by a watch, and by reading now and then. */
import type { Clock, Height } from "@hanse/ordering";
import { equalBytes, toHex } from "@hanse/protocol";
import type { Head, OrderChange, OrderLog } from "../order/order-log.ts";
import type { OrderingRecord } from "../order/ordering-record.ts";
import type { Leadership } from "./leadership.ts";
import type { EtcdTuning, Halt } from "./options.ts";
import type { Progress } from "./progress.ts";

/** Records above the tip that are kept in memory; more are read again when their turn comes. */
const RECORDS_MAX = 128;

export interface OrderFollowerOptions {
  readonly log: OrderLog;
  readonly clock: Clock;
  readonly tuning: EtcdTuning;
  readonly base: Height;
  readonly progress: Progress;
  readonly leadership: Leadership;
  readonly stopped: () => boolean;
  readonly halt: Halt;
  readonly wake: () => void;
}

export class OrderFollower {
  readonly #options: OrderFollowerOptions;
  readonly #records = new Map<Height, OrderingRecord>();
  #head: Head | undefined;
  #watch: { cancel(): void } | undefined;
  #readAt: number | undefined;

  constructor(options: OrderFollowerOptions) {
    this.#options = options;
  }

  /** Height of the newest block in the order, as far as we heard. */
  get height(): Height {
    return this.#head?.height ?? this.#options.base;
  }

  record(height: Height): OrderingRecord | undefined {
    return this.#records.get(height);
  }

  /** A block is executed: its record has done its work. */
  executed(head: Head): void {
    this.#records.delete(head.height);
    if (head.height > this.height) this.#head = head;
  }

  /** The next look is due now. */
  expire(): void {
    this.#readAt = undefined;
  }

  get isDue(): boolean {
    const { clock, tuning } = this.#options;
    if (this.#watch === undefined || this.#readAt === undefined) return true;
    return clock.now() - this.#readAt >= tuning.pollMs;
  }

  /** Reads from the tip on, its own record too: whether etcd still tells what we executed. */
  async refresh(): Promise<void> {
    const { clock, base, log, progress, leadership, stopped, halt, wake } = this.#options;
    const { tip } = progress;
    const readAt = clock.now();
    const view = await log.read(Math.max(base + 1, tip.height));
    this.#readAt = readAt;
    const head = view.head?.height ?? base;
    if (head < tip.height) {
      halt(
        "ETCD_HISTORY_LOST",
        `etcd's order ends at height ${head}, this node executed ${tip.height}: restore etcd's newest ` +
          "data, or begin a new engine epoch by governance; ordering on would fork the ledger",
      );
      return;
    }
    this.#head = view.head;
    for (const record of view.records) this.#onRecord(record);
    leadership.observe(view.term);
    if (this.#watch !== undefined || stopped()) return;
    this.#watch = log.watch(
      view.revision + 1,
      (change) => this.#onChange(change),
      () => {
        this.#watch = undefined;
        wake();
      },
    );
  }

  close(): void {
    this.#watch?.cancel();
  }

  #onChange(change: OrderChange): void {
    const { leadership, stopped, wake } = this.#options;
    if (stopped()) return;
    if (change.kind === "term") leadership.observe(change.term);
    else if (change.kind === "record") this.#onRecord(change.record);
    else if ((change.head?.height ?? 0) > this.height) this.#head = change.head;
    wake();
  }

  #onRecord(record: OrderingRecord): void {
    const { progress, halt } = this.#options;
    const { height } = record.header;
    const { tip } = progress;
    if (height > this.height) this.#head = { height, hash: record.hash };
    if (height === tip.height && !equalBytes(record.hash, tip.hash)) {
      halt(
        "ETCD_FORKED",
        `etcd's order has block ${toHex(record.hash)} at height ${height}, this node executed ` +
          `${toHex(tip.hash)}: etcd's data was rewritten; keep it, compare the members, restore it`,
      );
      return;
    }
    if (height > tip.height && this.#records.size < RECORDS_MAX) this.#records.set(height, record);
  }
}

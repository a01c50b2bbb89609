/** Keeps etcd small: the leader deletes what every member has, compacts, gives room back. */
import type { Clock, Height } from "@hanse/ordering";
import type { EtcdApi } from "../gateway/etcd-api.ts";
import type { OrderLog } from "../order/order-log.ts";
import type { EtcdTuning } from "./options.ts";

export interface HousekeepingOptions {
  readonly etcd: EtcdApi;
  readonly log: OrderLog;
  readonly clock: Clock;
  readonly tuning: EtcdTuning;
  readonly onAlarm: (code: string, message: string) => void;
}

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  #nextAt: number;
  /** Revision of the store at the round before: what others watch is younger. */
  #revision = 0;
  #forgotten: Height = 0;
  #running = false;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.#nextAt = options.clock.now() + options.tuning.housekeepingMs;
  }

  /** One round, when it is due. `slowest` is the least height that is durable with every member. */
  tick(head: Height, slowest: Height, outOfSpace: boolean): void {
    const { clock, tuning, onAlarm } = this.#options;
    if (this.#running || (!outOfSpace && clock.now() < this.#nextAt)) return;
    this.#running = true;
    this.#nextAt = clock.now() + tuning.housekeepingMs;
    this.#round(Math.max(slowest, head - tuning.recordsKeptMax), outOfSpace)
      .catch((error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        onAlarm("ETCD_HOUSEKEEPING", message);
      })
      .finally(() => {
        this.#running = false;
      });
  }

  async #round(forgetTo: Height, outOfSpace: boolean): Promise<void> {
    const { etcd, log, onAlarm } = this.#options;
    if (forgetTo > this.#forgotten) {
      await log.forget(forgetTo);
      this.#forgotten = forgetTo;
    }
    const { revision } = await etcd.range({ key: `${log.prefix}head` });
    if (this.#revision > 0 || outOfSpace)
      await etcd.compact(outOfSpace ? revision : this.#revision);
    this.#revision = revision;
    if (outOfSpace || (await etcd.isOutOfSpace())) {
      onAlarm(
        "ETCD_NO_SPACE",
        "etcd's database is full: old records are deleted and room is given back",
      );
      await etcd.reclaimSpace();
    }
  }
}

/** The log's batches: everything a step persisted, one sync, then what waited for it. */
import type { Bytes } from "@hanse/protocol";
import type { Channel, ConsensusSigner, Disk, Height } from "../engine/interfaces.ts";
import type { WalRecord } from "../wal/records.ts";
import type { Wal } from "../wal/wal.ts";

interface Deferred {
  readonly after: number;
  readonly to: string;
  readonly channel: Channel;
  readonly bytes: Bytes;
}

/** Messages that wait for one sync; more means that the disk hangs, and the newest are dropped. */
const DEFERRED_MAX = 4096;

export interface PersistenceOptions {
  readonly disk: Disk;
  readonly signer: ConsensusSigner;
  /** Undefined in quarantine: nothing is written and everything counts as durable. */
  readonly wal: Wal | undefined;
  readonly send: (to: string, channel: Channel, bytes: Bytes) => void;
  readonly onDurable: (seq: number) => void;
  readonly onFailure: (error: unknown) => void;
}

export class Persistence {
  readonly #options: PersistenceOptions;
  #wal: Wal | undefined;
  #pending: WalRecord[] = [];
  #pendingSeq = 0;
  #durable = 0;
  #syncing = false;
  #pruneTo: Height | undefined;
  #deferred: Deferred[] = [];
  #waiters: { readonly after: number; readonly resolve: () => void }[] = [];
  #failed = false;

  constructor(options: PersistenceOptions) {
    this.#options = options;
    this.#wal = options.wal;
  }

  get durable(): number {
    return this.#durable;
  }

  /** From the end of quarantine on the log is written. */
  useWal(wal: Wal): void {
    this.#wal = wal;
  }

  persist(seq: number, record: WalRecord): void {
    if (this.#wal !== undefined) this.#pending.push(record);
    this.#pendingSeq = seq;
  }

  send(after: number, to: string, channel: Channel, bytes: Bytes): void {
    if (after <= this.#durable) this.#options.send(to, channel, bytes);
    else if (this.#deferred.length < DEFERRED_MAX) {
      this.#deferred.push({ after, to, channel, bytes });
    }
  }

  /** Resolves once everything up to `after` is on disk; never after a failure. */
  whenDurable(after: number): Promise<void> {
    if (after <= this.#durable) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ after, resolve }));
  }

  /** The log may forget heights up to this one. */
  prune(committed: Height): void {
    this.#pruneTo = committed;
    // While a sync runs, the files stand still.
    if (!this.#syncing) this.#applyPrune();
  }

  #applyPrune(): void {
    if (this.#pruneTo === undefined) return;
    this.#wal?.prune(this.#pruneTo);
    this.#pruneTo = undefined;
  }

  /** Begins a sync if something waits and none runs; later batches join the next one. */
  flush(): void {
    if (this.#syncing || this.#failed || this.#pendingSeq <= this.#durable) return;
    const { disk, signer } = this.#options;
    const seq = this.#pendingSeq;
    const wal = this.#wal;
    this.#syncing = true;
    let synced: Promise<void>;
    if (wal === undefined) {
      synced = Promise.resolve();
    } else {
      const batch = this.#pending;
      this.#pending = [];
      const durable = wal.sequence;
      try {
        for (const record of batch) wal.append(record);
        signer.flush(durable);
        synced = disk.sync();
      } catch (error) {
        synced = Promise.reject(error);
      }
    }
    synced.then(
      () => this.#done(seq),
      (error: unknown) => {
        // A failed sync may have dropped the pages: asking again would claim what is not so.
        this.#failed = true;
        this.#options.onFailure(error);
      },
    );
  }

  #done(seq: number): void {
    this.#syncing = false;
    this.#durable = seq;
    this.#wal?.synced();
    this.#applyPrune();
    const ready = this.#deferred.filter((message) => message.after <= seq);
    if (ready.length > 0) {
      this.#deferred = this.#deferred.filter((message) => message.after > seq);
      for (const message of ready) this.#options.send(message.to, message.channel, message.bytes);
    }
    const woken = this.#waiters.filter((waiter) => waiter.after <= seq);
    if (woken.length > 0) {
      this.#waiters = this.#waiters.filter((waiter) => waiter.after > seq);
      for (const waiter of woken) waiter.resolve();
    }
    this.#options.onDurable(seq);
    this.flush();
  }
}

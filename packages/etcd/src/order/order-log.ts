/**
 * One ledger's order in etcd: `head` (height and hash of the newest block), `term` (who leads, on a
 * lease) and `b/<height>` (ordering records). Nothing is appended but by a transaction that names
 * the head below, the height's absence and the writer's own term: a leader that was replaced
 * without noticing cannot write, however late its request arrives (fencing by revision; leases
 * alone exclude nobody: Jepsen, etcd 3.4.3).
 */
import {
  type Bytes,
  equalBytes,
  fromHex,
  HanseError,
  type Hash,
  toHex,
  utf8,
} from "@hanse/protocol";
import { type Compare, type EtcdApi, endOfPrefix, type KeyValue } from "../gateway/etcd-api.ts";
import { decodeRecord, encodeRecord, type OrderingRecord } from "./ordering-record.ts";

/** Records read in one go. */
export const RECORDS_PER_READ_MAX = 64;
/** Attempts at one append whose outcome stays unknown before the caller hears of it. */
const APPEND_ATTEMPTS_MAX = 8;

export interface Head {
  readonly height: number;
  readonly hash: Hash;
}

export interface Term {
  /** Revision of its beginning; higher = later. */
  readonly revision: number;
  readonly leader: string;
}

export interface OrderLogOptions {
  readonly etcd: EtcdApi;
  readonly ledgerId: Hash;
  readonly engineEpoch: number;
  /** Last height that another engine put in order; 0 = none. */
  readonly base: number;
}

export interface OrderView {
  /** Changes after this one may be missing in here. */
  readonly revision: number;
  readonly head: Head | undefined;
  readonly term: Term | undefined;
  /** From the height asked for on, as far as they follow on each other. */
  readonly records: readonly OrderingRecord[];
}

export type OrderChange =
  | { readonly kind: "record"; readonly record: OrderingRecord }
  | { readonly kind: "term"; readonly term: Term | undefined }
  | { readonly kind: "head"; readonly head: Head | undefined };

export type AppendOutcome =
  | { readonly appended: true }
  /** Another block has the height, or another leader the term. */
  | { readonly appended: false; readonly why: "taken" | "deposed" };

const HEIGHT_DIGITS = 16;
const textDecoder = new TextDecoder();

export class OrderLog {
  readonly #options: OrderLogOptions;
  readonly prefix: string;

  constructor(options: OrderLogOptions) {
    this.#options = options;
    this.prefix = `/ledger/${toHex(options.ledgerId)}/${options.engineEpoch}/`;
  }

  /**
   * What stands in etcd from `from` on.
   * @throws HanseError `ETCD_RECORD` when a value is not ours, and as `EtcdApi` does.
   */
  async read(from: number): Promise<OrderView> {
    const { etcd } = this.#options;
    // The head first: a record that it names and that is not read after it has been deleted.
    const head = await etcd.range({ key: `${this.prefix}head` });
    const records = await etcd.range({
      key: this.#recordKey(from),
      end: endOfPrefix(`${this.prefix}b/`),
      limit: RECORDS_PER_READ_MAX,
    });
    const term = await etcd.range({ key: `${this.prefix}term` });
    const found: OrderingRecord[] = [];
    for (const kv of records.kvs) {
      const record = decodeRecord(kv.value);
      if (record.header.height !== from + found.length) break;
      found.push(record);
    }
    return {
      revision: head.revision,
      head: head.kvs[0] && this.#readHead(head.kvs[0].value),
      term: term.kvs[0] && readTerm(term.kvs[0]),
      records: found,
    };
  }

  /** Tells of every change from a revision on; `onEnd` says that the state must be read again. */
  watch(
    fromRevision: number,
    onChange: (change: OrderChange) => void,
    onEnd: () => void,
  ): { cancel(): void } {
    return this.#options.etcd.watch(this.prefix, fromRevision, {
      onChanges: (changes) => {
        for (const { key, value, kv } of changes) {
          const name = key.slice(this.prefix.length);
          if (name === "term") {
            onChange({ kind: "term", term: value === undefined ? undefined : readTerm(kv) });
          } else if (name === "head") {
            onChange({ kind: "head", head: value && this.#readHead(value) });
          } else if (value !== undefined) onChange({ kind: "record", record: decodeRecord(value) });
        }
      },
      onEnd,
    });
  }

  /** Takes the vacant lead on a lease; undefined when somebody else leads. */
  async campaign(leader: string, lease: string): Promise<Term | undefined> {
    const { etcd } = this.#options;
    const key = `${this.prefix}term`;
    const { revision, succeeded } = await etcd.putIf(
      [{ key, createRevision: 0 }],
      [{ key, value: utf8(leader), lease }],
    );
    return succeeded ? { revision, leader } : undefined;
  }

  /**
   * Puts a block in order, once, whatever becomes of single requests: a request whose outcome is
   * unknown is followed by a read before it is repeated.
   * @throws HanseError of kind `unavailable` when the outcome stays unknown: call again with the
   * same record; `ETCD_NO_SPACE` and what else etcd refuses.
   */
  async append(record: OrderingRecord, isGivenUp: () => boolean): Promise<AppendOutcome> {
    const { etcd } = this.#options;
    const { height, parentHash } = record.header;
    const key = this.#recordKey(height);
    const compares: Compare[] = [
      this.#headIs(height - 1, parentHash),
      { key, createRevision: 0 },
      { key: `${this.prefix}term`, createRevision: record.term },
    ];
    const puts = [
      { key, value: encodeRecord(record) },
      { key: `${this.prefix}head`, value: headValue({ height, hash: record.hash }) },
    ];
    let unknown: HanseError | undefined;
    for (let attempt = 0; attempt < APPEND_ATTEMPTS_MAX && !isGivenUp(); attempt++) {
      try {
        const { succeeded } = await etcd.putIf(compares, puts);
        if (succeeded) return { appended: true };
      } catch (error) {
        if (!(error instanceof HanseError) || error.kind !== "unavailable") throw error;
        unknown = error;
      }
      try {
        const settled = await this.#settled(record);
        if (settled !== undefined) return settled;
      } catch (error) {
        if (!(error instanceof HanseError) || error.kind !== "unavailable") throw error;
        unknown = error;
      }
    }
    throw unknown ?? new HanseError("ETCD_TIMEOUT", "unavailable", "etcd: an append was given up");
  }

  /** Deletes the records below a height. */
  async forget(below: number): Promise<void> {
    await this.#options.etcd.deleteRange(`${this.prefix}b/`, this.#recordKey(below));
  }

  /** What became of an append; undefined = nothing yet, and our term still stands. */
  async #settled(record: OrderingRecord): Promise<AppendOutcome | undefined> {
    const { etcd } = this.#options;
    const term = await etcd.range({ key: `${this.prefix}term` });
    // After the term: a deposed leader's request can no longer take effect behind this read.
    const found = await etcd.range({ key: this.#recordKey(record.header.height) });
    const value = found.kvs[0]?.value;
    if (value !== undefined) {
      const isOurs = equalBytes(decodeRecord(value).hash, record.hash);
      return isOurs ? { appended: true } : { appended: false, why: "taken" };
    }
    if (term.kvs[0]?.createRevision !== record.term) return { appended: false, why: "deposed" };
    return undefined;
  }

  #headIs(height: number, hash: Hash): Compare {
    const key = `${this.prefix}head`;
    if (height <= this.#options.base) return { key, createRevision: 0 };
    return { key, value: headValue({ height, hash }) };
  }

  #recordKey(height: number): string {
    return `${this.prefix}b/${String(height).padStart(HEIGHT_DIGITS, "0")}`;
  }

  #readHead(value: Bytes): Head {
    const match = /^(\d{16}) ([0-9a-f]{64})$/.exec(textDecoder.decode(value));
    if (match === null) {
      const message = `${this.prefix}head: not what this ledger writes; who else writes there?`;
      throw new HanseError("ETCD_RECORD", "corrupt", message);
    }
    return { height: Number(match[1]), hash: fromHex(match[2]!) };
  }
}

function headValue({ height, hash }: Head): Bytes {
  return utf8(`${String(height).padStart(HEIGHT_DIGITS, "0")} ${toHex(hash)}`);
}

function readTerm(kv: KeyValue): Term {
  return { revision: kv.createRevision, leader: textDecoder.decode(kv.value) };
}

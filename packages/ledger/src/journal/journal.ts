/**
 * The journal of accepted transactions: appended and made durable before a client is told
 * "accepted", replayed at start, cut when its transactions are committed or expired. Files
 * `pool-NNNNNNNN` of records `length (4, big endian) | first 4 bytes of SHA-256 | batch`; one
 * record per flush, and a flush begins only when the one before is durable, so only the last record
 * of the last file can be torn.
 */

import type { Disk } from "@hanse/ordering";
import { type Bytes, HanseError, sha256 } from "@hanse/protocol";
import { decodeTransactionBatch, encodeTransactionBatch } from "../spreading/batch.ts";

export interface JournalLimits {
  /** A file is closed when it has grown beyond this many bytes. */
  readonly fileBytes: number;
  /** When more files than this hold something, the oldest is rewritten to the end. */
  readonly filesMax: number;
}

export const DEFAULT_JOURNAL_LIMITS: JournalLimits = { fileBytes: 8 * 1024 * 1024, filesMax: 16 };

export interface JournalEntry {
  /** `hashKey` of the id. */
  readonly key: string;
  readonly bytes: Bytes;
}

export interface Journal {
  /**
   * Resolves when the entries are durable; calls in between share one sync.
   * @throws HanseError `LEDGER_JOURNAL_FAILED`, from then on for good.
   */
  append(entries: readonly JournalEntry[]): Promise<void>;
  /** The transaction needs no remembering: committed durably or expired. */
  settle(key: string): void;
  /** Transactions found at start, oldest first; `settle` what is not wanted. */
  readonly found: readonly Bytes[];
  /** Bytes of a last record that was being written when the node stopped; nobody was told of it. */
  readonly tornBytes: number;
  /** Declares what of `found` is remembered; everything else of the old files is dropped. */
  adopt(entries: readonly JournalEntry[]): Promise<void>;
  readonly failed: HanseError | undefined;
  readonly files: number;
}

const RECORD_HEAD_BYTES = 8;
const PATTERN = /^pool-(\d{8})$/;

function recordOf(batch: Bytes): Bytes {
  const record = new Uint8Array(RECORD_HEAD_BYTES + batch.length);
  new DataView(record.buffer).setUint32(0, batch.length);
  record.set(sha256(batch).subarray(0, 4), 4);
  record.set(batch, RECORD_HEAD_BYTES);
  return record;
}

function corrupt(name: string, at: number, what: string): never {
  throw new HanseError(
    "LEDGER_JOURNAL_CORRUPT",
    "corrupt",
    `journal file ${name} is damaged at byte ${at} (${what}): move it out of the node's folder to start ` +
      "without it; transactions accepted but not yet in a block may then be lost",
    { details: { file: name, at } },
  );
}

/** Batches of a file; a torn last record is dropped when `last`. */
function readFile(
  name: string,
  bytes: Bytes,
  last: boolean,
): { found: Bytes[]; tornBytes: number } {
  const found: Bytes[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.length) {
    const start = at + RECORD_HEAD_BYTES;
    const length = start <= bytes.length ? view.getUint32(at) : -1;
    const torn = length <= 0 || start + length > bytes.length;
    const batch = torn ? undefined : bytes.subarray(start, start + length);
    const sum = batch && sha256(batch);
    const whole = sum?.subarray(0, 4).every((byte, i) => byte === bytes[at + 4 + i]) === true;
    if (!whole) {
      const atEnd = torn
        ? length !== 0 || bytes.subarray(at).every((b) => b === 0)
        : start + length === bytes.length;
      if (last && atEnd) return { found, tornBytes: bytes.length - at };
      corrupt(name, at, torn ? "record runs past the end" : "checksum differs");
    }
    found.push(...decodeTransactionBatch(batch!, batch!.length, batch!.length));
    at = start + length;
  }
  return { found, tornBytes: 0 };
}

/** @throws HanseError `LEDGER_JOURNAL_CORRUPT` naming file and place. */
export function openJournal(disk: Disk, limits: JournalLimits = DEFAULT_JOURNAL_LIMITS): Journal {
  const names = disk
    .list()
    .filter((name) => PATTERN.test(name))
    .sort();
  const read = names.map((name, i) =>
    readFile(name, disk.read(name) ?? new Uint8Array(0), i === names.length - 1),
  );
  const found = read.flatMap((file) => file.found);
  const nameOf = (number: number) => `pool-${String(number).padStart(8, "0")}`;
  /** Never append after what may be a torn record: each start opens a file of its own. */
  let current = Number(PATTERN.exec(names.at(-1) ?? "pool-00000000")![1]) + 1;
  let currentBytes = 0;

  /** File number -> what it alone remembers. */
  const files = new Map<number, Map<string, Bytes>>();
  const placeOf = new Map<string, number>();
  let waiting: {
    entries: readonly JournalEntry[];
    done: () => void;
    fail: (e: unknown) => void;
  }[] = [];
  let flushing = false;
  let failed: HanseError | undefined;

  function note(entries: readonly JournalEntry[]): void {
    let live = files.get(current);
    if (live === undefined) {
      live = new Map();
      files.set(current, live);
    }
    for (const { key, bytes } of entries) {
      files.get(placeOf.get(key) ?? -1)?.delete(key);
      live.set(key, bytes);
      placeOf.set(key, current);
    }
  }

  function dropEmpty(): void {
    for (const [number, live] of files) {
      if (live.size > 0 || number === current) continue;
      files.delete(number);
      disk.remove(nameOf(number));
    }
  }

  function write(entries: readonly JournalEntry[]): void {
    if (currentBytes >= limits.fileBytes) {
      current++;
      currentBytes = 0;
    }
    const record = recordOf(encodeTransactionBatch(entries.map((entry) => entry.bytes)));
    disk.append(nameOf(current), record);
    currentBytes += record.length;
    note(entries);
  }

  async function flush(): Promise<void> {
    flushing = true;
    // Lets appends of the same turn join the first record.
    await Promise.resolve();
    while (waiting.length > 0 && failed === undefined) {
      const group = waiting;
      waiting = [];
      try {
        write(group.flatMap((call) => call.entries));
        await disk.sync();
        for (const call of group) call.done();
        const oldest = files.size > limits.filesMax ? files.keys().next().value : undefined;
        if (oldest !== undefined && oldest !== current) {
          // A few transactions of long validity must not hold whole files.
          const live = [...files.get(oldest)!].map(([key, bytes]) => ({ key, bytes }));
          if (live.length > 0) write(live);
          await disk.sync();
        }
        dropEmpty();
      } catch (cause) {
        failed = new HanseError(
          "LEDGER_JOURNAL_FAILED",
          "unavailable",
          "the journal of accepted transactions cannot be written: check the node's disk and restart it",
          { cause },
        );
        for (const call of group) call.fail(failed);
      }
    }
    flushing = false;
    if (failed !== undefined) {
      for (const call of waiting) call.fail(failed);
      waiting = [];
    }
  }

  function append(entries: readonly JournalEntry[]): Promise<void> {
    if (failed !== undefined) return Promise.reject(failed);
    if (entries.length === 0) return Promise.resolve();
    return new Promise((done, fail) => {
      waiting.push({ entries, done, fail });
      if (!flushing) void flush();
    });
  }

  return {
    found,
    tornBytes: read.at(-1)?.tornBytes ?? 0,
    append,
    settle(key) {
      const place = placeOf.get(key);
      if (place === undefined) return;
      placeOf.delete(key);
      const live = files.get(place)!;
      live.delete(key);
      if (live.size === 0 && place !== current) dropEmpty();
    },
    async adopt(entries) {
      await append(entries);
      for (const name of names) disk.remove(name);
    },
    get failed() {
      return failed;
    },
    get files() {
      return files.size;
    },
  };
}

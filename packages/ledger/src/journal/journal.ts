/**
 * The journal of accepted transactions: appended and made durable before a client is told
 * "accepted", replayed at start, cut when its transactions are committed or expired. Files
 * `pool-NNNNNNNN` of records `length (4, big endian) | kind (1) | first 4 bytes of SHA-256 | batch`.
 * One record per flush, and a flush begins only when the one before is durable, so only the last
 * record of a process's last file can be torn. Each start begins a file with a snapshot of all that
 * is still wanted, which makes the files before it void.
 */
import type { Disk } from "@hanse/ordering";
import { type Bytes, concatBytes, equalBytes, HanseError, sha256 } from "@hanse/protocol";
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
  /** Called once, before `append`: what of `found` is remembered; the old files are dropped. */
  adopt(entries: readonly JournalEntry[]): Promise<void>;
  readonly failed: HanseError | undefined;
  readonly files: number;
}

const RECORD_HEAD_BYTES = 9;
const PATTERN = /^pool-(\d{8})$/;

const APPENDED = 0;
const SNAPSHOT = 1;
type RecordKind = typeof APPENDED | typeof SNAPSHOT;

/** Checksum over kind and batch, as they stand behind each other but for itself. */
function checksumOf(kind: number, batch: Bytes): Bytes {
  return sha256(concatBytes(Uint8Array.of(kind), batch)).subarray(0, 4);
}

function recordOf(kind: RecordKind, batch: Bytes): Bytes {
  const record = new Uint8Array(RECORD_HEAD_BYTES + batch.length);
  new DataView(record.buffer).setUint32(0, batch.length);
  record[4] = kind;
  record.set(checksumOf(kind, batch), 5);
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

interface JournalFile {
  readonly name: string;
  readonly records: readonly { readonly kind: number; readonly transactions: Bytes[] }[];
  /** Place of a record that was being written when the process ended. */
  readonly tornAt: number | undefined;
  readonly size: number;
}

/** @throws HanseError `LEDGER_JOURNAL_CORRUPT` when something is wrong before the last record. */
function readFile(name: string, bytes: Bytes): JournalFile {
  const records: { kind: number; transactions: Bytes[] }[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = bytes.length;
  let at = 0;
  while (at < size) {
    const start = at + RECORD_HEAD_BYTES;
    const length = start <= size ? view.getUint32(at) : 0;
    const end = start + length;
    if (length > 0 && end <= size) {
      const kind = bytes[at + 4]!;
      const batch = bytes.subarray(start, end);
      if (equalBytes(checksumOf(kind, batch), bytes.subarray(at + 5, start))) {
        records.push({ kind, transactions: decodeTransactionBatch(batch, length, length) });
        at = end;
        continue;
      }
      if (end < size) corrupt(name, at, "checksum differs");
    } else if (start <= size && length === 0 && bytes.subarray(at).some((byte) => byte !== 0)) {
      corrupt(name, at, "a record of no length");
    }
    return { name, records, tornAt: at, size };
  }
  return { name, records, tornAt: undefined, size };
}

/** What the files remember, oldest first. */
function readFiles(disk: Disk, names: readonly string[]): { found: Bytes[]; tornBytes: number } {
  const files = names.map((name) => readFile(name, disk.read(name) ?? new Uint8Array(0)));
  const begin = files.findLastIndex((file) => file.records[0]?.kind === SNAPSHOT);
  const found: Bytes[] = [];
  let tornBytes = 0;
  for (let i = Math.max(0, begin); i < files.length; i++) {
    const { name, records, tornAt, size } = files[i]!;
    for (const record of records) found.push(...record.transactions);
    if (tornAt === undefined) continue;
    // Later files can only be starts that did not get as far as their snapshot.
    if (files.slice(i + 1).some((file) => file.records.length > 0)) {
      corrupt(name, tornAt, "record runs past the end");
    }
    tornBytes += size - tornAt;
  }
  return { found, tornBytes };
}

/**
 * `onFailure` is told once, when the disk fails.
 * @throws HanseError `LEDGER_JOURNAL_CORRUPT` naming file and place.
 */
export function openJournal(
  disk: Disk,
  limits: JournalLimits = DEFAULT_JOURNAL_LIMITS,
  onFailure: (error: HanseError) => void = () => {},
): Journal {
  const names = disk
    .list()
    .filter((name) => PATTERN.test(name))
    .sort();
  const { found, tornBytes } = readFiles(disk, names);
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

  function write(entries: readonly JournalEntry[], kind: RecordKind = APPENDED): void {
    if (currentBytes >= limits.fileBytes) {
      current++;
      currentBytes = 0;
    }
    const record = recordOf(kind, encodeTransactionBatch(entries.map((entry) => entry.bytes)));
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
        onFailure(failed);
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
    tornBytes,
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
      write(entries, SNAPSHOT);
      await disk.sync();
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

/**
 * The ordering log: what this node signed and learned of heights that its ledger has not durably
 * committed yet, in append-only segments on a Disk (spec/ordering.md, section "Log").
 */
import { type Bytes, equalBytes, type Hash, type ValidatorSet } from "@hanse/protocol";
import type { Disk, Height } from "../engine/interfaces.ts";
import { encodeRecord, scanRecords, type WalRecord } from "./records.ts";

/** A segment is closed once it is this long. */
export const SEGMENT_BYTES = 16 * 1024 * 1024;

const PREFIX = "wal-";

export function segmentName(number: number): string {
  return `${PREFIX}${String(number).padStart(10, "0")}`;
}

export interface WalContents {
  /** Records of all segments in order, without the bases. */
  readonly records: readonly WalRecord[];
  /** Number of the last complete record; 0 = the log is empty. */
  readonly sequence: number;
  readonly damage: "none" | "corrupt" | "foreign";
  readonly empty: boolean;
}

export interface Wal {
  /** Number of the last record appended. */
  readonly sequence: number;
  append(record: WalRecord): void;
  /** Closes a full segment and removes those that hold nothing above `committed`. */
  prune(committed: Height): void;
  /** Everything appended or removed before is durable. */
  synced(): void;
}

interface Segment {
  readonly number: number;
  /** Highest height that any record belongs to. */
  heightMax: Height;
  bytes: number;
  /** Not even its base can be read: torn when it was made. */
  readonly unreadable: boolean;
}

export interface WalOptions {
  readonly disk: Disk;
  readonly ledgerId: Hash;
  /** Bytes; see SEGMENT_BYTES. */
  readonly segmentBytes?: number;
}

/**
 * Reads the log and opens it for appending. Unreadable bytes at the end of the last segment are
 * cut by going on in a new one; whether that lost anything that had been synced is for the signing
 * state to say (`ConsensusSigner.confirmLog`). Records missing between segments are damage: then
 * nothing is opened or changed and `wal` is undefined.
 */
export function openWal(options: WalOptions): { contents: WalContents; wal: Wal | undefined } {
  const { disk, ledgerId } = options;
  const names = disk.list().filter((name) => name.startsWith(PREFIX));
  names.sort();
  const records: WalRecord[] = [];
  const segments: Segment[] = [];
  let sequence: number | undefined;
  let damage: WalContents["damage"] = "none";
  let unreadable = false;
  for (const name of names) {
    const number = Number(name.slice(PREFIX.length));
    const bytes = disk.read(name) ?? new Uint8Array(0);
    const [base, ...rest] = scanRecords(bytes).records;
    const isReadable = base?.t === "base";
    const segment: Segment = {
      number,
      heightMax: 0,
      bytes: bytes.length,
      unreadable: !isReadable,
    };
    segments.push(segment);
    if (!isReadable) {
      // Torn when it was made, or damaged: the next segment's number tells.
      unreadable = true;
      continue;
    }
    if (!equalBytes(base.ledgerId, ledgerId)) damage = "foreign";
    const expected = sequence ?? (unreadable ? 0 : base.sequence);
    if (base.sequence !== expected && damage === "none") damage = "corrupt";
    sequence = base.sequence;
    for (const record of rest) {
      if (record.t === "base") continue;
      sequence++;
      records.push(record);
      if (record.t !== "set" && record.t !== "era")
        segment.heightMax = Math.max(segment.heightMax, record.height);
    }
  }
  const contents: WalContents = {
    records,
    sequence: sequence ?? 0,
    damage,
    empty: names.length === 0,
  };
  if (damage !== "none") return { contents, wal: undefined };
  return { contents, wal: createAppender(options, segments, contents) };
}

function createAppender(options: WalOptions, segments: Segment[], contents: WalContents): Wal {
  const { disk, ledgerId } = options;
  const limit = options.segmentBytes ?? SEGMENT_BYTES;
  const sets = new Map<Height, ValidatorSet>();
  const eras = new Map<Height, WalRecord>();
  for (const record of contents.records) {
    if (record.t === "set") sets.set(record.height, record.set);
    if (record.t === "era") eras.set(record.height, record);
  }
  let sequence = contents.sequence;
  let current: Segment | undefined;
  let prunedTo: Height = 0;
  let highest = segments.at(-1)?.number ?? 0;
  let removing = false;

  const write = (segment: Segment, bytes: Bytes) => {
    disk.append(segmentName(segment.number), bytes);
    segment.bytes += bytes.length;
  };
  const open = () => {
    highest++;
    const number = highest;
    const segment: Segment = { number, heightMax: 0, bytes: 0, unreadable: false };
    write(segment, encodeRecord({ t: "base", sequence, ledgerId }));
    segments.push(segment);
    // Segments go one by one, so each repeats the sets and eras that earlier ones introduced.
    for (const [height, set] of sets) {
      sequence++;
      write(segment, encodeRecord({ t: "set", height, set }));
    }
    for (const record of eras.values()) {
      sequence++;
      write(segment, encodeRecord(record));
    }
    return segment;
  };
  /** One at a time: were a later one gone and an earlier one back, records would seem lost. */
  const removeOldest = () => {
    if (removing) return;
    // Empty ones first: without their neighbours they would look like lost records.
    let at = segments.findIndex((segment) => segment.unreadable);
    // The last segment stays: it carries the sequence on.
    if (at < 0 && segments.length > 1 && segments[0]!.heightMax <= prunedTo) at = 0;
    if (at < 0) return;
    removing = true;
    const [removed] = segments.splice(at, 1);
    disk.remove(segmentName(removed!.number));
  };
  return {
    get sequence() {
      return sequence;
    },
    append(record) {
      // A segment is never continued after a restart: its tail may be torn.
      current ??= open();
      if (record.t === "set") sets.set(record.height, record.set);
      else if (record.t === "era") eras.set(record.height, record);
      else if (record.t !== "base") {
        current.heightMax = Math.max(current.heightMax, record.height);
      }
      sequence++;
      write(current, encodeRecord(record));
    },
    prune(committed) {
      // The set of the committed height stays too: its certificate stands in the next block.
      for (const known of [sets, eras]) {
        const heights = [...known.keys()].sort((a, b) => a - b);
        for (let i = 0; i + 1 < heights.length; i++) {
          if (heights[i + 1]! <= committed) known.delete(heights[i]!);
        }
      }
      if (current !== undefined && current.bytes >= limit) current = undefined;
      prunedTo = committed;
      removeOldest();
    },
    synced() {
      removing = false;
      removeOldest();
    },
  };
}

/** Removes every segment; only after the signing state refuses the heights that they covered. */
export function removeWal(disk: Disk): void {
  for (const name of disk.list()) if (name.startsWith(PREFIX)) disk.remove(name);
}

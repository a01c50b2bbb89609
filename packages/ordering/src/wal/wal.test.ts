import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createValidatorSet, sha256, utf8 } from "@hanse/protocol";
import fc from "fast-check";
import { createMemoryDisk, type MemoryDisk } from "../testing/memory-disk.ts";
import { crc32c } from "./crc32c.ts";
import { encodeRecord, RECORD_HEAD_BYTES, scanRecords, type WalRecord } from "./records.ts";
import { openWal, segmentName } from "./wal.ts";

const ledgerId = sha256(utf8("ledger"));
const hash = sha256(utf8("block"));
const signature = new Uint8Array(64).fill(7);
const set = createValidatorSet(
  [
    {
      id: "a",
      org: "a",
      key: { algorithm: "ed25519", bytes: new Uint8Array(32) },
      vote: 1,
      propose: 1,
    },
  ],
  "byzantine",
);

function vote(height: number, view = 0): WalRecord {
  return { t: "vote", kind: "nullify", height, view, signature };
}

const samples: readonly WalRecord[] = [
  vote(1),
  { t: "vote", kind: "notarize", height: 1, view: 2, blockHash: hash, parentView: -1, signature },
  { t: "proposal", height: 1, view: 2, blockHash: hash, parentView: 0, signature },
  { t: "body", height: 1, block: utf8("a block") },
  { t: "certificate", height: 1, certificate: utf8("a certificate") },
  { t: "final", height: 1, blockHash: hash, certificate: utf8("a certificate") },
  { t: "set", height: 3, set },
  { t: "era", height: 7, engineEpoch: 1, kind: "etcd", policy: "fixed" },
  {
    t: "era",
    height: 9,
    engineEpoch: 2,
    kind: "builtin",
    policy: "dpoa",
    policyParams: { slotMs: 400, start: 0 },
  },
];

function filled(records: readonly WalRecord[], segmentBytes = 1 << 20): MemoryDisk {
  const disk = createMemoryDisk();
  const { wal } = openWal({ disk, ledgerId, segmentBytes });
  for (const record of records) wal!.append(record);
  return disk;
}

describe("crc32c", () => {
  it("gives the published check values", () => {
    assert.equal(crc32c(utf8("123456789")), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  });
});

describe("log", () => {
  it("reads back every kind of record", () => {
    const { contents } = openWal({ disk: filled(samples), ledgerId });
    assert.deepEqual(contents.records, samples);
    assert.equal(contents.sequence, samples.length);
    assert.equal(contents.damage, "none");
  });

  it("keeps, of a log cut anywhere, the records that were complete, and goes on from there", () => {
    const whole = filled(samples).files.get(segmentName(1))!;
    const ends: number[] = [];
    let at = encodeRecord({ t: "base", sequence: 0, ledgerId }).length;
    for (const record of samples) {
      at += encodeRecord(record).length;
      ends.push(at);
    }
    for (let cut = 0; cut < whole.length; cut++) {
      const disk = createMemoryDisk();
      disk.append(segmentName(1), whole.slice(0, cut));
      const { contents, wal } = openWal({ disk, ledgerId });
      const kept = ends.filter((end) => end <= cut).length;
      assert.equal(contents.damage, "none");
      assert.deepEqual(contents.records, samples.slice(0, kept));
      wal!.append(vote(9));
      const again = openWal({ disk, ledgerId });
      assert.equal(again.contents.damage, "none");
      const lines = samples.slice(0, kept);
      const repeated = (["set", "era"] as const).flatMap((t) => lines.filter((r) => r.t === t));
      assert.deepEqual(again.contents.records, [...lines, ...repeated, vote(9)]);
      assert.equal(again.contents.sequence, kept + repeated.length + 1);
    }
  });

  it("never reads a record with a flipped bit", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 7 }), (at, bit) => {
        const disk = filled(samples);
        const bytes = disk.files.get(segmentName(1))!;
        bytes[at % bytes.length]! ^= 1 << bit;
        const { contents } = openWal({ disk, ledgerId });
        const { records } = contents;
        assert.ok(records.length < samples.length || contents.damage !== "none");
        assert.deepEqual(records, samples.slice(0, records.length));
      }),
      { numRuns: 300 },
    );
  });

  it("takes records missing between segments for damage and touches nothing", () => {
    const disk = filled(samples);
    const { wal } = openWal({ disk, ledgerId });
    wal!.append(vote(2));
    const first = disk.files.get(segmentName(1))!;
    disk.write(segmentName(1), first.slice(0, first.length - 5));
    const before = new Map(disk.files);
    const opened = openWal({ disk, ledgerId });
    assert.equal(opened.contents.damage, "corrupt");
    assert.equal(opened.wal, undefined);
    assert.deepEqual(disk.files, before);
  });

  it("refuses the log of another ledger", () => {
    const { contents } = openWal({ disk: filled(samples), ledgerId: sha256(utf8("other")) });
    assert.equal(contents.damage, "foreign");
  });

  it("removes segments below the committed height, one per sync, and repeats the sets in force", () => {
    const disk = createMemoryDisk();
    const { wal } = openWal({ disk, ledgerId, segmentBytes: 400 });
    wal!.append({ t: "set", height: 3, set });
    for (let height = 1; height <= 20; height++) {
      for (let view = 0; view < 3; view++) wal!.append(vote(height, view));
      wal!.prune(height - 1);
      wal!.synced();
    }
    assert.ok(disk.files.size <= 4, `${disk.files.size} segments`);
    const { contents } = openWal({ disk, ledgerId });
    const heights = contents.records.flatMap((r) => (r.t === "vote" ? [r.height] : []));
    assert.equal(heights.at(-1), 20);
    assert.deepEqual(
      contents.records.find((record) => record.t === "set"),
      { t: "set", height: 3, set },
    );
    const removed = createMemoryDisk();
    const wide = openWal({ disk: removed, ledgerId, segmentBytes: 1 }).wal!;
    for (let height = 1; height <= 4; height++) {
      wide.append(vote(height));
      wide.prune(0);
    }
    wide.prune(4);
    assert.equal(removed.files.size, 3, "no second removal before a sync");
  });

  it("forgets a segment that was torn when it was made before its neighbours go", () => {
    const disk = filled([vote(1), vote(2)]);
    disk.write(segmentName(2), new Uint8Array(46));
    const { wal } = openWal({ disk, ledgerId });
    wal!.append(vote(3));
    wal!.synced();
    wal!.prune(2);
    wal!.synced();
    assert.deepEqual(disk.list(), [segmentName(3)]);
    const { contents } = openWal({ disk, ledgerId });
    assert.deepEqual([contents.damage, contents.records], ["none", [vote(3)]]);
  });

  it("survives a length field that promises more than there is", () => {
    const bytes = encodeRecord(vote(1));
    new DataView(bytes.buffer).setUint32(0, 0xffff_ffff);
    assert.deepEqual(scanRecords(bytes), { records: [], whole: false });
    assert.deepEqual(scanRecords(new Uint8Array(RECORD_HEAD_BYTES + 20)), {
      records: [],
      whole: false,
    });
  });
});

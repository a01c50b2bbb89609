/** Goal: what was acknowledged survives any crash. Method: a disk that forgets what was not synced. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256, toHex, utf8 } from "@hanse/protocol";
import fc from "fast-check";
import { hashKey } from "../mempool/hash-key.ts";
import { createMemoryDisk } from "../testing/memory-disk.ts";
import { type JournalEntry, openJournal } from "./journal.ts";

function entryOf(n: number, size = 40): JournalEntry {
  const bytes = new Uint8Array(size).fill(n & 255);
  new DataView(bytes.buffer).setUint32(0, n);
  return { key: hashKey(sha256(utf8(`entry ${n}`))), bytes };
}
const numberOf = (bytes: Uint8Array) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);

test("acknowledged and unsettled entries are found after a crash at any byte", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          append: fc.integer({ min: 1, max: 5 }),
          settle: fc.nat(30),
          lose: fc.boolean(),
        }),
        { maxLength: 25 },
      ),
      fc.nat(200),
      fc.nat(400),
      fc.boolean(),
      async (rounds, keepBytes, cutBytes, removed) => {
        const disk = createMemoryDisk();
        const journal = openJournal(disk, { fileBytes: 300, filesMax: 3 });
        await journal.adopt([]);
        const acknowledged = new Set<number>();
        const settled = new Set<number>();
        const appended = new Set<number>();
        let next = 0;
        for (const [i, round] of rounds.entries()) {
          const entries = Array.from({ length: round.append }, () => entryOf(next++));
          for (const entry of entries) appended.add(numberOf(entry.bytes));
          const done = journal.append(entries);
          const last = i === rounds.length - 1;
          // The crash comes while the last append is under way, or after it.
          if (last && round.lose) {
            await Promise.resolve();
            done.catch(() => {});
            break;
          }
          await done;
          for (const entry of entries) acknowledged.add(numberOf(entry.bytes));
          if (acknowledged.has(round.settle)) {
            settled.add(round.settle);
            journal.settle(entryOf(round.settle).key);
          }
        }
        const limits = { fileBytes: 300, filesMax: 3 };
        // The next start is cut short as well, inside its snapshot.
        const second = disk.crash(keepBytes);
        const start = openJournal(second, limits);
        void start.adopt(start.found.map((bytes) => entryOf(numberOf(bytes)))).catch(() => {});
        const third = second.crash(cutBytes, removed);
        const again = openJournal(third, limits);
        const found = new Set(again.found.map(numberOf));
        await again.adopt(again.found.map((bytes) => entryOf(numberOf(bytes))));
        // Removed files may come back after one more cut: they are void.
        assert.deepEqual(new Set(openJournal(third.crash(), limits).found.map(numberOf)), found);
        for (const n of acknowledged) if (!settled.has(n)) assert.ok(found.has(n), `${n} was lost`);
        for (const n of found) assert.ok(appended.has(n), `${n} was never appended`);
      },
    ),
    { numRuns: 200 },
  );
});

test("files are cut when their transactions are settled, however long one of them stays", async () => {
  const disk = createMemoryDisk();
  const journal = openJournal(disk, { fileBytes: 500, filesMax: 4 });
  const stays = entryOf(0);
  await journal.append([stays]);
  for (let n = 1; n < 400; n++) {
    await journal.append([entryOf(n)]);
    journal.settle(entryOf(n).key);
  }
  assert.ok(disk.list().length <= 6, `${disk.list().length} files`);
  const found = openJournal(disk.crash()).found.map(toHex);
  assert.ok(found.includes(toHex(stays.bytes)));
});

test("appends of one moment share a sync", async () => {
  const disk = createMemoryDisk();
  const journal = openJournal(disk);
  await Promise.all(Array.from({ length: 500 }, (_, n) => journal.append([entryOf(n)])));
  assert.ok(disk.syncs <= 3, `${disk.syncs} syncs`);
  assert.equal(openJournal(disk.crash()).found.length, 500);
});

test("a failing disk refuses this and every later append by name", async () => {
  const disk = createMemoryDisk();
  const journal = openJournal(disk);
  disk.breakDown();
  await assert.rejects(journal.append([entryOf(1)]), { code: "LEDGER_JOURNAL_FAILED" });
  await assert.rejects(journal.append([entryOf(2)]), { code: "LEDGER_JOURNAL_FAILED" });
});

test("damage before the end is named, never skipped", async () => {
  const disk = createMemoryDisk();
  const journal = openJournal(disk);
  await journal.append([entryOf(1)]);
  await journal.append([entryOf(2)]);
  const name = disk.list()[0]!;
  const bytes = disk.read(name)!.slice();
  bytes[20]! ^= 1;
  disk.write(name, bytes);
  assert.throws(() => openJournal(disk), { code: "LEDGER_JOURNAL_CORRUPT" });
});

/** Goal: what was synced is in the folder, in order; what failed once is never tried again. */
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { utf8 } from "@hanse/protocol";
import { openDisk } from "./open-disk.ts";

const root = mkdtempSync(join(tmpdir(), "hanse-disk-"));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const fresh = () => join(root, `d${++count}`);
const fail = (error: unknown) => assert.fail(String(error));

test("appends and replaced files are on the disk after sync and read back by the next start", async () => {
  const folder = fresh();
  const disk = openDisk(folder, fail);
  disk.append("wal-1", utf8("one "));
  disk.append("wal-1", utf8("two "));
  disk.write("slot", utf8("a longer content"));
  assert.equal(Buffer.from(disk.read("wal-1")!).toString(), "one two ", "reads what waits, too");
  await disk.sync();
  assert.equal(readFileSync(join(folder, "wal-1"), "utf8"), "one two ");
  disk.append("wal-1", utf8("three"));
  disk.write("slot", utf8("short"));
  disk.append("slot", utf8("+tail"));
  await disk.sync();
  assert.equal(readFileSync(join(folder, "slot"), "utf8"), "short+tail");
  await disk.close();
  const again = openDisk(folder, fail);
  assert.deepEqual(again.list(), ["slot", "wal-1"]);
  again.append("wal-1", utf8("!"));
  await again.sync();
  assert.equal(Buffer.from(again.read("wal-1")!).toString(), "one two three!");
  assert.equal(again.read("absent"), undefined);
  await again.close();
});

test("what an earlier process left is made durable before it is read", async () => {
  const folder = fresh();
  mkdirSync(folder);
  // A folder cannot be synced as a file: the attempt shows.
  mkdirSync(join(folder, "wal-1"));
  assert.throws(() => openDisk(folder, fail), { code: "NODE_DISK", message: /cannot be opened/ });
});

test("many syncs at once share rounds, and each resolves only after its own bytes", async () => {
  const folder = fresh();
  const disk = openDisk(folder, fail);
  const expected: string[] = [];
  const checks: Promise<void>[] = [];
  for (let i = 0; i < 300; i++) {
    expected.push(`${i};`);
    disk.append("journal", utf8(`${i};`));
    const wanted = expected.join("");
    checks.push(
      disk.sync().then(() => {
        assert.ok(readFileSync(join(folder, "journal"), "utf8").startsWith(wanted));
      }),
    );
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(checks);
  assert.ok(disk.rounds.count < 60, `${disk.rounds.count} rounds for 300 syncs`);
  await disk.close();
});

test("more parts than one vectored write takes arrive complete", async () => {
  const folder = fresh();
  const disk = openDisk(folder, fail);
  for (let i = 0; i < 1500; i++) disk.append("many", utf8(`${i},`));
  disk.append("many", new Uint8Array(3_000_000).fill(65));
  await disk.sync();
  const text = readFileSync(join(folder, "many"), "utf8");
  assert.ok(text.startsWith("0,1,2,") && text.includes(",1499,AAA"));
  assert.equal(text.length, Array.from({ length: 1500 }, (_, i) => `${i},`).join("").length + 3e6);
  await disk.close();
});

test("a removed file is gone, also while a sync is under way, and may come again", async () => {
  const folder = fresh();
  const disk = openDisk(folder, fail);
  disk.append("old", utf8("x"));
  const syncing = disk.sync();
  await Promise.resolve();
  disk.remove("old");
  disk.remove("never-there");
  await syncing;
  assert.ok(!existsSync(join(folder, "old")));
  assert.ok(!disk.exists("old"));
  disk.append("old", utf8("new"));
  await disk.sync();
  assert.equal(readFileSync(join(folder, "old"), "utf8"), "new");
  await disk.close();
});

const hasFullDevice = existsSync("/dev/full");
test("a full disk: every sync rejects, for good, one alarm", { skip: !hasFullDevice }, async () => {
  const folder = fresh();
  mkdirSync(folder);
  symlinkSync("/dev/full", join(folder, "full"));
  const alarms: string[] = [];
  const disk = openDisk(folder, (error) => alarms.push(error.code));
  disk.append("wal", utf8("good"));
  await disk.sync();
  disk.append("full", utf8("no room"));
  await assert.rejects(disk.sync(), { code: "NODE_DISK" });
  disk.append("other", utf8("later"));
  await assert.rejects(disk.sync(), { code: "NODE_DISK" });
  assert.deepEqual(alarms, ["NODE_DISK"]);
  await disk.close();
});

test("a folder that cannot be is named", () => {
  const file = join(root, "a-file");
  writeFileSync(file, "");
  assert.throws(() => openDisk(file, fail), { code: "NODE_DISK", message: /a-file/ });
  const disk = openDisk(fresh(), fail);
  assert.throws(() => disk.append("../escape", utf8("x")), { code: "NODE_DISK" });
});

/**
 * Goal: a full disk under the journal closes admission under a name of its own; the node votes on.
 * Method: a whole node over a store in memory, its journal file a device without room.
 */
import assert from "node:assert/strict";
import { closeSync, existsSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createMemoryLedgerStore } from "@hanse/ledger";
import { toHex, utf8 } from "@hanse/protocol";
import { createTestFolder, signNative, startOverMemory } from "../testing/test-node.ts";

/** Puts a device without room in the place of a file that this process has open. */
function fillDisk(file: string): void {
  const open = readdirSync("/proc/self/fd").map(Number);
  const fd = open.find((one) => {
    try {
      return readlinkSync(`/proc/self/fd/${one}`) === file;
    } catch {
      return false;
    }
  });
  assert.ok(fd !== undefined, `${file} is open`);
  closeSync(fd);
  // The lowest free number is the one just freed.
  assert.equal(openSync("/dev/full", "r+"), fd);
}

test("a full disk under the journal refuses clients; blocks go on", {
  skip:
    existsSync("/dev/full") && existsSync("/proc/self/fd")
      ? false
      : "needs /dev/full and /proc/self/fd",
}, async () => {
  const folder = await createTestFolder();
  const fatal: string[] = [];
  const node = await startOverMemory(folder.configFile, createMemoryLedgerStore(), (error) =>
    fatal.push(error.code),
  );
  const url = `http://127.0.0.1:${node.api.port}`;
  try {
    const ada = folder.people[1]!.pair;
    fillDisk(join(folder.folder, "data/journal/pool-00000001"));
    const sign = (key: string) =>
      signNative(ada, folder.ledgerId, ["notes", "put", { key, value: utf8("v") }]);
    const submit = async (bytes: Uint8Array) => {
      const answer = await fetch(`${url}/v1/transactions`, {
        method: "POST",
        headers: { "content-type": "application/octet-stream" },
        body: bytes as Uint8Array<ArrayBuffer>,
      });
      return { status: answer.status, ...((await answer.json()) as { code: string }) };
    };
    const first = sign("k1");
    assert.equal((await submit(first.bytes)).code, "LEDGER_JOURNAL_FAILED");
    // It was in the pool before the disk said no: the node orders and executes it.
    const end = performance.now() + 60_000;
    let state: { status?: string; code?: string } = {};
    while (state.status !== "final") {
      assert.ok(performance.now() < end, JSON.stringify(state));
      await new Promise((resolve) => setTimeout(resolve, 20));
      const answer = await fetch(`${url}/v1/transactions/${toHex(first.id)}`);
      state = (await answer.json()) as typeof state;
    }
    const refused = await submit(sign("k2").bytes);
    assert.deepEqual([refused.status, refused.code], [503, "LEDGER_JOURNAL_FAILED"]);
    const ready = await fetch(`${url}/ready`);
    const problem = (await ready.json()) as { code: string; detail: string };
    assert.deepEqual([ready.status, problem.code], [503, "NODE_JOURNAL_FAILED"]);
    assert.match(problem.detail, /votes on: .*data\/journal: cannot be written/);
    assert.deepEqual(fatal, []);
  } finally {
    await node.stop();
    folder.remove();
  }
});

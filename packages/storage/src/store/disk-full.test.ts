/**
 * Goal: a database that can write no more stops the store for good, with a code; nothing that was
 * acknowledged is lost, and the next start goes on from there. Method: a real server whose writing
 * process may not make files longer than a limit, as on a full disk.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { HanseError, toHex } from "@hanse/protocol";
import pg from "pg";
import { startEmbeddedPostgres } from "../embedded/embedded-postgres.ts";
import { applyBlock, sampleLedgerId, seedStore } from "../testing/sample-chain.ts";
import { openLedgerStore, type PostgresLedgerStore } from "./ledger-store.ts";

/** Above the 16 MB of a log segment, so that tables meet it first. */
const FILE_BYTES_MAX = 17 * 1024 * 1024;

const canLimit = process.platform === "linux" && fs.existsSync("/usr/bin/prlimit");

test("a full disk stops the store; a restart recovers", {
  skip: canLimit ? false : "needs prlimit",
}, async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "hanse-full-"));
  const postgres = await startEmbeddedPostgres({ dir, settings: { fsync: "off" } });
  const stores: PostgresLedgerStore[] = [];
  t.after(async () => {
    for (const one of stores) await one.close("now").catch(() => {});
    await postgres.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  });
  const ledgerId = sampleLedgerId("full");
  const failures: HanseError[] = [];
  const store = await openLedgerStore({
    database: postgres,
    ledgerId,
    onFailure: (error) => failures.push(error),
  });
  stores.push(store);
  await seedStore(store, ledgerId, (state) =>
    state.putKv("ns", Uint8Array.of(0), Uint8Array.of(0)),
  );
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  const { rows } = await client.query(
    "select pid from pg_locks where locktype = 'advisory' and granted",
  );
  await client.end();
  const { uid, gid } = fs.statSync(`/proc/${rows[0].pid}`);
  const limit = ["--pid", String(rows[0].pid), `--fsize=${FILE_BYTES_MAX}`];
  execFileSync("prlimit", limit, { uid, gid });

  let height = 0;
  let root = "";
  const next = () =>
    applyBlock(
      store,
      height + 1,
      Array.from(
        { length: 20 },
        (_, i) => (state) => state.putKv("ns", Uint8Array.of(i), Uint8Array.of(height)),
      ),
      { ledgerId, transactionBytes: 200_000 },
    );
  const isFull = (error: unknown) =>
    error instanceof HanseError && error.code === "STORAGE_DISK_FULL";
  for (;;) {
    assert.ok(height < 20, "the limit was never met");
    const block = await next();
    try {
      await store.commit(block.commit);
    } catch (error) {
      assert.ok(isFull(error), String(error));
      // No second try: neither the same block nor another.
      await assert.rejects(store.commit(block.commit), isFull);
      await assert.rejects(store.apply(height + 2, []), isFull);
      break;
    }
    height++;
    root = toHex(block.root);
  }
  assert.deepEqual(
    failures.map((error) => error.code),
    ["STORAGE_DISK_FULL"],
  );
  assert.equal(store.failure?.code, "STORAGE_DISK_FULL");
  // Reads go on.
  assert.equal((await store.block(height))?.height, height);
  await store.close();

  const again = await openLedgerStore({ database: postgres, ledgerId });
  stores.push(again);
  const info = await again.info();
  assert.deepEqual([info.height, toHex(info.stateRoot)], [height, root]);
  await again.verifyIntegrity();
  const block = await applyBlock(
    again,
    height + 1,
    [(state) => state.putKv("ns", Uint8Array.of(1), Uint8Array.of(1))],
    { ledgerId },
  );
  await again.commit(block.commit);
  await again.close();
});

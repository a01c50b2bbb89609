/**
 * Goal: old blocks go, in small steps, and nothing that is still needed goes with them: a restart,
 * the check of duplicates, headers that hand over to another set. Method: a real PostgreSQL cluster.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { after, before } from "node:test";
import { decodeHeader, type Hash, sha256, toHex, utf8 } from "@hanse/protocol";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../embedded/embedded-postgres.ts";
import { applyBlock, sampleLedgerId, seedStore } from "../testing/sample-chain.ts";
import { openLedgerStore, type PostgresLedgerStore } from "./ledger-store.ts";

let dir: string;
let postgres: EmbeddedPostgres;
const stores: PostgresLedgerStore[] = [];

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "hanse-prune-test-"));
  postgres = await startEmbeddedPostgres({ dir, settings: { fsync: "off" } });
});
after(async () => {
  for (const store of stores) await store.close("now").catch(() => {});
  await postgres.stop();
  fs.rmSync(dir, { recursive: true, force: true });
});

async function open(ledgerId: Hash): Promise<PostgresLedgerStore> {
  const store = await openLedgerStore({ database: postgres, ledgerId });
  stores.push(store);
  return store;
}

async function openSeeded(name: string) {
  const ledgerId = sampleLedgerId(name);
  const store = await open(ledgerId);
  await seedStore(store, ledgerId, (state) =>
    state.createTable({ name: "1_t", columns: [{ name: "id", type: "int" }], indexes: [] }),
  );
  return { ledgerId, store };
}

async function addBlocks(
  store: PostgresLedgerStore,
  ledgerId: Hash,
  from: number,
  to: number,
  validUntil: number,
): Promise<Hash[]> {
  const ids: Hash[] = [];
  for (let height = from; height <= to; height++) {
    const sample = await applyBlock(store, height, [(s) => s.insert("1_t", [BigInt(height)])], {
      ledgerId,
      validUntil,
    });
    await store.commit(sample.commit);
    ids.push(sample.transactions[0]!.id);
  }
  return ids;
}

test("blocks below go, at most 256 at a time; what is left answers, also after a restart", async () => {
  const { ledgerId, store } = await openSeeded("steps");
  const ids = await addBlocks(store, ledgerId, 1, 300, 1);
  assert.equal(store.lowest, 1);
  assert.equal(await store.prune(291), 256);
  assert.equal(store.lowest, 257);
  assert.equal(await store.prune(291), 34);
  assert.equal(await store.prune(291), 0);
  assert.equal(store.lowest, 291);
  assert.equal(await store.block(290), undefined);
  assert.equal((await store.block(291))?.height, 291);
  assert.deepEqual(
    (await store.blocks(280, 295, 1 << 20)).map((block) => block.height),
    [291, 292, 293, 294, 295],
  );
  assert.equal(await store.transaction(ids[100]!), undefined);
  assert.equal(await store.prunedHeight(ids[100]!), 101);
  assert.equal(await store.prunedHeight(ids[295]!), undefined);
  assert.equal(await store.prunedHeight(sha256(utf8("unknown"))), undefined);
  assert.deepEqual(await store.history("1_t", 100n, { limit: 3 }), []);
  assert.equal((await store.history("1_t", 295n, { limit: 3 })).length, 1);
  const { stateRoot } = await store.info();
  await store.close("now");

  const again = await open(ledgerId);
  assert.equal(again.lowest, 291);
  assert.equal(toHex((await again.info()).stateRoot), toHex(stateRoot));
  await addBlocks(again, ledgerId, 301, 302, 1);
  assert.equal(toHex((await again.verifyIntegrity()).root), toHex((await again.info()).stateRoot));
  await again.close();
});

test("what may be sent a second time stays known; the newest block stays", async () => {
  const { ledgerId, store } = await openSeeded("window");
  // Block times are 1 000 times the height: at height 20 those of height 11 on may be repeated.
  const early = await addBlocks(store, ledgerId, 1, 10, 15_000);
  const late = await addBlocks(store, ledgerId, 11, 20, 25_000);
  assert.equal(await store.prune(1_000), 10);
  assert.equal(store.lowest, 11);
  assert.deepEqual(await store.committedOf([early[9]!, late[0]!]), [false, true]);
  assert.equal((await store.recentTransactionIds(20_000, 100)).length, 10);
  await addBlocks(store, ledgerId, 21, 26, 1);
  assert.equal(await store.prune(1_000), 15);
  assert.equal(store.lowest, 26);
  await store.close();
});

test("a header that hands over to another set stays for ever, with its certificate", async () => {
  const { ledgerId, store } = await openSeeded("handover");
  await addBlocks(store, ledgerId, 1, 4, 1);
  const sample = await applyBlock(store, 5, [(s) => s.insert("1_t", [5n])], { ledgerId });
  const { decided } = sample.commit;
  const header = { ...decided.block.header, nextValidatorsHash: sha256(utf8("next")) };
  await store.commit({
    ...sample.commit,
    decided: { ...decided, block: { ...decided.block, header } },
  });
  const { certificate } = (await store.block(5))!;
  await addBlocks(store, ledgerId, 6, 12, 1);
  assert.equal(await store.header(5), undefined);
  await store.prune(10);
  assert.equal(await store.block(5), undefined);
  assert.equal(await store.header(4), undefined);
  const kept = (await store.header(5))!;
  assert.deepEqual(decodeHeader(kept.header), header);
  assert.deepEqual(kept.certificate, certificate);
  await store.close();
});

/**
 * Goal: the same blocks over PostgreSQL and in memory give the same roots, across a restart, and
 * receipts from the database verify. Method: an embedded server in a temporary folder.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { ACCOUNTS } from "@hanse/identity";
import { encodeNativeCall } from "@hanse/modules";
import {
  accountIdOf,
  encodeReceipt,
  HanseError,
  publicKeyToCbor,
  toHex,
  utf8,
  verifyReceipt,
} from "@hanse/protocol";
import { openLedgerStore, startEmbeddedPostgres } from "@hanse/storage";
import type { MemoryLedgerStore } from "../index.ts";
import {
  createRigGenesis,
  createRigNode,
  keyOf,
  type RigNode,
  runBlock,
  signPayload,
} from "../testing/ledger-rig.ts";

test("PostgreSQL and memory hold the same record", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "hanse-ledger-"));
  const database = await startEmbeddedPostgres({ dir });
  const rig = await createRigGenesis();
  const open = () => openLedgerStore({ database, ledgerId: rig.ledgerId });
  let store = await open();
  try {
    const memory = await createRigNode(rig);
    const nodeOver = (disk: RigNode["disk"] | undefined) =>
      createRigNode(rig, {
        store: store as unknown as MemoryLedgerStore,
        clock: memory.clock,
        ...(disk === undefined ? {} : { disk }),
      });
    let node = await nodeOver(undefined);
    assert.equal(toHex(node.ledger.tip.stateRoot), toHex(memory.ledger.tip.stateRoot), "genesis");

    const admin = rig.people[0]!;
    const submitted: { bytes: Uint8Array; id: Uint8Array }[] = [];
    const round = async (n: number) => {
      const key = publicKeyToCbor(keyOf(`person ${n}`).publicKey);
      const args = { name: `person ${n}`, key, roles: n % 2 === 0 ? ["clerk"] : [] };
      const list = [
        signPayload(admin.pair, encodeNativeCall("registry", "account.register", args), rig),
        ...rig.people.map((person, i) => {
          const value = utf8(`${n}`.repeat(i));
          return signPayload(
            person.pair,
            encodeNativeCall("notes", "put", { key: `k${n % 3}`, value }),
            rig,
          );
        }),
      ];
      for (const place of [node, memory]) {
        for (const result of await place.ledger.submitMany(list.map((item) => item.bytes))) {
          assert.ok(!(result instanceof HanseError), String(result));
        }
      }
      submitted.push(...list);
      await runBlock(rig, [memory, node]);
      assert.equal(
        toHex(node.ledger.tip.stateRoot),
        toHex(memory.ledger.tip.stateRoot),
        `round ${n}`,
      );
    };
    for (let n = 0; n < 5; n++) await round(n);

    await node.ledger.stop();
    await store.close();
    store = await open();
    node = await nodeOver(node.disk.crash());
    assert.equal(node.ledger.tip.height, 5);
    assert.equal(toHex(node.ledger.tip.hash), toHex(memory.ledger.tip.hash));
    const [again] = await node.ledger.submitMany([submitted[0]!.bytes]);
    assert.ok(again instanceof HanseError && again.code === "LEDGER_TX_COMMITTED", String(again));
    for (let n = 5; n < 8; n++) await round(n);
    await runBlock(rig, [memory, node]);

    const request = {
      id: submitted[3]!.id,
      state: [{ kind: "row", table: ACCOUNTS, key: accountIdOf(keyOf("person 2").publicKey) }],
    } as const;
    const receipts = await Promise.all(
      [node, memory].map(async (place) => encodeReceipt(await place.ledger.receipt(request))),
    );
    assert.equal(toHex(receipts[0]!), toHex(receipts[1]!));
    const verdict = verifyReceipt(receipts[0]!, { genesis: rig.genesis });
    assert.ok(verdict.ok, verdict.reason);
  } finally {
    await store.close();
    await database.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

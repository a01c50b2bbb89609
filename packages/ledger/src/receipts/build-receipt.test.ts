/** Goal: what a ledger hands out convinces an outsider. Method: real blocks, protocol's verifier. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACCOUNTS } from "@hanse/identity";
import { NOTES_NAMESPACE, noteKey } from "@hanse/modules";
import {
  accountIdOf,
  decodeBlock,
  encodeHeader,
  encodeReceipt,
  type HanseError,
  toHex,
  verifyReceipt,
} from "@hanse/protocol";
import { createRigGenesis, createRigNode, runBlock, signNote } from "../testing/ledger-rig.ts";
import { readKeptProof } from "./kept-proofs.ts";

async function ledgerWithNote() {
  const rig = await createRigGenesis();
  const node = await createRigNode(rig);
  const ada = rig.people.find((person) => person.name === "ada")!;
  const others = rig.people.map((person) => signNote(person.pair, "other", person.name, rig));
  const note = signNote(ada.pair, "k", "v", rig);
  await node.ledger.submitMany([...others.map((item) => item.bytes), note.bytes]);
  return { rig, node, ada, note };
}

test("a receipt waits for the block above and then verifies against the genesis", async () => {
  const { rig, node, ada, note } = await ledgerWithNote();
  await runBlock(rig, [node]);
  const pending = node.ledger.receipt({
    id: note.id,
    state: [{ kind: "row", table: ACCOUNTS, key: accountIdOf(ada.pair.publicKey) }],
  });
  await runBlock(rig, [node]);
  const bytes = encodeReceipt(await pending);
  const verdict = verifyReceipt(bytes, { genesis: rig.genesis });
  assert.ok(verdict.ok, verdict.reason);
  assert.equal(verdict.facts?.transaction?.height, 1);
  assert.equal(verdict.facts?.transaction?.outcome.code, "ok");
  const row = verdict.facts?.state.find((fact) => fact.key.kind === "row")?.row;
  assert.ok(row?.values.includes("ada"));
});

test("facts on an idle ledger are certified by the empty block above the last change", async () => {
  const { rig, node } = await ledgerWithNote();
  await runBlock(rig, [node]);
  await runBlock(rig, [node]);
  const absent = { kind: "row", table: ACCOUNTS, key: new Uint8Array(32) } as const;
  const receipt = await node.ledger.receipt({ state: [absent] });
  const verdict = verifyReceipt(encodeReceipt(receipt), { genesis: rig.genesis });
  assert.ok(verdict.ok, verdict.reason);
  assert.equal(verdict.facts?.state.find((fact) => fact.key.kind === "row")?.present, false);
});

test("a table that never gave a key has no sequence: its absence is proven", async () => {
  const { rig, node } = await ledgerWithNote();
  await runBlock(rig, [node]);
  await runBlock(rig, [node]);
  // Accounts have keys of bytes.
  const receipt = await node.ledger.receipt({ state: [{ kind: "sequence", table: ACCOUNTS }] });
  const verdict = verifyReceipt(encodeReceipt(receipt), { genesis: rig.genesis });
  assert.ok(verdict.ok, verdict.reason);
  assert.equal(verdict.facts?.state.find((fact) => fact.key.kind === "sequence")?.present, false);
});

test("a row that is not what the root holds is named, changed, removed or added", async () => {
  const { rig, node, ada } = await ledgerWithNote();
  await runBlock(rig, [node]);
  await runBlock(rig, [node]);
  const { state } = node.store;
  const getRow = state.getRow.bind(state);
  const key = accountIdOf(ada.pair.publicKey);
  const row = getRow(ACCOUNTS, key)!;
  const columns = state.schema(ACCOUNTS)!.columns;
  const name = columns.findIndex((column) => row.values[columns.indexOf(column)] === "ada");
  const cases = [
    [key, { ...row, values: row.values.with(name, "eve") }],
    [key, undefined],
    [new Uint8Array(32), row],
  ] as const;
  for (const [at, stored] of cases) {
    state.getRow = () => stored;
    await assert.rejects(
      node.ledger.receipt({ state: [{ kind: "row", table: ACCOUNTS, key: at }] }),
      (error: HanseError) => {
        assert.deepEqual([error.code, error.kind], ["LEDGER_STATE_TAMPERED", "corrupt"]);
        assert.deepEqual(error.details, { table: ACCOUNTS, key: toHex(at) });
        assert.match(error.message, new RegExp(`${ACCOUNTS}: ${toHex(at)}.*compare.*restore`));
        return true;
      },
    );
  }
});

test("a block between proof and reading is no tampering: the proof is made again", async () => {
  const { rig, node, ada } = await ledgerWithNote();
  await runBlock(rig, [node]);
  const { store } = node;
  const proveState = store.proveState.bind(store);
  let overtaken = 0;
  store.proveState = async (keys) => {
    const proof = await proveState(keys);
    if (overtaken++ < 3) {
      await node.ledger.submit(signNote(ada.pair, "k", `v${overtaken}`, rig).bytes);
      await runBlock(rig, [node]);
    }
    return proof;
  };
  const key = noteKey(accountIdOf(ada.pair.publicKey), "k");
  const pending = node.ledger.receipt({ state: [{ kind: "kv", namespace: NOTES_NAMESPACE, key }] });
  while (overtaken < 4) await new Promise((resolve) => setImmediate(resolve));
  await runBlock(rig, [node]);
  const verdict = verifyReceipt(encodeReceipt(await pending), { genesis: rig.genesis });
  assert.ok(verdict.ok, verdict.reason);
});

test("an unknown transaction and an empty request are refused by name", async () => {
  const { node } = await ledgerWithNote();
  await assert.rejects(node.ledger.receipt({ id: new Uint8Array(32) }), {
    code: "LEDGER_TX_UNKNOWN",
  });
  await assert.rejects(node.ledger.receipt({}), { code: "LEDGER_RECEIPT_EMPTY" });
});

test("of a block that is no longer kept: said so, with who keeps it; its header is enough elsewhere", async () => {
  const { rig, node, note } = await ledgerWithNote();
  for (let i = 0; i < 3; i++) await runBlock(rig, [node]);
  const { store } = node;
  const block = store.block.bind(store);
  const transaction = store.transaction.bind(store);
  const kept = (await block(2))!;
  store.block = async (height) => (height < 3 ? undefined : block(height));
  store.transaction = async () => undefined;
  Object.assign(store, { prunedHeight: async () => 1 });
  await assert.rejects(node.ledger.receipt({ id: note.id }), (error: HanseError) => {
    assert.equal(error.code, "LEDGER_BLOCK_PRUNED");
    assert.match(error.message, /block 1 is no longer kept here: ask an archive node/);
    return true;
  });
  // The look-up knows the place, but the block has gone meanwhile.
  store.transaction = transaction;
  await assert.rejects(node.ledger.receipt({ id: note.id }), { code: "LEDGER_BLOCK_PRUNED" });
  const { header } = decodeBlock(kept.bytes);
  Object.assign(store, {
    header: async (height: number) =>
      height === 2 ? { header: encodeHeader(header), certificate: kept.certificate } : undefined,
  });
  assert.deepEqual((await readKeptProof(store, 2))?.proof?.header, header);
  assert.equal(await readKeptProof(store, 1), undefined);
});

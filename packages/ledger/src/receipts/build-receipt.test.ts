/** Goal: what a ledger hands out convinces an outsider. Method: real blocks, protocol's verifier. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACCOUNTS } from "@hanse/identity";
import { accountIdOf, encodeReceipt, verifyReceipt } from "@hanse/protocol";
import { createRigGenesis, createRigNode, runBlock, signNote } from "../testing/ledger-rig.ts";

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

test("an unknown transaction and an empty request are refused by name", async () => {
  const { node } = await ledgerWithNote();
  await assert.rejects(node.ledger.receipt({ id: new Uint8Array(32) }), {
    code: "LEDGER_TX_UNKNOWN",
  });
  await assert.rejects(node.ledger.receipt({}), { code: "LEDGER_RECEIPT_EMPTY" });
});

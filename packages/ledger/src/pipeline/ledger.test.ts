/** Goal: a transaction goes all the way, on several nodes alike. Method: real engines, memory store. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveSender } from "@hanse/identity";
import { equalBytes, toHex } from "@hanse/protocol";
import { createRigGenesis, createRigNode, runBlock, signNote } from "../testing/ledger-rig.ts";

test("submit, build, validate, execute, seal, commit, publish on two nodes", async () => {
  const rig = await createRigGenesis();
  const a = await createRigNode(rig);
  const b = await createRigNode(rig);
  const ada = rig.people.find((person) => person.name === "ada")!;
  const { bytes, id } = signNote(ada.pair, "greeting", "hello", rig);

  const stream = a.ledger.subscribe(1)[Symbol.asyncIterator]();
  const accepted = await a.ledger.submit(bytes);
  assert.ok(equalBytes(accepted.id, id));
  assert.equal((await a.ledger.status(id)).state, "pending");
  const final = a.ledger.waitFor(id, "final");
  await runBlock(rig, [a, b]);
  const status = await final;
  assert.ok(status.state === "final");
  assert.equal(status.outcome.code, "ok", status.outcome.error);
  assert.deepEqual(
    status.outcome.events.map((event) => event.name),
    ["notes.put"],
  );

  assert.equal(toHex(a.ledger.tip.stateRoot), toHex(b.ledger.tip.stateRoot));
  assert.equal(toHex(a.ledger.tip.resultsRoot), toHex(b.ledger.tip.resultsRoot));
  assert.equal((await b.ledger.status(id)).state, "final");
  const published = (await stream.next()).value!;
  assert.equal(published.height, 1);
  assert.equal(published.transactions.length, 1);
  const caller = resolveSender(a.store.state, ada.pair.publicKey);
  assert.deepEqual(a.ledger.query("native", "notes.get", { key: "greeting" }, caller), {
    value: "68656c6c6f",
    version: { height: 1, index: 0 },
  });
});

/** Goal: a restart neither forgets nor doubles. Method: crash the disk and the store at chosen moments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HanseError, toHex } from "@hanse/protocol";
import {
  createRigGenesis,
  createRigNode,
  decide,
  draft,
  type RigGenesis,
  type RigNode,
  runBlock,
  signNote,
} from "../testing/ledger-rig.ts";

async function restart(rig: RigGenesis, node: RigNode): Promise<RigNode> {
  return createRigNode(rig, {
    store: await node.store.reopen(),
    disk: node.disk.crash(),
    clock: node.clock,
  });
}

test("accepted transactions are pending again after a crash, committed ones are not", async () => {
  const rig = await createRigGenesis();
  const before = await createRigNode(rig);
  const [first, second] = rig.people.map((person) => signNote(person.pair, "k", "v", rig));
  await before.ledger.submit(first!.bytes);
  await runBlock(rig, [before]);
  await before.ledger.submit(second!.bytes);

  const after = await restart(rig, before);
  assert.equal((await after.ledger.status(first!.id)).state, "final");
  assert.equal((await after.ledger.status(second!.id)).state, "pending");
  const [again] = await after.ledger.submitMany([first!.bytes]);
  assert.ok(again instanceof HanseError && again.code === "LEDGER_TX_COMMITTED");
  const { block } = await runBlock(rig, [after]);
  assert.equal(block.transactions.length, 1);
  assert.equal((await after.ledger.status(second!.id)).state, "final");

  const last = await restart(rig, after);
  assert.equal(last.ledger.mempoolStats().count, 0);
  assert.equal(toHex(last.ledger.tip.stateRoot), toHex(after.ledger.tip.stateRoot));
});

test("what the journal brings back is sent to the other nodes again", async () => {
  const rig = await createRigGenesis();
  const before = await createRigNode(rig);
  await before.ledger.submit(signNote(rig.people[0]!.pair, "k", "v", rig).bytes);
  const after = await restart(rig, before);
  const batches: Uint8Array[] = [];
  after.ledger.onOutgoing((batch) => batches.push(batch));
  after.clock.advance(11_000);
  assert.ok(batches.length > 0);
  const peer = await createRigNode(rig);
  assert.equal((await peer.ledger.incoming(batches[0]!, "harbour/node-1")).accepted, 1);
});

test("a final block that was executed but not durable is executed again to the same root", async () => {
  const rig = await createRigGenesis();
  const node = await createRigNode(rig);
  const notes = rig.people.map((person) => signNote(person.pair, "k", person.name, rig));
  await node.ledger.submitMany(notes.map((note) => note.bytes));
  const decided = decide(rig, await draft(rig, node));
  const result = await node.ledger.finalizeBlock(decided);
  assert.equal((await node.ledger.status(notes[0]!.id)).state, "pending", "not durable yet");

  const after = await restart(rig, node);
  assert.equal(after.ledger.tip.height, 0);
  assert.equal(after.ledger.mempoolStats().count, notes.length, "still promised");
  const again = await after.ledger.finalizeBlock(decided);
  await after.ledger.commit(1);
  assert.equal(toHex(again.stateRoot), toHex(result.stateRoot));
  assert.equal(toHex(again.resultsRoot), toHex(result.resultsRoot));
  assert.equal(after.ledger.mempoolStats().count, 0);
  assert.equal((await after.ledger.status(notes[0]!.id)).state, "final");
});

test("a block may not repeat a transaction of any earlier block, also after a restart", async () => {
  const rig = await createRigGenesis();
  // A filter of four ids: almost everything has to be asked of the store.
  const limits = { committedIdsMax: 4 };
  const node = await createRigNode(rig, { limits });
  const notes = rig.people.map((person) => signNote(person.pair, "k", "v", rig));
  await node.ledger.submitMany(notes.map((note) => note.bytes));
  await runBlock(rig, [node]);
  for (let i = 0; i < 20; i++) await runBlock(rig, [node]);

  const store = await node.store.reopen();
  const after = await createRigNode(rig, { store, clock: node.clock, limits });
  for (const place of [node, after]) {
    const results = await place.ledger.submitMany(notes.map((note) => note.bytes));
    for (const result of results) {
      assert.ok(result instanceof HanseError && result.code === "LEDGER_TX_COMMITTED");
    }
    // A proposer that does not care.
    const honest = await draft(rig, place);
    const fresh = await createRigNode(rig, { clock: node.clock });
    await fresh.ledger.submitMany([notes[0]!.bytes]);
    const lying = await draft(rig, fresh);
    const block = {
      ...honest,
      header: { ...honest.header, txRoot: lying.header.txRoot, txCount: lying.header.txCount },
      transactions: lying.transactions.slice(0, 1),
    };
    const verdict = await place.ledger.validateBlock(block, decide(rig, block).hash);
    assert.ok(
      !verdict.ok && verdict.reason.startsWith("BLOCK_TX_DUPLICATE"),
      JSON.stringify(verdict),
    );
  }
});

test("the journal forgets what is durable in blocks, so that it stays small", async () => {
  const rig = await createRigGenesis();
  const limits = { journal: { fileBytes: 2_000, filesMax: 4 } };
  const node = await createRigNode(rig, { limits });
  for (let i = 0; i < 40; i++) {
    const notes = rig.people.map((person) => signNote(person.pair, `k${i}`, "v", rig));
    await node.ledger.submitMany(notes.map((note) => note.bytes));
    await runBlock(rig, [node]);
  }
  const bytes = node.disk.list().reduce((sum, name) => sum + node.disk.read(name)!.length, 0);
  assert.ok(bytes < 10_000, `${bytes} bytes in ${node.disk.list().length} files`);
});

test("a store of another ledger is named and left alone", async () => {
  const rig = await createRigGenesis();
  const node = await createRigNode(rig);
  await runBlock(rig, [node]);
  const other = await createRigGenesis({ organizations: ["elsewhere"] });
  await assert.rejects(createRigNode(other, { store: await node.store.reopen() }), {
    code: "LEDGER_OTHER",
  });
});

/** Goal: a failed transaction leaves its outcome alone; what must not happen stops the node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createNativeEngine, createNotesModule, createRegistryModule } from "@hanse/modules";
import { fromUtf8, HanseError, outcomeRoot, sha256, toHex, utf8 } from "@hanse/protocol";
import fc from "fast-check";
import type { ContractEngine } from "../pipeline/interfaces.ts";
import {
  createRigGenesis,
  createRigNode,
  decide,
  draft,
  type RigOptions,
  runBlock,
  signNote,
  signPayload,
} from "../testing/ledger-rig.ts";

const native = () => createNativeEngine([createRegistryModule(), createNotesModule()]);

/** Payload as text: `key=value` writes, `fail` writes and fails, `burn N` burns, `bug` throws. */
function scriptEngine(): ContractEngine {
  const outcome = (code: string, fuelUsed: bigint) => ({
    code,
    result: code === "ok" ? '"done"' : "",
    error: code === "ok" ? "" : "as it was told",
    fuelUsed,
    events: [],
  });
  return {
    kind: "script",
    check() {},
    apply({ transaction, state }) {
      const text = fromUtf8(transaction.payload);
      const [word = "", value = ""] = text.split(/[= ]/);
      if (word === "burn") return outcome("ok", BigInt(value));
      if (word === "bug") throw new TypeError("not meant to happen");
      state.putKv("script", utf8(word), utf8(value));
      return outcome(word === "fail" ? "SCRIPT_FAILED" : "ok", 10n);
    },
    view: ({ outcomes }) => utf8(`${outcomes.length} outcomes`),
  };
}

async function open(options: RigOptions = {}) {
  const rig = await createRigGenesis(options);
  const engines = [native(), scriptEngine()];
  const node = await createRigNode(rig, { ...options, engines });
  const script = (text: string, person = 1) =>
    signPayload(rig.people[person]!.pair, utf8(text), { ...rig, engine: "script" });
  return { rig, node, script };
}

test("a failed transaction leaves its outcome and nothing else", async () => {
  const { rig, node, script } = await open();
  const list = [script("a=1"), script("fail=2"), script("b=3")];
  await node.ledger.submitMany(list.map((item) => item.bytes));
  const { block, hash } = await runBlock(rig, [node]);
  assert.equal(block.transactions.length, 3);
  const get = (key: string) => node.store.state.getKv("script", utf8(key));
  assert.deepEqual(get("a")?.version, { height: 1, index: 0 });
  assert.equal(get("fail"), undefined);
  assert.deepEqual(get("b")?.version, { height: 1, index: 2 });
  const outcomes = await node.store.outcomes(1);
  assert.deepEqual(
    outcomes.map((o) => o.code),
    ["ok", "SCRIPT_FAILED", "ok"],
  );
  const views = [{ engine: "script", hash: sha256(utf8("3 outcomes")) }];
  assert.equal(toHex(node.ledger.tip.resultsRoot), toHex(outcomeRoot(outcomes, views)));
  assert.equal(toHex(node.ledger.tip.hash), toHex(hash));
});

test("a block's fuel and a transaction's fuel end what exceeds them", async () => {
  const { rig, node, script } = await open({
    params: { fuelPerTransactionMax: 100, fuelPerBlockMax: 150 },
  });
  const list = [script("burn 100"), script("burn 101"), script("burn 1")];
  await node.ledger.submitMany(list.map((item) => item.bytes));
  await runBlock(rig, [node]);
  const codes = (await node.store.outcomes(1)).map((o) => o.code);
  assert.deepEqual(codes, ["ok", "LEDGER_TRANSACTION_FUEL", "LEDGER_BLOCK_FUEL"]);
  // The draft learns what such transactions burn and leaves room.
  await node.ledger.submitMany(
    Array.from({ length: 10 }, (_, i) => script(`burn ${90 + (i % 2)}`).bytes),
  );
  await runBlock(rig, [node]);
  assert.ok((await node.store.outcomes(2)).every((o) => o.code === "ok"));
});

test("an engine that throws stops this node with an alarm, and nothing after it is executed", async () => {
  const { rig, node, script } = await open();
  await node.ledger.submitMany([script("a=1").bytes, script("bug").bytes]);
  const decided = decide(rig, await draft(rig, node));
  await assert.rejects(node.ledger.finalizeBlock(decided), { code: "LEDGER_ENGINE_FAILED" });
  assert.equal(node.alarms[0]?.kind, "engine");
  assert.equal(node.alarms[0]?.fatal, true);
  assert.match(node.ledger.halted ?? "", /engine script failed on transaction 1 of block 1/);
  const [refused] = await node.ledger.submitMany([script("c=1").bytes]);
  assert.ok(refused instanceof HanseError && refused.code === "LEDGER_HALTED");
  const verdict = await node.ledger.validateBlock(decided.block, decided.hash);
  assert.ok(!verdict.ok && verdict.reason.startsWith("BLOCK_LEDGER_HALTED"));
  assert.equal(node.store.state.getKv("script", utf8("a")), undefined);
});

test("a certified block with other roots than ours stops this node and names both", async () => {
  const { rig, node, script } = await open();
  await node.ledger.submit(script("a=1").bytes);
  await runBlock(rig, [node]);
  const good = await draft(rig, node);
  const ours = toHex(node.ledger.tip.stateRoot);
  const theirs = "11".repeat(32);
  const header = { ...good.header, prevStateRoot: new Uint8Array(32).fill(0x11) };
  await assert.rejects(
    node.ledger.finalizeBlock(decide(rig, { ...good, header })),
    (error: HanseError) =>
      error.code === "LEDGER_DIVERGED" &&
      error.message.includes(ours) &&
      error.message.includes(theirs),
  );
  assert.equal(node.alarms[0]?.kind, "divergence");
  assert.ok(node.ledger.halted);
});

test("an account suspended earlier in the block is refused as an outcome", async () => {
  const { rig, node } = await open();
  const admin = rig.people[0]!;
  const ada = rig.people[1]!;
  const { encodeNativeCall } = await import("@hanse/modules");
  const { accountIdOf } = await import("@hanse/protocol");
  const account = accountIdOf(ada.pair.publicKey);
  const suspend = signPayload(
    admin.pair,
    encodeNativeCall("registry", "account.suspend", { account }),
    rig,
  );
  const note = signNote(ada.pair, "k", "v", rig);
  await node.ledger.submitMany([suspend.bytes, note.bytes]);
  await runBlock(rig, [node]);
  const codes = (await node.store.outcomes(1)).map((o) => o.code);
  assert.deepEqual(codes, ["ok", "IDENTITY_SUSPENDED"]);
});

test("two nodes that execute the same blocks hold the same roots, whatever the transactions", async () => {
  const command = fc.oneof(
    fc.tuple(fc.constantFrom("a", "b", "c"), fc.nat(5)).map(([key, value]) => `${key}=${value}`),
    fc.constant("fail=1"),
    fc.nat(300).map((fuel) => `burn ${fuel}`),
  );
  const block = fc.array(fc.tuple(command, fc.nat(5)), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.array(block, { minLength: 1, maxLength: 5 }), async (blocks) => {
      const options = { params: { fuelPerTransactionMax: 200, fuelPerBlockMax: 500 } };
      const { rig, node, script } = await open(options);
      const follower = await createRigNode(rig, { engines: [native(), scriptEngine()] });
      for (const list of blocks) {
        const transactions = list.map(([text, person]) => script(text, person).bytes);
        await node.ledger.submitMany(transactions);
        await runBlock(rig, [node, follower]);
        assert.equal(toHex(follower.ledger.tip.stateRoot), toHex(node.ledger.tip.stateRoot));
        assert.equal(toHex(follower.ledger.tip.resultsRoot), toHex(node.ledger.tip.resultsRoot));
      }
      // And a third that only replays the decided blocks.
      const replaying = await createRigNode(rig, {
        engines: [native(), scriptEngine()],
        store: await node.store.reopen(),
      });
      assert.equal(toHex(replaying.ledger.tip.stateRoot), toHex(node.ledger.tip.stateRoot));
    }),
    { numRuns: 25 },
  );
});

/** Goal: every refusal has its own code, kind and remedy. Method: one bad input for each. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Bytes,
  encodeNativeBody,
  encodeNativeTransaction,
  equalBytes,
  HanseError,
  nativeSignedMessage,
  signMessage,
} from "@hanse/protocol";
import { encodeTransactionBatch } from "../spreading/batch.ts";
import {
  createRigGenesis,
  createRigNode,
  GENESIS_TIME,
  keyOf,
  type RigOptions,
  runBlock,
  signNote,
  signPayload,
} from "../testing/ledger-rig.ts";
import type { Accepted } from "./admission.ts";

async function open(options: RigOptions = {}) {
  const rig = await createRigGenesis(options);
  const node = await createRigNode(rig, options);
  const ada = rig.people.find((person) => person.name === "ada")!;
  const note = (key = "k", at: { validUntil?: number; nonce?: bigint } = {}) =>
    signNote(ada.pair, key, "v", { ledgerId: rig.ledgerId, ...at }).bytes;
  return { rig, node, ada, note };
}

async function refusal(promise: Promise<Accepted>): Promise<HanseError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof HanseError, "it should have been refused");
  assert.ok(error.message.length > 20, error.message);
  return error;
}

test("each bad transaction is refused by its own code and kind", async () => {
  const { rig, node, ada, note } = await open({
    params: { transactionBytesMax: 4_096, validityWindowMs: 600_000 },
  });
  const now = node.clock.now();
  const good = note();
  const badSignature = good.slice();
  badSignature[badSignature.length - 3]! ^= 1;
  const stranger = signNote(keyOf("a stranger"), "k", "v", rig).bytes;
  const cases: [string, string, Bytes][] = [
    ["LEDGER_TX_TOO_LARGE", "tooLarge", new Uint8Array(5_000)],
    ["LEDGER_TX_FORM", "malformed", Uint8Array.of(77, 1, 2)],
    ["LEDGER_TX_FORM", "malformed", new Uint8Array(0)],
    ["LEDGER_TX_MALFORMED", "malformed", good.subarray(0, good.length - 1)],
    ["LEDGER_TX_MALFORMED", "malformed", Uint8Array.of(1)],
    [
      "LEDGER_TX_WRONG_LEDGER",
      "rejected",
      signNote(ada.pair, "k", "v", { ledgerId: new Uint8Array(32) }).bytes,
    ],
    ["LEDGER_TX_ENGINE", "rejected", signPayload(ada.pair, good, { ...rig, engine: "evm" }).bytes],
    ["LEDGER_TX_EXPIRED", "rejected", note("k", { validUntil: now })],
    ["LEDGER_TX_TOO_FAR_AHEAD", "rejected", note("k", { validUntil: now + 600_001 })],
    ["LEDGER_TX_SIGNATURE", "denied", badSignature],
    ["IDENTITY_UNKNOWN_SIGNER", "denied", stranger],
    ["FIELD_INVALID", "malformed", signPayload(ada.pair, Uint8Array.of(0x80), rig).bytes],
  ];
  const results = await node.ledger.submitMany(cases.map(([, , bytes]) => bytes));
  for (const [i, [code, kind]] of cases.entries()) {
    const result = results[i];
    assert.ok(result instanceof HanseError, `${code} was accepted`);
    assert.deepEqual([result.code, result.kind], [code, kind], result.message);
  }
  assert.equal(node.ledger.mempoolStats().count, 0);
  assert.equal(node.disk.list().length, 1, "nothing but the first file of the journal");
});

test("a duplicate is told where its first is", async () => {
  const { rig, node, note } = await open();
  const bytes = note();
  await node.ledger.submit(bytes);
  const pending = await refusal(node.ledger.submit(bytes));
  assert.deepEqual([pending.code, pending.details.status], ["LEDGER_TX_PENDING", "pending"]);
  await runBlock(rig, [node]);
  const committed = await refusal(node.ledger.submit(bytes));
  assert.equal(committed.code, "LEDGER_TX_COMMITTED");
  assert.deepEqual(
    [committed.kind, committed.details.status, committed.details.height, committed.details.outcome],
    ["conflict", "final", 1, "ok"],
  );
});

test("the same transaction submitted many times at once enters once", async () => {
  const { rig, node, note } = await open();
  const bytes = note();
  const results = await Promise.allSettled([
    ...Array.from({ length: 40 }, () => node.ledger.submit(bytes)),
    ...Array.from({ length: 10 }, async () => {
      const [result] = await node.ledger.submitMany([bytes]);
      if (result instanceof HanseError) throw result;
      return result!;
    }),
  ]);
  assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
  for (const result of results) {
    if (result.status === "rejected") assert.equal(result.reason.code, "LEDGER_TX_PENDING");
  }
  const { block } = await runBlock(rig, [node]);
  assert.equal(block.transactions.length, 1);
});

test("parallel submits never break a quota", async () => {
  const { node, note } = await open({ limits: { mempool: { perSenderMax: 5 } } });
  const results = await Promise.allSettled(
    Array.from({ length: 30 }, (_, i) => node.ledger.submit(note(`k${i}`))),
  );
  assert.equal(results.filter((result) => result.status === "fulfilled").length, 5);
  assert.equal(node.ledger.mempoolStats().count, 5);
});

test("another's bad signature never stands in the way of the real one", async () => {
  const { node, note } = await open({ limits: { mempool: { perSenderMax: 1 } } });
  const real = note();
  const forged = real.slice();
  forged[forged.length - 1]! ^= 1;
  const forgeries = Promise.allSettled(
    Array.from({ length: 20 }, () => node.ledger.submit(forged)),
  );
  const accepted = node.ledger.submit(real);
  await forgeries;
  assert.ok((await accepted).id);
});

test("each full class has its code and a retry time from its own backlog", async () => {
  const { rig, node, note } = await open({
    limits: { mempool: { perSenderMax: 3, countMax: 8, organizationShare: 0.5 } },
  });
  for (let i = 0; i < 3; i++) await node.ledger.submit(note(`k${i}`));
  const sender = await refusal(node.ledger.submit(note("more")));
  assert.deepEqual([sender.code, sender.kind], ["LEDGER_SENDER_QUOTA", "limit"]);
  const of = (org: string, name: string) =>
    rig.people.find((person) => person.org === org && person.name === name)!.pair;
  await node.ledger.submit(signNote(of("harbour", "ben"), "k", "v", rig).bytes);
  const organization = await refusal(
    node.ledger.submit(signNote(of("harbour", "ben"), "k2", "v", rig).bytes),
  );
  assert.equal(organization.code, "LEDGER_ORGANIZATION_QUOTA");
  for (const error of [sender, organization]) {
    const seconds = Number(error.details.retryAfterSeconds);
    assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60);
  }
  // Time passes and nothing is committed: the measured rate falls, the advice grows.
  node.clock.advance(60_000);
  const late = await refusal(node.ledger.submit(note("more", { nonce: 1n })));
  assert.ok(Number(late.details.retryAfterSeconds) > Number(sender.details.retryAfterSeconds));
});

test("a full pool refuses everybody alike", async () => {
  const { rig, node } = await open({ limits: { mempool: { countMax: 4, organizationShare: 1 } } });
  for (const person of rig.people.slice(0, 4)) {
    await node.ledger.submit(signNote(person.pair, "k", "v", rig).bytes);
  }
  const error = await refusal(
    node.ledger.submit(signNote(rig.people[4]!.pair, "k", "v", rig).bytes),
  );
  assert.deepEqual([error.code, error.kind], ["LEDGER_POOL_FULL", "limit"]);
});

test("a syncing and a stalled node say so", async () => {
  const rig = await createRigGenesis();
  for (const [state, code] of [
    ["syncing", "LEDGER_SYNCING"],
    ["stalled", "LEDGER_STALLED"],
  ] as const) {
    const node = await createRigNode(rig, {
      unavailable: () => ({ state, retryAfterSeconds: 7 }),
    });
    const error = await refusal(
      node.ledger.submit(signNote(rig.people[0]!.pair, "k", "v", rig).bytes),
    );
    assert.deepEqual(
      [error.code, error.kind, error.details.retryAfterSeconds],
      [code, "unavailable", 7],
    );
  }
});

test("another signature over a known body is another question", async () => {
  // Both have the same id, for the id is the body's hash: verdicts go by the bytes, not by the id.
  const { rig, node, ada } = await open();
  const body = encodeNativeBody({
    ledgerId: rig.ledgerId,
    sender: ada.pair.publicKey,
    nonce: 5n,
    validUntil: GENESIS_TIME + 60_000,
    engine: "native",
    payload: new Uint8Array(3),
  });
  const signature = signMessage(ada.pair, nativeSignedMessage(body));
  const bad = signature.slice();
  bad[0]! ^= 1;
  const [first, second] = await node.ledger.submitMany([
    encodeNativeTransaction(body, bad),
    encodeNativeTransaction(body, signature),
  ]);
  assert.ok(first instanceof HanseError && first.code === "LEDGER_TX_SIGNATURE");
  // The payload is no call, which only the engine can tell, after the signature held.
  assert.ok(second instanceof HanseError && second.code !== "LEDGER_TX_SIGNATURE", String(second));
});

test("a transaction whose time passed leaves the pool and is told as expired", async () => {
  const { rig, node, note } = await open();
  const { id } = await node.ledger.submit(note("k", { validUntil: node.clock.now() + 50 }));
  const final = node.ledger.waitFor(id, "final");
  node.clock.advance(51);
  const { block } = await runBlock(rig, [node]);
  assert.equal(block.transactions.length, 0);
  assert.deepEqual(await final, { state: "expired" });
  assert.deepEqual(await node.ledger.status(id), { state: "expired" });
  assert.equal(node.ledger.hasWork(), false);
});

test("transactions reach another node in batches and are verified once there", async () => {
  const { rig, node, note } = await open();
  const peer = await createRigNode(rig);
  const batches: Bytes[] = [];
  node.ledger.onOutgoing((batch) => batches.push(batch));
  const list = Array.from({ length: 20 }, (_, i) => note(`k${i}`));
  await node.ledger.submitMany(list);
  node.clock.advance(10);
  assert.equal(batches.length, 1);
  assert.deepEqual(await peer.ledger.incoming(batches[0]!, "harbour/node-1"), {
    accepted: 20,
    refused: 0,
    invalid: 0,
  });
  const forged = list[0]!.slice();
  forged[forged.length - 1]! ^= 1;
  const fresh = await createRigNode(rig);
  assert.deepEqual(await fresh.ledger.incoming(encodeTransactionBatch([forged]), "court/node-1"), {
    accepted: 0,
    refused: 1,
    invalid: 1,
  });
  assert.equal(peer.verified(), 20);
  await runBlock(rig, [node, peer]);
  assert.equal(peer.verified(), 20, "the block's signatures were known");
  // What stays pending is sent again; what was committed is not.
  await node.ledger.submit(note("late"));
  batches.length = 0;
  node.clock.advance(20_000);
  assert.ok(batches.length >= 2);
  assert.ok([...node.ledger.pendingBatches()].length === 1);
  await assert.rejects(peer.ledger.incoming(Uint8Array.of(1, 2, 3), "x"), { kind: "malformed" });
  assert.ok(equalBytes(peer.ledger.tip.stateRoot, node.ledger.tip.stateRoot));
});

test("one peer's flood is bounded, others still get in", async () => {
  const limits = { incomingPerPeerMax: 10 };
  const { rig, node, note } = await open({ limits });
  const batch = (from: number, count: number) =>
    encodeTransactionBatch(Array.from({ length: count }, (_, i) => note(`k${from + i}`)));
  const first = node.ledger.incoming(batch(0, 8), "loud");
  const second = node.ledger.incoming(batch(10, 8), "loud");
  const other = node.ledger.incoming(batch(20, 8), "quiet");
  assert.deepEqual(await second, { accepted: 0, refused: 8, invalid: 0 });
  assert.equal((await first).accepted, 8);
  assert.equal((await other).accepted, 8);
  assert.equal((await node.ledger.incoming(batch(30, 8), "loud")).accepted, 8);
  await node.ledger.stop();
  assert.equal((await node.ledger.incoming(batch(40, 1), "loud")).refused, 1);
  const error = await refusal(
    node.ledger.submit(signNote(rig.people[0]!.pair, "k", "v", rig).bytes),
  );
  assert.equal(error.code, "LEDGER_HALTED");
});

test("a failing journal disk is alarmed and nothing is accepted any more", async () => {
  const { node, note } = await open();
  node.disk.breakDown();
  const error = await refusal(node.ledger.submit(note()));
  assert.deepEqual([error.code, error.kind], ["LEDGER_JOURNAL_FAILED", "unavailable"]);
  assert.deepEqual(
    node.alarms.map((alarm) => [alarm.kind, alarm.fatal]),
    [["journal", false]],
  );
  const next = await refusal(node.ledger.submit(note("k2")));
  assert.deepEqual([next.code, next.kind], ["LEDGER_JOURNAL_FAILED", "unavailable"]);
  assert.match(next.message, /submit to another node/);
  const foreign = encodeTransactionBatch([note("k3")]);
  assert.equal((await node.ledger.incoming(foreign, "peer")).accepted, 1, "it votes on");
});

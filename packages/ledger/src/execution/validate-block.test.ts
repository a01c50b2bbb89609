/** Goal: no broken rule gets a vote. Method: break one rule of a good block at a time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, type BlockHeader, hashHeader, transactionRoot } from "@hanse/protocol";
import {
  createRigGenesis,
  createRigNode,
  draft,
  GENESIS_TIME,
  keyOf,
  runBlock,
  signNote,
} from "../testing/ledger-rig.ts";

async function open() {
  const rig = await createRigGenesis({
    params: { blockTransactionsMax: 3, blockBytesMax: 20_000, transactionBytesMax: 2_000 },
  });
  const node = await createRigNode(rig);
  const other = await createRigNode(rig);
  await runBlock(rig, [node, other]);
  const [first, second] = rig.people.map((person) => signNote(person.pair, "k", "v", rig).bytes);
  await node.ledger.submitMany([first!, second!]);
  node.clock.advance(1_000);
  other.clock.advance(1_000);
  return { rig, node, other, good: await draft(rig, node) };
}

function withTransactions(good: Block, transactions: readonly Uint8Array[]): Block {
  const txRoot = transactionRoot(transactions);
  return {
    ...good,
    header: { ...good.header, txRoot, txCount: transactions.length },
    transactions,
  };
}

test("a good block passes, and each broken rule is refused by its reason", async () => {
  const { rig, node, other, good } = await open();
  const withHeader = (change: Partial<BlockHeader>): Block => ({
    ...good,
    header: { ...good.header, ...change },
  });
  const badSignature = good.transactions[0]!.slice();
  badSignature[badSignature.length - 3]! ^= 1;
  const note = (options: object) =>
    signNote(rig.people[2]!.pair, "k", "v", { ledgerId: rig.ledgerId, ...options }).bytes;
  const many = Array.from({ length: 4 }, (_, i) => note({ nonce: BigInt(1_000 + i) }));
  const cases: [string, Block][] = [
    ["BLOCK_HEIGHT", withHeader({ height: 3 })],
    ["BLOCK_LEDGER", withHeader({ ledgerId: new Uint8Array(32) })],
    ["BLOCK_DIVERGED", withHeader({ prevStateRoot: new Uint8Array(32) })],
    ["BLOCK_DIVERGED", withHeader({ prevResultsRoot: new Uint8Array(32).fill(1) })],
    ["BLOCK_PARAMS", withHeader({ paramsHash: new Uint8Array(32) })],
    ["BLOCK_TIME", withHeader({ time: node.ledger.tip.time })],
    ["BLOCK_TIME", withHeader({ time: node.ledger.tip.time + 19 })],
    ["BLOCK_TIME", withHeader({ time: other.clock.now() + 10_001 })],
    ["BLOCK_LIMITS", withHeader({ txCount: 1 })],
    ["BLOCK_LIMITS", withTransactions(good, many)],
    ["BLOCK_LIMITS", { ...withTransactions(good, [new Uint8Array(21_000)]) }],
    ["BLOCK_EVIDENCE_ROOT", withHeader({ evidenceHash: new Uint8Array(32) })],
    ["BLOCK_EVIDENCE_ROOT", { ...good, evidence: [Uint8Array.of(1)] }],
    ["BLOCK_TX_ROOT", withHeader({ txRoot: new Uint8Array(32) })],
    ["BLOCK_TX_ROOT", { ...good, transactions: [...good.transactions].reverse() }],
    ["BLOCK_TX", withTransactions(good, [Uint8Array.of(9)])],
    ["BLOCK_TX", withTransactions(good, [note({ validUntil: good.header.time - 1 })])],
    ["BLOCK_TX", withTransactions(good, [note({ validUntil: good.header.time + 86_400_001 })])],
    ["BLOCK_TX", withTransactions(good, [note({ ledgerId: new Uint8Array(32) })])],
    ["BLOCK_TX", withTransactions(good, [note({ engine: "evm" })])],
    ["BLOCK_TX_DUPLICATE", withTransactions(good, [good.transactions[0]!, good.transactions[0]!])],
    ["BLOCK_TX_SIGNATURE", withTransactions(good, [badSignature])],
  ];
  for (const [reason, block] of cases) {
    const verdict = await other.ledger.validateBlock(block, hashHeader(block.header));
    assert.ok(
      !verdict.ok && verdict.reason.startsWith(`${reason}:`),
      `${reason}: ${JSON.stringify(verdict)}`,
    );
  }
  assert.deepEqual(await other.ledger.validateBlock(good, hashHeader(good.header)), { ok: true });
  assert.equal(other.alarms.filter((alarm) => alarm.kind === "divergence").length, 2);
  assert.equal(other.ledger.halted, undefined, "a lying proposer alone stops nobody");
});

test("a body that does not belong to its header is refused, although the header is known", async () => {
  const { other, good } = await open();
  const hash = hashHeader(good.header);
  assert.deepEqual(await other.ledger.validateBlock(good, hash), { ok: true });
  const verdict = await other.ledger.validateBlock({ ...good, transactions: [] }, hash);
  assert.ok(!verdict.ok);
});

test("an unknown signer in a block costs its own outcome, not the block", async () => {
  const { rig, other, good } = await open();
  const bytes = signNote(keyOf("nobody"), "k", "v", {
    ledgerId: rig.ledgerId,
    validUntil: GENESIS_TIME + 60_000,
  }).bytes;
  const block = withTransactions(good, [bytes, ...good.transactions]);
  const hash = hashHeader(block.header);
  assert.deepEqual(await other.ledger.validateBlock(block, hash), { ok: true });
});

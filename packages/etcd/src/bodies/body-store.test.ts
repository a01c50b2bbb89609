/** Goal: what a member vouched for is there after a crash; torn and outdated bodies are not. */
import assert from "node:assert/strict";
import test from "node:test";
import { bodyFromBytes } from "@hanse/ordering";
import {
  type BlockHeader,
  encodeBlock,
  evidenceRoot,
  transactionRoot,
  ZERO_HASH,
} from "@hanse/protocol";
import { createMemoryDisk } from "../../../ordering/src/testing/memory-disk.ts";
import { BODY_HEIGHTS_MAX, BodyStore } from "./body-store.ts";

function bodyOf(height: number, term: number, mark = 0) {
  const transactions = [new Uint8Array([mark])];
  const header: BlockHeader = {
    ledgerId: ZERO_HASH,
    engineEpoch: 0,
    height,
    time: 1,
    proposer: "a/node-1",
    parentHash: ZERO_HASH,
    txRoot: transactionRoot(transactions),
    txCount: 1,
    lastCertHash: ZERO_HASH,
    prevStateRoot: ZERO_HASH,
    prevResultsRoot: ZERO_HASH,
    validatorsHash: ZERO_HASH,
    nextValidatorsHash: ZERO_HASH,
    paramsHash: ZERO_HASH,
    evidenceHash: evidenceRoot([]),
    lastSetChangeHeight: 1,
    policyExtra: new Uint8Array(0),
  };
  const block = encodeBlock({ header, lastCert: new Uint8Array(0), evidence: [], transactions });
  return { term, body: bodyFromBytes(block) };
}

test("a body is there again until its height is committed", async () => {
  const disk = createMemoryDisk();
  const store = new BodyStore(disk);
  const [first, second] = [bodyOf(1, 5), bodyOf(2, 5)];
  await store.save(first);
  await store.save(second);
  assert.ok(disk.syncs >= 2);
  const again = new BodyStore(disk);
  assert.deepEqual(again.get(1), first);
  assert.deepEqual(again.get(2), second);
  again.dropTo(1);
  assert.equal(new BodyStore(disk).get(1), undefined);
  assert.deepEqual(new BodyStore(disk).get(2), second);
});

test("a newer term replaces an older one, also when a crash left both", async () => {
  const disk = createMemoryDisk();
  const [older, newer] = [bodyOf(1, 5, 1), bodyOf(1, 9, 2)];
  const store = new BodyStore(disk);
  await store.save(older);
  const left = new Map(disk.files);
  await store.save(newer);
  assert.equal(disk.list().length, 1);
  for (const [name, bytes] of left) disk.files.set(name, bytes);
  assert.deepEqual(new BodyStore(disk).get(1), newer);
  assert.equal(disk.list().length, 1);
});

test("torn and damaged files are removed; too many heights are refused", async () => {
  const disk = createMemoryDisk();
  const store = new BodyStore(disk);
  for (let height = 1; height <= BODY_HEIGHTS_MAX; height++) await store.save(bodyOf(height, 1));
  await assert.rejects(store.save(bodyOf(BODY_HEIGHTS_MAX + 1, 1)), /wait already/);
  const [first, second] = disk.list();
  disk.files.set(first!, disk.files.get(first!)!.subarray(0, 40));
  const flipped = disk.files.get(second!)!.slice();
  flipped[30]! ^= 1;
  disk.files.set(second!, flipped);
  const again = new BodyStore(disk);
  assert.equal(again.get(1), undefined);
  assert.equal(again.get(2), undefined);
  assert.equal(disk.list().length, BODY_HEIGHTS_MAX - 2);
});

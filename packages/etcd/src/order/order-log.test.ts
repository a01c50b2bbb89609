/**
 * Goal: a height is filled once, by whoever leads, whatever becomes of single requests. Method: two
 * clients of an etcd in memory whose requests get lost before or after they took effect.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { type BlockHeader, type Hash, hashHeader, utf8, ZERO_HASH } from "@hanse/protocol";
import { createMemoryEtcd } from "../testing/memory-etcd.ts";
import { OrderLog } from "./order-log.ts";
import type { OrderingRecord } from "./ordering-record.ts";

function rig(base = 0) {
  const etcd = createMemoryEtcd(() => 0);
  const open = (client: string) => {
    const api = etcd.connect(client);
    return { api, log: new OrderLog({ etcd: api, ledgerId: ZERO_HASH, engineEpoch: 2, base }) };
  };
  return { etcd, first: open("first"), second: open("second") };
}

function recordOf(height: number, parentHash: Hash, term: number, time = height): OrderingRecord {
  const header: BlockHeader = {
    ledgerId: ZERO_HASH,
    engineEpoch: 2,
    height,
    time,
    proposer: "a/node-1",
    parentHash,
    txRoot: ZERO_HASH,
    txCount: 0,
    lastCertHash: ZERO_HASH,
    prevStateRoot: ZERO_HASH,
    prevResultsRoot: ZERO_HASH,
    validatorsHash: ZERO_HASH,
    nextValidatorsHash: ZERO_HASH,
    paramsHash: ZERO_HASH,
    evidenceHash: ZERO_HASH,
    lastSetChangeHeight: 1,
    policyExtra: new Uint8Array(0),
  };
  return { header, hash: hashHeader(header), term, signature: new Uint8Array(64) };
}

const never = () => false;
type Side = ReturnType<typeof rig>["first"];

async function lead({ api, log }: Side, name: string): Promise<number> {
  const term = await log.campaign(name, await api.grantLease(1_000));
  assert.ok(term !== undefined);
  return term.revision;
}

test("heights follow on each other, each linked to the head below", async () => {
  const { first } = rig(4);
  const term = await lead(first, "a");
  const five = recordOf(5, ZERO_HASH, term);
  assert.deepEqual(await first.log.append(five, never), { appended: true });
  const six = recordOf(6, five.hash, term);
  assert.deepEqual(await first.log.append(six, never), { appended: true });
  const view = await first.log.read(5);
  assert.deepEqual(view.records, [five, six]);
  assert.deepEqual(view.head, { height: 6, hash: six.hash });
  assert.deepEqual(view.term, { revision: term, leader: "a" });
  // Not above the head that it names: never, however often it is tried.
  await assert.rejects(first.log.append(recordOf(8, six.hash, term), never), /given up/);
  await assert.rejects(first.log.append(recordOf(7, five.hash, term), never), /given up/);
  await first.log.forget(6);
  assert.deepEqual((await first.log.read(5)).records, []);
  assert.deepEqual((await first.log.read(6)).records, [six]);
});

test("lost before or after it took effect, a request is done once", async () => {
  for (const how of ["before", "after"] as const) {
    const { etcd, first } = rig();
    const term = await lead(first, "a");
    const record = recordOf(1, ZERO_HASH, term);
    const before = etcd.revision;
    etcd.loseWrites("first", how, 2);
    assert.deepEqual(await first.log.append(record, never), { appended: true });
    assert.equal(etcd.revision, before + 1);
  }
});

test("who was replaced cannot write, and who comes second hears of it", async () => {
  const { etcd, first, second } = rig();
  const old = await lead(first, "a");
  assert.equal(await second.log.campaign("b", await second.api.grantLease(1_000)), undefined);
  etcd.expire("first");
  const term = await lead(second, "b");
  assert.ok(term > old);
  const late = await first.log.append(recordOf(1, ZERO_HASH, old), never);
  assert.deepEqual(late, { appended: false, why: "deposed" });
  const record = recordOf(1, ZERO_HASH, term, 7);
  assert.deepEqual(await second.log.append(record, never), { appended: true });
  const taken = await first.log.append(recordOf(1, ZERO_HASH, old), never);
  assert.deepEqual(taken, { appended: false, why: "taken" });
  // The same record again is what it was.
  assert.deepEqual(await second.log.append(record, never), { appended: true });
});

test("an unreachable etcd leaves the outcome unknown, and says so", async () => {
  const { etcd, first } = rig();
  const term = await lead(first, "a");
  etcd.cut("first");
  await assert.rejects(first.log.append(recordOf(1, ZERO_HASH, term), never), {
    kind: "unavailable",
  });
  etcd.heal("first");
  etcd.put(`${first.log.prefix}head`, utf8("mine"));
  await assert.rejects(first.log.read(1), /not what this ledger writes/);
});

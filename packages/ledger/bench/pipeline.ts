/**
 * What the pipeline itself costs the main thread per transaction: admission, journal record, pool,
 * draft, validation, execution frame, results root, settling. Signatures are taken as good, the
 * engine does nothing, state and store are in memory.
 *
 *     node packages/ledger/bench/pipeline.ts [--transactions 50000] [--block 1000] [--single]
 */
import { parseArgs } from "node:util";
import { resolveSender, seedIdentity, senderRows } from "@hanse/identity";
import type { BuildRequest, DecidedBlock } from "@hanse/ordering";
import { genesisValidatorSet, hashHeader } from "@hanse/protocol";
import {
  createLedger,
  createMemoryLedgerStore,
  createNativeCodec,
  type Ledger,
} from "../src/index.ts";
import {
  createManualClock,
  createRigGenesis,
  decide,
  GENESIS_TIME,
  SILENT_LOG,
  signPayload,
} from "../src/testing/ledger-rig.ts";
import { createMemoryDisk } from "../src/testing/memory-disk.ts";

const { values } = parseArgs({
  options: {
    transactions: { type: "string", default: "50000" },
    block: { type: "string", default: "1000" },
    single: { type: "boolean", default: false },
  },
});
const total = Number(values.transactions);
const perBlock = Number(values.block);

const rig = await createRigGenesis({
  organizations: ["a", "b", "c", "d"],
  people: Array.from({ length: 50 }, (_, i) => `p${i}`),
});
const set = genesisValidatorSet(rig.genesis);
const payload = new Uint8Array(140);
const transactions = Array.from(
  { length: total },
  (_, i) =>
    signPayload(rig.people[i % rig.people.length]!.pair, payload, {
      ledgerId: rig.ledgerId,
      engine: "nothing",
    }).bytes,
);
const bytesPer = transactions[0]!.length;

async function open(): Promise<{ ledger: Ledger; clock: ReturnType<typeof createManualClock> }> {
  const clock = createManualClock(GENESIS_TIME + 1_000);
  const disk = createMemoryDisk();
  const ledger = await createLedger({
    genesis: rig.genesis,
    store: createMemoryLedgerStore(),
    engines: [
      {
        kind: "nothing",
        check() {},
        apply: () => ({ code: "ok", result: "", error: "", fuelUsed: 1n, events: [] }),
      },
    ],
    codecs: [createNativeCodec()],
    resolveSender,
    senderRows,
    seed: (overlay) => seedIdentity(overlay, rig.genesis),
    verifyBatch: async (claims) => claims.map(() => true),
    clock,
    // Appending to a growing array is the memory disk's cost, not the journal's.
    journal: { ...disk, append() {} },
    log: SILENT_LOG,
    limits: { mempool: { perSenderMax: 100_000 }, blockTransactionsTarget: perBlock },
  });
  return { ledger, clock };
}

const spent = new Map<string, number>();
async function timed<T>(stage: string, work: () => Promise<T>): Promise<T> {
  const before = process.threadCpuUsage();
  const result = await work();
  const { user, system } = process.threadCpuUsage(before);
  spent.set(stage, (spent.get(stage) ?? 0) + user + system);
  return result;
}

const leader = await open();
const follower = await open();
const batches: Uint8Array[] = [];
leader.ledger.onOutgoing((batch) => batches.push(batch));
let lastCert: Uint8Array = new Uint8Array(0);
const began = performance.now();
for (let at = 0; at < total; at += perBlock) {
  const part = transactions.slice(at, at + perBlock);
  if (values.single) {
    await timed("admit", () => Promise.all(part.map((bytes) => leader.ledger.submit(bytes))));
  } else {
    await timed("admit", () => leader.ledger.submitMany(part));
  }
  leader.clock.advance(20);
  follower.clock.advance(20);
  for (const batch of batches.splice(0)) {
    await timed("follower admit", () => follower.ledger.incoming(batch, "peer"));
  }
  const { tip } = leader.ledger;
  const request: BuildRequest = {
    height: tip.height + 1,
    view: 0,
    parent: { height: tip.height, hash: tip.hash, time: tip.time },
    lastCert,
    evidence: [],
    proposer: set.members[0]!.id,
    set,
    nextSet: set,
    engineEpoch: 0,
    lastSetChangeHeight: 1,
    policyExtra: new Uint8Array(0),
    now: leader.clock.now(),
  };
  const block = await timed("build", () => leader.ledger.buildBlock(request));
  if (block.transactions.length !== part.length) throw new Error("a block is not full");
  const decided: DecidedBlock =
    at === 0 ? decide(rig, block) : { ...decide(rig, block), hash: hashHeader(block.header) };
  lastCert = new Uint8Array(300);
  for (const [name, node] of [
    ["", leader],
    ["follower ", follower],
  ] as const) {
    // A follower reads the block from a message: other byte objects, the same bytes.
    const seen =
      name === ""
        ? decided
        : {
            ...decided,
            block: { ...block, transactions: block.transactions.map((b) => b.slice()) },
          };
    await timed(`${name}validate`, async () => {
      const verdict = await node.ledger.validateBlock(seen.block, decided.hash);
      if (!verdict.ok) throw new Error(verdict.reason);
    });
    await timed(`${name}finalize`, () => node.ledger.finalizeBlock(seen));
    await timed(`${name}commit`, () => node.ledger.commit(block.header.height));
  }
}
const wall = performance.now() - began;

const per = (us: number) => (us / total).toFixed(2).padStart(8);
console.log(`${total} transactions of ${bytesPer} bytes, ${perBlock} per block; us of CPU each`);
let leaderSum = 0;
let followerSum = 0;
for (const [stage, us] of spent) {
  console.log(`${stage.padEnd(18)}${per(us)}`);
  if (stage.startsWith("follower")) followerSum += us;
  else leaderSum += us;
}
console.log(`${"leader".padEnd(18)}${per(leaderSum)}`);
console.log(`${"follower".padEnd(18)}${per(followerSum)}`);
console.log(`both nodes in one thread: ${Math.round((total * 1000) / wall)} transactions/s`);

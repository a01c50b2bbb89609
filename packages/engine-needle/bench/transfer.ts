/**
 * What one transfer costs in the engine: contract `Transfer` of examples/transfers over state in
 * memory, rights included, no signatures, no database.
 *
 *     node packages/engine-needle/bench/transfer.ts [transfers] [accounts]
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { encodePackageFiles, seedEcosystem } from "@hanse/ecosystem";
import { createNeedleEngine, encodeCall } from "@hanse/engine-needle";
import type { BlockContext, DecodedTransaction, Sender } from "@hanse/ledger";
import { type Bytes, DEFAULT_LEDGER_PARAMS, sha256, utf8, ZERO_HASH } from "@hanse/protocol";
import { createMemoryState, createOverlay } from "@hanse/state";

const TRANSFERS = Number(process.argv[2] ?? 200_000);
const ACCOUNTS = Number(process.argv[3] ?? 10_000);
const PER_BLOCK = 2_000;

const folder = path.join(import.meta.dirname, "../../../examples/transfers");
const files = new Map<string, Bytes>();
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const file = path.join(entry.parentPath, entry.name);
  files.set(path.relative(folder, file), new Uint8Array(readFileSync(file)));
}

const root: Sender = {
  accountId: ZERO_HASH,
  keyId: 1n,
  name: "root",
  org: "root",
  roles: ["network-admin"],
};
const engine = createNeedleEngine();
const state = createMemoryState();
let height = 0;
let serial = 0;

function transaction(payload: Bytes): DecodedTransaction {
  return {
    id: sha256(utf8(String(serial++))),
    form: 1,
    bytes: payload,
    ledgerId: ZERO_HASH,
    sender: root.accountId,
    senderKey: { algorithm: "ed25519", bytes: new Uint8Array(32) },
    claims: [],
    validUntil: 0,
    engine: "needle",
    payload,
  };
}

interface Round {
  readonly ms: number;
  readonly cpuMs: number;
  readonly fuel: bigint;
}

function runBlock(transactions: readonly DecodedTransaction[]): Round {
  const overlay = createOverlay(state, ++height);
  const block: BlockContext = {
    ledgerId: ZERO_HASH,
    height,
    time: 1_760_000_000_000 + height * 100,
    parentHash: ZERO_HASH,
    proposer: "root/node-1",
    params: DEFAULT_LEDGER_PARAMS,
  };
  let fuel = 0n;
  const begin = performance.now();
  const cpu = process.cpuUsage();
  transactions.forEach((item, index) => {
    overlay.begin(index);
    const outcome = engine.apply({ block, transaction: item, index, sender: root, state: overlay });
    if (outcome.code !== "ok") throw new Error(`${outcome.code}: ${outcome.error}`);
    fuel += outcome.fuelUsed;
  });
  const ms = performance.now() - begin;
  const { user, system } = process.cpuUsage(cpu);
  state.apply(height, overlay.changes());
  return { ms, cpuMs: (user + system) / 1000, fuel };
}

const genesis = createOverlay(state, 0);
genesis.begin(0);
seedEcosystem(genesis, {
  network: "bench",
  time: 1_760_000_000_000,
  accounts: [],
});
state.apply(0, genesis.changes());
runBlock([transaction(encodeCall("app.install", { package: encodePackageFiles(files) }))]);
for (let made = 0; made < ACCOUNTS; made += PER_BLOCK) {
  const count = Math.min(PER_BLOCK, ACCOUNTS - made);
  runBlock(
    Array.from({ length: count }, () =>
      transaction(encodeCall("Open", { Balance: "1000000000", Owner: root.keyId })),
    ),
  );
}

const rounds: number[] = [];
let fuel = 0n;
let cpuMs = 0;
let done = 0;
let spread = 1;
const pick = (): number => {
  // Lehmer generator modulo 2^31 - 1: accounts in no order.
  spread = (spread * 48_271) % 2_147_483_647;
  return 1 + (spread % ACCOUNTS);
};
for (; done < TRANSFERS; done += PER_BLOCK) {
  const block = Array.from({ length: PER_BLOCK }, () => {
    const from = pick();
    let to = pick();
    if (to === from) to = 1 + (to % ACCOUNTS);
    return transaction(encodeCall("Transfer", { From: from, To: to, Amount: 1 }));
  });
  const result = runBlock(block);
  rounds.push((result.ms * 1000) / PER_BLOCK);
  fuel += result.fuel;
  cpuMs += result.cpuMs;
}
rounds.sort((a, b) => a - b);
const at = (share: number) => rounds[Math.floor((rounds.length - 1) * share)]!.toFixed(2);
console.log(
  `${done} transfers over ${ACCOUNTS} accounts: p50 ${at(0.5)} us, p90 ${at(0.9)} us, best ${at(0)} us each; ${((cpuMs * 1000) / done).toFixed(2)} us CPU; fuel ${fuel / BigInt(done)}`,
);

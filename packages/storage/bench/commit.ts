/**
 * Cost of applying and committing blocks of transfers over a table of N rows, without signatures,
 * consensus or contracts:
 *
 *     node packages/storage/bench/commit.ts --rows 10000 --seconds 10 [--block 1000] [--dir DIR]
 *
 * Prints one JSON object: transactions per second, CPU-microseconds per transaction of this process
 * and of PostgreSQL, bytes on disk per transaction.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import type { TableSchema } from "@hanse/state";
import pg from "pg";
import { openLedgerStore, startEmbeddedPostgres } from "../src/index.ts";
import { applyBlock, sampleLedgerId, seedStore } from "../src/testing/sample-chain.ts";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "10000" },
    seconds: { type: "string", default: "10" },
    block: { type: "string", default: "1000" },
    dir: { type: "string" },
    "shared-buffers": { type: "string" },
    cache: { type: "string", default: "500000" },
  },
});
const rows = Number(values.rows);
const perBlock = Number(values.block);
const dir = values.dir ?? fs.mkdtempSync(path.join(os.tmpdir(), "hanse-bench-"));

const table: TableSchema = {
  name: "1_accounts",
  columns: [
    { name: "id", type: "int" },
    { name: "owner", type: "text" },
    { name: "amount", type: "int" },
  ],
  indexes: [],
};

/** CPU seconds of a process and of its children, ended ones included. */
function cpuOfPostgres(pid: number): number {
  let ticks = 0;
  for (const entry of fs.readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = fs.readFileSync(`/proc/${entry}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(entry) !== pid && Number(fields[1]) !== pid) continue;
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It ended meanwhile.
    }
  }
  return ticks / 100;
}

const diskBytes = () =>
  Number(execFileSync("du", ["-sb", dir], { encoding: "utf8" }).split("\t")[0]);

const postgres = await startEmbeddedPostgres({
  dir,
  ...(values["shared-buffers"] === undefined
    ? {}
    : { sharedBuffersMb: Number(values["shared-buffers"]) }),
});
const ledgerId = sampleLedgerId(`bench ${Date.now()}`);
const store = await openLedgerStore({
  database: postgres,
  ledgerId,
  cacheRowsMax: Number(values.cache),
});
await seedStore(store, ledgerId, (state) => state.createTable(table));
const loadStart = performance.now();
function* batches() {
  for (let from = 1; from <= rows; from += 10_000) {
    yield Array.from({ length: Math.min(10_000, rows - from + 1) }, (_, i) => [
      BigInt(from + i),
      `owner ${from + i}`,
      1_000_000n,
    ]);
  }
}
await store.loadRows("1_accounts", batches());
const loadCpu = process.cpuUsage();
const loadSeconds = (performance.now() - loadStart) / 1000;

const loadPostgresCpu = cpuOfPostgres(postgres.pid);
// As in the middle of a long run: every page that is touched first goes whole into the log.
const client = new pg.Client({ connectionString: postgres.url });
await client.connect();
await client.query("checkpoint");
await client.end();

const spent = { prefetch: 0, apply: 0, commit: 0 };
const random = () => BigInt(1 + Math.floor(Math.random() * rows));
let height = 0;
let committing: Promise<void> = Promise.resolve();

async function runBlock(): Promise<void> {
  height++;
  const pairs = Array.from({ length: perBlock }, () => {
    const from = random();
    let to = random();
    while (to === from) to = random();
    return [from, to] as const;
  });
  let at = performance.now();
  const mark = (name: keyof typeof spent) => {
    const now = performance.now();
    spent[name] += now - at;
    at = now;
  };
  await store.state.prefetch({
    rows: pairs.flat().map((key) => ({ table: "1_accounts", key })),
    kv: [],
  });
  mark("prefetch");
  const block = await applyBlock(
    store,
    height,
    pairs.map(([from, to]) => (state) => {
      const a = state.getRow("1_accounts", from)!.values[2] as bigint;
      const b = state.getRow("1_accounts", to)!.values[2] as bigint;
      state.update("1_accounts", from, { amount: a - 1n });
      state.update("1_accounts", to, { amount: b + 1n });
    }),
    { ledgerId, transactionBytes: 276 },
  );
  mark("apply");
  await committing;
  committing = store.commit(block.commit);
  mark("commit");
}

for (let i = 0; i < 10; i++) await runBlock();
await committing;
for (const name of Object.keys(spent) as (keyof typeof spent)[]) spent[name] = 0;
const first = height;
const diskBefore = diskBytes();
const postgresBefore = cpuOfPostgres(postgres.pid);
const before = process.cpuUsage();
const start = performance.now();
const end = start + Number(values.seconds) * 1000;
while (performance.now() < end) await runBlock();
await committing;
const seconds = (performance.now() - start) / 1000;
const cpu = process.cpuUsage(before);
const transactions = (height - first) * perBlock;
const us = (total: number) => Math.round((total / transactions) * 10) / 10;
const figures = await store.figures();
console.log(
  JSON.stringify({
    rows,
    transactionsPerSecond: Math.round(transactions / seconds),
    nodeCpuUsPerTransaction: us(cpu.user + cpu.system),
    postgresCpuUsPerTransaction: us((cpuOfPostgres(postgres.pid) - postgresBefore) * 1e6),
    diskBytesPerTransaction: Math.round((diskBytes() - diskBefore) / transactions),
    wallUs: {
      prefetch: us(spent.prefetch * 1000),
      executeAndApply: us(spent.apply * 1000),
      waitForCommit: us(spent.commit * 1000),
    },
    loadRowsPerSecond: Math.round(rows / loadSeconds),
    loadNodeCpuUsPerRow: Math.round((loadCpu.user + loadCpu.system) / rows),
    loadPostgresCpuUsPerRow: Math.round((loadPostgresCpu * 1e6) / rows),
    rssMb: Math.round(process.memoryUsage.rss() / 1e6),
    treeMb: Math.round(figures.treeBytes / 1e6),
    cacheMb: Math.round(figures.cachedBytes / 1e6),
    blockingReads: figures.blockingReads,
  }),
);
await store.close("now");
await postgres.stop();
if (values.dir === undefined) fs.rmSync(dir, { recursive: true, force: true });

/**
 * Goal: the check passes what a node wrote, and names what was changed by SQL since.
 * Method: a node as a process with its own PostgreSQL; stopped; its database edited as its user.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { toHex, utf8 } from "@hanse/protocol";
import { startEmbeddedPostgres } from "@hanse/storage";
import pg from "pg";
import { loadConfig } from "../config/load-config.ts";
import { startNodeProcess } from "../testing/node-process.ts";
import { createTestFolder, signNative, type TestNodeFolder } from "../testing/test-node.ts";
import { checkRecord } from "./check-record.ts";

let folder: TestNodeFolder;
before(async () => {
  folder = await createTestFolder({
    engines: ["native", "needle"],
    config: { log: { level: "info" } },
  });
});
after(() => folder.remove());

const check = () => checkRecord(loadConfig({ file: folder.configFile }).config);

/** Runs SQL in the ledger's schema of the stopped node. */
async function edit(...statements: string[]): Promise<void> {
  const server = await startEmbeddedPostgres({ dir: join(folder.folder, "data", "postgres") });
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(`set search_path = ledger_${toHex(folder.ledgerId).slice(0, 16)}`);
  for (const sql of statements) await client.query(sql);
  await client.end();
  await server.stop();
}

test("a node that never ran has nothing to check", async () => {
  await assert.rejects(check(), { code: "NODE_DATABASE_MISSING" });
});

test("a running node is refused; stopped, its record is whole", async () => {
  const node = await startNodeProcess(folder.configFile);
  const line = node.lines.find((one) => one.includes("embedded PostgreSQL runs"));
  assert.match(line!, /"url":"postgres:\/\/hanse@\/hanse\?host=[^"]+&port=5432"/);
  await assert.rejects(check(), { code: "NODE_FOLDER_LOCKED" });
  for (const key of ["a", "b"]) {
    const call = ["notes", "put", { key, value: utf8("v") }] as const;
    const { bytes } = signNative(folder.people[1]!.pair, folder.ledgerId, call);
    const answer = await fetch(`${node.url}/v1/transactions?wait=final`, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: bytes as Uint8Array<ArrayBuffer>,
    });
    assert.equal(answer.status, 200);
  }
  assert.equal(await node.end("SIGTERM"), 0);
  const record = await check();
  assert.deepEqual(record.differences, []);
  assert.ok(record.height >= 2);
  assert.equal(record.blocks, record.height);
});

test("rows changed, removed and added by SQL are named, and so are blocks", async () => {
  const { height } = await check();
  await edit(
    "update accounts set name = 'eve' where name = 'ada'",
    'delete from "1_parameters" where id = 2',
    `insert into "1_parameters" select 9999, 'loan', value, conditions, permissions, ecosystem, _height
      from "1_parameters" where id = 1`,
    "delete from organizations",
    `update "$kv" set value = decode('ff', 'hex') where namespace = 'notes' and key = (
      select min(key) from "$kv" where namespace = 'notes')`,
    `update "$blocks" set certificate = (select certificate from "$blocks" where height = 1)
      where height = (select max(height) from "$blocks")`,
    'update "$blocks" set block = (select block from "$blocks" where height = 1) where height = 2',
  );
  const { differences } = await check();
  const told = differences.map(({ place, what }) => `${place} ${what}`);
  for (const expected of [
    /^accounts: [0-9a-f]{64} has another value than the state tree/,
    /^1_parameters: 2 is gone from the database/,
    /^1_parameters: 9999 is in the database alone/,
    /^notes: [0-9a-f]+ has another value/,
    /^tables with keys that are no integers 1 rows are gone/,
    /^block 2 holds block 1/,
    new RegExp(`^block ${height} is not certified`),
  ]) {
    assert.equal(told.filter((line) => expected.test(line)).length, 1, `${expected}: ${told}`);
  }
});

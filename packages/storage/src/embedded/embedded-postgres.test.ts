/** Goal: a folder is one node's alone, and what is wrong with it is named, never covered up. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { HanseError } from "@hanse/protocol";
import pg from "pg";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded-postgres.ts";
import { lockFolder, processStart } from "./folder-lock.ts";

const code = (expected: string) => (error: unknown) =>
  error instanceof HanseError && error.code === expected;

function temporary(t: { after(done: () => void): void }): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "hanse-pg-test-"));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function ask(postgres: EmbeddedPostgres, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  try {
    return (await client.query({ text, rowMode: "array" })).rows[0] as unknown[];
  } finally {
    await client.end();
  }
}

test("starts, keeps its data, refuses a second start, names what is wrong", async (t) => {
  const dir = temporary(t);
  const first = await startEmbeddedPostgres({ dir });
  assert.equal(first.created, true);
  assert.equal(first.major, 18);
  const wanted =
    "select current_setting('fsync'), current_setting('server_encoding'), datcollate, current_setting('listen_addresses') from pg_database where datname = current_database()";
  assert.deepEqual(await ask(first, wanted), ["on", "UTF8", "C", ""]);
  await ask(first, "create table kept as select 7 as seven");
  await assert.rejects(startEmbeddedPostgres({ dir }), code("STORAGE_FOLDER_IN_USE"));
  // From another process as well.
  const script = `import { startEmbeddedPostgres } from ${JSON.stringify(path.join(import.meta.dirname, "embedded-postgres.ts"))};
    startEmbeddedPostgres({ dir: ${JSON.stringify(dir)} }).then(() => process.exit(1), (e) => { console.log(e.code); process.exit(0); });`;
  const other = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  other.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  assert.deepEqual(await once(other, "exit"), [0, null]);
  assert.equal(said.trim(), "STORAGE_FOLDER_IN_USE");
  await first.stop();

  const second = await startEmbeddedPostgres({ dir });
  assert.equal(second.created, false);
  assert.deepEqual(await ask(second, "select seven from kept"), [7]);
  await second.stop();

  const dataDir = path.join(dir, "data");
  const control = path.join(dataDir, "global/pg_control");
  const good = fs.readFileSync(control);
  fs.writeFileSync(control, Buffer.alloc(good.length, 7));
  await assert.rejects(startEmbeddedPostgres({ dir }), code("STORAGE_FOLDER_CORRUPT"));
  fs.writeFileSync(control, good);
  const version = path.join(dataDir, "PG_VERSION");
  fs.writeFileSync(version, "17\n");
  await assert.rejects(startEmbeddedPostgres({ dir }), code("STORAGE_VERSION"));
  fs.writeFileSync(version, "18\n");
  const marker = path.join(dir, "storage.json");
  const text = fs.readFileSync(marker);
  fs.writeFileSync(marker, "{");
  await assert.rejects(startEmbeddedPostgres({ dir }), code("STORAGE_FOLDER_CORRUPT"));
  fs.writeFileSync(marker, text);
  fs.renameSync(dataDir, `${dataDir}.gone`);
  await assert.rejects(startEmbeddedPostgres({ dir }), code("STORAGE_WIPED"));
  fs.mkdirSync(dataDir);
  await assert.rejects(startEmbeddedPostgres({ dir }), code("STORAGE_WIPED"));
  fs.rmdirSync(dataDir);
  fs.renameSync(`${dataDir}.gone`, dataDir);
  const third = await startEmbeddedPostgres({ dir });
  assert.deepEqual(await ask(third, "select seven from kept"), [7]);
  await third.stop();
});

test("a folder deep below, closed to other users, works too", async (t) => {
  const top = temporary(t);
  fs.chmodSync(top, 0o700);
  const dir = path.join(top, "a-long-name-for-a-folder".repeat(3), "b".repeat(60));
  const postgres = await startEmbeddedPostgres({ dir });
  assert.deepEqual(await ask(postgres, "select 1"), [1]);
  await postgres.stop();
  assert.equal(fs.statSync(top).mode & 0o777, 0o700);
});

test("a port is open to the password only", async (t) => {
  const postgres = await startEmbeddedPostgres({ dir: temporary(t), port: 0 });
  const [port] = await ask(postgres, "select current_setting('port')");
  const login = (password: string) =>
    new pg.Client({
      host: "127.0.0.1",
      port: Number(port),
      user: "hanse",
      database: "hanse",
      password,
    });
  const wrong = login("guess");
  await assert.rejects(wrong.connect(), /password/);
  const right = login(fs.readFileSync(path.join(postgres.dir, "password"), "utf8"));
  await right.connect();
  await right.end();
  await postgres.stop();
});

test("a killed node leaves no server behind", async (t) => {
  const dir = temporary(t);
  const script = `import { startEmbeddedPostgres } from ${JSON.stringify(path.join(import.meta.dirname, "embedded-postgres.ts"))};
    const postgres = await startEmbeddedPostgres({ dir: ${JSON.stringify(dir)} });
    console.log(postgres.pid);
    setInterval(() => {}, 1000);`;
  const node = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(node.stdout, "data")) as [Buffer];
  const pid = Number(line.toString());
  assert.notEqual(processStart(pid), undefined);
  node.kill("SIGKILL");
  for (let i = 0; i < 1_200 && processStart(pid) !== undefined; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(processStart(pid), undefined);
});

test("an unexpected end of the server is told", async (t) => {
  const postgres = await startEmbeddedPostgres({ dir: temporary(t) });
  const told = new Promise<string>((resolve) => postgres.onExit(resolve));
  process.kill(postgres.pid, "SIGKILL");
  assert.match(await told, /SIGKILL/);
  await postgres.stop();
});

test("the lock: one holder, a dead one is no holder, nor is a process id given out again", async (t) => {
  const dir = temporary(t);
  const lock = await lockFolder(dir);
  await assert.rejects(lockFolder(dir), code("STORAGE_FOLDER_IN_USE"));
  lock.release();
  const file = path.join(dir, "lock.json");
  fs.writeFileSync(file, JSON.stringify({ pid: process.pid, started: "another start" }));
  (await lockFolder(dir)).release();
  fs.writeFileSync(file, JSON.stringify({ pid: 4_000_000, started: "x" }));
  (await lockFolder(dir)).release();
  fs.writeFileSync(file, "torn");
  (await lockFolder(dir)).release();
  assert.equal(fs.existsSync(file), false);
  assert.equal(processStart(4_000_000), undefined);
  assert.equal(processStart(process.pid), processStart(process.pid));
});

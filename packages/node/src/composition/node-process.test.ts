/**
 * Goal: a node as a process keeps what it promised, whatever ends it, and names what does not fit.
 * Method: real PostgreSQL in the node's folder, real sockets, SIGKILL.
 */
import assert from "node:assert/strict";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { encodeBatch } from "@hanse/api";
import { toHex, utf8, verifyReceipt } from "@hanse/protocol";
import { type NodeProcess, runToEnd, startNodeProcess } from "../testing/node-process.ts";
import { createTestFolder, signNative, type TestNodeFolder } from "../testing/test-node.ts";

const folder: TestNodeFolder = await createTestFolder({
  engines: ["native", "needle"],
  config: { log: { level: "info" } },
});
let running: NodeProcess | undefined;
after(async () => {
  await running?.end("SIGTERM");
  folder.remove();
});

const ada = folder.people[1]!.pair;
let count = 0;
const note = () =>
  signNative(ada, folder.ledgerId, ["notes", "put", { key: `k${++count}`, value: utf8("v") }]);

async function post(url: string, bytes: Uint8Array, path = "/v1/transactions") {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: bytes as Uint8Array<ArrayBuffer>,
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

async function ask(url: string, path: string): Promise<Record<string, unknown>> {
  return (await (await fetch(`${url}${path}`)).json()) as Record<string, unknown>;
}

async function waitFinal(url: string, id: Uint8Array): Promise<Record<string, unknown>> {
  const end = performance.now() + 60_000;
  for (;;) {
    const state = await ask(url, `/v1/transactions/${toHex(id)}`);
    if (state.status === "final") return state;
    assert.ok(performance.now() < end, `final in time: ${JSON.stringify(state)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("first start, a transaction, its receipt; then SIGTERM and the same state again", async () => {
  running = await startNodeProcess(folder.configFile);
  const { url } = running;
  const { bytes } = note();
  const final = await post(url, bytes, "/v1/transactions?wait=final");
  assert.equal(final.status, 200, JSON.stringify(final.json));
  const answer = await fetch(`${url}/v1/transactions/${final.json.id}/receipt`);
  const receipt = new Uint8Array(await answer.arrayBuffer());
  const verdict = verifyReceipt(receipt, { genesis: folder.genesis });
  assert.ok(verdict.ok, verdict.reason);
  const before = await ask(url, "/v1/ledger");
  assert.equal(await running.end("SIGTERM"), 0);
  assert.ok(running.lines.some((line) => line.includes("node has stopped")));
  running = await startNodeProcess(folder.configFile);
  const again = await ask(running.url, "/v1/ledger");
  assert.equal(again.stateRoot, before.stateRoot);
  assert.equal(again.height, before.height);
});

test("a second process on the same folder is refused and harms nothing", async () => {
  const second = await runToEnd(["--config", folder.configFile]);
  assert.equal(second.code, 2, second.output);
  assert.match(second.output, /NODE_FOLDER_LOCKED/);
  assert.match(second.output, new RegExp(`process ${running!.child.pid}`));
  assert.equal((await ask(running!.url, "/health")).status, "ok");
});

test("kill -9 under load: everything accepted is final once after the restart", async () => {
  const accepted: Uint8Array[] = [];
  const { url } = running!;
  const killed = (async () => {
    const until = performance.now() + 60_000;
    while (accepted.length === 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await new Promise((resolve) => setTimeout(resolve, 400));
    return running!.end("SIGKILL");
  })();
  for (let stop = false; !stop; ) {
    const list = Array.from({ length: 50 }, note);
    await post(url, encodeBatch(list.map((one) => one.bytes)), "/v1/transactions/batch").then(
      ({ status, json }) => {
        assert.equal(status, 202, JSON.stringify(json));
        assert.equal(json.accepted, 50);
        accepted.push(...list.map((one) => one.id));
      },
      () => {
        stop = true;
      },
    );
  }
  assert.equal(await killed, "SIGKILL");
  assert.ok(accepted.length > 0);
  running = await startNodeProcess(folder.configFile);
  const places = new Set<string>();
  for (const id of accepted) {
    const final = await waitFinal(running.url, id);
    assert.equal((final.outcome as { code: string }).code, "ok");
    places.add(`${final.height}/${final.index}`);
  }
  assert.equal(places.size, accepted.length, "each in a place of its own");
  // The chain hangs together from its first block.
  const { height } = (await ask(running.url, "/v1/ledger")) as { height: number };
  let parent = toHex(folder.ledgerId);
  for (let from = 1; from <= height; from += 100) {
    const page = await ask(running.url, `/v1/blocks?from=${from}&limit=100`);
    for (const block of page.blocks as { hash: string; header: { parentHash: string } }[]) {
      assert.equal(block.header.parentHash, parent);
      parent = block.hash;
    }
  }
});

test("events resume behind the height seen before a kill", async () => {
  const read = async (url: string, lastEventId: number, wanted: number) => {
    const ended = new AbortController();
    const response = await fetch(`${url}/v1/events`, {
      headers: { "last-event-id": String(lastEventId) },
      signal: ended.signal,
    });
    const ids: number[] = [];
    let text = "";
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const found = [...text.matchAll(/^id: (\d+)\ndata: .*\n\n/gm)];
      if (found.length < wanted) continue;
      ids.push(...found.slice(0, wanted).map((match) => Number(match[1])));
      break;
    }
    ended.abort();
    return ids;
  };
  // As many blocks as are read below, however few the load before has made.
  while (((await ask(running!.url, "/v1/ledger")) as { height: number }).height < 5) {
    const { status } = await post(running!.url, note().bytes, "/v1/transactions?wait=final");
    assert.equal(status, 200);
  }
  const first = await read(running!.url, 0, 3);
  assert.deepEqual(first, [1, 2, 3]);
  await running!.end("SIGKILL");
  running = await startNodeProcess(folder.configFile);
  assert.deepEqual(await read(running.url, 3, 2), [4, 5]);
});

test("an emptied or foreign folder is named, never made anew silently", async () => {
  assert.equal(await running!.end("SIGTERM"), 0);
  running = undefined;
  const data = join(folder.folder, "data");
  const cases: [string, RegExp][] = [
    ["", /NODE_FOLDER_MISSING.*holds no node/],
    ["postgres", /NODE_DATABASE_MISSING.*or make an empty folder of this name to join anew/],
  ];
  for (const [part, expected] of cases) {
    renameSync(join(data, part), join(folder.folder, "away"));
    const { code, output } = await runToEnd(["--config", folder.configFile]);
    assert.equal(code, 2, output);
    assert.match(output, expected);
    rmSync(join(data, part), { recursive: true, force: true });
    renameSync(join(folder.folder, "away"), join(data, part));
  }
  const note = await runToEnd(["--config", folder.configFile, "--init"]);
  assert.match(note.output, /NODE_FOLDER_EXISTS/);
});

test("an emptied signing state stops voting, not reading, until an operator decides", async () => {
  const ordering = join(folder.folder, "data", "ordering");
  renameSync(ordering, join(folder.folder, "away"));
  running = await startNodeProcess(folder.configFile);
  const ready = await fetch(`${running.url}/ready`);
  assert.equal(ready.status, 503);
  assert.equal(((await ready.json()) as { code: string }).code, "NODE_QUARANTINED");
  const { height } = (await ask(running.url, "/v1/ledger")) as { height: number };
  assert.ok(height > 0);
  assert.equal(await running.end("SIGTERM"), 0);
  running = await startNodeProcess(folder.configFile, ["--accept-amnesia"]);
  const { bytes } = note();
  const final = await post(running.url, bytes, "/v1/transactions?wait=final");
  assert.equal(final.status, 200, JSON.stringify(final.json));
  assert.ok((final.json.height as number) > height);
  assert.equal(await running.end("SIGTERM"), 0);
  running = undefined;
  const again = await runToEnd(["--config", folder.configFile, "--accept-amnesia"]);
  assert.equal(again.code, 2);
  assert.match(again.output, /NODE_AMNESIA.*start without it/);
});

test("a folder made by --rejoin goes into quarantine instead of voting as if it never had", async () => {
  const data = join(folder.folder, "data");
  rmSync(data, { recursive: true });
  const missing = await runToEnd(["--config", folder.configFile]);
  assert.match(
    missing.output,
    /NODE_FOLDER_MISSING.*make an empty one with --rejoin, never with --init/,
  );
  const made = await runToEnd(["--config", folder.configFile, "--rejoin"]);
  assert.equal(made.code, 0, made.output);
  running = await startNodeProcess(folder.configFile);
  const ready = (await (await fetch(`${running.url}/ready`)).json()) as Record<string, string>;
  assert.equal(ready.code, "NODE_QUARANTINED");
  assert.match(ready.detail!, /signing-state-missing/);
  assert.equal(await running.end("SIGTERM"), 0);
  running = undefined;
});

test("mistakes of configuration end with code 2 and the nearest known key", async () => {
  const file = join(folder.folder, "wrong.toml");
  writeFileSync(file, '[node]\nid = "harbour/node-1"\n[api]\nprot = 1\n');
  const wrong = await runToEnd(["--config", file]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.output, /did you mean api\.port/);
  const other = await runToEnd(["--config", folder.configFile, "--node.id", "harbour/node-2"]);
  assert.equal(other.code, 2);
  assert.match(other.output, /NODE_FOLDER_FOREIGN/);
  const none = await runToEnd([]);
  assert.equal(none.code, 2);
  assert.match(none.output, /--config FILE/);
});

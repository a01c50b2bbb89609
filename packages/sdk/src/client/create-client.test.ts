/**
 * Goal: the client does what its types say against a whole node, and its event stream survives
 * lost connections. Method: a node over a store in memory, reached through sockets.
 */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { after, before, test } from "node:test";
import { createKeyPair, encodeKeyFile, toHex, utf8, verifyReceipt } from "@hanse/protocol";
import { signNative, startTestNode, type TestNode } from "../../../node/src/testing/test-node.ts";
import { type Client, createClient } from "../index.ts";

let node: TestNode;
let client: Client;
before(async () => {
  node = await startTestNode({ config: { api: { sessionMs: 11_000 } } });
  client = createClient({ url: node.url, key: node.people[1]!.pair });
});
after(() => node.stop());

const put = (key: string) => {
  const args = ["notes", "put", { key, value: utf8(key) }] as const;
  return signNative(node.people[1]!.pair, node.ledgerId, args);
};

/** A door in front of the node that can cut every connection. */
async function createGate(): Promise<{ url: string; cut(): void; close(): void; server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer((incoming: IncomingMessage, outgoing) => {
    const { method, url, headers } = incoming;
    const forward = request(`${node.url}${url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
      answer.on("error", () => outgoing.destroy());
    });
    forward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => forward.destroy());
    incoming.pipe(forward);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    close() {
      cut();
      server.close();
    },
    server,
  };
}

test("submit, wait, ask, receipt", async () => {
  const { id, bytes } = put("one");
  const final = await client.submitAndWait(bytes);
  assert.equal(final.outcome.code, "ok");
  assert.deepEqual(await client.transaction(id), final);
  assert.deepEqual(await client.submit(bytes), { id: toHex(id) }, "again is harmless");
  assert.deepEqual(await client.submitAndWait(bytes), final);
  const receipt = await client.receipt(id);
  assert.ok(verifyReceipt(receipt, { genesis: node.genesis }).ok);
  const ada = await client.account(`ed25519:${toHex(node.people[1]!.pair.publicKey.bytes)}`);
  assert.equal(ada.name, "ada");
  assert.equal((await client.rowProof("accounts", ada.accountId)).siblings.length > 0, true);
});

test("the text of a key file is a key, and a damaged one is named", async () => {
  const text = encodeKeyFile(node.people[1]!.pair);
  const draft = { engine: "native", payload: utf8("x") };
  const { bytes } = await createClient({ url: node.url, key: text }).sign(draft);
  assert.ok(bytes.length > 0);
  const tables = await createClient({ url: node.url, key: text }).tables();
  assert.ok(tables.length > 0);
  const damaged = createClient({ url: node.url, key: "{}" });
  await assert.rejects(damaged.sign(draft), { code: "KEY_TEXT" });
});

test("what is not final in time says how long was waited", async () => {
  const { id, bytes } = put("late");
  const answer = (status: number, state: string) =>
    new Response(JSON.stringify({ id: toHex(id), status: state }), {
      status,
      headers: { "content-type": "application/json" },
    });
  const slow = createClient({
    url: node.url,
    async fetch(_, init) {
      if (init?.method !== "POST") return answer(200, "pending");
      await new Promise((resolve) => setTimeout(resolve, 60));
      return answer(202, "accepted");
    },
  });
  await assert.rejects(slow.submitAndWait(bytes, { timeoutMs: 50 }), {
    code: "SDK_NOT_FINAL",
    message: /not final within 50 ms/,
  });
});

test("a batch tells the refused as errors", async () => {
  const old = signNative(
    node.people[1]!.pair,
    node.ledgerId,
    ["notes", "put", { key: "x", value: utf8("x") }],
    {
      validUntil: 1,
    },
  );
  const good = put("batch");
  const result = await client.submitBatch([old.bytes, good.bytes]);
  assert.equal(result.accepted, 1);
  assert.deepEqual(
    result.refused.map((r) => [r.index, r.error.code, r.error.kind]),
    [[0, "LEDGER_TX_EXPIRED", "rejected"]],
  );
  assert.equal((await client.waitFinal(good.id)).outcome.code, "ok");
});

test("reads open one session and renew it before its end", async () => {
  const calls: string[] = [];
  const counting = createClient({
    url: node.url,
    key: node.people[1]!.pair,
    fetch: (input, init) => {
      calls.push(new URL(String(input)).pathname);
      return fetch(input, init);
    },
  });
  await Promise.all([counting.tables(), counting.rows("accounts", { limit: 1 })]);
  assert.equal(calls.filter((path) => path === "/v1/sessions").length, 1);
  // Sessions of this node last 11 s, the client's margin is 10.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const where = { op: "eq", column: "name", value: "ada" };
  const found = await counting.rows("accounts", { where, columns: "name" });
  assert.deepEqual(
    found.rows.map((row) => row.values),
    [{ name: "ada" }],
  );
  assert.equal(calls.filter((path) => path === "/v1/sessions").length, 2);
});

test("refusals are HanseErrors with the node's code; without a key nothing is signed", async () => {
  const stranger = createClient({ url: node.url, key: createKeyPair("ed25519") });
  await assert.rejects(stranger.tables(), { code: "IDENTITY_UNKNOWN_SIGNER", kind: "denied" });
  const nobody = createClient({ url: node.url });
  await assert.rejects(nobody.tables(), { code: "API_NOT_SIGNED" });
  await assert.rejects(nobody.sign({ engine: "native", payload: utf8("") }), {
    code: "SDK_NO_KEY",
  });
  await assert.rejects(client.block(1e9), { code: "API_NO_BLOCK", kind: "notFound" });
  const gone = createClient({ url: "http://127.0.0.1:1", retries: 0 });
  await assert.rejects(gone.node(), { code: "SDK_UNREACHABLE" });
});

test("what the node asks to repeat later is repeated then", async () => {
  let answers = 0;
  const busy = createClient({
    url: node.url,
    fetch: (input, init) => {
      if (++answers > 1) return fetch(input, init);
      const problem = { code: "LEDGER_POOL_FULL", detail: "full", status: 429, retryAfter: 0.05 };
      return Promise.resolve(new Response(JSON.stringify(problem), { status: 429 }));
    },
  });
  const started = performance.now();
  assert.equal((await busy.node()).id, "harbour/node-1");
  assert.ok(performance.now() - started >= 49);
});

test("events come each once and in order although the connection is cut again and again", async () => {
  const gate = await createGate();
  try {
    const through = createClient({ url: gate.url, key: node.people[1]!.pair });
    const ended = new AbortController();
    const from = (await client.node()).height + 1;
    const heights: number[] = [];
    const names: string[] = [];
    const reading = (async () => {
      const options = { from, include: ["blocks", "events"] as const, signal: ended.signal };
      for await (const block of through.events({ ...options, reconnectMsMax: 50 })) {
        heights.push(block.height);
        for (const event of block.events ?? []) names.push(event.name);
      }
    })();
    for (let i = 0; i < 6; i++) {
      await client.submitAndWait(put(`event-${i}`).bytes);
      if (i % 2 === 1) gate.cut();
    }
    const end = performance.now() + 60_000;
    while (names.length < 6 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    ended.abort();
    await reading;
    assert.deepEqual(
      heights,
      Array.from({ length: heights.length }, (_, i) => from + i),
    );
    assert.deepEqual(names, Array(6).fill("notes.put"));
  } finally {
    gate.close();
  }
});

test("leaving the loop ends the stream at the node", async () => {
  for await (const block of client.events({ from: 1 })) if (block.height >= 2) break;
  const end = performance.now() + 60_000;
  const metrics = async () => (await fetch(`${node.url}/metrics`)).text();
  while (!/hanse_event_streams 0/.test(await metrics())) {
    assert.ok(performance.now() < end, "the stream is closed");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test("a stream that is refused throws", async () => {
  const nobody = createClient({ url: node.url });
  const stream = nobody.events({ include: ["events"] });
  await assert.rejects(stream.next(), { code: "API_NOT_SIGNED" });
});

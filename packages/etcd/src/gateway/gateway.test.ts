/**
 * Goal: requests are what etcd's gateway reads, answers are read within bounds, endpoints take
 * over from each other without doing a write twice. Method: an HTTP server that answers as told.
 */
import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import test, { after, before, beforeEach } from "node:test";
import { HanseError, utf8 } from "@hanse/protocol";
import { endOfPrefix } from "./etcd-api.ts";
import { createEtcdGateway } from "./gateway.ts";

type Answer = (response: http.ServerResponse, body: Record<string, unknown>) => void;

const asked: { path: string; body: Record<string, unknown> }[] = [];
let answer: Answer = () => {};
let url = "";
const server = http.createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Record<string, unknown>;
    asked.push({ path: request.url ?? "", body });
    answer(response, body);
  });
});

const json =
  (value: unknown, status = 200): Answer =>
  (response) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  };
const base64 = (text: string) => Buffer.from(text).toString("base64");
const DEAD = "http://127.0.0.1:9";

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  asked.length = 0;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const code = (expected: string) => (error: unknown) =>
  error instanceof HanseError && error.code === expected;

test("keys and values travel in base64, integers as text, zeros left out", async () => {
  const etcd = createEtcdGateway({ endpoints: [url] });
  answer = json({
    header: { revision: "7" },
    kvs: [{ key: base64("/a/ü"), value: base64("x"), create_revision: "3", mod_revision: "5" }],
  });
  const found = await etcd.range({ key: "/a/", end: "/a0", limit: 2 });
  assert.deepEqual(found, {
    revision: 7,
    kvs: [{ key: "/a/ü", value: utf8("x"), createRevision: 3, modRevision: 5 }],
  });
  assert.deepEqual(asked[0], {
    path: "/v3/kv/range",
    body: { key: base64("/a/"), range_end: base64("/a0"), limit: "2" },
  });
  answer = json({ header: { revision: "8" } });
  const refused = await etcd.putIf(
    [
      { key: "t", createRevision: 4 },
      { key: "h", value: utf8("1") },
    ],
    [{ key: "h", value: utf8("2"), lease: "11" }],
  );
  assert.deepEqual(refused, { revision: 8, succeeded: false });
  assert.deepEqual(asked[1]?.body, {
    compare: [
      { key: base64("t"), target: "CREATE", result: "EQUAL", create_revision: "4" },
      { key: base64("h"), target: "VALUE", result: "EQUAL", value: base64("1") },
    ],
    success: [{ request_put: { key: base64("h"), value: base64("2"), lease: "11" } }],
    failure: [],
  });
  assert.deepEqual((await etcd.range({ key: "none" })).kvs, []);
  answer = json({ ID: "42", TTL: "3" });
  assert.equal(await etcd.grantLease(2_100), "42");
  assert.deepEqual(asked.at(-1)?.body, { TTL: "3" });
  answer = json({ result: { ID: "42", TTL: "3" } });
  assert.equal(await etcd.keepAlive("42"), true);
  answer = json({ result: { ID: "42" } });
  assert.equal(await etcd.keepAlive("42"), false);
  answer = json({ error: "etcdserver: requested lease not found", code: 5 }, 404);
  await etcd.revokeLease("42");
  etcd.close();
});

test("errors of etcd have stable codes", async () => {
  const etcd = createEtcdGateway({ endpoints: [url], timeoutMs: 1_500 });
  const failing: [Answer, string][] = [
    [json({ error: "etcdserver: mvcc: database space exceeded", code: 8 }, 429), "ETCD_NO_SPACE"],
    [json({ error: "etcdserver: permission denied", code: 7 }, 403), "ETCD_REFUSED"],
    [json({ error: "etcdserver: no leader", code: 14 }, 503), "ETCD_TIMEOUT"],
    [json([1]), "ETCD_ANSWER"],
    [json({ header: { revision: "x" } }), "ETCD_ANSWER"],
    [(response) => response.end("<html>"), "ETCD_ANSWER"],
    [() => {}, "ETCD_TIMEOUT"],
    [(response) => response.destroy(), "ETCD_TIMEOUT"],
  ];
  for (const [given, expected] of failing) {
    answer = given;
    await assert.rejects(etcd.putIf([], []), code(expected), expected);
  }
  answer = json({ error: "mvcc: required revision has been compacted", code: 11 }, 400);
  await etcd.compact(3);
  etcd.close();
  for (const endpoints of [[], ["127.0.0.1:2379"], ["ftp://x"], ["http://x/path"]]) {
    assert.throws(() => createEtcdGateway({ endpoints }), code("ETCD_ENDPOINTS"));
  }
});

test("a password in an endpoint is refused and told to nobody", () => {
  for (const endpoint of ["http://ann:hush@x:2379", "http://ann:hush@x/path", "ann:hush@x:2379"]) {
    assert.throws(
      () => createEtcdGateway({ endpoints: ["http://x:2379", endpoint] }),
      (error: Error) => {
        assert.ok(code("ETCD_ENDPOINTS")(error));
        assert.match(error.message, /endpoint 2/);
        assert.doesNotMatch(error.message, /hush/);
        return true;
      },
    );
  }
});

test("another endpoint takes over; a write whose outcome is unknown is not sent twice", async () => {
  const etcd = createEtcdGateway({ endpoints: [DEAD, url], timeoutMs: 1_500 });
  answer = json({ header: { revision: "2" }, succeeded: true });
  assert.equal((await etcd.putIf([], [])).succeeded, true, "nothing was sent to the dead one");
  asked.length = 0;
  answer = () => {};
  await assert.rejects(etcd.putIf([], []), code("ETCD_TIMEOUT"));
  assert.equal(asked.length, 1);
  asked.length = 0;
  let count = 0;
  const twice = createEtcdGateway({ endpoints: [url, url] });
  answer = (response, body) =>
    count++ === 0 ? response.destroy() : json({ header: {} })(response, body);
  await twice.range({ key: "a" });
  assert.equal(asked.length, 2, "a read is asked again");
  const none = createEtcdGateway({ endpoints: [DEAD] });
  await assert.rejects(none.range({ key: "a" }), code("ETCD_UNREACHABLE"));
  for (const each of [etcd, twice, none]) each.close();
});

test("a watch tells of changes in order, of compaction, and of its end", async () => {
  const etcd = createEtcdGateway({ endpoints: [url] });
  const lines = [
    { result: { created: true } },
    {
      result: {
        events: [{ kv: { key: base64("p/1"), value: base64("a"), create_revision: "4" } }],
      },
    },
    { result: { events: [{ type: "DELETE", kv: { key: base64("p/1"), mod_revision: "6" } }] } },
  ];
  const text = lines.map((line) => JSON.stringify(line)).join("\n");
  answer = (response) => {
    // Cut in the middle of a line.
    response.write(text.slice(0, 60));
    setTimeout(() => response.end(`${text.slice(60)}\n`), 10);
  };
  const seen: [string, string | undefined][] = [];
  const watched = () =>
    new Promise<boolean>((resolve) => {
      etcd.watch("p/", 0, {
        onChanges(changes) {
          for (const { key, value } of changes) {
            seen.push([key, value && Buffer.from(value).toString("utf8")]);
          }
        },
        onEnd: resolve,
      });
    });
  assert.equal(await watched(), false);
  assert.deepEqual(seen, [
    ["p/1", "a"],
    ["p/1", undefined],
  ]);
  assert.deepEqual(asked[0]?.body, {
    create_request: {
      key: base64("p/"),
      range_end: base64("p0"),
      start_revision: "1",
      fragment: true,
    },
  });
  answer = (response) =>
    response.write(`${JSON.stringify({ result: { canceled: true, compact_revision: "9" } })}\n`);
  assert.equal(await watched(), true);
  answer = (response) => response.destroy();
  assert.equal(await watched(), false);
  assert.equal(endOfPrefix("/b/"), "/b0");
  etcd.close();
});

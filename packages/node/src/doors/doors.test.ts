// biome-ignore-all lint/suspicious/noExplicitAny: answers are checked against the described schemas.
/**
 * Goal: every route answers what it describes, and bad input gets its code, status and remedy.
 * Method: a whole node (real ordering, disk, threads, sockets) over a store in memory.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  buildPath,
  encodeAuthorization,
  encodeBatch,
  type Problem,
  ProblemSchema,
  ROUTES,
  type RouteName,
  type RouteSpec,
  requestMessage,
} from "@hanse/api";
import {
  createKeyPair,
  encodeNativeTransaction,
  fromHex,
  type KeyPair,
  signMessage,
  toHex,
  utf8,
  verifyReceipt,
} from "@hanse/protocol";
import { Value } from "@sinclair/typebox/value";
import { signNative, startTestNode, type TestNode } from "../testing/test-node.ts";

let node: TestNode;
let ada: KeyPair;
before(async () => {
  node = await startTestNode({
    config: { api: { bodyBytesMax: 2 * 1024 * 1024, batchTransactionsMax: 50 } },
    params: { transactionBytesMax: 4096 },
  });
  ada = node.people.find((person) => person.name === "ada")!.pair;
});
after(() => node.stop());

interface Options {
  readonly params?: Record<string, string | number>;
  readonly query?: Record<string, string | number | readonly string[]>;
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
  readonly as?: KeyPair;
  readonly headers?: Record<string, string>;
}

async function call(name: RouteName, options: Options = {}) {
  const route: RouteSpec = ROUTES[name];
  const path = buildPath(route, options.params, options.query);
  const body =
    options.bytes ?? (options.json === undefined ? undefined : utf8(JSON.stringify(options.json)));
  const headers: Record<string, string> = { ...options.headers };
  if (options.bytes !== undefined) headers["content-type"] ??= "application/octet-stream";
  else if (options.json !== undefined) headers["content-type"] = "application/json";
  if (options.as !== undefined) {
    const time = Date.now();
    const { method } = route;
    const { ledgerId } = node;
    const message = requestMessage({
      ledgerId,
      method,
      path,
      body: body ?? new Uint8Array(),
      time,
    });
    const signature = signMessage(options.as, message);
    headers.authorization = encodeAuthorization({ key: options.as.publicKey, time, signature });
  }
  const response = await fetch(`${node.url}${path}`, {
    method: route.method,
    headers,
    ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
  });
  const spec = route.responses[response.status];
  const type = response.headers.get("content-type") ?? "";
  const raw = new Uint8Array(await response.arrayBuffer());
  const json: any = type.includes("json") ? JSON.parse(Buffer.from(raw).toString()) : undefined;
  if (response.status >= 400) {
    assert.ok(type.startsWith("application/problem+json"), `${name}: ${type}`);
    assert.ok(Value.Check(ProblemSchema, json), JSON.stringify(json));
    assert.equal(json.status, response.status);
    assert.equal(response.headers.get("retry-after") !== null, json.retryAfter !== undefined);
  } else {
    assert.ok(spec !== undefined, `${name}: status ${response.status} is not described`);
    if (spec.json !== undefined && json !== undefined) {
      const faults = [...Value.Errors(spec.json, json)].map((e) => `${e.path}: ${e.message}`);
      assert.deepEqual(faults, [], name);
    }
  }
  return { status: response.status, json, raw, type };
}

async function refused(name: RouteName, options: Options, status: number, code: string) {
  const answer = await call(name, options);
  const problem = answer.json as Problem;
  assert.equal(`${answer.status} ${problem.code}`, `${status} ${code}`, problem.detail);
  return problem;
}

const put = (key: string, value = utf8("v")) => ["notes", "put", { key, value }] as const;
const note = (key: string, pair = ada) => signNative(pair, node.ledgerId, put(key));

test("a transaction submitted with wait=final comes back final, and its receipt verifies offline", async () => {
  const { id, bytes } = note("first");
  const final = await call("submitTransaction", { bytes, query: { wait: "final" } });
  assert.equal(final.status, 200, JSON.stringify(final.json));
  assert.equal(final.json.id, toHex(id));
  assert.equal(final.json.outcome.code, "ok", final.json.outcome.error);
  assert.equal(final.json.outcome.events[0].name, "notes.put");
  const again = await call("getTransaction", { params: { id: toHex(id) } });
  assert.deepEqual(again.json, final.json);
  const receipt = await call("getReceipt", { params: { id: toHex(id) } });
  assert.equal(receipt.status, 200, JSON.stringify(receipt.json));
  const verdict = verifyReceipt(receipt.raw, { genesis: node.genesis });
  assert.ok(verdict.ok, verdict.reason);
  assert.equal(toHex(verdict.facts!.transaction!.id!), toHex(id));
});

test("one transaction as JSON in hex and base64 is accepted like its bytes", async () => {
  const one = note("hex");
  const two = note("base64");
  const hex = await call("submitTransaction", { json: { transaction: toHex(one.bytes) } });
  const base64 = await call("submitTransaction", {
    json: { transaction: `base64:${Buffer.from(two.bytes).toString("base64")}` },
  });
  assert.deepEqual([hex.status, base64.status], [202, 202]);
  assert.equal(hex.json.id, toHex(one.id));
  await refused("submitTransaction", { json: { transaction: "zz" } }, 400, "API_TRANSACTION_TEXT");
});

test("bad transactions: each its own code and status", async () => {
  const stranger = createKeyPair("ed25519");
  const good = note("once");
  const wrongKey = note("wrong");
  const damaged = Uint8Array.from(wrongKey.bytes);
  damaged[damaged.length - 1]! ^= 1;
  const large = signNative(ada, node.ledgerId, put("large", new Uint8Array(5000)));
  const expired = signNative(ada, node.ledgerId, put("old"), { validUntil: Date.now() - 1 });
  const far = signNative(ada, node.ledgerId, put("far"), { validUntil: Date.now() + 1e9 });
  const engine = signNative(ada, node.ledgerId, put("x"), { engine: "evm" });
  const foreign = signNative(ada, new Uint8Array(32), put("x"));
  await call("submitTransaction", { bytes: good.bytes, query: { wait: "final" } });
  const cases: [Uint8Array, number, string][] = [
    [utf8("nonsense"), 400, "LEDGER_TX_FORM"],
    [good.bytes.subarray(0, 40), 400, "LEDGER_TX_MALFORMED"],
    [large.bytes, 413, "LEDGER_TX_TOO_LARGE"],
    [expired.bytes, 422, "LEDGER_TX_EXPIRED"],
    [far.bytes, 422, "LEDGER_TX_TOO_FAR_AHEAD"],
    [engine.bytes, 422, "LEDGER_TX_ENGINE"],
    [foreign.bytes, 422, "LEDGER_TX_WRONG_LEDGER"],
    [damaged, 403, "LEDGER_TX_SIGNATURE"],
    [note("x", stranger).bytes, 403, "IDENTITY_UNKNOWN_SIGNER"],
    [good.bytes, 409, "LEDGER_TX_COMMITTED"],
  ];
  for (const [bytes, status, code] of cases) {
    const problem = await refused("submitTransaction", { bytes }, status, code);
    assert.ok(problem.detail.length > 10);
  }
});

test("a contract that fails is a final outcome, not a problem", async () => {
  const failing = signNative(ada, node.ledgerId, ["notes", "remove", { key: "never" }]);
  const answer = await call("submitTransaction", {
    bytes: failing.bytes,
    query: { wait: "final" },
  });
  // The engine may refuse it at the door already, by the state that it sees there.
  if (answer.status === 200) assert.notEqual(answer.json.outcome.code, "ok");
  else assert.equal(answer.json.code, "NOTES_ABSENT");
});

test("requests that do not fit their route are named by field", async () => {
  const json = (path: string, init?: RequestInit) =>
    fetch(`${node.url}${path}`, init).then(async (r) => [
      r.status,
      ((await r.json()) as Problem).code,
    ]);
  assert.deepEqual(await json("/v1/nowhere"), [404, "API_ROUTE"]);
  assert.deepEqual(await json("/v1/blocks/one"), [400, "API_VALIDATION"]);
  assert.deepEqual(await json("/v1/blocks?limit=9999"), [400, "API_VALIDATION"]);
  assert.deepEqual(await json("/v1/transactions/xyz"), [400, "API_VALIDATION"]);
  const post = (body: string | Uint8Array<ArrayBuffer>, type: string) =>
    json("/v1/transactions", { method: "POST", body, headers: { "content-type": type } });
  assert.deepEqual(await post("{", "application/json"), [400, "API_BODY"]);
  assert.deepEqual(await post("{}", "application/json"), [400, "API_VALIDATION"]);
  assert.deepEqual(await post("x", "text/plain"), [400, "API_CONTENT_TYPE"]);
  assert.deepEqual(await post(new Uint8Array(3e6), "application/octet-stream"), [
    413,
    "API_BODY_SIZE",
  ]);
  await refused("getBlock", { params: { height: 1e6 } }, 404, "API_NO_BLOCK");
  await refused("getBlock", { params: { height: 0 } }, 404, "API_NO_BLOCK");
  const id = toHex(new Uint8Array(32));
  await refused("getTransaction", { params: { id } }, 404, "LEDGER_TX_UNKNOWN");
  await refused("getReceipt", { params: { id } }, 404, "LEDGER_TX_UNKNOWN");
});

test("a batch tells the refused by their place; a common reason is the whole answer", async () => {
  const good = [note("b0"), note("b1"), note("b2")];
  const expired = signNative(ada, node.ledgerId, put("old"), { validUntil: 1 });
  const bytes = encodeBatch([
    good[0]!.bytes,
    expired.bytes,
    good[1]!.bytes,
    utf8("?"),
    good[2]!.bytes,
  ]);
  const mixed = await call("submitBatch", { bytes });
  assert.equal(mixed.status, 202);
  assert.equal(mixed.json.accepted, 3);
  assert.deepEqual(
    mixed.json.refused.map((r: any) => [r.index, r.problem.code]),
    [
      [1, "LEDGER_TX_EXPIRED"],
      [3, "LEDGER_TX_FORM"],
    ],
  );
  const all = encodeBatch([expired.bytes, expired.bytes]);
  await refused("submitBatch", { bytes: all }, 422, "LEDGER_TX_EXPIRED");
  await refused("submitBatch", { bytes: utf8("xxxxxxxx") }, 400, "API_BATCH");
  const many = encodeBatch(Array.from({ length: 51 }, () => utf8("t")));
  await refused("submitBatch", { bytes: many }, 413, "API_BATCH_SIZE");
  for (const { id } of good) await node.node.services.ledger.waitFor(id, "final");
});

test("what shows state needs an account: signature, session, and their breaches", async () => {
  await refused("listTables", {}, 403, "API_NOT_SIGNED");
  await refused("listTables", { headers: { authorization: "Basic x" } }, 400, "API_AUTHORIZATION");
  await refused("listTables", { as: createKeyPair("ed25519") }, 403, "IDENTITY_UNKNOWN_SIGNER");
  const route = ROUTES.listTables;
  const header = (over: Partial<Parameters<typeof requestMessage>[0]>, time = Date.now()) => {
    const facts = {
      ledgerId: node.ledgerId,
      method: "GET",
      path: route.path,
      body: utf8(""),
      time,
    };
    const signature = signMessage(ada, requestMessage({ ...facts, ...over }));
    return { authorization: encodeAuthorization({ key: ada.publicKey, time, signature }) };
  };
  const late = header({}, Date.now() - 61_000);
  await refused("listTables", { headers: late }, 403, "API_SIGNATURE_TIME");
  const otherPath = header({ path: "/v1/tables?x=1" });
  await refused("listTables", { headers: otherPath }, 403, "API_SIGNATURE");
  const otherBody = header({ body: utf8("x") });
  await refused("listTables", { headers: otherBody }, 403, "API_SIGNATURE");
  const tables = await call("listTables", { as: ada });
  assert.ok(tables.json.tables.some((table: any) => table.name === "accounts"));

  const opened = await call("createSession", { as: ada });
  assert.equal(opened.status, 201);
  const token = { authorization: `Bearer ${opened.json.token}` };
  assert.equal((await call("listTables", { headers: token })).status, 200);
  await refused("createSession", { headers: token }, 403, "API_SESSION_SIGNED");
  assert.equal((await call("endSession", { headers: token })).status, 204);
  await refused("listTables", { headers: token }, 403, "API_SESSION");
});

test("a signed request opens one session only", async () => {
  const time = Date.now();
  const facts = {
    ledgerId: node.ledgerId,
    method: "POST",
    path: "/v1/sessions",
    body: utf8(""),
    time,
  };
  const signature = signMessage(ada, requestMessage(facts));
  const headers = {
    authorization: encodeAuthorization({ key: ada.publicKey, time, signature }),
  };
  assert.equal((await call("createSession", { headers })).status, 201);
  await refused("createSession", { headers }, 403, "API_SESSION_SIGNED");
});

test("rows: conditions, order, columns, pages; one row; its history and proof", async () => {
  const rows = async (query: Options["query"]) =>
    (await call("listRows", { as: ada, params: { name: "accounts" }, query: query ?? {} })).json;
  const all = await rows({ order: "-name" });
  assert.deepEqual(
    all.rows.map((row: any) => row.values.name),
    ["ben", "ada", "admin"].sort().reverse(),
  );
  const where = JSON.stringify({
    op: "or",
    of: [
      { op: "eq", column: "name", value: "ada" },
      { op: "like", column: "name", pattern: "b%" },
    ],
  });
  const some = await rows({ where, order: "name", columns: "name,org" });
  assert.deepEqual(
    some.rows.map((row: any) => row.values),
    [
      { name: "ada", org: "harbour" },
      { name: "ben", org: "harbour" },
    ],
  );
  const page = await rows({ order: "name", limit: 1, offset: 1 });
  assert.deepEqual(
    page.rows.map((row: any) => row.values.name),
    ["admin"],
  );
  const key = all.rows[0].values[all.columns[0].name];
  const params = { name: "accounts", key };
  const one = await call("getRow", { as: ada, params });
  assert.deepEqual(one.json.row.values, all.rows[0].values);
  const history = await call("getRowHistory", { as: ada, params });
  assert.equal(history.status, 200);
  const proof = await call("getRowProof", { as: ada, params });
  assert.equal(proof.json.leaf.keyHash, proof.json.keyHash);
  const absent = { name: "accounts", key: "00".repeat(32) };
  await refused("getRow", { as: ada, params: absent }, 404, "API_NO_ROW");
  await refused(
    "getRow",
    { as: ada, params: { name: "nothing", key: "1" } },
    404,
    "STATE_NO_TABLE",
  );
  await refused("getRow", { as: ada, params: { name: "accounts", key: "xyz" } }, 400, "API_VALUE");
  const bad: [string, string][] = [
    ["{", "API_CONDITION"],
    ['{"op":"eq","column":"nope","value":"1"}', "API_CONDITION"],
    ['{"op":"sql","column":"name","value":"1"}', "API_CONDITION"],
    ['{"op":"eq","column":"name","value":5}', "API_VALUE"],
  ];
  for (const [text, code] of bad) {
    const options = { as: ada, params: { name: "accounts" }, query: { where: text } };
    await refused("listRows", options, 400, code);
  }
});

test("a receipt with state proves a row and needs the right to read it", async () => {
  const { id, bytes } = note("with-state");
  await call("submitTransaction", { bytes, query: { wait: "final" } });
  const account = await call("getAccount", {
    as: ada,
    params: { id: "ed25519:".concat(toHex(ada.publicKey.bytes)) },
  });
  assert.equal(account.json.name, "ada");
  const byKeyId = await call("getAccount", { as: ada, params: { id: account.json.keyId } });
  assert.deepEqual(byKeyId.json, account.json);
  const options = {
    params: { id: toHex(id) },
    query: { state: [`accounts:${account.json.accountId}`] },
  };
  await refused("getReceipt", options, 403, "API_NOT_SIGNED");
  await refused(
    "getReceipt",
    { ...options, query: { state: ["nothing:1"] }, as: ada },
    400,
    "API_STATE",
  );
  const receipt = await call("getReceipt", { ...options, as: ada });
  assert.equal(receipt.status, 200, JSON.stringify(receipt.json));
  const verdict = verifyReceipt(receipt.raw, { genesis: node.genesis });
  assert.ok(verdict.ok, verdict.reason);
  const fact = verdict.facts!.state.find((one) => one.row !== undefined)!;
  assert.ok(fact.row!.values.includes("ada"));
});

test("queries run with the caller's account; unknown engines and names are refused", async () => {
  const { bytes } = note("asked");
  await call("submitTransaction", { bytes, query: { wait: "final" } });
  const json = { engine: "native", name: "notes.get", input: { key: "asked" } };
  const answer = await call("runQuery", { as: ada, json });
  assert.equal(answer.json.result.value, toHex(utf8("v")));
  await refused(
    "runQuery",
    { as: ada, json: { ...json, engine: "none" } },
    404,
    "LEDGER_QUERY_ENGINE",
  );
  await refused("runQuery", { as: ada, json: { ...json, extra: 1 } }, 400, "API_VALIDATION").catch(
    () => {},
  );
  await refused("runQuery", { json }, 403, "API_NOT_SIGNED");
});

test("node, ledger, blocks, members, status, metrics, pages", async () => {
  const info = await call("getNode");
  assert.equal(info.json.id, "harbour/node-1");
  assert.ok(info.json.backends.ed25519);
  assert.equal((await call("getHealth")).json.status, "ok");
  assert.equal((await call("getReady")).status, 200);
  const ledger = await call("getLedger");
  assert.equal(ledger.json.ledgerId, toHex(node.ledgerId));
  assert.equal(ledger.json.validators.members.length, 1);
  assert.equal((await call("getStatus")).json.syncing, false);
  assert.equal((await call("getGenesis")).json.network, "test");
  const genesis = await call("getGenesis", { headers: { accept: "application/octet-stream" } });
  assert.ok(genesis.raw.length > 100);
  const list = await call("listBlocks", { query: { from: 1, limit: 2 } });
  assert.deepEqual(
    list.json.blocks.map((block: any) => block.height),
    [1, 2],
  );
  const block = await call("getBlock", { params: { height: 2 } });
  assert.equal(block.json.header.parentHash, list.json.blocks[0].hash);
  await refused("getBlockBody", { params: { height: 1 } }, 403, "API_NOT_SIGNED");
  const body = await call("getBlockBody", { as: ada, params: { height: 1 } });
  assert.equal(body.raw.length, list.json.blocks[0].bytes);
  assert.equal((await call("listOrganizations")).json.organizations[0].id, "harbour");
  const metrics = Buffer.from((await call("getMetrics")).raw).toString();
  assert.match(metrics, /hanse_transaction_outcomes_total\{code="ok"\} [1-9]/);
  assert.match(metrics, /hanse_ready 1/);
  assert.match(metrics, /hanse_http_requests_total\{route="\/v1\/transactions",status="202"\}/);
  const openapi = await fetch(`${node.url}/v1/openapi.json`).then((r) => r.json() as any);
  assert.ok(openapi.paths["/v1/transactions/batch"].post);
  assert.equal((await fetch(`${node.url}/docs/`)).status, 200);
});

/** Reads messages of a stream until `count` of them carried data. */
async function readStream(path: string, count: number, headers: Record<string, string> = {}) {
  const ended = new AbortController();
  const response = await fetch(`${node.url}${path}`, { headers, signal: ended.signal });
  assert.equal(response.status, 200);
  const messages: { id: number; data: any }[] = [];
  let text = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let at = text.indexOf("\n\n"); at >= 0; at = text.indexOf("\n\n")) {
      const fields = new Map(
        text
          .slice(0, at)
          .split("\n")
          .map((line) => {
            const colon = line.indexOf(":");
            return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
          }),
      );
      text = text.slice(at + 2);
      const data = fields.get("data");
      if (data !== undefined)
        messages.push({ id: Number(fields.get("id")), data: JSON.parse(data) });
    }
    if (messages.length >= count) break;
  }
  ended.abort();
  return messages.slice(0, count);
}

test("events: each block once, in order, resumed by height and by Last-Event-ID", async () => {
  for (const key of ["e1", "e2", "e3"]) {
    await call("submitTransaction", { bytes: note(key).bytes, query: { wait: "final" } });
  }
  const { height } = (await call("getLedger")).json;
  assert.ok(height >= 4);
  const all = await readStream("/v1/events?from=1", height);
  assert.deepEqual(
    all.map((m) => m.id),
    Array.from({ length: height }, (_, i) => i + 1),
  );
  const resumed = await readStream("/v1/events", height - 2, { "last-event-id": "2" });
  assert.deepEqual(resumed, all.slice(2));
  const { id, bytes } = note("live");
  const next = (await call("getNode")).json.height + 1;
  const submitted = call("submitTransaction", { bytes, query: { wait: "final" } });
  // Blocks that only certify the one before have no transactions.
  const seen = (height: number) =>
    readStream(`/v1/events?include=transactions&from=${next}`, height - next + 1);
  const final = (await submitted).json;
  const told = (await seen(final.height)).at(-1)!;
  assert.equal(told.id, final.height);
  assert.deepEqual(told.data.transactions, [{ id: toHex(id), code: "ok" }]);
  await refused("streamEvents", { query: { from: 1e9 } }, 422, "API_HEIGHT_AHEAD");
});

test("contract events need an account, and are filtered by name and application", async () => {
  await refused("streamEvents", { query: { include: "events" } }, 403, "API_NOT_SIGNED");
  const { bytes } = note("filtered");
  const final = (await call("submitTransaction", { bytes, query: { wait: "final" } })).json;
  const session = (await call("createSession", { as: ada })).json;
  const headers = { authorization: `Bearer ${session.token}` };
  const from = `from=${final.height}&include=events`;
  for (const filter of ["name=notes.put", "name=notes.*", "application=notes"]) {
    const [message] = await readStream(`/v1/events?${from}&${filter}`, 1, headers);
    assert.equal(message!.data.events[0].name, "notes.put");
    assert.equal(message!.data.events[0].data.key, "filtered");
  }
  // Nothing of another name: the next matching block is the first message.
  const other = readStream(`/v1/events?${from}&name=notes.removed`, 1, headers);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const removal = signNative(ada, node.ledgerId, ["notes", "remove", { key: "filtered" }]);
  await call("submitTransaction", { bytes: removal.bytes, query: { wait: "final" } });
  assert.equal((await other)[0]!.data.events[0].name, "notes.removed");
});

test("many single submits at once are all accepted and final", async () => {
  const list = Array.from({ length: 300 }, (_, i) => note(`many-${i}`));
  const answers = await Promise.all(list.map(({ bytes }) => call("submitTransaction", { bytes })));
  assert.ok(answers.every((answer) => answer.status === 202));
  for (const { id } of list) {
    const status = await node.node.services.ledger.waitFor(id, "final");
    assert.equal(status.state, "final");
  }
  assert.deepEqual(node.fatal, []);
});

test("an envelope with another signature of the same body is the same transaction", async () => {
  const { id, bytes } = note("same");
  await call("submitTransaction", { bytes, query: { wait: "final" } });
  const forged = encodeNativeTransaction(fromHex("80"), new Uint8Array(64));
  await refused("submitTransaction", { bytes: forged }, 400, "LEDGER_TX_MALFORMED");
  assert.equal((await call("getTransaction", { params: { id: toHex(id) } })).json.status, "final");
});

/** Goal: replies keep their order, and what a connection sends wrong ends that connection alone. */
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { HanseError } from "@hanse/protocol";
import { AbciClient } from "../testing/abci-client.ts";
import { encodeFrame } from "./frames.ts";
import { REQUEST } from "./messages.ts";
import { type AbciServer, CONNECTIONS_MAX, openAbciServer } from "./server.ts";

const reported: HanseError[] = [];
let server: AbciServer;

before(async () => {
  server = await openAbciServer({
    address: { host: "127.0.0.1", port: 0 },
    frameBytesMax: 2_000,
    onBadConnection: (error) => reported.push(error),
    async handle(request) {
      if (request.checkTx !== undefined) throw new HanseError("COMET_TEST", "corrupt", "refused");
      const { message } = request.echo ?? { message: "" };
      if (message.startsWith("slow")) await pause(20);
      return request.echo === undefined ? { flush: {} } : { echo: { message } };
    },
  });
});

after(() => server.close("drain"));

test("pipelined requests are answered one by one, in order", async () => {
  const client = await AbciClient.open(server.url);
  const names = Array.from({ length: 40 }, (_, i) => `${i % 7 === 0 ? "slow" : "fast"} ${i}`);
  const answers = await Promise.all(names.map((message) => client.call({ echo: { message } })));
  assert.deepEqual(
    answers.map(({ echo }) => echo?.message),
    names,
  );
  assert.ok((await client.call({ flush: {} })).flush !== undefined);
  client.close();
});

test("a request that comes in pieces, with pauses between them, is answered", async () => {
  const client = await AbciClient.open(server.url);
  const pieces = [0.3, 0.7, 1];
  for (let round = 0; round < 3; round++) {
    const message = `round ${round} `.repeat(100);
    const whole = encodeFrame(REQUEST.encode({ echo: { message } }));
    const answer = client.next();
    let at = 0;
    for (const piece of pieces) {
      const end = Math.ceil(whole.length * piece);
      client.send(whole.subarray(at, end));
      at = end;
      await pause(5);
    }
    assert.equal((await answer).echo?.message, message);
  }
  client.close();
});

test("bad bytes, oversized messages and unknown calls end their connection with a reason", async () => {
  const good = await AbciClient.open(server.url);
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [encodeFrame(Uint8Array.of(0x0a, 0xff)), "COMET_MESSAGE"],
    [Uint8Array.of(0xff, 0xff, 0xff, 0x7f), "COMET_FRAME_TOO_LARGE"],
    [new Uint8Array(6).fill(0xff), "COMET_FRAME"],
    [encodeFrame(Uint8Array.of(0xaa, 0x01, 0x00)), "COMET_REQUEST"],
    [new Uint8Array(1), "COMET_REQUEST"],
  ];
  for (const [bytes, code] of cases) {
    reported.length = 0;
    const client = await AbciClient.open(server.url);
    client.send(bytes);
    await client.closed;
    assert.equal(reported[0]?.code, code);
    assert.match(client.unasked?.exception?.error ?? "", new RegExp(`^${code}:`));
  }
  assert.equal((await good.call({ echo: { message: "still here" } })).echo?.message, "still here");
  good.close();
});

test("a call that fails is answered as an exception", async () => {
  const client = await AbciClient.open(server.url);
  const call = client.call({ checkTx: { tx: new Uint8Array(1), type: 0 } });
  await assert.rejects(call, /COMET_TEST: refused/);
  await client.closed;
});

test("more connections than the bound are closed at once", async () => {
  const clients: AbciClient[] = [];
  for (let i = 0; i < CONNECTIONS_MAX; i++) {
    const client = await AbciClient.open(server.url);
    await client.call({ flush: {} });
    clients.push(client);
  }
  const surplus = await AbciClient.open(server.url);
  await surplus.closed;
  for (const client of clients) client.close();
  await Promise.all(clients.map(({ closed }) => closed));
});

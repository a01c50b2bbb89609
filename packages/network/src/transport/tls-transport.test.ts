/** Goal: over real sockets, only the registered node of the same ledger gets a link, and keeps it. */
import assert from "node:assert/strict";
import { type AddressInfo, connect as connectTcp, createServer } from "node:net";
import { after, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { utf8 } from "@hanse/protocol";
import {
  encodeFrameHead,
  encodeHello,
  FRAME_TYPES,
  type FrameType,
} from "../frames/frame-codec.ts";
import { createTlsIdentity, type TlsIdentity } from "../identity/tls-identity.ts";
import type { TlsTransport, TlsTransportLimits } from "./interfaces.ts";
import { createTlsTransport } from "./tls-transport.ts";

const ledgerId = new Uint8Array(32).fill(1);
const [alice, bob, eve] = (await Promise.all(
  ["a/node", "b/node", "e/node"].map((name) => createTlsIdentity({ name })),
)) as [TlsIdentity, TlsIdentity, TlsIdentity];
const open: TlsTransport[] = [];
after(() => Promise.all(open.map((transport) => transport.stop())));

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!condition()) {
    assert.ok(performance.now() < end, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const fast = { keepaliveMs: 100, reconnectMsMax: 200 };

async function make(
  self: "a/node" | "b/node",
  options: {
    port?: number;
    peerPort?: number;
    ledger?: Uint8Array;
    peerKey?: TlsIdentity;
    limits?: Partial<TlsTransportLimits>;
  } = {},
) {
  const [own, peerId, peerKey] =
    self === "a/node" ? ([alice, "b/node", bob] as const) : ([bob, "a/node", alice] as const);
  const transport = createTlsTransport({
    self,
    identity: own,
    listen: { host: "127.0.0.1", port: options.port ?? 0 },
    peers: [
      {
        id: peerId,
        address: options.peerPort === undefined ? undefined : `127.0.0.1:${options.peerPort}`,
        tlsFingerprint: (options.peerKey ?? peerKey).fingerprint,
      },
    ],
    ledgerId: options.ledger ?? ledgerId,
    limits: { ...fast, ...options.limits },
  });
  open.push(transport);
  const received: { from: string; channel: string; message: Buffer }[] = [];
  const ups: boolean[] = [];
  transport.onMessage((from, channel, message) =>
    received.push({ from, channel, message: Buffer.from(message) }),
  );
  transport.onPeer((_, up) => ups.push(up));
  const { port } = await transport.start();
  return { transport, received, ups, port, last: () => transport.links()[0]!.lastError ?? "" };
}

type Made = Awaited<ReturnType<typeof make>>;

async function pair(limits: Partial<TlsTransportLimits> = {}): Promise<[Made, Made]> {
  const b = await make("b/node", { limits });
  const a = await make("a/node", { peerPort: b.port, limits });
  await until(() => a.ups.includes(true) && b.ups.includes(true), "link");
  return [a, b];
}

/** A raw client with any identity, for what a well-behaved node never sends. */
async function raw(port: number, identity: TlsIdentity | undefined): Promise<TLSSocket> {
  const socket = connect({
    host: "127.0.0.1",
    port,
    rejectUnauthorized: false,
    ALPNProtocols: ["hanse/1"],
    ...(identity && { key: identity.privateKeyPem, cert: identity.certificatePem }),
  });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  return socket;
}

const frame = (type: number, payload: Uint8Array) =>
  Buffer.concat([encodeFrameHead(type as FrameType, payload.length), payload]);
const hello = (over: object = {}) =>
  frame(FRAME_TYPES.hello, encodeHello({ version: 1, ledgerId, id: "a/node", ...over }));

test("messages arrive on their channel, in order, both ways, many per write", async () => {
  const [a, b] = await pair();
  assert.deepEqual(a.transport.peers(), ["b/node"]);
  for (let i = 0; i < 1000; i++) a.transport.send("b/node", "transactions", utf8(`t${i}`));
  a.transport.broadcast("consensus", utf8("vote"));
  const large = new Uint8Array(3_000_000).fill(9);
  b.transport.send("a/node", "sync", large);
  await until(() => b.received.length === 1001 && a.received.length === 1, "all messages");
  const texts = b.received.filter((m) => m.channel === "transactions").map((m) => `${m.message}`);
  assert.deepEqual(
    texts,
    Array.from({ length: 1000 }, (_, i) => `t${i}`),
  );
  assert.equal(b.received[0]!.channel, "consensus", "a vote overtakes what was queued with it");
  assert.deepEqual(a.received[0], { from: "b/node", channel: "sync", message: Buffer.from(large) });
  const { counters } = a.transport;
  assert.ok(counters.channels.transactions.framesOut / counters.writes > 50, "coalesced");
});

test("garbage, an oversized frame, a second hello or an unknown type close the link", async () => {
  const b = await make("b/node", { limits: { frameBytesMax: 4096 } });
  const breaches: [string, Buffer][] = [
    ["garbage", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["oversized", frame(FRAME_TYPES.consensus, new Uint8Array(4097)).subarray(0, 5)],
    ["second hello", hello()],
    ["unknown type", frame(99, utf8("?"))],
    ["ping with a load", frame(FRAME_TYPES.ping, utf8("?"))],
  ];
  for (const [i, [what, bytes]] of breaches.entries()) {
    const socket = await raw(b.port, alice);
    socket.write(hello());
    await until(() => b.transport.peers().length === 1, `link before ${what}`);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume();
    socket.write(bytes);
    await closed;
    assert.deepEqual(b.transport.peers(), [], what);
    assert.equal(b.transport.counters.violations, i + 1, what);
  }
  assert.equal(b.received.length, 0);
});

test("before the hello nothing else is taken, and a hello must fit key, ledger and size", async () => {
  const b = await make("b/node");
  const greetings: [Buffer, RegExp][] = [
    [frame(FRAME_TYPES.consensus, utf8("vote")), /NETWORK_HELLO/],
    [frame(FRAME_TYPES.hello, new Uint8Array(2000)), /NETWORK_FRAME_SIZE/],
    [frame(FRAME_TYPES.hello, utf8("nonsense")), /CBOR|FIELD/],
    [hello({ ledgerId: new Uint8Array(32) }), /NETWORK_WRONG_LEDGER.*genesis/],
    [hello({ id: "e/node" }), /NETWORK_WRONG_PEER/],
    [hello({ version: 3 }), /NETWORK_VERSION/],
  ];
  for (const [bytes, expected] of greetings) {
    const socket = await raw(b.port, alice);
    let said = "";
    socket.on("data", (chunk: Buffer) => {
      said += chunk.toString("latin1");
    });
    socket.write(bytes);
    await new Promise((resolve) => socket.once("close", resolve));
    assert.match(said, expected);
  }
  assert.deepEqual(b.ups, []);
});

test("a stranger's key, no certificate and plain TCP get no link", async () => {
  const b = await make("b/node");
  const strangers = [() => raw(b.port, eve), () => raw(b.port, undefined)];
  for (const [i, dial] of strangers.entries()) {
    const socket = await dial();
    socket.write(hello());
    socket.resume();
    await new Promise((resolve) => (socket.closed ? resolve(0) : socket.once("close", resolve)));
    assert.equal(b.transport.counters.refused, i + 1);
  }
  const plain = connectTcp(b.port, "127.0.0.1");
  plain.on("error", () => {});
  plain.write("hello?\n");
  plain.resume();
  await new Promise((resolve) => plain.once("close", resolve));
  assert.deepEqual(b.ups, []);
});

test("a dialer refuses a listener that shows another key than the registry's", async () => {
  const b = await make("b/node");
  const a = await make("a/node", { peerPort: b.port, peerKey: eve });
  await until(() => /wrong TLS key/.test(a.last()), "refusal");
  assert.deepEqual(a.ups, []);
  assert.deepEqual(b.ups, []);
});

test("nodes of different ledgers part, and both say why", async () => {
  const b = await make("b/node", { ledger: new Uint8Array(32).fill(2) });
  const a = await make("a/node", { peerPort: b.port });
  await until(() => /ledger/i.test(a.last()) && /ledger/i.test(b.last()), "reason on both sides");
  assert.deepEqual([...a.ups, ...b.ups], []);
});

test("a killed peer is given up, and found again when it is back", async () => {
  const port = await freePort();
  const first = await make("b/node", { port });
  const a = await make("a/node", { peerPort: port });
  await until(() => a.ups.length === 1, "link");
  await first.transport.stop();
  await until(() => a.ups.length === 2, "loss seen");
  a.transport.send("b/node", "consensus", utf8("lost"));
  assert.equal(a.transport.counters.channels.consensus.dropped, 1);
  const second = await make("b/node", { port });
  await until(() => a.ups.length === 3, "link again");
  a.transport.send("b/node", "consensus", utf8("again"));
  await until(() => second.received.length === 1, "message after return");
  assert.deepEqual(a.ups, [true, false, true]);
});

test("a peer that is silent without closing is given up; a probed living one is not", async () => {
  const b = await make("b/node");
  const socket = await raw(b.port, alice);
  socket.write(hello());
  await until(() => b.ups.length === 1, "link");
  socket.pause();
  await until(() => b.ups.length === 2, "silence noticed");
  socket.destroy();
  const [a, other] = await pair();
  // Both ends measure, also while one of them talks all the time.
  const talk = setInterval(() => a.transport.send("b/node", "sync", utf8("talk")), 20);
  const measures = (end: typeof a) => end.transport.links()[0]?.roundTripMs !== undefined;
  await until(() => measures(a) && measures(other), "probes answered");
  clearInterval(talk);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.deepEqual(a.ups, [true]);
});

test("a newer connection of the same peer replaces the older without a gap upstairs", async () => {
  const b = await make("b/node");
  const older = await raw(b.port, alice);
  older.write(hello());
  await until(() => b.ups.length === 1, "first link");
  const newer = await raw(b.port, alice);
  newer.write(hello());
  older.resume();
  newer.write(frame(FRAME_TYPES.sync, utf8("here")));
  await until(() => b.received.length === 1, "message on the newer");
  assert.deepEqual(b.ups, [true]);
  await new Promise((resolve) => (older.closed ? resolve(0) : older.once("close", resolve)));
  newer.destroy();
});

test("a peer that does not read costs a bounded queue; votes outlive transactions in it", async () => {
  const b = await make("b/node", { limits: { queueBytesMax: 200_000 } });
  const socket = await raw(b.port, alice);
  socket.write(hello());
  await until(() => b.ups.length === 1, "link");
  socket.pause();
  const batch = new Uint8Array(50_000);
  // What the kernel and the TLS layer take on is out of our hands; keep on until the queue stands.
  for (let i = 0; i < 400; i++) {
    b.transport.send("a/node", "transactions", batch);
    if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  for (let i = 0; i < 100; i++) b.transport.send("a/node", "consensus", new Uint8Array(100));
  const { channels } = b.transport.counters;
  assert.ok(b.transport.links()[0]!.queuedBytes <= 200_000);
  assert.ok(channels.transactions.dropped > 0);
  assert.equal(channels.consensus.dropped, 0);
  socket.destroy();
});

test("a peer that sends too fast is slowed down, not cut off", async () => {
  const [a, b] = await pair({ framesPerSecond: 100 });
  const started = performance.now();
  for (let i = 0; i < 50; i++) {
    a.transport.send("b/node", "transactions", utf8("x".repeat(40)));
    a.transport.send("b/node", "transactions", utf8("y".repeat(40)));
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (let i = 0; i < 30; i++) a.transport.send("b/node", "transactions", utf8("z"));
  await until(() => b.received.length === 130, "everything arrives");
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (let i = 0; i < 20; i++) a.transport.send("b/node", "transactions", utf8("z"));
  await until(() => b.received.length === 150, "and more");
  assert.ok(b.transport.counters.throttled > 0);
  assert.ok(performance.now() - started > 200, "50 frames over the allowance at 100 per second");
  assert.deepEqual(b.ups, [true]);
});

test("a message over the frame bound is refused at its sender", async () => {
  const [a] = await pair({ frameBytesMax: 1000 });
  assert.throws(() => a.transport.send("b/node", "sync", new Uint8Array(1001)), {
    code: "NETWORK_FRAME_SIZE",
  });
});

test("a taken port is named", async () => {
  const b = await make("b/node");
  await assert.rejects(make("a/node", { port: b.port }), { code: "NETWORK_LISTEN" });
});

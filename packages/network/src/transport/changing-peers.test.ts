/**
 * Goal: peers come, go and change their keys while nodes run, without a gap for those who stay;
 * IPv6 works; what a node sends stays under its bound, but for votes; lies and floods of a peer
 * are counted by what they are.
 */
import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { networkInterfaces } from "node:os";
import { after, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { utf8 } from "@hanse/protocol";
import { encodeFrameHead, encodeHello, FRAME_TYPES } from "../frames/frame-codec.ts";
import { createTlsIdentity, type TlsIdentity } from "../identity/tls-identity.ts";
import type { TlsTransport, TlsTransportLimits } from "./interfaces.ts";
import type { TlsPeer } from "./peer-book.ts";
import { createTlsTransport } from "./tls-transport.ts";

const ledgerId = new Uint8Array(32).fill(1);
const identities = new Map<string, TlsIdentity>(
  await Promise.all(
    ["a", "a2", "b", "b2", "c"].map(
      async (name) => [name, await createTlsIdentity({ name })] as const,
    ),
  ),
);
const key = (name: string) => identities.get(name)!;
const open: TlsTransport[] = [];
after(() => Promise.all(open.map((transport) => transport.stop())));

async function until(condition: () => boolean, what: string, withinMs = 60_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!condition()) {
    assert.ok(performance.now() < end, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

interface MakeOptions {
  readonly host?: string;
  readonly identity?: string;
  readonly others?: readonly string[];
  readonly limits?: Partial<TlsTransportLimits>;
}

async function make(self: string, peers: readonly TlsPeer[], options: MakeOptions = {}) {
  const transport = createTlsTransport({
    self,
    identity: key(options.identity ?? self),
    otherIdentities: (options.others ?? []).map(key),
    listen: { host: options.host ?? "127.0.0.1", port: 0 },
    peers,
    ledgerId,
    limits: { keepaliveMs: 500, reconnectMsMax: 100, ...options.limits },
  });
  open.push(transport);
  const received: string[] = [];
  const ups: string[] = [];
  transport.onMessage((from, channel, message) =>
    received.push(
      `${from} ${channel} ${message.length > 40 ? message.length : Buffer.from(message)}`,
    ),
  );
  transport.onPeer((peer, up) => ups.push(`${peer} ${up ? "up" : "down"}`));
  const { host, port } = await transport.start();
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  return { transport, received, ups, address, port };
}

const peer = (id: string, address?: string, keyName = id): TlsPeer => ({
  id,
  address,
  tlsFingerprint: key(keyName).fingerprint,
});

test("a peer is added and removed at run time; a bad list changes nothing", async () => {
  const c = await make("c", []);
  const a = await make("a", []);
  c.transport.setPeers([peer("a")]);
  a.transport.setPeers([peer("c", c.address)]);
  await until(() => c.ups.length === 1 && a.ups.length === 1, "link to the new peer");
  assert.throws(() => a.transport.setPeers([peer("c"), peer("b", undefined, "c")]), {
    code: "NETWORK_PEERS",
  });
  assert.throws(() => a.transport.setPeers([peer("b", undefined, "a")]), { code: "NETWORK_PEERS" });
  a.transport.setPeers([peer("c")]);
  assert.deepEqual(a.transport.peers(), ["c"], "an address not said stays as it was");
  c.transport.setPeers([]);
  await until(() => a.ups.includes("c down") && c.ups.includes("a down"), "removal seen");
  c.transport.send("a", "consensus", utf8("?"));
  assert.equal(c.transport.counters.channels.consensus.dropped, 1);
  await until(() => c.transport.counters.refused > 0, "the removed one is a stranger now");
  assert.deepEqual(c.transport.links(), []);
});

test("a key is rotated on both ends of a link without a gap", async () => {
  for (const first of ["dialer", "listener"] as const) {
    const b = await make("b", [peer("a")]);
    const a = await make("a", [peer("b", b.address)]);
    await until(() => a.ups.length === 1 && b.ups.length === 1, "link");
    const [own, other, name] = first === "dialer" ? [a, b, "a"] : [b, a, "b"];
    // The registry changes: first the others hear of it, then the node itself changes over.
    other.transport.setPeers([peer(name, undefined, `${name}2`)]);
    const upsBefore = a.transport.counters.linksUp;
    own.transport.rotateIdentity(key(`${name}2`));
    await until(() => a.transport.counters.linksUp > upsBefore || first === "listener", "new link");
    for (let i = 0; i < 20; i++) {
      a.transport.send("b", "sync", utf8(`from a ${i}`));
      b.transport.send("a", "sync", utf8(`from b ${i}`));
    }
    await until(() => a.received.length === 20 && b.received.length === 20, "all messages");
    assert.deepEqual([a.ups, b.ups], [["b up"], ["a up"]], "nobody upstairs noticed");
    await Promise.all([a.transport.stop(), b.transport.stop()]);
  }
});

test("who was away during the change still gets a link, by the key it knows", async () => {
  // b has changed over and keeps its key before; a has not heard of it, and dials.
  const b = await make("b", [peer("a")], { identity: "b2", others: ["b"] });
  const a = await make("a", [peer("b", b.address)]);
  await until(() => a.ups.length === 1 && b.ups.length === 1, "link by the listener's old key");
  await Promise.all([a.transport.stop(), b.transport.stop()]);
  // The other way round: the dialer has changed over, the listener has not heard of it.
  const second = await make("b", [peer("a")]);
  const dialer = await make("a", [peer("b", second.address)], { identity: "a2", others: ["a"] });
  await until(() => dialer.ups.length > 0 && second.ups.length === 1, "link by the older key");
  assert.ok(second.transport.counters.refused > 0, "its new key was tried first");
  assert.deepEqual(dialer.ups, ["b up"]);
});

test("after the overlap the key before gets no link, and a link made with it ends", async () => {
  const b = await make("b", [peer("a")], { limits: { keyOverlapMs: 300 } });
  const a = await make("a", [peer("b", b.address)]);
  await until(() => b.ups.length === 1, "link");
  b.transport.setPeers([peer("a", undefined, "a2")]);
  assert.deepEqual(b.transport.peers(), ["a"], "the old link serves on for a while");
  await until(() => b.ups.includes("a down"), "the old link has ended");
  const { refused } = b.transport.counters;
  await until(() => b.transport.counters.refused > refused, "the old key is a stranger's");
  assert.deepEqual(b.transport.peers(), []);
  a.transport.rotateIdentity(key("a2"), []);
  await until(() => b.transport.peers().length === 1, "the new key has a link");
});

const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === "::1"),
);
test("links over IPv6, and a dual listener taken by both families", {
  skip: hasIpv6 ? false : "this machine has no IPv6 loopback",
}, async () => {
  const b = await make("b", [peer("a")], { host: "::1" });
  assert.match(b.address, /^\[::1\]:/);
  const a = await make("a", [peer("b", b.address)], { host: "::1" });
  await until(() => a.ups.length === 1 && b.ups.length === 1, "link over ::1");
  const c = await make("c", [peer("a"), peer("b")], { host: "::" });
  a.transport.setPeers([peer("b"), peer("c", `127.0.0.1:${c.port}`)]);
  b.transport.setPeers([peer("a"), peer("c", `[::1]:${c.port}`)]);
  await until(() => c.transport.peers().length === 2, "links by IPv4 and IPv6");
});

test("the bound on what is sent holds over all links, and votes pass it", async () => {
  const b = await make("b", [peer("a")]);
  const c = await make("c", [peer("a")]);
  const a = await make("a", [peer("b", b.address), peer("c", c.address)], {
    limits: { bytesPerSecondMax: 200_000 },
  });
  await until(() => a.transport.peers().length === 2, "links");
  const started = performance.now();
  for (let i = 0; i < 20; i++) {
    a.transport.send("b", "transactions", new Uint8Array(5000));
    a.transport.send("c", "sync", new Uint8Array(5000));
  }
  const waiting = () => a.transport.links().reduce((sum, link) => sum + link.queuedBytes, 0);
  await until(() => a.transport.counters.capped > 0, "the bound is felt");
  assert.ok(waiting() > 0);
  const votes = 50;
  for (let i = 0; i < votes; i++) a.transport.broadcast("consensus", utf8(`vote ${i}`));
  const votesOf = (end: typeof b) =>
    end.received.filter((line) => line.includes("consensus")).length;
  await until(() => votesOf(b) === votes && votesOf(c) === votes, "votes");
  assert.ok(waiting() > 0, "votes were there while the rest still waited");
  await until(() => b.received.length + c.received.length === 40 + 2 * votes, "everything");
  const tookMs = performance.now() - started;
  assert.ok(tookMs > 700, `200 000 bytes at 200 000 per second, a tenth at once: ${tookMs} ms`);
});

async function rawLink(port: number): Promise<TLSSocket> {
  const { privateKeyPem, certificatePem } = key("a");
  const socket = connect({
    host: "127.0.0.1",
    port,
    rejectUnauthorized: false,
    ALPNProtocols: ["hanse/1"],
    key: privateKeyPem,
    cert: certificatePem,
  });
  socket.on("error", () => {});
  socket.resume();
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  const hello = encodeHello({ version: 1, ledgerId, id: "a" });
  socket.write(Buffer.concat([encodeFrameHead(FRAME_TYPES.hello, hello.length), hello]));
  return socket;
}

test("a lying length is a named violation; a short one is judged by what follows", async () => {
  const b = await make("b", [peer("a")], { limits: { frameBytesMax: 100_000 } });
  const lies: [string, Uint8Array, string][] = [
    [
      "four gigabytes",
      new Uint8Array([255, 255, 255, 255, FRAME_TYPES.sync]),
      "NETWORK_FRAME_SIZE",
    ],
    // Says 3, sends 8: the rest is read as a head of its own.
    [
      "too short",
      Buffer.concat([encodeFrameHead(FRAME_TYPES.consensus, 3), utf8("votevote")]),
      "NETWORK_FRAME_TYPE",
    ],
  ];
  for (const [what, bytes, code] of lies) {
    const socket = await rawLink(b.port);
    await until(() => b.transport.peers().length === 1, `link before ${what}`);
    socket.write(bytes);
    await until(() => b.transport.peers().length === 0, `link closed: ${what}`);
    assert.match(b.transport.links()[0]!.lastError!, /frame/);
    assert.equal(b.transport.counters.violationCodes.get(code), 1, what);
  }
  // Says more than it ever sends: memory for one frame at most, then silence ends the link.
  const socket = await rawLink(b.port);
  await until(() => b.transport.peers().length === 1, "link before too long");
  socket.write(Buffer.concat([encodeFrameHead(FRAME_TYPES.sync, 90_000), utf8("little")]));
  socket.pause();
  await until(() => b.transport.peers().length === 0, "silence noticed");
  socket.destroy();
  assert.equal(b.transport.counters.violations, 2);
});

test("a flood of frames slows its sender alone; a flood of connections is bounded", async () => {
  const b = await make("b", [peer("a"), peer("c")], { limits: { framesPerSecond: 200 } });
  const c = await make("c", [peer("b")]);
  b.transport.setPeers([peer("a"), peer("c", c.address)]);
  const flooder = await rawLink(b.port);
  await until(() => b.transport.peers().length === 2, "links");
  const frame = Buffer.concat([encodeFrameHead(FRAME_TYPES.consensus, 4), utf8("vote")]);
  flooder.write(Buffer.concat(Array.from({ length: 2000 }, () => frame)));
  await until(() => b.transport.counters.throttled > 0, "the flooder is throttled");
  c.transport.send("b", "consensus", utf8("honest"));
  await until(() => b.received.some((line) => line === "c consensus honest"), "the honest one");
  flooder.destroy();
  const sockets = Array.from({ length: 100 }, () => connectTcp(b.port, "127.0.0.1"));
  for (const socket of sockets) socket.on("error", () => {}).resume();
  const closed = () => sockets.filter((socket) => socket.closed).length;
  await until(() => closed() >= 100 - (2 * 2 + 32), "beyond the bound connections are cut");
  c.transport.send("b", "consensus", utf8("still here"));
  await until(() => b.received.includes("c consensus still here"), "links stand");
  for (const socket of sockets) socket.destroy();
});

/** Goal: the transport over TLS works over libp2p as over TCP, also between nodes that nobody can dial. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  createTlsIdentity,
  createTlsTransport,
  type TlsIdentity,
  type TlsTransport,
} from "@hanse/network";
import { utf8 } from "@hanse/protocol";
import { createLibp2pCarrier } from "./libp2p-carrier.ts";

const ledgerId = new Uint8Array(32).fill(1);
const names = ["a", "b", "r"];
const identities = new Map<string, TlsIdentity>(
  await Promise.all(names.map(async (name) => [name, await createTlsIdentity({ name })] as const)),
);
const open: TlsTransport[] = [];
after(() => Promise.all(open.map((transport) => transport.stop())));

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 90_000;
  while (!condition()) {
    assert.ok(performance.now() < end, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

interface MakeOptions {
  readonly listen?: readonly string[];
  readonly relays?: readonly string[];
  readonly isRelay?: boolean;
  readonly peers?: Readonly<Record<string, string | undefined>>;
}

async function make(self: string, options: MakeOptions) {
  const carrier = await createLibp2pCarrier({
    secret: utf8(`secret of ${self}`),
    listen: options.listen ?? [],
    relays: options.relays ?? [],
    isRelay: options.isRelay ?? false,
  });
  const transport = createTlsTransport({
    self,
    identity: identities.get(self)!,
    carrier,
    listen: { host: "", port: 0 },
    peers: Object.entries(options.peers ?? {}).map(([id, address]) => ({
      id,
      address,
      tlsFingerprint: identities.get(id)!.fingerprint,
    })),
    ledgerId,
    limits: { keepaliveMs: 1000, reconnectMsMax: 500 },
  });
  open.push(transport);
  const received: string[] = [];
  transport.onMessage((from, channel, message) =>
    received.push(`${from} ${channel} ${message.length}`),
  );
  await transport.start();
  return { carrier, transport, received };
}

test("links over libp2p, direct and by a circuit between two that nobody can dial", async () => {
  const r = await make("r", {
    listen: ["/ip4/127.0.0.1/tcp/0"],
    isRelay: true,
    peers: { a: undefined, b: undefined },
  });
  const relay = r.carrier.addresses()[0]!;
  assert.match(relay, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3/);
  const b = await make("b", { relays: [relay], peers: { r: relay, a: undefined } });
  await until(() => b.carrier.addresses().length > 0, "a place at the relay");
  const address = b.carrier.addresses()[0]!;
  assert.match(address, /\/p2p-circuit\/p2p\//);
  const a = await make("a", { relays: [relay], peers: { r: relay, b: address } });
  await until(
    () => [a, b, r].every(({ transport }) => transport.peers().length === 2),
    "all three linked",
  );
  for (let i = 0; i < 20; i++) a.transport.send("b", "sync", new Uint8Array(100_000));
  b.transport.send("a", "consensus", utf8("vote"));
  await until(() => b.received.length === 20 && a.received.length === 1, "messages both ways");
  assert.deepEqual(new Set(b.received), new Set(["a sync 100000"]));
  assert.deepEqual(a.received, ["b consensus 4"]);
  await a.transport.stop();
  await until(() => !b.transport.peers().includes("a"), "the end of a link is told");
  assert.deepEqual(b.transport.peers(), ["r"]);
});

test("an address that is none is named; one that leads nowhere ends the attempt alone", async () => {
  const options = { secret: utf8("s"), listen: [], relays: ["nonsense"], isRelay: false };
  await assert.rejects(createLibp2pCarrier(options), { code: "NETWORK_ADDRESS" });
  const nowhere = `/ip4/127.0.0.1/tcp/9/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA`;
  const a = await make("a", { peers: { b: nowhere } });
  const failed = () => a.transport.links()[0]!.lastError !== undefined;
  await until(failed, "a failed attempt");
  assert.deepEqual(a.transport.peers(), []);
});

/** One node's links over libp2p as a process: tells in JSON lines where it is reached and what it heard. */
import { readFileSync } from "node:fs";
import { createLibp2pCarrier } from "@hanse/libp2p";
import { createTlsTransport, readTlsIdentity } from "@hanse/network";
import { utf8 } from "@hanse/protocol";

export interface NatPeerConfig {
  readonly self: string;
  readonly listen: readonly string[];
  readonly relays: readonly string[];
  readonly isRelay: boolean;
  /** PEM files of all by name. */
  readonly keys: Readonly<Record<string, string>>;
  /** Addresses of those that this one dials. */
  readonly addresses: Readonly<Record<string, string>>;
}

const HELLO_MS = 200;
const config = JSON.parse(process.argv[2]!) as NatPeerConfig;
const { self, keys, addresses } = config;
const identityOf = (name: string) => readTlsIdentity(readFileSync(keys[name]!, "utf8"));
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

const carrier = await createLibp2pCarrier({ ...config, secret: utf8(`secret of ${self}`) });
const transport = createTlsTransport({
  self,
  identity: identityOf(self),
  carrier,
  listen: { host: "", port: 0 },
  peers: Object.keys(keys)
    .filter((name) => name !== self)
    .map((name) => ({
      id: name,
      address: addresses[name],
      tlsFingerprint: identityOf(name).fingerprint,
    })),
  ledgerId: new Uint8Array(32).fill(1),
  limits: { keepaliveMs: 1000, reconnectMsMax: 1000 },
});
const heard = new Set<string>();
transport.onMessage((from, _channel, message) => {
  if (heard.has(from)) return;
  heard.add(from);
  say({ heard: from, bytes: message.length });
});
await transport.start();
let told = "";
setInterval(() => {
  const reached = carrier.addresses();
  if (reached.join() !== told) {
    told = reached.join();
    say({ addresses: reached });
  }
  transport.broadcast("sync", new Uint8Array(50_000));
}, HELLO_MS);

/**
 * Two private networks behind address translation, each with one node, and a public one with a
 * relay, as network namespaces; prints what the nodes heard of each other as JSON. Runs inside
 * fresh namespaces only: see nat.test.ts.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { libp2pIdOf } from "@hanse/libp2p";
import { createTlsIdentity, encodeTlsIdentity } from "@hanse/network";
import { utf8 } from "@hanse/protocol";
import { hideNamespaces, ip, run } from "../../../scripts/faults/namespaces.ts";
import type { NatPeerConfig } from "./nat-peer.ts";
import { waitFor } from "./waiting.ts";

const PEER = path.join(import.meta.dirname, "nat-peer.ts");
const RELAY_ADDRESS = "198.51.100.10";
const PORT = 7071;
const NAMES = ["a", "b", "relay"];

/** A namespace on the public network. */
function addPublic(space: string, address: string): void {
  ip(`netns add ${space}`);
  ip(`link add ${space} type veth peer name public netns ${space}`);
  ip(`link set ${space} master hub up`);
  ip(`-n ${space} addr add ${address}/24 dev public`);
  ip(`-n ${space} link set public up`);
  ip(`-n ${space} link set lo up`);
}

/** A private network with one node, behind a router that lets nobody in. */
function addPrivate(name: string, routerAddress: string, network: string): void {
  const router = `router-${name}`;
  addPublic(router, routerAddress);
  ip(`netns add ${name}`);
  ip(`-n ${router} link add inside type veth peer name eth0 netns ${name}`);
  ip(`-n ${router} addr add ${network}.1/24 dev inside`);
  ip(`-n ${router} link set inside up`);
  ip(`-n ${name} addr add ${network}.2/24 dev eth0`);
  ip(`-n ${name} link set eth0 up`);
  ip(`-n ${name} link set lo up`);
  ip(`-n ${name} route add default via ${network}.1`);
  run("ip", ["netns", "exec", router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
  const rules = `table ip nat {
    chain out { type nat hook postrouting priority 100; oifname "public" masquerade; }
    chain through { type filter hook forward priority 0; policy drop;
      iifname "inside" accept;
      ct state established,related accept;
    }
    chain in { type filter hook input priority 0; policy drop;
      ct state established,related accept;
    }
  }`;
  run("ip", ["netns", "exec", router, "nft", "-f", "-"], rules);
}

interface RunningPeer {
  readonly child: ChildProcess;
  readonly heard: Set<string>;
  addresses: readonly string[];
}

function startPeer(config: NatPeerConfig): RunningPeer {
  const command = [process.execPath, PEER, JSON.stringify(config)];
  const child = spawn("ip", ["netns", "exec", config.self, ...command], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const peer: RunningPeer = { child, heard: new Set(), addresses: [] };
  createInterface({ input: child.stdout! }).on("line", (text) => {
    const line = JSON.parse(text) as { addresses?: string[]; heard?: string };
    if (line.addresses !== undefined) peer.addresses = line.addresses;
    if (line.heard !== undefined) peer.heard.add(line.heard);
  });
  return peer;
}

/** Whether a connection to the address can be opened from out here, on the public network. */
function canDial(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
    socket.once("timeout", () => end(false));
  });
}

hideNamespaces();
ip("link add hub type bridge");
ip("addr add 198.51.100.1/24 dev hub");
ip("link set hub up");
addPublic("relay", RELAY_ADDRESS);
addPrivate("a", "198.51.100.20", "10.1.0");
addPrivate("b", "198.51.100.30", "10.2.0");
const folder = mkdtempSync(path.join(tmpdir(), "hanse-nat-"));
const peers: RunningPeer[] = [];
try {
  const keys: Record<string, string> = {};
  for (const name of NAMES) {
    keys[name] = path.join(folder, `${name}.pem`);
    writeFileSync(keys[name], encodeTlsIdentity(await createTlsIdentity({ name })));
  }
  const start = (self: string, over: Partial<NatPeerConfig>) => {
    const listen = [`/ip4/0.0.0.0/tcp/${PORT}`];
    const peer = startPeer({
      self,
      listen,
      relays: [],
      isRelay: false,
      keys,
      addresses: {},
      ...over,
    });
    peers.push(peer);
    return peer;
  };
  const relayId = await libp2pIdOf(utf8("secret of relay"));
  const relayAddress = `/ip4/${RELAY_ADDRESS}/tcp/${PORT}/p2p/${relayId}`;
  const relay = start("relay", { isRelay: true });
  await waitFor("the relay listens", async () => relay.addresses.length > 0);
  const behind = { relays: [relayAddress] };
  const b = start("b", { ...behind, addresses: { relay: relayAddress } });
  const circuit = () => b.addresses.find((address) => address.includes("/p2p-circuit/"));
  await waitFor("b has a place at the relay", async () => circuit() !== undefined);
  const a = start("a", { ...behind, addresses: { relay: relayAddress, b: circuit()! } });
  const all = async () => peers.every(({ heard }) => heard.size === 2);
  await waitFor("everybody hears the others", all);
  const result = {
    heard: { a: [...a.heard].sort(), b: [...b.heard].sort(), relay: [...relay.heard].sort() },
    relayDialable: await canDial(RELAY_ADDRESS, PORT),
    routerDialable: await canDial("198.51.100.30", PORT),
    nodeDialable: await canDial("10.2.0.2", PORT),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  for (const { child } of peers) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

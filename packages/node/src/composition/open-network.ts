/** The links of a node: TLS below, and over it relays as soon as the ledger has many nodes. */
import type { RegisteredNode } from "@hanse/identity";
import type { Libp2pCarrier } from "@hanse/libp2p";
import {
  createRelayedTransport,
  createTlsTransport,
  type NodeFacts,
  planOverlay,
  type RelayCounters,
  type TlsTransport,
} from "@hanse/network";
import type { Clock } from "@hanse/ordering";
import { HanseError, type PublicKey, signMessage, verifySignature } from "@hanse/protocol";
import type { NodeConfig } from "../config/schema.ts";
import { otherTlsKeys } from "../folder/tls-key-files.ts";
import type { NodeLog } from "../log/create-log.ts";
import type { NodeIdentity } from "./node-identity.ts";

export interface NodeNetwork extends TlsTransport {
  /** The nodes of the registry: who may be an origin, who relays. */
  setNodes(nodes: readonly RegisteredNode[]): void;
  readonly relays: RelayCounters;
}

/** What is not measured the same everywhere counts the same for all: the lot decides. */
function factsOf({ id, org }: RegisteredNode): NodeFacts {
  return { id, org, healthPpm: 1_000_000, freeKilobits: 100_000, dialable: true, terms: 0 };
}

/** The package with its many dependencies is loaded only where it is asked for. */
async function openCarrier(
  { network }: NodeConfig,
  { consensusKey }: NodeIdentity,
): Promise<{ readonly carrier?: Libp2pCarrier }> {
  if (network.adapter === "tcp") return {};
  let libp2p: typeof import("@hanse/libp2p");
  try {
    libp2p = await import("@hanse/libp2p");
  } catch (cause) {
    throw new HanseError(
      "NODE_ADAPTER",
      "unavailable",
      "network.adapter: libp2p is not installed here; run npm ci, or use tcp",
      { cause },
    );
  }
  const family = network.host.includes(":") ? "ip6" : "ip4";
  const carrier = await libp2p.createLibp2pCarrier({
    secret: consensusKey.secretKey,
    listen: [`/${family}/${network.host}/tcp/${network.port}`],
    relays: network.circuitRelays?.split(",").map((relay) => relay.trim()) ?? [],
    isRelay: network.circuitRelay,
  });
  return { carrier };
}

/** @throws HanseError `NODE_ADAPTER`, and as `createTlsTransport`. */
export async function openNetwork(
  config: NodeConfig,
  identity: NodeIdentity,
  clock: Clock,
  log: NodeLog,
): Promise<NodeNetwork> {
  const { network } = config;
  const { genesis, ledgerId, node, tls, consensusKey } = identity;
  const carried = await openCarrier(config, identity);
  const links = createTlsTransport({
    self: node.id,
    identity: tls.inUse,
    otherIdentities: otherTlsKeys(tls),
    listen: network,
    ...carried,
    peers: genesis.nodes
      .filter((other) => other.id !== node.id)
      .map(({ id, tlsFingerprint }) => ({
        id,
        address: network.peers.find((peer) => peer.id === id)?.address,
        tlsFingerprint,
      })),
    ledgerId,
    limits: {
      frameBytesMax: network.frameBytesMax,
      queueBytesMax: network.queueBytesMax,
      bytesPerSecond: network.peerBytesPerSecond,
      framesPerSecond: network.peerFramesPerSecond,
      keepaliveMs: network.keepaliveMs,
      reconnectMsMax: network.reconnectMsMax,
      bytesPerSecondMax: network.bytesPerSecondMax,
      keyOverlapMs: network.keyOverlapMs,
    },
    log: log.child({ part: "network" }),
  });
  const keys = new Map<string, PublicKey>();
  const relayed = createRelayedTransport({
    links,
    ledgerId,
    clock,
    sign: (message) => signMessage(consensusKey, message),
    verify(origin, message, seal) {
      const key = keys.get(origin);
      return key !== undefined && verifySignature(key, message, seal);
    },
  });
  return {
    self: node.id,
    counters: links.counters,
    relays: relayed.counters,
    async start() {
      const bound = await links.start();
      const addresses = carried.carrier?.addresses();
      if (addresses !== undefined) log.info({ addresses }, "reachable over libp2p");
      return bound;
    },
    async stop() {
      relayed.stop();
      await links.stop();
    },
    setNodes(nodes) {
      keys.clear();
      for (const { id, key } of nodes) keys.set(id, key);
      const overlay =
        nodes.length > network.meshNodesMax ? planOverlay(nodes.map(factsOf), ledgerId) : undefined;
      links.setWanted(overlay?.links.get(node.id));
      relayed.setOverlay(overlay);
      if (overlay !== undefined) {
        log.info({ relays: [...overlay.relays], relay: overlay.relays.has(node.id) }, "relays");
      }
    },
    setPeers: (list) => links.setPeers(list),
    rotateIdentity: (identity, others) => links.rotateIdentity(identity, others),
    setWanted: (ids) => links.setWanted(ids),
    setPeerAddress: (id, address) => links.setPeerAddress(id, address),
    disconnect: (id, reason) => links.disconnect(id, reason),
    links: () => links.links(),
    sendEnvelope: (to, channel, envelope) => links.sendEnvelope(to, channel, envelope),
    onEnvelope: (handler) => links.onEnvelope(handler),
    send: (to, channel, message) => relayed.send(to, channel, message),
    broadcast: (channel, message) => relayed.broadcast(channel, message),
    onMessage: (handler) => relayed.onMessage(handler),
    onPeer: (handler) => relayed.onPeer(handler),
    peers: () => relayed.peers(),
  };
}

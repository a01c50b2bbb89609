/** The links of a node: TLS below, and over it relays as soon as the ledger has many nodes. */
import type { RegisteredNode } from "@hanse/identity";
import type { Libp2pCarrier } from "@hanse/libp2p";
import {
  createRelayedTransport,
  createTlsTransport,
  type LinkPlan,
  type NodeFacts,
  planTerm,
  type RelayCounters,
  type TlsTransport,
  termOf,
} from "@hanse/network";
import type { Clock } from "@hanse/ordering";
import { HanseError, type PublicKey, signMessage, verifySignature } from "@hanse/protocol";
import type { NodeConfig } from "../config/schema.ts";
import { otherTlsKeys } from "../folder/tls-key-files.ts";
import type { NodeLog } from "../log/create-log.ts";
import type { NodeIdentity } from "./node-identity.ts";

export interface NodeNetwork extends TlsTransport {
  /** The nodes of the registry at a height: who may be an origin, who relays. */
  setNodes(nodes: readonly RegisteredNode[], height: number): void;
  /** The ledger has come to this height; with a new term other nodes relay. */
  setHeight(height: number): void;
  readonly relays: RelayCounters;
}

/** What is not measured the same everywhere counts the same for all: the lot decides. */
function factsOf({ id, org }: RegisteredNode): Omit<NodeFacts, "terms"> {
  return { id, org, healthPpm: 1_000_000, freeKilobits: 100_000, dialable: true };
}

/** Until then new links are made while messages still go over the old ones. */
const HAND_OVER_MS = 3000;

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
  let nodes: readonly RegisteredNode[] = [];
  let term = 0;
  let plan: LinkPlan | undefined;
  let handOver: { cancel(): void } | undefined;
  let started = false;

  /** Links of both plans first, then messages over the new one, then its links alone. */
  function replan(): void {
    const before = plan;
    plan =
      nodes.length > network.meshNodesMax
        ? planTerm(nodes.map(factsOf), ledgerId, term)
        : undefined;
    handOver?.cancel();
    if (!started) return;
    const change = () => {
      relayed.setLinkPlan(plan);
      links.setWanted(plan?.links.get(node.id));
      if (plan === undefined) return;
      const relays = [...plan.relays];
      log.info({ term, relays, relay: plan.relays.has(node.id) }, "relays of this term");
    };
    const own = before?.links.get(node.id);
    if (plan === undefined || own === undefined) {
      change();
      return;
    }
    links.setWanted(new Set([...own, ...(plan.links.get(node.id) ?? [])]));
    handOver = clock.setTimer(HAND_OVER_MS, change);
  }

  return {
    self: node.id,
    counters: links.counters,
    relays: relayed.counters,
    async start() {
      const bound = await links.start();
      started = true;
      plan = undefined;
      replan();
      const addresses = carried.carrier?.addresses();
      if (addresses !== undefined) log.info({ addresses }, "reachable over libp2p");
      return bound;
    },
    async stop() {
      handOver?.cancel();
      relayed.stop();
      await links.stop();
    },
    setNodes(registered, height) {
      keys.clear();
      for (const { id, key } of registered) keys.set(id, key);
      nodes = registered;
      term = termOf(height);
      replan();
    },
    setHeight(height) {
      if (termOf(height) === term) return;
      term = termOf(height);
      if (plan !== undefined) replan();
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

/** The transport's peers and keys follow the registry of nodes in the ledger's state. */
import { findNode, listNodes, NODES } from "@hanse/identity";
import type { TlsPeer } from "@hanse/network";
import { HanseError, type Hash, toHanseError, toHex } from "@hanse/protocol";
import type { CommittedState, StateChange } from "@hanse/state";
import type { NodeConfig } from "../config/schema.ts";
import { adoptTlsKey, loadTlsKeys, otherTlsKeys } from "../folder/tls-key-files.ts";
import type { NodeLog } from "../log/create-log.ts";
import type { NodeNetwork } from "./open-network.ts";

/** Nodes of one ledger that can be peers; the registry itself may hold more. */
const PEERS_MAX = 1024;

export interface RegistryPeersParts {
  readonly config: NodeConfig;
  readonly state: CommittedState;
  readonly transport: Pick<NodeNetwork, "setPeers" | "setNodes" | "setHeight" | "rotateIdentity">;
  /** Newest height of which the state is. */
  readonly height: () => number;
  readonly log: NodeLog;
}

export interface RegistryPeers {
  /** A block with these changes is durable. */
  onChanges(height: number, changes: readonly StateChange[]): void;
  /** Reads the registry as it is now; call it also after the state came from elsewhere. */
  refresh(): void;
}

/** @throws HanseError `NODE_KEY` when the node has no key that the registry knows. */
export function followRegistry(parts: RegistryPeersParts): RegistryPeers {
  const { config, state, transport, log } = parts;
  const { id } = config.node;
  const addresses = new Map(config.network.peers.map((peer) => [peer.id, peer.address]));

  function refresh(): void {
    const all = listNodes(state, PEERS_MAX);
    const nodes = all.filter((node) => node.status === "active");
    const own = all.find((node) => node.id === id);
    if (own !== undefined && adoptTlsKey(config, own.tlsFingerprint as Hash)) {
      const keys = loadTlsKeys(config);
      transport.rotateIdentity(keys.inUse, otherTlsKeys(keys));
    }
    const peers = nodes
      .filter((node) => node.id !== id)
      .map(
        (node): TlsPeer => ({
          id: node.id,
          address: addresses.get(node.id) ?? node.address,
          tlsFingerprint: node.tlsFingerprint as Hash,
        }),
      );
    transport.setPeers(peers);
    transport.setNodes(nodes, parts.height());
    log.info({ peers: peers.length }, "peers as the registry has them");
  }

  requireKnownKey(parts);
  refresh();
  return {
    refresh,
    onChanges(height, changes) {
      transport.setHeight(height);
      if (!changes.some((change) => change.kind === "row" && change.table === NODES)) return;
      try {
        refresh();
      } catch (error) {
        // The links of before stay: the ledger goes on, and the operator hears why.
        log.error({ err: toHanseError(error) }, "the registry's nodes could not become peers");
      }
    },
  };
}

/**
 * The registry as this node has it may be older than its keys: then one of its earlier keys must
 * be there, or a change of keys have happened at all.
 */
function requireKnownKey({ config, state, log }: RegistryPeersParts): void {
  const registered = findNode(state, config.node.id)?.tlsFingerprint;
  if (registered === undefined) return;
  const keys = loadTlsKeys(config);
  const all = [keys.inUse, ...otherTlsKeys(keys)];
  if (all.some((key) => toHex(key.fingerprint) === toHex(registered))) return;
  const message = `is not the key whose fingerprint the registry has for ${config.node.id}`;
  if (keys.previous === undefined) {
    throw new HanseError("NODE_KEY", "rejected", `keys.tls: ${message}`, {
      details: { field: "keys.tls" },
    });
  }
  log.warn({ registered: toHex(registered) }, `keys.tls: ${message}; fetching a newer record`);
}

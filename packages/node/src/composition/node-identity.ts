/** Who a node is: genesis, its keys, and that all of them agree with the configuration. */
import { findNode } from "@hanse/identity";
import {
  equalBytes,
  type GenesisDocument,
  type GenesisNode,
  HASH_BACKEND,
  HanseError,
  type Hash,
  KEY_BACKENDS,
  type KeyPair,
  ledgerIdOf,
} from "@hanse/protocol";
import { PAIR_HASHER, type StateView } from "@hanse/state";
import type { NodeConfig } from "../config/schema.ts";
import { loadConsensusKey, loadGenesis } from "../folder/node-folder.ts";
import { loadTlsKeys, type TlsKeyFiles } from "../folder/tls-key-files.ts";
import type { NodeLog } from "../log/create-log.ts";

export interface NodeIdentity {
  readonly genesis: GenesisDocument;
  readonly ledgerId: Hash;
  readonly node: GenesisNode;
  readonly consensusKey: KeyPair;
  readonly tls: TlsKeyFiles;
}

function refuse(code: string, field: string, message: string): never {
  throw new HanseError(code, "rejected", `${field}: ${message}`, { details: { field } });
}

/**
 * Needs `readyKeyBackends` before.
 * @throws HanseError naming key, file and remedy when genesis, keys and configuration disagree.
 */
export function loadNodeIdentity(config: NodeConfig): NodeIdentity {
  const genesis = loadGenesis(config);
  const consensusKey = loadConsensusKey(config);
  const tls = loadTlsKeys(config);
  const { id, org } = config.node;
  const node = genesis.nodes.find((one) => one.id === id) ?? laterNode(config, consensusKey, tls);
  if (org !== undefined && node.org !== org) {
    refuse("NODE_UNKNOWN", "node.org", `the ledger has ${id} under ${node.org}, not ${org}`);
  }
  if (config.network.peers.some((peer) => peer.id === id)) {
    refuse("NODE_PEERS", "network.peers", `${id} is this node itself`);
  }
  return { genesis, ledgerId: ledgerIdOf(genesis), node, consensusKey, tls };
}

/** A node that joins after genesis: the ledger's registry is where the others know it from. */
function laterNode({ node: { id } }: NodeConfig, { publicKey }: KeyPair, tls: TlsKeyFiles) {
  const slash = id.indexOf("/");
  if (slash < 1) refuse("NODE_UNKNOWN", "node.id", `expected organization/name, found ${id}`);
  const { fingerprint } = tls.inUse;
  return { id, org: id.slice(0, slash), key: publicKey, tlsFingerprint: fingerprint };
}

/**
 * Whether this node's consensus key is the one that the ledger, as far as this node has it, knows
 * for it. A node whose signing state is gone may have been given a new key by decisions that it has
 * yet to fetch: it follows, and votes when it has them.
 * @throws HanseError `NODE_KEY`
 */
export function checkConsensusKey(
  { node, consensusKey }: NodeIdentity,
  state: StateView,
  parts: { readonly hasSigningState: boolean; readonly log: NodeLog },
): void {
  const known = findNode(state, node.id);
  if (known === undefined) {
    parts.log.warn(
      { node: node.id },
      "this node is not in the registry as it has it: an administrator of its organization registers it",
    );
    return;
  }
  const { algorithm, bytes } = consensusKey.publicKey;
  if (known.key.algorithm === algorithm && equalBytes(known.key.bytes, bytes)) return;
  const message = `is not the key that the ledger has for ${node.id}`;
  if (parts.hasSigningState) refuse("NODE_KEY", "keys.consensus", message);
  parts.log.warn({ node: node.id }, `keys.consensus: ${message}; fetching a newer record`);
}

/** Which library does each cryptographic job; warns loudly of slow ones. */
export function nameBackends(log: NodeLog): Readonly<Record<string, string>> {
  const backends: Record<string, string> = { sha256: HASH_BACKEND, stateTree: PAIR_HASHER };
  const slow: string[] = [];
  for (const [algorithm, info] of Object.entries(KEY_BACKENDS)) {
    backends[algorithm] = info.name;
    if (!info.fast) slow.push(`${algorithm} by ${info.name}`);
  }
  if (slow.length > 0) {
    log.warn(
      { slow },
      "SLOW CRYPTOGRAPHY: a native library is missing here, verification takes many times longer; reinstall the dependencies on this machine",
    );
  }
  return backends;
}

/** Who a node is: genesis, its keys, and that all of them agree with the configuration. */
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
import { PAIR_HASHER } from "@hanse/state";
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
  const node = genesis.nodes.find((one) => one.id === id);
  if (node === undefined) refuse("NODE_UNKNOWN", "node.id", `genesis has no node ${id}`);
  if (org !== undefined && node.org !== org) {
    refuse("NODE_UNKNOWN", "node.org", `genesis has ${id} under ${node.org}, not ${org}`);
  }
  const { algorithm, bytes } = consensusKey.publicKey;
  if (node.key.algorithm !== algorithm || !equalBytes(node.key.bytes, bytes)) {
    refuse("NODE_KEY", "keys.consensus", `is not the key that genesis has for ${id}`);
  }
  for (const peer of config.network.peers) {
    if (peer.id === id) refuse("NODE_PEERS", "network.peers", `${id} is this node itself`);
    if (!genesis.nodes.some((one) => one.id === peer.id)) {
      refuse("NODE_PEERS", "network.peers", `genesis has no node ${peer.id}`);
    }
  }
  return { genesis, ledgerId: ledgerIdOf(genesis), node, consensusKey, tls };
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

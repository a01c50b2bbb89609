/** CometBFT's home folder beside each node of a network that CometBFT orders. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { cometNodeId, createCometHome } from "@hanse/cometbft";
import { BLOCK_BYTES_CEILING } from "@hanse/modules";
import {
  createKeyPair,
  decodeGenesisFile,
  decodeKeyFile,
  encodeKeyFile,
  type KeyPair,
  ledgerIdOf,
  readyKeyBackends,
} from "@hanse/protocol";
import { saveSecretFile } from "./account-key.ts";
import type { NetworkFolder, NodeEntry } from "./network-folder.ts";

const HOST = "127.0.0.1";

/** The key that names a node's CometBFT on its links; made once. */
function linkKeyOf(node: NodeEntry): KeyPair {
  const file = path.join(node.folder, "keys", "comet-link.json");
  if (existsSync(file)) return decodeKeyFile(readFileSync(file, "utf8"));
  const key = createKeyPair("ed25519");
  saveSecretFile(file, encodeKeyFile(key));
  return key;
}

/**
 * Writes the homes of all nodes that have ports for CometBFT, again whenever ports change. What
 * CometBFT has signed and stored stays. `linkHostOf` says where a node's CometBFT is reached by the
 * others, 127.0.0.1 unless said; `isWanted` which homes are written, all unless said.
 */
export async function writeCometHomes(
  network: NetworkFolder,
  {
    linkHostOf = () => HOST,
    isWanted = () => true,
  }: {
    readonly linkHostOf?: (node: NodeEntry) => string;
    readonly isWanted?: (node: NodeEntry) => boolean;
  } = {},
): Promise<void> {
  const nodes = network.nodes.flatMap((node) =>
    node.comet === undefined ? [] : [{ node, ports: node.comet }],
  );
  if (nodes.length === 0) return;
  await readyKeyBackends();
  const genesis = decodeGenesisFile(readFileSync(network.genesisFile, "utf8"));
  const { blockBytesMax, blockIntervalMsMin } = genesis.params;
  const planned = nodes.map(({ node, ports }) => ({ node, ports, linkKey: linkKeyOf(node) }));
  for (const { node, ports, linkKey } of planned) {
    if (!isWanted(node)) continue;
    const consensusFile = path.join(node.folder, "keys", "consensus.json");
    createCometHome({
      folder: path.join(node.folder, "comet"),
      moniker: node.id,
      consensusKey: decodeKeyFile(readFileSync(consensusFile, "utf8")),
      linkKey,
      genesis: {
        ledgerId: ledgerIdOf(genesis),
        engineEpoch: 0,
        initialHeight: 1,
        time: genesis.time,
        blockBytesMax: Math.max(blockBytesMax, BLOCK_BYTES_CEILING),
      },
      listen: { host: linkHostOf(node), port: ports.linkPort },
      rpc: { host: HOST, port: ports.rpcPort },
      peers: planned
        .filter((other) => other.node !== node)
        .map((other) => ({
          nodeId: cometNodeId(other.linkKey.publicKey.bytes),
          host: linkHostOf(other.node),
          port: other.ports.linkPort,
        })),
      blockIntervalMs: blockIntervalMsMin,
    });
  }
}

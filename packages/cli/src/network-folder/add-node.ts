/** The folder of a further node of a network on this machine. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createNodeFolder, loadConfig, type NodeConfigInput, renderConfigToml } from "@hanse/node";
import { HanseError, type Hash, type PublicKey, readyKeyBackends } from "@hanse/protocol";
import { parse } from "smol-toml";
import { writeCometHomes } from "./comet-homes.ts";
import { findFreePorts } from "./free-ports.ts";
import {
  type NetworkFolder,
  type NetworkManifest,
  type NodeEntry,
  resolveNetworkFolder,
  saveManifest,
} from "./network-folder.ts";
import { createNodeKeys } from "./node-keys.ts";

export interface AddedNode {
  readonly network: NetworkFolder;
  readonly node: NodeEntry;
  readonly consensusKey: PublicKey;
  readonly tlsFingerprint: Hash;
  /** Where the other nodes reach it. */
  readonly address: string;
}

const NODE_ID = /^([a-z][a-z0-9-]{0,62})\/([a-z][a-z0-9-]{0,62})$/u;

function requireNewId(network: NetworkFolder, id: string): { org: string; name: string } {
  const [, org, name] = NODE_ID.exec(id) ?? [];
  if (org === undefined || name === undefined) {
    const message = `node "${id}": expected organization/name, such as court/node-2`;
    throw new HanseError("CLI_USAGE_NODE", "malformed", message);
  }
  if (network.nodes.some((node) => node.id === id)) {
    const message = `node "${id}": this network's folder has it already`;
    throw new HanseError("CLI_NODE_EXISTS", "conflict", message);
  }
  return { org, name };
}

/**
 * Makes keys, configuration and folder; the settings are those of the network's first node. The
 * ledger hears of it only when an administrator registers the node. Beside a node of a ledger that
 * CometBFT orders stands CometBFT's home; it dials the others' CometBFT, whose homes stay as they are.
 * @throws HanseError `CLI_USAGE_NODE`, `CLI_NODE_EXISTS`, `CLI_NO_PORT`
 */
export async function addNodeFolder(
  network: NetworkFolder,
  id: string,
  portBase?: number,
): Promise<AddedNode> {
  const { org, name } = requireNewId(network, id);
  await readyKeyBackends();
  const keys = await createNodeKeys(id);
  const ordered = network.nodes.some(({ comet }) => comet !== undefined);
  const ports = await findFreePorts(ordered ? 4 : 2, portBase);
  const [apiPort, networkPort, linkPort, rpcPort] = ports;
  const manifest: NetworkManifest = {
    ...network.manifest,
    nodes: [
      ...network.manifest.nodes,
      {
        id,
        org,
        folder: path.join("nodes", `${org}-${name}`),
        apiPort: apiPort!,
        networkPort: networkPort!,
        ...(ordered ? { comet: { linkPort: linkPort!, rpcPort: rpcPort! } } : {}),
      },
    ],
  };
  const grown = resolveNetworkFolder(network.folder, manifest);
  const node = grown.nodes.at(-1)!;
  if (existsSync(node.folder)) {
    throw new HanseError("CLI_NODE_EXISTS", "conflict", `${node.folder}: is there already`);
  }
  try {
    mkdirSync(path.dirname(node.logFile), { recursive: true });
    keys.save(path.join(node.folder, "keys"));
    copyFileSync(network.genesisFile, path.join(node.folder, "genesis.json"));
    writeFileSync(node.configFile, renderNodeConfig(network, node));
    // The signing state belongs to the act of creating a node: a start never makes one.
    await createNodeFolder(loadConfig({ file: node.configFile }).config);
    await writeCometHomes(grown, { isWanted: ({ id: one }) => one === id });
  } catch (error) {
    rmSync(node.folder, { recursive: true, force: true });
    throw error;
  }
  saveManifest(network.folder, manifest);
  const { consensusKey, tlsFingerprint } = keys;
  const address = `127.0.0.1:${node.networkPort}`;
  return { network: grown, node, consensusKey, tlsFingerprint, address };
}

/** Takes back what `addNodeFolder` made, when the ledger would not have the node. */
export function removeNodeFolder({ network, node }: AddedNode): void {
  rmSync(node.folder, { recursive: true, force: true });
  const nodes = network.manifest.nodes.filter(({ id }) => id !== node.id);
  saveManifest(network.folder, { ...network.manifest, nodes });
}

function renderNodeConfig(network: NetworkFolder, node: NodeEntry): string {
  const first = parse(readFileSync(network.nodes[0]!.configFile, "utf8")) as NodeConfigInput;
  const toml = renderConfigToml({
    ...first,
    node: { ...first.node, id: node.id },
    api: { ...first.api, port: node.apiPort },
    network: {
      ...first.network,
      port: node.networkPort,
      peers: network.nodes.map((other) => ({
        id: other.id,
        address: `127.0.0.1:${other.networkPort}`,
      })),
    },
    ...(node.comet === undefined ? {} : { comet: { ...first.comet, rpcPort: node.comet.rpcPort } }),
  });
  const title = `# Node ${node.id} of network ${network.manifest.network}. Every key: hanse config print`;
  return `${title}\n${toml}`;
}

/**
 * A network's folder on this machine: the genesis document, one folder per node with its
 * configuration, keys and data, and the keys of people. `network.json` lists them.
 *
 *     network.json   genesis.json   genesis.cbor
 *     accounts/<name>.json
 *     nodes/<org>-<node>/{node.toml, genesis.json, keys/, data/, logs/, process.json}
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { HanseError } from "@hanse/protocol";
import { type EtcdManifest, type EtcdMemberEntry, resolveEtcdMembers } from "./etcd-members.ts";

export const MANIFEST_FILE = "network.json";
const MANIFEST_VERSION = 1;

export interface NodeManifest {
  /** `org/node-name`, as in genesis. */
  readonly id: string;
  readonly org: string;
  /** Folder relative to the network's. */
  readonly folder: string;
  readonly apiPort: number;
  readonly networkPort: number;
  /** On a ledger that CometBFT orders: ports of its links and of its RPC. */
  readonly comet?: { readonly linkPort: number; readonly rpcPort: number };
}

export interface NetworkManifest {
  readonly format: "hanse-network";
  readonly version: 1;
  readonly network: string;
  readonly ledger: string;
  /** Hex of the ledger id. */
  readonly ledgerId: string;
  readonly nodes: readonly NodeManifest[];
  /** On a ledger whose order etcd keeps. */
  readonly etcd?: EtcdManifest;
}

/** A node of the folder with every path made absolute. */
export interface NodeEntry extends NodeManifest {
  readonly folder: string;
  readonly configFile: string;
  readonly dataFolder: string;
  readonly logFile: string;
  readonly processFile: string;
  readonly apiUrl: string;
}

export interface NetworkFolder {
  readonly folder: string;
  readonly manifest: NetworkManifest;
  readonly nodes: readonly NodeEntry[];
  /** Members of etcd that the network runs itself. */
  readonly etcd: readonly EtcdMemberEntry[];
  readonly genesisFile: string;
  readonly accountsFolder: string;
}

/** Where commands look when no `--dir` is given. */
export const DEFAULT_NETWORK_FOLDER = ".hanse/network";

export function isNetworkFolder(folder: string): boolean {
  return existsSync(path.join(folder, MANIFEST_FILE));
}

/** @throws HanseError `CLI_NO_NETWORK`, `CLI_NETWORK_CORRUPT` naming file and remedy. */
export function loadNetworkFolder(dir: string): NetworkFolder {
  const folder = path.resolve(dir);
  const file = path.join(folder, MANIFEST_FILE);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new HanseError(
      "CLI_NO_NETWORK",
      "notFound",
      `${folder}: no network here; create one with \`hanse network create --dir ${dir}\`, or name its folder with --dir`,
      { cause },
    );
  }
  return resolveNetworkFolder(folder, parseManifest(text, file));
}

function parseManifest(text: string, file: string): NetworkManifest {
  const corrupt = (what: string, cause?: unknown): never => {
    throw new HanseError(
      "CLI_NETWORK_CORRUPT",
      "corrupt",
      `${file}: ${what}; restore it from a copy (it names the nodes and their ports, keys and data are untouched)`,
      { cause },
    );
  };
  let value: Partial<NetworkManifest>;
  try {
    value = JSON.parse(text) as Partial<NetworkManifest>;
  } catch (cause) {
    return corrupt("is not JSON", cause);
  }
  if (value.format !== "hanse-network") return corrupt("is not the list of a network");
  if (value.version !== MANIFEST_VERSION)
    return corrupt(`version ${value.version} is unknown here`);
  if (!Array.isArray(value.nodes) || value.nodes.length === 0) return corrupt("lists no nodes");
  for (const [i, node] of value.nodes.entries()) {
    for (const field of ["id", "org", "folder"] as const) {
      if (typeof node?.[field] !== "string") return corrupt(`nodes[${i}].${field} is missing`);
    }
    for (const field of ["apiPort", "networkPort"] as const) {
      if (!Number.isInteger(node[field])) return corrupt(`nodes[${i}].${field} is not a port`);
    }
  }
  for (const field of ["network", "ledger", "ledgerId"] as const) {
    if (typeof value[field] !== "string") return corrupt(`${field} is missing`);
  }
  return value as NetworkManifest;
}

export function resolveNetworkFolder(folder: string, manifest: NetworkManifest): NetworkFolder {
  return {
    folder,
    manifest,
    genesisFile: path.join(folder, "genesis.json"),
    accountsFolder: path.join(folder, "accounts"),
    etcd: resolveEtcdMembers(folder, manifest.etcd),
    nodes: manifest.nodes.map((node) => {
      const nodeFolder = path.join(folder, node.folder);
      return {
        ...node,
        folder: nodeFolder,
        configFile: path.join(nodeFolder, "node.toml"),
        dataFolder: path.join(nodeFolder, "data"),
        logFile: path.join(nodeFolder, "logs", "node.log"),
        processFile: path.join(nodeFolder, "process.json"),
        apiUrl: `http://127.0.0.1:${node.apiPort}`,
      };
    }),
  };
}

export function saveManifest(folder: string, manifest: NetworkManifest): void {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, MANIFEST_FILE);
  writeFileSync(`${file}.tmp`, `${JSON.stringify(manifest, undefined, 2)}\n`);
  renameSync(`${file}.tmp`, file);
}

/**
 * The nodes that a word selects: a whole id, an organization, or a node's name; all when undefined.
 * @throws HanseError `CLI_USAGE_NODE` listing the known ones.
 */
export function selectNodes(network: NetworkFolder, wanted?: string): readonly NodeEntry[] {
  if (wanted === undefined) return network.nodes;
  const found = network.nodes.filter(
    (node) => node.id === wanted || node.org === wanted || node.id.endsWith(`/${wanted}`),
  );
  if (found.length > 0) return found;
  throw new HanseError(
    "CLI_USAGE_NODE",
    "notFound",
    `node "${wanted}" is not in this network; it has ${network.nodes.map((n) => n.id).join(", ")}`,
  );
}

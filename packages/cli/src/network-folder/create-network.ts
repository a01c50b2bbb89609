/** Making a network's folder: keys, genesis, one folder per node, accounts. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createNodeFolder, loadConfig, renderConfigToml } from "@hanse/node";
import { createPolicy, type PolicyParams } from "@hanse/ordering";
import {
  DEFAULT_LEDGER_PARAMS,
  encodeGenesis,
  type GenesisDocument,
  type GenesisOrdering,
  type GenesisPolicy,
  genesisToJson,
  HanseError,
  type LedgerParams,
  ledgerIdOf,
  type QuorumRule,
  readyKeyBackends,
  toHex,
} from "@hanse/protocol";
import { requireEtcdBinary } from "../processes/etcd-processes.ts";
import { createAccountKey, saveAccountKey } from "./account-key.ts";
import { writeCometHomes } from "./comet-homes.ts";
import { ETCD_PORTS, type EtcdManifest, planEtcd, writeEtcdMembers } from "./etcd-members.ts";
import { findFreePorts } from "./free-ports.ts";
import {
  type NetworkFolder,
  type NetworkManifest,
  type NodeManifest,
  resolveNetworkFolder,
  saveManifest,
} from "./network-folder.ts";
import { createNodeKeys, type NodeKeys } from "./node-keys.ts";
import { type NetworkTemplate, validateTemplate } from "./template.ts";

export interface CreateNetworkOptions {
  readonly dir: string;
  readonly template: NetworkTemplate;
  /** Ports are looked for from here up. */
  readonly portBase?: number;
  /** By which rule validators agree; `byzantine` unless said, `crash` over etcd. */
  readonly quorum?: QuorumRule;
  /** Who orders the blocks; `builtin` unless said. */
  readonly ordering?: GenesisOrdering;
  /** Who proposes; `fixed` unless said. */
  readonly policy?: GenesisPolicy;
  readonly policyParams?: PolicyParams;
  /** Addresses of an etcd that runs elsewhere; without them the network runs its own. */
  readonly etcdUrls?: readonly string[];
  readonly params?: Partial<LedgerParams>;
  /** Node settings on top of those that every node gets, e.g. another log level. */
  readonly nodeSettings?: Parameters<typeof renderConfigToml>[0];
  /** Time of genesis, milliseconds since 1970. */
  readonly now: number;
}

export const GENESIS_ENGINES = ["native", "needle"];

/**
 * Creates the folder with everything in it; leaves nothing behind when it fails.
 * @throws HanseError `CLI_FOLDER_NOT_EMPTY`, `CLI_USAGE_TEMPLATE`, `CLI_NO_PORT`,
 * `POLICY_PARAMS_INVALID`
 */
export async function createNetworkFolder(options: CreateNetworkOptions): Promise<NetworkFolder> {
  const template = validateTemplate(options.template);
  // Refuses parameters that no node could start with.
  createPolicy(options.policy ?? "fixed", options.policyParams);
  const folder = path.resolve(options.dir);
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new HanseError(
      "CLI_FOLDER_NOT_EMPTY",
      "conflict",
      `${folder}: is not empty, and nothing here is overwritten; choose another --dir or remove it yourself`,
    );
  }
  await readyKeyBackends();
  const existedBefore = existsSync(folder);
  try {
    return await fillFolder(folder, template, options);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    if (existedBefore) mkdirSync(folder, { recursive: true });
    throw error;
  }
}

interface PlannedNode extends NodeManifest {
  readonly keys: NodeKeys;
}

async function planNodes(
  template: NetworkTemplate,
  ordering: GenesisOrdering,
  portBase?: number,
): Promise<PlannedNode[]> {
  const ids = template.organizations.flatMap((org) =>
    Array.from({ length: org.nodes }, (_, i) => ({ org: org.id, name: `node-${i + 1}` })),
  );
  const count = ids.length;
  const ports = await findFreePorts((ordering === "cometbft" ? 4 : 2) * count, portBase);
  return Promise.all(
    ids.map(async ({ org, name }, i) => ({
      id: `${org}/${name}`,
      org,
      folder: path.join("nodes", `${org}-${name}`),
      // API ports first and together: they are what people type.
      apiPort: ports[i]!,
      networkPort: ports[count + i]!,
      ...(ordering === "cometbft"
        ? { comet: { linkPort: ports[2 * count + i]!, rpcPort: ports[3 * count + i]! } }
        : {}),
      keys: await createNodeKeys(`${org}/${name}`),
    })),
  );
}

/** The etcd that keeps the order: the one named, or members of our own above the nodes' ports. */
async function planOrder(
  nodes: readonly PlannedNode[],
  { etcdUrls, portBase }: CreateNetworkOptions,
): Promise<EtcdManifest> {
  if (etcdUrls !== undefined) return { urls: etcdUrls };
  requireEtcdBinary(process.env);
  const above = Math.max(...nodes.map((node) => node.networkPort)) + 1;
  return planEtcd(await findFreePorts(ETCD_PORTS, Math.max(above, portBase ?? 0)));
}

async function fillFolder(
  folder: string,
  template: NetworkTemplate,
  options: CreateNetworkOptions,
): Promise<NetworkFolder> {
  const ordering = options.ordering ?? "builtin";
  const nodes = await planNodes(template, ordering, options.portBase);
  const etcd = ordering === "etcd" ? await planOrder(nodes, options) : undefined;
  const people = template.organizations.flatMap((org) =>
    org.people.map((person) => ({
      ...createAccountKey(person.name),
      org: org.id,
      roles: person.roles,
    })),
  );
  const genesis: GenesisDocument = {
    version: 1,
    network: template.network,
    ledger: template.ledger,
    time: options.now,
    organizations: template.organizations.map(({ id, name }) => ({ id, name })),
    nodes: nodes.map((node) => ({
      id: node.id,
      org: node.org,
      key: node.keys.consensusKey,
      tlsFingerprint: node.keys.tlsFingerprint,
    })),
    accounts: people.map(({ name, org, keyPair, roles }) => ({
      name,
      org,
      key: keyPair.publicKey,
      roles: [...roles],
    })),
    validators: {
      quorum: options.quorum ?? (ordering === "etcd" ? "crash" : "byzantine"),
      members: nodes.map((node) => ({ id: node.id, vote: 1, propose: 1 })),
    },
    ordering,
    policy: options.policy ?? "fixed",
    ...(Object.keys(options.policyParams ?? {}).length === 0
      ? {}
      : { policyParams: options.policyParams }),
    engines: GENESIS_ENGINES,
    params: { ...DEFAULT_LEDGER_PARAMS, ...options.params },
  };
  const genesisJson = `${JSON.stringify(genesisToJson(genesis), undefined, 2)}\n`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(path.join(folder, "genesis.json"), genesisJson);
  writeFileSync(path.join(folder, "genesis.cbor"), encodeGenesis(genesis));
  for (const account of people) {
    saveAccountKey(path.join(folder, "accounts", `${account.name}.json`), account);
  }
  for (const node of nodes) {
    writeNodeFolder(folder, node, nodes, genesisJson, options, etcd);
    // The signing state belongs to the act of creating a node: a start never makes one.
    const file = path.join(folder, node.folder, "node.toml");
    await createNodeFolder(loadConfig({ file }).config);
  }
  const manifest: NetworkManifest = {
    format: "hanse-network",
    version: 1,
    network: template.network,
    ledger: template.ledger,
    ledgerId: toHex(ledgerIdOf(genesis)),
    nodes: nodes.map(({ keys: _keys, ...node }) => node),
    ...(etcd === undefined ? {} : { etcd }),
  };
  if (etcd !== undefined) writeEtcdMembers(folder, etcd);
  saveManifest(folder, manifest);
  const network = resolveNetworkFolder(folder, manifest);
  await writeCometHomes(network);
  return network;
}

function writeNodeFolder(
  folder: string,
  node: PlannedNode,
  all: readonly PlannedNode[],
  genesisJson: string,
  options: CreateNetworkOptions,
  etcd: EtcdManifest | undefined,
): void {
  const nodeFolder = path.join(folder, node.folder);
  mkdirSync(path.join(nodeFolder, "logs"), { recursive: true });
  node.keys.save(path.join(nodeFolder, "keys"));
  writeFileSync(path.join(nodeFolder, "genesis.json"), genesisJson);
  const { api, network, comet, node: nodeSection, ...more } = options.nodeSettings ?? {};
  const toml = renderConfigToml({
    ...more,
    node: { ...nodeSection, id: node.id },
    api: { ...api, host: "127.0.0.1", port: node.apiPort },
    network: {
      ...network,
      host: "127.0.0.1",
      port: node.networkPort,
      peers: all
        .filter((other) => other !== node)
        .map((other) => ({ id: other.id, address: `127.0.0.1:${other.networkPort}` })),
    },
    ...(etcd === undefined
      ? {}
      : { etcd: { ...options.nodeSettings?.etcd, urls: etcd.urls.join(",") } }),
    ...(node.comet === undefined ? {} : { comet: { ...comet, rpcPort: node.comet.rpcPort } }),
  });
  const title = `# Node ${node.id} of network ${options.template.network}. Every key: hanse config print`;
  writeFileSync(path.join(nodeFolder, "node.toml"), `${title}\n${toml}`);
}

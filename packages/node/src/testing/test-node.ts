/**
 * A node with everything real but its database, in a folder of its own under the system's
 * temporary folder: for tests of the doors and of the composition.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryLedgerStore, type MemoryLedgerStore } from "@hanse/ledger";
import { encodeNativeCall } from "@hanse/modules";
import { createTlsIdentity, encodeTlsIdentity } from "@hanse/network";
import {
  type CborValue,
  createKeyPair,
  DEFAULT_LEDGER_PARAMS,
  encodeKeyFile,
  encodeNativeBody,
  encodeNativeTransaction,
  type GenesisDocument,
  genesisToJson,
  type HanseError,
  type Hash,
  type KeyPair,
  type LedgerParams,
  ledgerIdOf,
  nativeSignedMessage,
  nativeTransactionId,
  readyKeyBackends,
  signMessage,
} from "@hanse/protocol";
import { type RunningNode, startNode } from "../composition/start-node.ts";
import { loadConfig, renderConfigToml } from "../config/load-config.ts";
import type { NodeConfigInput } from "../config/schema.ts";
import { createNodeFolder } from "../folder/node-folder.ts";
import { createLog } from "../log/create-log.ts";

export interface TestPerson {
  readonly name: string;
  readonly pair: KeyPair;
}

export interface TestNodeFolder {
  readonly folder: string;
  readonly configFile: string;
  readonly genesis: GenesisDocument;
  readonly ledgerId: Hash;
  readonly people: readonly TestPerson[];
  remove(): void;
}

export interface TestFolderOptions {
  readonly config?: NodeConfigInput;
  readonly engines?: readonly string[];
  readonly params?: Partial<LedgerParams>;
  readonly people?: readonly string[];
  readonly policy?: GenesisDocument["policy"];
  readonly policyParams?: Readonly<Record<string, number>>;
}

/** Below what systems give away by themselves, and apart for processes that run side by side. */
let portNext = 10_000 + (process.pid % 400) * 25;

/** Ports that were free a moment ago, and that nobody is given who does not ask for them. */
async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = portNext++;
    if (port > 20_000) throw new Error("no free port from 10000 to 20000");
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    ports.push(port);
  }
  return ports;
}

/** Folder, keys, genesis and configuration of a network of one node. */
export async function createTestFolder(options: TestFolderOptions = {}): Promise<TestNodeFolder> {
  const { nodes, ...common } = await createTestNetwork(1, options);
  return { ...common, configFile: nodes[0]!.configFile };
}

export interface TestNetworkFolder extends Omit<TestNodeFolder, "configFile"> {
  readonly nodes: readonly {
    readonly id: string;
    readonly configFile: string;
    readonly consensusKey: KeyPair;
    /** Account that speaks for the node's organization. */
    readonly admin: KeyPair;
  }[];
}

/** The same for several nodes, each of an organization of its own. */
export async function createTestNetwork(
  count: number,
  options: TestFolderOptions = {},
): Promise<TestNetworkFolder> {
  await readyKeyBackends();
  const folder = mkdtempSync(join(tmpdir(), "hanse-node-"));
  const orgs = ["harbour", "court", "bailiff", "notary", "press", "bank", "school"].slice(0, count);
  const ports = count === 1 ? [0] : await freePorts(count);
  const keys = await Promise.all(
    orgs.map(async (org, i) => {
      const id = `${org}/node-1`;
      const consensus = createKeyPair("ed25519");
      return { id, org, consensus, tls: await createTlsIdentity({ name: id }), port: ports[i]! };
    }),
  );
  const people = (options.people ?? ["admin", "ada", "ben"]).map((name) => ({
    name,
    pair: createKeyPair("ed25519"),
  }));
  // The first organization has people of its own.
  const admins = orgs.map((_, i) => (i === 0 ? people[0]!.pair : createKeyPair("ed25519")));
  const genesis: GenesisDocument = {
    version: 1,
    network: "test",
    ledger: "main",
    time: Date.now() - 1000,
    organizations: orgs.map((id) => ({ id, name: `The ${id}` })),
    nodes: keys.map(({ id, org, consensus, tls }) => ({
      id,
      org,
      key: consensus.publicKey,
      tlsFingerprint: tls.fingerprint,
    })),
    accounts: [
      ...people.map(({ name, pair }) => ({
        name,
        org: "harbour",
        key: pair.publicKey,
        roles: name === "admin" ? ["admin"] : [],
      })),
      ...admins.slice(1).map((pair, i) => ({
        name: "admin",
        org: orgs[i + 1]!,
        key: pair.publicKey,
        roles: ["admin"],
      })),
    ],
    validators: {
      quorum: "byzantine",
      members: keys.map(({ id }) => ({ id, vote: 1, propose: 1 })),
    },
    ordering: "builtin",
    policy: options.policy ?? "fixed",
    ...(options.policyParams === undefined ? {} : { policyParams: options.policyParams }),
    engines: options.engines ?? ["native"],
    params: { ...DEFAULT_LEDGER_PARAMS, blockIntervalMsMin: 0, ...options.params },
  };
  const { api, network, log, workers, ...more } = options.config ?? {};
  const nodes = [];
  for (const [i, { id, org, consensus, tls, port }] of keys.entries()) {
    const own = count === 1 ? folder : join(folder, org);
    mkdirSync(join(own, "keys"), { recursive: true });
    writeFileSync(join(own, "genesis.json"), JSON.stringify(genesisToJson(genesis)));
    writeFileSync(join(own, "keys/consensus.json"), encodeKeyFile(consensus));
    writeFileSync(join(own, "keys/tls.pem"), encodeTlsIdentity(tls));
    const configFile = join(own, "node.toml");
    writeFileSync(
      configFile,
      renderConfigToml({
        node: { id },
        api: { port: 0, ...api },
        network: {
          host: "127.0.0.1",
          port,
          peers: keys
            .filter((other) => other.id !== id)
            .map((other) => ({ id: other.id, address: `127.0.0.1:${other.port}` })),
          ...network,
        },
        log: { level: "silent", ...log },
        workers: { count: 1, ...workers },
        ...more,
      }),
    );
    await createNodeFolder(loadConfig({ file: configFile }).config);
    nodes.push({ id, configFile, consensusKey: consensus, admin: admins[i]! });
  }
  return {
    folder,
    nodes,
    genesis,
    ledgerId: ledgerIdOf(genesis),
    people,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface TestNode extends TestNodeFolder {
  readonly node: RunningNode;
  readonly url: string;
  /** Errors that would end the process. */
  readonly fatal: readonly string[];
  stop(): Promise<void>;
}

/** Starts a node over a store in memory. */
export async function startOverMemory(
  configFile: string,
  store: MemoryLedgerStore,
  onFatal: (error: HanseError) => void,
): Promise<RunningNode> {
  return startNode(loadConfig({ file: configFile }).config, {
    log: createLog(process.env.HANSE_TEST_LOG ?? "silent", {}),
    version: "0.0.0-test",
    openStore: async () => ({
      store,
      search: async (query) => store.state.find(query),
      close: async () => {},
      onFailure() {},
    }),
    onFatal,
  });
}

/** A network of one node, started. */
export async function startTestNode(options: TestFolderOptions = {}): Promise<TestNode> {
  const folder = await createTestFolder(options);
  const fatal: string[] = [];
  const node = await startOverMemory(folder.configFile, createMemoryLedgerStore(), (error) =>
    fatal.push(error.code),
  );
  return {
    ...folder,
    node,
    url: `http://127.0.0.1:${node.api.port}`,
    fatal,
    async stop() {
      await node.stop();
      folder.remove();
    },
  };
}

let nonce = 0n;

/** A signed call of a native module. */
export function signNative(
  pair: KeyPair,
  ledgerId: Hash,
  [module, action, args]: readonly [string, string, Readonly<Record<string, CborValue>>],
  over: { readonly validUntil?: number; readonly engine?: string } = {},
): { readonly id: Hash; readonly bytes: Uint8Array } {
  const body = encodeNativeBody({
    ledgerId,
    sender: pair.publicKey,
    nonce: ++nonce,
    validUntil: over.validUntil ?? Date.now() + 600_000,
    engine: over.engine ?? "native",
    payload: encodeNativeCall(module, action, args),
  });
  return {
    id: nativeTransactionId(body),
    bytes: encodeNativeTransaction(body, signMessage(pair, nativeSignedMessage(body))),
  };
}

/**
 * A node with everything real but its database, in a folder of its own under the system's
 * temporary folder: for tests of the doors and of the composition.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryLedgerStore } from "@hanse/ledger";
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
  type Hash,
  type KeyPair,
  type LedgerParams,
  ledgerIdOf,
  nativeSignedMessage,
  nativeTransactionId,
  readyKeyBackends,
  signMessage,
} from "@hanse/protocol";
import {
  type NodeAdapters,
  type OpenedStore,
  type RunningNode,
  startNode,
} from "../composition/start-node.ts";
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

/** Folder, keys, genesis and configuration of a network of one node. */
export async function createTestFolder(
  options: {
    readonly config?: NodeConfigInput;
    readonly engines?: readonly string[];
    readonly params?: Partial<LedgerParams>;
    readonly people?: readonly string[];
  } = {},
): Promise<TestNodeFolder> {
  await readyKeyBackends();
  const folder = mkdtempSync(join(tmpdir(), "hanse-node-"));
  mkdirSync(join(folder, "keys"));
  const id = "harbour/node-1";
  const consensus = createKeyPair("ed25519");
  const tls = await createTlsIdentity({ name: id });
  const people = (options.people ?? ["admin", "ada", "ben"]).map((name) => ({
    name,
    pair: createKeyPair("ed25519"),
  }));
  const genesis: GenesisDocument = {
    version: 1,
    network: "test",
    ledger: "main",
    time: Date.now() - 1000,
    organizations: [{ id: "harbour", name: "Harbour" }],
    nodes: [{ id, org: "harbour", key: consensus.publicKey, tlsFingerprint: tls.fingerprint }],
    accounts: people.map(({ name, pair }) => ({
      name,
      org: "harbour",
      key: pair.publicKey,
      roles: name === "admin" ? ["admin"] : [],
    })),
    validators: { quorum: "byzantine", members: [{ id, vote: 1, propose: 1 }] },
    ordering: "builtin",
    policy: "fixed",
    engines: options.engines ?? ["native"],
    params: { ...DEFAULT_LEDGER_PARAMS, blockIntervalMsMin: 0, ...options.params },
  };
  writeFileSync(join(folder, "genesis.json"), JSON.stringify(genesisToJson(genesis)));
  writeFileSync(join(folder, "keys/consensus.json"), encodeKeyFile(consensus));
  writeFileSync(join(folder, "keys/tls.pem"), encodeTlsIdentity(tls));
  const configFile = join(folder, "node.toml");
  const { api, network, log, workers, ...more } = options.config ?? {};
  writeFileSync(
    configFile,
    renderConfigToml({
      node: { id },
      api: { port: 0, ...api },
      network: { host: "127.0.0.1", port: 0, ...network },
      log: { level: "silent", ...log },
      workers: { count: 1, ...workers },
      ...more,
    }),
  );
  await createNodeFolder(loadConfig({ file: configFile }).config);
  return {
    folder,
    configFile,
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

/** Starts it over a store in memory. */
export async function startTestNode(
  options: Parameters<typeof createTestFolder>[0] & {
    readonly adapters?: Partial<NodeAdapters>;
    readonly store?: OpenedStore;
  } = {},
): Promise<TestNode> {
  const folder = await createTestFolder(options);
  const fatal: string[] = [];
  const { config } = loadConfig({ file: folder.configFile });
  const store = createMemoryLedgerStore();
  const memory: OpenedStore = options.store ?? {
    store,
    search: async (query) => store.state.find(query),
    close: async () => {},
    onFailure() {},
  };
  const node = await startNode(config, {
    log: createLog(process.env.HANSE_TEST_LOG ?? "silent", {}),
    version: "0.0.0-test",
    openStore: async () => memory,
    onFatal: (error) => fatal.push(error.code),
    ...options.adapters,
  });
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

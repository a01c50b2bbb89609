/** A network for one benchmark case: real node processes, accounts to move money between. */
import path from "node:path";
import { encodeBatch, ROUTES } from "@hanse/api";
import {
  ADMIN_ROLE,
  createNetworkFolder,
  downNetwork,
  findRunningProcess,
  type LedgerClient,
  loadNamedAccount,
  loadPackage,
  NETWORK_ADMIN_ROLE,
  type NetworkFolder,
  openLedger,
  upNetwork,
} from "@hanse/cli";
import { encodeCall } from "@hanse/engine-needle";
import { keyIdOf } from "@hanse/identity";
import {
  encodeNativeBody,
  encodeNativeTransaction,
  fromHex,
  type GenesisOrdering,
  type KeyPair,
  nativeSignedMessage,
  nativeTransactionId,
  readyKeyBackends,
  signMessage,
  toHex,
} from "@hanse/protocol";
import type { BenchContext } from "../bench-case.ts";
import type { LoadPlan } from "../load/load-plan.ts";
import { readCpuSeconds, readFolderBytes } from "../measure/process-usage.ts";

/** Senders: enough that no quota of one account is what is measured. */
const SENDERS = 64;
const CALL_TIMEOUT_MS = 60_000;
const BATCH_TRANSACTIONS = 1_000;

export interface BenchNetwork {
  readonly folder: NetworkFolder;
  readonly ledger: LedgerClient;
  readonly admin: KeyPair;
  readonly senderFiles: readonly string[];
  /** Process ids of the nodes; their PostgreSQL is below them. */
  pids(): readonly number[];
  cpuSeconds(): number;
  /** Bytes on disk of all nodes together. */
  diskBytes(): number;
}

export interface BenchNetworkOptions {
  readonly organizations: number;
  /** Who orders the blocks; `builtin` unless said. */
  readonly ordering?: GenesisOrdering;
  /** Name of the folder, where a case makes several. */
  readonly name?: string;
  /** On top of those that every benchmark sets. */
  readonly nodeSettings?: Parameters<typeof createNetworkFolder>[0]["nodeSettings"];
}

/** Ports of benchmarks, away from those that people and tests use. */
const PORT_BASE = 12_000;

export async function startBenchNetwork(
  context: BenchContext,
  options: BenchNetworkOptions,
): Promise<BenchNetwork> {
  await readyKeyBackends();
  const orgs = Array.from({ length: options.organizations }, (_, i) => `org-${i + 1}`);
  const folder = await createNetworkFolder({
    dir: path.join(context.folder, options.name ?? "network"),
    template: {
      network: "bench",
      ledger: "main",
      organizations: orgs.map((id, i) => ({
        id,
        name: id,
        nodes: 1,
        people: [
          { name: `${id}-admin`, roles: [ADMIN_ROLE, NETWORK_ADMIN_ROLE] },
          ...Array.from({ length: SENDERS / orgs.length }, (_, s) => ({
            name: `sender-${i * (SENDERS / orgs.length) + s + 1}`,
            roles: [],
          })),
        ],
      })),
    },
    portBase: PORT_BASE,
    ...(options.ordering === undefined ? {} : { ordering: options.ordering }),
    now: Date.now(),
    nodeSettings: {
      log: { level: "warn" },
      mempool: { perOrgPercentMax: 100 },
      ...options.nodeSettings,
    },
  });
  context.defer(async () => {
    await downNetwork(folder, { timeoutMs: 10_000 });
  });
  await upNetwork(folder, { attached: true });
  const ledger = await openLedger(folder.nodes[0]!.apiUrl, CALL_TIMEOUT_MS);
  return {
    folder,
    ledger,
    admin: loadNamedAccount(folder.accountsFolder, "org-1-admin").keyPair,
    senderFiles: Array.from({ length: SENDERS }, (_, i) =>
      path.join(folder.accountsFolder, `sender-${i + 1}.json`),
    ),
    pids: () => folder.nodes.flatMap((node) => findRunningProcess(node)?.pid ?? []),
    cpuSeconds: () =>
      readCpuSeconds(folder.nodes.flatMap((node) => findRunningProcess(node)?.pid ?? [])),
    diskBytes: () => folder.nodes.reduce((sum, node) => sum + readFolderBytes(node.dataFolder), 0),
  };
}

export async function installApplication(network: BenchNetwork, folder: string): Promise<void> {
  await network.ledger.execute(network.admin, {
    contract: "app.install",
    params: new Map([["package", loadPackage(folder).bytes]]),
  });
}

let nextNonce = BigInt(Date.now()) << 20n;

/** Signed calls of the administrator in batches; resolves when all are final, throws on a failure. */
export async function submitCalls(
  network: BenchNetwork,
  calls: readonly {
    readonly contract: string;
    readonly params: Readonly<Record<string, bigint | number | string>>;
  }[],
): Promise<void> {
  const { admin, ledger } = network;
  const validUntil = Date.now() + 3_600_000;
  const ids: string[] = [];
  const transactions = calls.map(({ contract, params }) => {
    const body = encodeNativeBody({
      ledgerId: fromHex(ledger.ledgerId),
      sender: admin.publicKey,
      nonce: nextNonce++,
      validUntil,
      engine: "needle",
      payload: encodeCall(contract, params),
    });
    ids.push(toHex(nativeTransactionId(body)));
    return encodeNativeTransaction(body, signMessage(admin, nativeSignedMessage(body)));
  });
  for (let at = 0; at < transactions.length; at += BATCH_TRANSACTIONS) {
    const part = transactions.slice(at, at + BATCH_TRANSACTIONS);
    const response = await fetch(`${ledger.url}${ROUTES.submitBatch.path}`, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: encodeBatch(part) as Uint8Array<ArrayBuffer>,
    });
    const answer = (await response.json()) as { accepted?: number; refused?: unknown[] };
    if (response.status !== 202 || answer.refused?.length !== 0) {
      throw new Error(`batch refused: ${JSON.stringify(answer).slice(0, 500)}`);
    }
  }
  // Among several nodes the last one sent may be final before others: each is asked for.
  for (const id of ids.reverse()) {
    const { outcome } = await ledger.waitFinal(id);
    if (outcome!.code !== "ok") throw new Error(`a preparing call failed: ${outcome!.error}`);
  }
}

export interface Accounts {
  /** Row id of each sender's account, in the order of the key files. */
  readonly accountIds: readonly string[];
  readonly accountIdMax: number;
  /** Set when a sender owns many accounts: from its first, every so many ids one more. */
  readonly accountStride?: number;
}

/** Accounts of the application transfers: one for each sender and some more to receive. */
export async function openAccounts(network: BenchNetwork, count: number): Promise<Accounts> {
  const owners = senderKeyIds(network);
  await submitCalls(
    network,
    Array.from({ length: count }, (_, i) => ({
      contract: "Open",
      params: { Balance: "1000000000", Owner: owners[i % owners.length]! },
    })),
  );
  return findAccounts(network, "1_accounts");
}

/** Key ids of the senders, in the order of the key files. */
export function senderKeyIds(network: BenchNetwork): bigint[] {
  return network.senderFiles.map((file) =>
    keyIdOf(
      loadNamedAccount(network.folder.accountsFolder, path.basename(file, ".json")).keyPair
        .publicKey,
    ),
  );
}

async function findAccounts(network: BenchNetwork, table: string): Promise<Accounts> {
  const rows: Readonly<Record<string, unknown>>[] = [];
  for (;;) {
    const page = await network.ledger.rows(table, {
      caller: network.admin,
      limit: 1000,
      offset: rows.length,
    });
    rows.push(...page);
    if (page.length < 1000) break;
  }
  const byOwner = new Map(rows.map((row) => [String(row.owner), String(row.id)]));
  const accountIds = senderKeyIds(network).map((owner) => {
    const id = byOwner.get(String(owner));
    if (id === undefined) throw new Error(`no account of ${owner} in ${table}`);
    return id;
  });
  return { accountIds, accountIdMax: rows.length };
}

/** A load plan with what the network fixes. */
export function planLoad(
  network: BenchNetwork,
  accounts: Accounts,
  load: Pick<LoadPlan, "mode" | "ratePerSecond" | "durationMs"> & Partial<LoadPlan>,
): LoadPlan {
  return {
    urls: network.folder.nodes.map((node) => node.apiUrl),
    ledgerId: network.ledger.ledgerId,
    senderFiles: network.senderFiles,
    contract: "Transfer",
    ...accounts,
    batchEveryMs: 20,
    connections: load.mode === "batch" ? 4 : 32,
    drainMs: 10_000,
    ...load,
  };
}

/** Networks of real node processes for tests: made in a temporary folder, gone afterwards. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import {
  type AccountKey,
  createNetworkFolder,
  downNetwork,
  findRunningProcess,
  type LedgerClient,
  loadNamedAccount,
  loadPackage,
  type NetworkFolder,
  type NetworkTemplate,
  type NodeEntry,
  openLedger,
  sendSignal,
  upNetwork,
} from "@hanse/cli";
import { type GenesisOrdering, readyKeyBackends } from "@hanse/protocol";

export const ENTRIES_APP = path.join(import.meta.dirname, "entries-app");
const REQUEST_TIMEOUT_MS = 60_000;
const READY_TIMEOUT_MS = 150_000;

export interface TestNetwork {
  readonly folder: NetworkFolder;
  readonly nodes: readonly NodeEntry[];
  account(name: string): AccountKey;
  client(node?: number): Promise<LedgerClient>;
  up(nodes?: readonly NodeEntry[]): Promise<void>;
  down(nodes?: readonly NodeEntry[]): Promise<void>;
  /** SIGKILL to the node and to everything below it, its PostgreSQL included. */
  kill(...nodes: readonly NodeEntry[]): void;
  /** SIGKILL to the node alone; its PostgreSQL is left an orphan. */
  killNodeAlone(...nodes: readonly NodeEntry[]): void;
  installEntries(): Promise<void>;
}

export interface TestNetworkOptions {
  readonly template: NetworkTemplate;
  readonly nodeSettings?: Parameters<typeof createNetworkFolder>[0]["nodeSettings"];
  readonly params?: Parameters<typeof createNetworkFolder>[0]["params"];
  readonly ordering?: GenesisOrdering;
}

/** A folder of its own for one test, removed afterwards with every process that works in it. */
export function createTestFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "hanse-e2e-"));
  // Also when the test process itself is ended: then `after` never runs.
  const onExit = () => killProcessesIn(folder);
  process.once("exit", onExit);
  t.after(async () => {
    process.off("exit", onExit);
    await removeFolder(folder);
  });
  return folder;
}

/** Processes that were killed write and hold files for a moment longer: again until it is gone. */
async function removeFolder(folder: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    killProcessesIn(folder);
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // A file came into being while its folder was emptied.
    }
    if (!existsSync(folder)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${folder} cannot be removed`);
}

/** Tests may run side by side on one machine: each takes its ports from a place of its own. */
export function choosePortBase(): number {
  return 20_000 + (process.pid % 550) * 20;
}

export async function createTestNetwork(
  t: TestContext,
  options: TestNetworkOptions,
): Promise<TestNetwork> {
  await readyKeyBackends();
  const root = createTestFolder(t);
  const folder = await createNetworkFolder({
    dir: path.join(root, "network"),
    template: options.template,
    now: Date.now(),
    portBase: choosePortBase(),
    nodeSettings: { log: { level: "info" }, ...options.nodeSettings },
    ...(options.params === undefined ? {} : { params: options.params }),
    ...(options.ordering === undefined ? {} : { ordering: options.ordering }),
  });
  return driveNetwork(folder);
}

function driveNetwork(folder: NetworkFolder): TestNetwork {
  const account = (name: string) => loadNamedAccount(folder.accountsFolder, name);
  const client = (node = 0) =>
    openLedger(folder.nodes[node]!.apiUrl, { timeoutMs: REQUEST_TIMEOUT_MS, retries: 0 });
  return {
    folder,
    nodes: folder.nodes,
    account,
    client,
    async up(nodes = folder.nodes) {
      await upNetwork(folder, { attached: true, nodes, timeoutMs: READY_TIMEOUT_MS });
    },
    async down(nodes = folder.nodes) {
      await downNetwork(folder, { nodes });
    },
    kill(...nodes) {
      for (const node of nodes) {
        const pid = findRunningProcess(node)?.pid;
        // The node first: it must not see its database go and shut down in order.
        if (pid !== undefined) sendSignal(pid, "SIGKILL");
        killProcessesIn(node.folder);
      }
    },
    killNodeAlone(...nodes) {
      for (const node of nodes) {
        const pid = findRunningProcess(node)?.pid;
        if (pid !== undefined) sendSignal(pid, "SIGKILL");
      }
    },
    async installEntries() {
      const ledger = await client();
      const admin = account(`${folder.nodes[0]!.org}-admin`);
      await ledger.execute(admin.keyPair, {
        contract: "app.install",
        params: new Map([["package", loadPackage(ENTRIES_APP).bytes]]),
      });
    },
  };
}

/** Ends every process whose command line or working folder lies in the folder (Linux). */
export function killProcessesIn(folder: string): void {
  const own = [process.pid, process.ppid];
  for (const name of readProcessNames()) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || own.includes(pid)) continue;
    if (!worksIn(pid, folder)) continue;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself in the meantime.
    }
  }
}

function readProcessNames(): string[] {
  try {
    return readdirSync("/proc");
  } catch {
    return [];
  }
}

/** Postmaster and nodes name their folder on the command line; backends stand in it by environment. */
function worksIn(pid: number, folder: string): boolean {
  try {
    if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder)) return true;
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
    return environment.split("\0").some((entry) => entry.startsWith(`PGDATA=${folder}`));
  } catch {
    return false;
  }
}

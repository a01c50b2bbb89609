/** Four nodes as real processes, each in a network namespace of its own, with PostgreSQL and all. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import {
  countedTemplate,
  createNetworkFolder,
  loadNamedAccount,
  loadPackage,
  type NetworkFolder,
  type NodeEntry,
  openLedger,
  probeNode,
  writeCometHomes,
} from "@hanse/cli";
import { type GenesisOrdering, readyKeyBackends } from "@hanse/protocol";
import {
  ENTRIES_APP,
  killProcessesIn,
  type TestNetwork,
} from "../../test/e2e/harness/test-network.ts";
import { waitFor } from "../../test/e2e/harness/waiting.ts";
import { addressOf, NETWORK_PORT, namespaceOf } from "./namespaces.ts";

const API_PORT = 7070;
const PROGRAM = path.join(import.meta.dirname, "../../packages/node/src/main.ts");
const REQUEST_TIMEOUT_MS = 20_000;
const START_TIMEOUT_MS = 120_000;

export interface FaultNetwork extends TestNetwork {
  start(...nodes: readonly number[]): Promise<void>;
  /** In order, by SIGTERM. */
  stop(...nodes: readonly number[]): Promise<void>;
  /** SIGKILL to the node and its PostgreSQL. */
  killHard(node: number): void;
  /** SIGSTOP or SIGCONT to the node's process alone. */
  signal(node: number, signal: "SIGSTOP" | "SIGCONT"): void;
  isRunning(node: number): boolean;
  /** Puts the node's data on a disk of so many megabytes; only while it is stopped. */
  moveToSmallDisk(node: number, megabytes: number): void;
  /** Takes the small disks away, with what is on them; at the end. */
  removeSmallDisks(): void;
}

export async function createFaultNetwork(
  root: string,
  ordering: GenesisOrdering,
): Promise<FaultNetwork> {
  await readyKeyBackends();
  const created = await createNetworkFolder({
    dir: path.join(root, "network"),
    template: countedTemplate("faults", 4),
    ordering,
    now: Date.now(),
    nodeSettings: {
      log: { level: "info" },
      workers: { count: 1 },
      ordering: { stalledMs: 3000 },
      network: { keepaliveMs: 500, reconnectMsMax: 1000 },
    },
  });
  const nodes = created.nodes.map(
    (node, i): NodeEntry => ({
      ...node,
      apiUrl: `http://${addressOf(i)}:${API_PORT}`,
    }),
  );
  const folder: NetworkFolder = { ...created, nodes };
  await writeCometHomes(folder, {
    linkHostOf: ({ id }) => addressOf(nodes.findIndex((node) => node.id === id)),
  });
  const processes = new Map<number, ChildProcess>();
  const smallDisks = new Set<string>();
  const indexOf = (node: NodeEntry) => nodes.findIndex(({ id }) => id === node.id);
  const peers = nodes.map((node, i) => `${node.id}=${addressOf(i)}:${NETWORK_PORT}`);

  function spawnNode(i: number): void {
    const node = nodes[i]!;
    const log = openSync(node.logFile, "a");
    const settings = [
      ...["--api.host", addressOf(i), "--api.port", String(API_PORT)],
      ...["--network.host", addressOf(i), "--network.port", String(NETWORK_PORT)],
      ...["--network.peers", peers.filter((_, other) => other !== i).join(",")],
    ];
    const command = [process.execPath, PROGRAM, "--config", node.configFile, ...settings];
    const child = spawn("ip", ["netns", "exec", namespaceOf(i), ...command], {
      cwd: node.folder,
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    processes.set(i, child);
    child.once("exit", () => {
      if (processes.get(i) === child) processes.delete(i);
    });
  }

  const network: FaultNetwork = {
    folder,
    nodes,
    account: (name) => loadNamedAccount(folder.accountsFolder, name),
    client: (node = 0) =>
      openLedger(nodes[node]!.apiUrl, { timeoutMs: REQUEST_TIMEOUT_MS, retries: 0 }),
    up: (which = nodes) => network.start(...which.map(indexOf)),
    down: (which = nodes) => network.stop(...which.map(indexOf)),
    kill(...which) {
      for (const node of which) network.killHard(indexOf(node));
    },
    killNodeAlone(...which) {
      for (const node of which) processes.get(indexOf(node))?.kill("SIGKILL");
    },
    async installEntries() {
      const ledger = await network.client();
      const admin = network.account("org-1-admin");
      await ledger.execute(admin.keyPair, {
        contract: "app.install",
        params: new Map([["package", loadPackage(ENTRIES_APP).bytes]]),
      });
    },
    async start(...which) {
      for (const i of which) if (!processes.has(i)) spawnNode(i);
      await waitFor(
        `nodes ${which.map((i) => i + 1)} are ready`,
        async () => {
          const probes = await Promise.all(which.map((i) => probeNode(nodes[i]!.apiUrl, 2000)));
          return probes.every(({ ready }) => ready);
        },
        START_TIMEOUT_MS,
      );
    },
    async stop(...which) {
      await Promise.all(
        which.map(async (i) => {
          const child = processes.get(i);
          if (child === undefined) return;
          const ended = new Promise((resolve) => child.once("exit", resolve));
          child.kill("SIGTERM");
          await ended;
        }),
      );
    },
    killHard(i) {
      processes.get(i)?.kill("SIGKILL");
      processes.delete(i); // Its end is told later; it may be started again at once.
      killProcessesIn(nodes[i]!.folder);
    },
    signal: (i, signal) => void processes.get(i)?.kill(signal),
    isRunning: (i) => processes.has(i),
    moveToSmallDisk(i, megabytes) {
      const { dataFolder } = nodes[i]!;
      const aside = `${dataFolder}.aside`;
      renameSync(dataFolder, aside);
      mkdirSync(dataFolder, { mode: 0o700 });
      const mount = ["-t", "tmpfs", "-o", `size=${megabytes}m,mode=0700`, "none", dataFolder];
      const done = spawnSync("mount", mount, { encoding: "utf8" });
      if (done.status !== 0) throw new Error(`mount ${mount.join(" ")}: ${done.stderr}`);
      // `cp` keeps owners, which PostgreSQL insists on.
      const copied = spawnSync("cp", ["-a", `${aside}/.`, dataFolder], { encoding: "utf8" });
      if (copied.status !== 0) throw new Error(`cp: ${copied.stderr}`);
      rmSync(aside, { recursive: true });
      smallDisks.add(dataFolder);
    },
    removeSmallDisks() {
      for (const folder of smallDisks) spawnSync("umount", ["--lazy", folder]);
      smallDisks.clear();
    },
  };
  return network;
}

/** Fills a file until the disk has no room left. */
export function fillDisk(file: string): void {
  const block = Buffer.alloc(64 * 1024, 1);
  for (const size of [block.length, 4096, 512, 1]) {
    try {
      for (;;) writeFileSync(file, block.subarray(0, size), { flag: "a" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }
}

/** How long a node takes to join by a snapshot, by the length of the history that it does not need. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { downNetwork, type NodeEntry, openLedger, upNetwork } from "@hanse/cli";
import { createNodeFolder, loadConfig } from "@hanse/node";
import { genesisFromJson } from "@hanse/protocol";
import type { BenchCase, BenchContext } from "../bench-case.ts";
import { installApplication, openAccounts, startBenchNetwork } from "../network/bench-network.ts";
import { makeHistory } from "../network/make-history.ts";
import { TRANSFERS_FOLDER } from "./throughput.ts";

const EVERY_BLOCKS = 500;
/** Blocks above the snapshot, which are replayed. */
const ABOVE = 20;
const JOIN_MS_MAX = 300_000;

interface Joined {
  readonly historySeconds: number;
  readonly joinSeconds: number;
  /** Of these, putting the snapshot into the database. */
  readonly loadSeconds: number;
}

async function heightOf(node: NodeEntry): Promise<number> {
  try {
    return (await (await openLedger(node.apiUrl, 2_000)).block()).height;
  } catch {
    return -1;
  }
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + JOIN_MS_MAX;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`not within ${JOIN_MS_MAX / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Milliseconds of loading, as the node's log tells. */
function loadMs(node: NodeEntry): number | undefined {
  if (!existsSync(node.logFile)) return undefined;
  const lines = readFileSync(node.logFile, "utf8").split("\n");
  const line = lines.findLast((text) => text.includes("the node goes on from the snapshot"));
  return line === undefined ? undefined : (JSON.parse(line) as { ms: number }).ms;
}

async function measureJoin(context: BenchContext, history: number, rows: number): Promise<Joined> {
  const network = await startBenchNetwork(context, {
    organizations: 2,
    name: `history-${history}`,
    nodeSettings: {
      log: { level: "info" },
      sync: { snapshotEveryBlocks: EVERY_BLOCKS, blocksMax: EVERY_BLOCKS },
    },
  });
  await installApplication(network, TRANSFERS_FOLDER);
  await openAccounts(network, rows);
  await downNetwork(network.folder);
  const [serving, joining] = network.folder.nodes as [NodeEntry, NodeEntry];
  const genesis = genesisFromJson(JSON.parse(readFileSync(network.folder.genesisFile, "utf8")));
  const historySeconds = await makeHistory(network.folder, {
    node: serving,
    genesis,
    height: history + ABOVE,
    snapshotAt: history,
    note: context.note,
  });

  // The other node has lost everything, and this one alone cannot go on: only joining is measured.
  const { config } = loadConfig({ file: joining.configFile });
  rmSync(config.node.dataDir, { recursive: true, force: true });
  await createNodeFolder(config, "rejoin");
  const starting = [upNetwork(network.folder, { attached: true, nodes: [serving] })];
  await until("the history is served", async () => (await heightOf(serving)) >= history + ABOVE);
  const began = performance.now();
  starting.push(upNetwork(network.folder, { attached: true, nodes: [joining] }));
  for (const start of starting) start.catch(() => {});
  await until("it has joined", async () => (await heightOf(joining)) >= history + ABOVE);
  const joinSeconds = (performance.now() - began) / 1000;
  const loaded = loadMs(joining);
  if (loaded === undefined) throw new Error("the node did not join by a snapshot");
  await downNetwork(network.folder);
  context.note(
    `${history} blocks of history (made in ${historySeconds.toFixed(0)} s): joined in ${joinSeconds.toFixed(1)} s`,
  );
  return { historySeconds, joinSeconds, loadSeconds: loaded / 1000 };
}

export const joinSnapshotCase: BenchCase = {
  name: "join-snapshot",
  about: "a new node joins by a snapshot: a short history against one a hundred times longer",
  targets: [{ figure: "join_ratio", atMost: 1.5 }],
  async run(context) {
    const [short, long] = context.quick ? [4_000, 16_000] : [10_000, 1_000_000];
    const rows = context.quick ? 1_000 : 8_000;
    const first = await measureJoin(context, short!, rows);
    const second = await measureJoin(context, long!, rows);
    return {
      rows,
      history_short: short!,
      history_long: long!,
      join_s_short: first.joinSeconds,
      join_s_long: second.joinSeconds,
      load_s_short: first.loadSeconds,
      load_s_long: second.loadSeconds,
      join_ratio: second.joinSeconds / first.joinSeconds,
    };
  },
};

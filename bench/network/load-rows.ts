/** Rows by the million, put into the table of a stopped node through its own store. */
import path from "node:path";
import { downNetwork, upNetwork } from "@hanse/cli";
import { fromHex } from "@hanse/protocol";
import { openLedgerStore, startEmbeddedPostgres } from "@hanse/storage";
import type { BenchContext } from "../bench-case.ts";
import type { Accounts, BenchNetwork } from "./bench-network.ts";
import { senderKeyIds } from "./bench-network.ts";

const TABLE = "1_wallets";
const BALANCE = "1000000";
const ROWS_PER_BATCH = 10_000;
const PROGRESS_MS = 5_000;
/** A height that stays for so long is the last: nothing is on its way any more. */
const IDLE_MS = 500;
const STOP_TIMEOUT_MS = 300_000;
const START_TIMEOUT_MS = 600_000;

export interface LoadedWallets {
  readonly accounts: Accounts;
  readonly loadSeconds: number;
  /** From the call that starts the process to readiness, the table being there. */
  readonly startSeconds: number;
}

/**
 * Brings the application's table to `rows` rows, ids 1 to `rows`, each sender owning every 64th.
 * The node is stopped for it and started again. One node alone: its header of the next height
 * states the root that the rows made; others would contradict it.
 */
export async function loadWallets(
  context: BenchContext,
  network: BenchNetwork,
  rows: number,
): Promise<LoadedWallets> {
  const [node, ...others] = network.folder.nodes;
  if (others.length > 0) throw new Error("rows are loaded into a ledger of one node alone");
  await waitUntilIdle(network);
  await downNetwork(network.folder, { timeoutMs: STOP_TIMEOUT_MS });
  const owners = senderKeyIds(network);
  const began = performance.now();
  const postgres = await startEmbeddedPostgres({ dir: path.join(node!.dataFolder, "postgres") });
  try {
    const store = await openLedgerStore({
      database: postgres,
      ledgerId: fromHex(network.ledger.ledgerId),
    });
    try {
      const schema = store.state.schema(TABLE);
      if (schema === undefined) throw new Error(`${TABLE} is not there: install the application`);
      const columns = schema.columns.map(({ name }) => name).join(",");
      if (columns !== "id,owner,balance") throw new Error(`${TABLE} has columns ${columns}`);
      const first = Number(store.state.nextId(TABLE));
      let told = performance.now();
      const batches = function* () {
        for (let from = first; from <= rows; from += ROWS_PER_BATCH) {
          const count = Math.min(ROWS_PER_BATCH, rows - from + 1);
          yield Array.from({ length: count }, (_, i) => {
            const id = from + i;
            return [BigInt(id), owners[(id - 1) % owners.length]!, BALANCE];
          });
          if (performance.now() - told < PROGRESS_MS) continue;
          told = performance.now();
          const perSecond = ((from + count - first) * 1000) / (told - began);
          context.note(`${from + count - 1} of ${rows} rows, ${Math.round(perSecond)} rows/s`);
        }
      };
      await store.loadRows(TABLE, batches());
    } finally {
      await store.close("now");
    }
  } finally {
    await postgres.stop();
  }
  const loadSeconds = (performance.now() - began) / 1000;
  const startBegan = performance.now();
  await upNetwork(network.folder, { attached: true, timeoutMs: START_TIMEOUT_MS });
  const startSeconds = (performance.now() - startBegan) / 1000;
  context.note(
    `${rows} rows are there, loaded in ${loadSeconds.toFixed(1)} s; the node was ready after ${startSeconds.toFixed(1)} s`,
  );
  return {
    accounts: {
      accountIds: owners.map((_, i) => String(i + 1)),
      accountIdMax: rows,
      accountStride: owners.length,
    },
    loadSeconds,
    startSeconds,
  };
}

async function waitUntilIdle(network: BenchNetwork): Promise<void> {
  for (let last = -1; ; ) {
    const { height } = await network.ledger.block();
    if (height === last) return;
    last = height;
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  }
}

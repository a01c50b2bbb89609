/** Whether the price of a transfer grows with the table it works on. */
import path from "node:path";
import type { BenchCase, BenchContext } from "../bench-case.ts";
import {
  type Accounts,
  type BenchNetwork,
  installApplication,
  planLoad,
  startBenchNetwork,
} from "../network/bench-network.ts";
import { loadWallets } from "../network/load-rows.ts";
import { measureLoad } from "./measure-load.ts";

export const GROWTH_FOLDER = path.resolve(import.meta.dirname, "../apps/growth");
const OFFERED_PER_SECOND = 12_000;
const WARM_UP_MS = 1_000;
const SMALL_ROWS = 10_000;
const LARGE_ROWS = 10_000_000;
/** What can be loaded within the 30 s of a quick run; `rows_large` tells. */
const QUICK_ROWS = 500_000;

async function measureMoves(
  context: BenchContext,
  network: BenchNetwork,
  accounts: Accounts,
): Promise<{ perSecond: number; cpu: number }> {
  const plan = (ratePerSecond: number, durationMs: number) =>
    planLoad(network, accounts, { contract: "Move", mode: "batch", ratePerSecond, durationMs });
  // The node has just started in both cases: code is compiled before the clock starts.
  await measureLoad(context, network, plan(OFFERED_PER_SECOND / 4, WARM_UP_MS));
  const { report, cpuSecondsPer1000 } = await measureLoad(
    context,
    network,
    plan(OFFERED_PER_SECOND, context.quick ? 2_500 : 15_000),
  );
  return { perSecond: report.finalPerSecond, cpu: cpuSecondsPer1000 };
}

export const tableGrowthCase: BenchCase = {
  name: "table-growth",
  about: "one node, transfers over 10 000 and over 10 000 000 rows (--quick: 500 000)",
  targets: [{ figure: "throughput_ratio", atLeast: 0.8 }],
  async run(context) {
    const wanted = context.quick ? QUICK_ROWS : LARGE_ROWS;
    const network = await startBenchNetwork(context, { organizations: 1 });
    await installApplication(network, GROWTH_FOLDER);
    const few = await loadWallets(context, network, SMALL_ROWS);
    const small = await measureMoves(context, network, few.accounts);
    const many = await loadWallets(context, network, wanted);
    const large = await measureMoves(context, network, many.accounts);
    return {
      rows_small: few.accounts.accountIdMax,
      rows_large: many.accounts.accountIdMax,
      final_per_s_small: small.perSecond,
      final_per_s_large: large.perSecond,
      throughput_ratio: large.perSecond / small.perSecond,
      cpu_s_per_1000_small: small.cpu,
      cpu_s_per_1000_large: large.cpu,
      cpu_ratio: large.cpu / small.cpu,
      load_rows_per_s: (wanted - SMALL_ROWS) / many.loadSeconds,
      start_s_small: few.startSeconds,
      start_s_large: many.startSeconds,
    };
  },
};

/** Whether the price of a transfer grows with the table it works on. */
import path from "node:path";
import type { BenchCase, BenchContext } from "../bench-case.ts";
import {
  type Accounts,
  type BenchNetwork,
  growWallets,
  installApplication,
  openWallets,
  planLoad,
  startBenchNetwork,
} from "../network/bench-network.ts";
import { measureLoad } from "./measure-load.ts";

export const GROWTH_FOLDER = path.resolve(import.meta.dirname, "../apps/growth");
const OFFERED_PER_SECOND = 12_000;
const SMALL_ROWS = 10_000;
const LARGE_ROWS = 10_000_000;
/** Bound by time as well: what was reached stands in the figures. */
const QUICK_ROWS = 200_000;

async function measureMoves(
  context: BenchContext,
  network: BenchNetwork,
  accounts: Accounts,
): Promise<{ perSecond: number; cpu: number }> {
  const { report, cpuSecondsPer1000 } = await measureLoad(
    context,
    network,
    planLoad(network, accounts, {
      contract: "Move",
      mode: "batch",
      ratePerSecond: OFFERED_PER_SECOND,
      durationMs: context.quick ? 2_500 : 15_000,
    }),
  );
  return { perSecond: report.finalPerSecond, cpu: cpuSecondsPer1000 };
}

export const tableGrowthCase: BenchCase = {
  name: "table-growth",
  about:
    "one node, transfers over 10 000 and over 10 000 000 rows (--quick: as many as fit in 8 s)",
  targets: [{ figure: "throughput_ratio", atLeast: 0.8 }],
  async run(context) {
    const wanted = context.quick ? QUICK_ROWS : LARGE_ROWS;
    const network = await startBenchNetwork(context, { organizations: 1 });
    await installApplication(network, GROWTH_FOLDER);
    const fill = { budgetMs: context.quick ? 8_000 : 3_600_000, note: context.note };
    const few = await growWallets(network, await openWallets(network), SMALL_ROWS, fill);
    const small = await measureMoves(context, network, few);
    const many = await growWallets(network, few, wanted, fill);
    const large = await measureMoves(context, network, many);
    return {
      rows_small: few.accountIdMax,
      rows_large: many.accountIdMax,
      final_per_s_small: small.perSecond,
      final_per_s_large: large.perSecond,
      throughput_ratio: large.perSecond / small.perSecond,
      cpu_s_per_1000_small: small.cpu,
      cpu_s_per_1000_large: large.cpu,
      cpu_ratio: large.cpu / small.cpu,
    };
  },
};

/** Whether the price of a transfer grows with the table it works on. */
import path from "node:path";
import type { BenchCase, BenchContext } from "../bench-case.ts";
import {
  type Accounts,
  type BenchNetwork,
  fillWallets,
  growWallets,
  installApplication,
  planLoad,
  startBenchNetwork,
} from "../network/bench-network.ts";
import { measureLoad } from "./measure-load.ts";

export const GROWTH_FOLDER = path.resolve(import.meta.dirname, "../apps/growth");
const OFFERED_PER_SECOND = 12_000;
const SMALL_ROWS = 10_000;

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
      durationMs: context.quick ? 3_000 : 15_000,
    }),
  );
  return { perSecond: report.finalPerSecond, cpu: cpuSecondsPer1000 };
}

export const tableGrowthCase: BenchCase = {
  name: "table-growth",
  about: "one node, transfers over 10 000 and over 10 000 000 rows (--quick: 150 000)",
  targets: [{ figure: "throughput_ratio", atLeast: 0.8 }],
  async run(context) {
    const large = context.quick ? 150_000 : 10_000_000;
    const network = await startBenchNetwork(context, { organizations: 1 });
    await installApplication(network, GROWTH_FOLDER);
    const accounts = await fillWallets(network, SMALL_ROWS, () => {});
    const small = await measureMoves(context, network, accounts);
    context.note(`${Math.round(small.perSecond)}/s over ${SMALL_ROWS} rows`);
    await growWallets(network, large - SMALL_ROWS, context.note);
    const grown = await measureMoves(context, network, { ...accounts, accountIdMax: large });
    return {
      rows_small: SMALL_ROWS,
      rows_large: large,
      final_per_s_small: small.perSecond,
      final_per_s_large: grown.perSecond,
      throughput_ratio: grown.perSecond / small.perSecond,
      cpu_s_per_1000_small: small.cpu,
      cpu_s_per_1000_large: grown.cpu,
    };
  },
};

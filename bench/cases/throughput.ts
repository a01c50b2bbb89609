/** How many Needle transfers per second become final. */
import path from "node:path";
import type { GenesisOrdering } from "@hanse/protocol";
import type { BenchCase, BenchContext, Figures, Target } from "../bench-case.ts";
import type { LoadPlan } from "../load/load-plan.ts";
import {
  installApplication,
  openAccounts,
  planLoad,
  startBenchNetwork,
} from "../network/bench-network.ts";
import { measureThroughput } from "./measure-load.ts";

export const TRANSFERS_FOLDER = path.resolve(import.meta.dirname, "../../examples/transfers");
const ACCOUNTS = 1_000;

export async function runThroughput(
  context: BenchContext,
  options: {
    readonly organizations: number;
    readonly ordering?: GenesisOrdering;
    readonly mode: LoadPlan["mode"];
    readonly offeredPerSecond: number;
  },
): Promise<Figures> {
  const network = await startBenchNetwork(context, options);
  await installApplication(network, TRANSFERS_FOLDER);
  const accounts = await openAccounts(network, ACCOUNTS);
  return measureThroughput(context, network, (load) => planLoad(network, accounts, load), options);
}

function throughputCase(
  name: string,
  about: string,
  options: Parameters<typeof runThroughput>[1],
  targets: readonly Target[],
): BenchCase {
  return { name, about, targets, run: (context) => runThroughput(context, options) };
}

export const throughputCases: readonly BenchCase[] = [
  throughputCase(
    "solo-batch",
    "one node, transfers submitted in batches",
    { organizations: 1, mode: "batch", offeredPerSecond: 12_000 },
    [{ figure: "final_per_s", atLeast: 10_000 }],
  ),
  throughputCase(
    "solo-single",
    "one node, one transfer per request",
    { organizations: 1, mode: "single", offeredPerSecond: 6_000 },
    [{ figure: "final_per_s", atLeast: 5_000 }],
  ),
  throughputCase(
    "four-batch",
    "four validators on this one machine, transfers submitted in batches to all",
    { organizations: 4, mode: "batch", offeredPerSecond: 3_200 },
    [{ figure: "final_per_s", atLeast: 2_500 }],
  ),
];

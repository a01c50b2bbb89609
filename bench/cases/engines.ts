/** The other ordering engines beside the built-in one: same load, same machine. */
import type { BenchCase } from "../bench-case.ts";
import { runIdle } from "./finality-idle.ts";
import { runThroughput } from "./throughput.ts";

/** Needs CometBFT: node scripts/install-cometbft.ts */
export const engineCases: readonly BenchCase[] = [
  {
    name: "four-batch-cometbft",
    about: "as four-batch, ordered by CometBFT",
    targets: [],
    run: (context) =>
      runThroughput(context, {
        organizations: 4,
        ordering: "cometbft",
        mode: "batch",
        offeredPerSecond: 3_200,
      }),
  },
  {
    name: "finality-idle-cometbft",
    about: "as finality-idle, ordered by CometBFT",
    targets: [],
    run: (context) => runIdle(context, "cometbft"),
  },
];

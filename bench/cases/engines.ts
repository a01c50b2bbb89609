/** The other ordering engines beside the built-in one: same load, same machine. */
import type { BenchCase } from "../bench-case.ts";
import { runIdle } from "./finality-idle.ts";
import { runThroughput } from "./throughput.ts";

/** Need CometBFT (node scripts/install-cometbft.ts) and etcd (apt-get install etcd-server). */
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
  {
    name: "four-batch-etcd",
    about: "as four-batch, the order kept by three etcd processes, whose CPU time is not counted",
    targets: [],
    run: (context) =>
      runThroughput(context, {
        organizations: 4,
        ordering: "etcd",
        mode: "batch",
        offeredPerSecond: 3_200,
      }),
  },
  {
    name: "finality-idle-etcd",
    about: "as finality-idle, the order kept by three etcd processes",
    targets: [],
    run: (context) => runIdle(context, "etcd"),
  },
];

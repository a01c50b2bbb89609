/** How long one transfer takes to be final when nothing else happens, with four validators. */

import { readFileSync } from "node:fs";
import { decodeKeyFile, type GenesisOrdering } from "@hanse/protocol";
import type { BenchCase, BenchContext, Figures } from "../bench-case.ts";
import { summarizeLatency } from "../measure/percentiles.ts";
import { installApplication, openAccounts, startBenchNetwork } from "../network/bench-network.ts";
import { TRANSFERS_FOLDER } from "./throughput.ts";

const PAUSE_MS = 100;

export async function runIdle(context: BenchContext, ordering: GenesisOrdering): Promise<Figures> {
  const network = await startBenchNetwork(context, { organizations: 4, ordering });
  await installApplication(network, TRANSFERS_FOLDER);
  const accounts = await openAccounts(network, 100);
  const sender = decodeKeyFile(readFileSync(network.senderFiles[0]!, "utf8"));
  const samples: number[] = [];
  const count = context.quick ? 60 : 300;
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const began = performance.now();
    await network.ledger.execute(sender, {
      contract: "Transfer",
      params: new Map([
        ["From", BigInt(accounts.accountIds[0]!)],
        ["To", BigInt(accounts.accountIds[1]!)],
        ["Amount", 1n],
      ]),
    });
    // The first ones pay for opening connections and compiling code.
    if (i >= 5) samples.push(performance.now() - began);
  }
  const { p50Ms, p99Ms, maxMs } = summarizeLatency(samples);
  return { p50_ms: p50Ms, p99_ms: p99Ms, max_ms: maxMs, samples: samples.length };
}

export const finalityIdleCase: BenchCase = {
  name: "finality-idle",
  about: "four validators without load: time until one transfer is final, asked at one node",
  targets: [{ figure: "p50_ms", atMost: 100 }],
  run: (context) => runIdle(context, "builtin"),
};

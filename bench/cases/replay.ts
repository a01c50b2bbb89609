/** How fast a node that was away catches up, against the rate at which the blocks were made. */
import { downNetwork, openLedger, upNetwork } from "@hanse/cli";
import type { BenchCase } from "../bench-case.ts";
import {
  installApplication,
  openAccounts,
  planLoad,
  startBenchNetwork,
} from "../network/bench-network.ts";
import { measureLoad } from "./measure-load.ts";
import { TRANSFERS_FOLDER } from "./throughput.ts";

const CATCH_UP_MS_MAX = 300_000;

export const replayCase: BenchCase = {
  name: "replay",
  about: "one of four nodes is away while transfers are made, then replays what it missed",
  targets: [{ figure: "replay_ratio", atLeast: 5 }],
  async run(context) {
    const network = await startBenchNetwork(context, { organizations: 4 });
    await installApplication(network, TRANSFERS_FOLDER);
    const accounts = await openAccounts(network, 1_000);
    const away = network.folder.nodes[3]!;
    await downNetwork(network.folder, { nodes: [away] });
    const { report } = await measureLoad(
      context,
      network,
      planLoad(network, accounts, {
        urls: network.folder.nodes.slice(0, 3).map((node) => node.apiUrl),
        mode: "batch",
        ratePerSecond: 2_500,
        durationMs: context.quick ? 6_000 : 30_000,
      }),
    );
    const target = (await network.ledger.block()).height;
    context.note(`${report.final} transfers made at ${Math.round(report.finalPerSecond)}/s`);
    // Nodes report ready when they have caught up; the time before the first replayed block (start
    // of process and database) is not replay.
    const starting = upNetwork(network.folder, {
      attached: true,
      nodes: [away],
      timeoutMs: CATCH_UP_MS_MAX,
    });
    const replayMs = await timeCatchUp(away.apiUrl, target);
    await starting;
    const replayed = (report.final * 1000) / replayMs;
    return {
      transactions: report.final,
      produced_per_s: report.finalPerSecond,
      replayed_per_s: replayed,
      replay_ratio: replayed / report.finalPerSecond,
      replay_s: replayMs / 1000,
    };
  },
};

/** Milliseconds from the door's first answer below the target until the target is reached. */
async function timeCatchUp(url: string, target: number): Promise<number> {
  const until = performance.now() + CATCH_UP_MS_MAX;
  let began: number | undefined;
  while (performance.now() < until) {
    try {
      const client = await openLedger(url, 2_000);
      began ??= performance.now();
      for (;;) {
        if ((await client.block()).height >= target) return performance.now() - began;
        if (performance.now() > until) break;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    } catch {
      // Its door is not open yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`not caught up within ${CATCH_UP_MS_MAX / 1000} s`);
}

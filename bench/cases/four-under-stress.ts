/** Four validators over a long time, without one of them, and under twice what they take. */
import { downNetwork, findRunningProcess } from "@hanse/cli";
import type { BenchCase, BenchContext, Figures } from "../bench-case.ts";
import { openFinalityFeed } from "../load/finality-feed.ts";
import type { LoadPlan } from "../load/load-plan.ts";
import { prepareLoad } from "../load/start-load.ts";
import { readResidentBytes } from "../measure/process-usage.ts";
import {
  type Accounts,
  type BenchNetwork,
  installApplication,
  openAccounts,
  planLoad,
  startBenchNetwork,
} from "../network/bench-network.ts";
import { measureLoad } from "./measure-load.ts";
import { TRANSFERS_FOLDER } from "./throughput.ts";

const MEBIBYTE = 2 ** 20;
/** A little more than is taken, so that the pool never runs empty. */
const OFFERED_PER_SECOND = 3_000;

interface Prepared {
  readonly network: BenchNetwork;
  readonly accounts: Accounts;
}

async function prepare(context: BenchContext): Promise<Prepared> {
  const network = await startBenchNetwork(context, { organizations: 4 });
  await installApplication(network, TRANSFERS_FOLDER);
  const accounts = await openAccounts(network, 1_000);
  context.note("warming up");
  await measureLoad(
    context,
    network,
    planLoad(network, accounts, { mode: "batch", ratePerSecond: 800, durationMs: 2_000 }),
  );
  return { network, accounts };
}

/** Of the four node processes together, without their PostgreSQL. */
function residentMebibytes(network: BenchNetwork): number {
  return network.pids().reduce((sum, pid) => sum + readResidentBytes(pid), 0) / MEBIBYTE;
}

const countOf = (counts: Readonly<Record<string, number>>) =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

async function runSustained(context: BenchContext): Promise<Figures> {
  const { network, accounts } = await prepare(context);
  const durationMs = context.quick ? 10_000 : 300_000;
  const residentBefore = residentMebibytes(network);
  const { report, cpuSecondsPer1000 } = await measureLoad(
    context,
    network,
    planLoad(network, accounts, {
      mode: "batch",
      ratePerSecond: OFFERED_PER_SECOND,
      durationMs,
      drainMs: 30_000,
    }),
  );
  return {
    seconds: durationMs / 1000,
    final_per_s: report.finalPerSecond,
    refused: countOf(report.refused),
    cpu_s_per_1000: cpuSecondsPer1000,
    p50_ms_at_full: report.latency.p50Ms,
    p99_ms_at_full: report.latency.p99Ms,
    resident_before_mib: residentBefore,
    resident_after_mib: residentMebibytes(network),
  };
}

/** Turns of the killed member come every fourth block: so the longest pause afterwards counts. */
async function runLeaderKilled(context: BenchContext): Promise<Figures> {
  const { network, accounts } = await prepare(context);
  const { nodes } = network.folder;
  const victim = nodes.at(-1)!;
  const plan: LoadPlan = planLoad(network, accounts, {
    urls: nodes.slice(0, -1).map((node) => node.apiUrl),
    mode: "batch",
    ratePerSecond: 1_000,
    durationMs: context.quick ? 8_000 : 20_000,
  });
  const arrivals: number[] = [];
  const feed = await openFinalityFeed(
    plan.urls[0]!,
    (_block, arrivedAt) => arrivals.push(arrivedAt),
    (error) => context.note(error.message),
  );
  context.defer(() => feed.close());
  const load = await prepareLoad(plan);
  context.defer(() => load.kill());
  const running = load.run();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const pid = findRunningProcess(victim)?.pid;
  if (pid === undefined) throw new Error(`${victim.id} does not run`);
  process.kill(pid, "SIGKILL");
  const killedAt = performance.now();
  const report = await running;
  context.defer(() => downNetwork(network.folder, { nodes: [victim] }).then(() => {}));
  const gaps = (from: number, to: number) => {
    const times = [from, ...arrivals.filter((at) => at > from && at < to)];
    return times.slice(1).map((at, i) => at - times[i]!);
  };
  // As long after the kill as the load lasts.
  const after = gaps(killedAt, killedAt + plan.durationMs - 4_000);
  const before = gaps(arrivals[0]!, killedAt);
  if (after.length === 0) throw new Error("no block after the kill");
  return {
    next_block_ms: after[0]!,
    longest_pause_after_ms: Math.max(...after),
    longest_pause_before_ms: Math.max(...before),
    blocks_after: after.length,
    accepted: report.accepted,
    final: report.final,
    lost: report.accepted - report.final,
  };
}

async function runOverload(context: BenchContext): Promise<Figures> {
  const { network, accounts } = await prepare(context);
  const durationMs = context.quick ? 5_000 : 30_000;
  const offer = (ratePerSecond: number) =>
    measureLoad(
      context,
      network,
      planLoad(network, accounts, { mode: "batch", ratePerSecond, durationMs, drainMs: 30_000 }),
    );
  const peak = (await offer(OFFERED_PER_SECOND)).report;
  const resident = residentMebibytes(network);
  const rate = Math.round(2 * peak.finalPerSecond);
  context.note(`${Math.round(peak.finalPerSecond)}/s final; now ${rate}/s offered`);
  const over = (await offer(rate)).report;
  return {
    peak_per_s: peak.finalPerSecond,
    offered_per_s: rate,
    final_per_s: over.finalPerSecond,
    of_peak: over.finalPerSecond / peak.finalPerSecond,
    refused: countOf(over.refused),
    resident_growth: residentMebibytes(network) / resident,
  };
}

export const stressCases: readonly BenchCase[] = [
  {
    name: "sustained",
    about: "four validators under full load for five minutes (--quick: 10 s)",
    targets: [{ figure: "final_per_s", atLeast: 2_500 }],
    run: runSustained,
  },
  {
    name: "leader-killed",
    about: "one of four validators is killed under load: the longest time without a final block",
    // The first timeout and one second more.
    targets: [
      { figure: "longest_pause_after_ms", atMost: 2_000 },
      { figure: "lost", atMost: 0 },
    ],
    run: runLeaderKilled,
  },
  {
    name: "overload",
    about: "four validators are offered twice what they take: refusals, throughput, memory",
    targets: [
      { figure: "of_peak", atLeast: 0.8 },
      { figure: "resident_growth", atMost: 1.25 },
    ],
    run: runOverload,
  },
];

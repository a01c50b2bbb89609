/** Runs a load and sets what it did against what it cost. */
import type { BenchContext, Figures } from "../bench-case.ts";
import type { LoadPlan, LoadReport } from "../load/load-plan.ts";
import { prepareLoad } from "../load/start-load.ts";
import type { BenchNetwork } from "../network/bench-network.ts";

export interface MeasuredLoad {
  readonly report: LoadReport;
  readonly cpuSecondsPer1000: number;
  /** Of one node. */
  readonly diskBytesPerTransaction: number;
}

export async function measureLoad(
  context: BenchContext,
  network: BenchNetwork,
  plan: LoadPlan,
): Promise<MeasuredLoad> {
  const load = await prepareLoad(plan);
  context.defer(() => load.kill());
  const cpuBefore = network.cpuSeconds();
  const diskBefore = network.diskBytes();
  const report = await load.run();
  const cpu = network.cpuSeconds() - cpuBefore;
  const disk = network.diskBytes() - diskBefore;
  requireHonest(report, context);
  const nodes = network.folder.nodes.length;
  return {
    report,
    cpuSecondsPer1000: (cpu * 1000) / report.final,
    diskBytesPerTransaction: disk / report.final / nodes,
  };
}

/** A figure over transactions that failed, doubled or vanished would be worth nothing. */
function requireHonest(report: LoadReport, context: BenchContext): void {
  const { final, accepted, failed, doubled, refused } = report;
  const problems: string[] = [];
  if (final === 0) problems.push("nothing became final");
  if (Object.keys(failed).length > 0) problems.push(`failed: ${JSON.stringify(failed)}`);
  if (doubled > 0) problems.push(`${doubled} seen final twice`);
  if (final < accepted) problems.push(`${accepted - final} accepted and not final in time`);
  if (problems.length > 0) {
    throw new Error(`${problems.join("; ")}; refused: ${JSON.stringify(refused)}`);
  }
  if (Object.keys(refused).length > 0) context.note(`refused: ${JSON.stringify(refused)}`);
  if (report.lateMsMax > 200) {
    context.note(`the load process was up to ${Math.round(report.lateMsMax)} ms behind its plan`);
  }
}

/** Throughput under more load than is taken, then latency at seven tenths of it. */
export async function measureThroughput(
  context: BenchContext,
  network: BenchNetwork,
  planOf: (load: Pick<LoadPlan, "mode" | "ratePerSecond" | "durationMs">) => LoadPlan,
  options: { readonly mode: LoadPlan["mode"]; readonly offeredPerSecond: number },
): Promise<Figures> {
  const { mode } = options;
  context.note("warming up");
  await measureLoad(
    context,
    network,
    planOf({ mode, ratePerSecond: options.offeredPerSecond / 4, durationMs: 1_000 }),
  );
  context.note(`offering ${options.offeredPerSecond}/s`);
  const full = await measureLoad(
    context,
    network,
    planOf({
      mode,
      ratePerSecond: options.offeredPerSecond,
      durationMs: context.quick ? 4_000 : 20_000,
    }),
  );
  const ratePerSecond = Math.round(full.report.finalPerSecond * 0.7);
  context.note(`${Math.round(full.report.finalPerSecond)}/s final; latency at ${ratePerSecond}/s`);
  const paced = await measureLoad(
    context,
    network,
    planOf({ mode, ratePerSecond, durationMs: context.quick ? 2_000 : 10_000 }),
  );
  return {
    final_per_s: full.report.finalPerSecond,
    offered_per_s: options.offeredPerSecond,
    refused: Object.values(full.report.refused).reduce((sum, count) => sum + count, 0),
    cpu_s_per_1000: full.cpuSecondsPer1000,
    disk_bytes_per_tx: full.diskBytesPerTransaction,
    p50_ms_at_70_percent: paced.report.latency.p50Ms,
    p99_ms_at_70_percent: paced.report.latency.p99Ms,
    p50_ms_at_full: full.report.latency.p50Ms,
    p99_ms_at_full: full.report.latency.p99Ms,
  };
}

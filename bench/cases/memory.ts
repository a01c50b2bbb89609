/** Resident memory of a node whose table holds a million rows. */
import type { BenchCase } from "../bench-case.ts";
import {
  readPeakResidentBytes,
  readPrivateBytesBelow,
  readResidentBytes,
  readSharedBytesBelow,
} from "../measure/process-usage.ts";
import { installApplication, planLoad, startBenchNetwork } from "../network/bench-network.ts";
import { loadWallets } from "../network/load-rows.ts";
import { measureLoad } from "./measure-load.ts";
import { GROWTH_FOLDER } from "./table-growth.ts";

const MEBIBYTE = 2 ** 20;
const ROWS = 1_000_000;
/** What can be loaded within the 30 s of a quick run. */
const QUICK_ROWS = 500_000;

/** A gauge of the node's own measurements; NaN when it has none of this name. */
async function readGauge(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, "mu").exec(text);
  return line === null ? Number.NaN : Number(line[1]);
}

export const memoryCase: BenchCase = {
  name: "memory",
  about: "one node with 1 000 000 rows (--quick: 500 000), after transfers over all",
  targets: [{ figure: "node_resident_mib", atMost: 400 }],
  async run(context) {
    const network = await startBenchNetwork(context, { organizations: 1 });
    await installApplication(network, GROWTH_FOLDER);
    const rows = context.quick ? QUICK_ROWS : ROWS;
    const { accounts, startSeconds } = await loadWallets(context, network, rows);
    const { report } = await measureLoad(
      context,
      network,
      planLoad(network, accounts, {
        contract: "Move",
        mode: "batch",
        ratePerSecond: 3_000,
        durationMs: context.quick ? 3_000 : 20_000,
      }),
    );
    const [pid] = network.pids();
    const { apiUrl } = network.folder.nodes[0]!;
    return {
      rows,
      transfers: report.final,
      node_resident_mib: readResidentBytes(pid!) / MEBIBYTE,
      node_peak_resident_mib: readPeakResidentBytes(pid!) / MEBIBYTE,
      node_heap_used_mib: (await readGauge(apiUrl, "nodejs_heap_size_used_bytes")) / MEBIBYTE,
      node_external_mib: (await readGauge(apiUrl, "nodejs_external_memory_bytes")) / MEBIBYTE,
      postgres_private_mib: readPrivateBytesBelow(pid!) / MEBIBYTE,
      postgres_shared_mib: readSharedBytesBelow(pid!) / MEBIBYTE,
      start_s: startSeconds,
      disk_mib: network.diskBytes() / MEBIBYTE,
    };
  },
};

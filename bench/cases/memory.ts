/** Resident memory of a node whose table holds a million rows. */
import type { BenchCase } from "../bench-case.ts";
import { readPeakResidentBytes, readResidentBytes } from "../measure/process-usage.ts";
import {
  fillWallets,
  installApplication,
  planLoad,
  startBenchNetwork,
} from "../network/bench-network.ts";
import { measureLoad } from "./measure-load.ts";
import { GROWTH_FOLDER } from "./table-growth.ts";

const MEBIBYTE = 2 ** 20;

export const memoryCase: BenchCase = {
  name: "memory",
  about: "one node with 1 000 000 rows (--quick: 150 000) after transfers over all of them",
  targets: [{ figure: "node_resident_mib", atMost: 400 }],
  async run(context) {
    const rows = context.quick ? 150_000 : 1_000_000;
    const network = await startBenchNetwork(context, { organizations: 1 });
    await installApplication(network, GROWTH_FOLDER);
    const accounts = await fillWallets(network, rows, context.note);
    const { report } = await measureLoad(
      context,
      network,
      planLoad(network, accounts, {
        contract: "Move",
        mode: "batch",
        ratePerSecond: 4_000,
        durationMs: context.quick ? 4_000 : 20_000,
      }),
    );
    const [pid] = network.pids();
    return {
      rows,
      transfers: report.final,
      node_resident_mib: readResidentBytes(pid!) / MEBIBYTE,
      node_peak_resident_mib: readPeakResidentBytes(pid!) / MEBIBYTE,
      disk_mib: network.diskBytes() / MEBIBYTE,
    };
  },
};

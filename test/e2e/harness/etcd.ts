/** What tests with real etcd need: its program, its members' processes, who leads among them. */
import { readFileSync } from "node:fs";
import { findEtcdBinary } from "@hanse/cli";
import type { TestNetwork } from "./test-network.ts";

/** Why tests with real etcd are skipped here; false = they run. */
export const ETCD_MISSING: string | false =
  findEtcdBinary(process.env) === undefined
    ? "etcd is not in ETCD_BIN or PATH (Debian: apt-get install etcd-server)"
    : false;

/** Which member of the network's etcd leads it; undefined while none does. */
export async function findEtcdLeader(network: TestNetwork): Promise<number | undefined> {
  for (const { clientPort } of network.folder.etcd) {
    try {
      const response = await fetch(`http://127.0.0.1:${clientPort}/v3/maintenance/status`, {
        method: "POST",
        body: "{}",
        signal: AbortSignal.timeout(1_000),
      });
      const { header, leader } = (await response.json()) as {
        header: { member_id: string };
        leader?: string;
      };
      if (leader === header.member_id)
        return network.folder.etcd.findIndex((m) => m.clientPort === clientPort);
    } catch {
      // That member is away.
    }
  }
  return undefined;
}

/** SIGKILL to one member of the network's etcd. */
export function killEtcd(network: TestNetwork, member: number): void {
  const record = JSON.parse(readFileSync(network.folder.etcd[member]!.processFile, "utf8")) as {
    pid: number;
  };
  process.kill(record.pid, "SIGKILL");
}

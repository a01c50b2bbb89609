/** Members in one process whose order an etcd keeps: in memory, or whichever a test brings. */
import { createFixedPolicy } from "@hanse/ordering";
import { signMessage, verifySignature } from "@hanse/protocol";
import {
  type ClusterOptions,
  createLedgerCluster,
  type EngineParts,
  type LedgerCluster,
  type Life,
  realClock,
} from "../../../ledger/src/testing/ledger-cluster.ts";
import { createEtcdEngine, type EtcdApi, type EtcdTuning } from "../index.ts";
import { createMemoryEtcd, type MemoryEtcd } from "./memory-etcd.ts";

/** Quick, so that tests need not wait; patient where a busy machine would be late. */
export const TEST_TUNING: Partial<EtcdTuning> = {
  leaseMs: 1_500,
  campaignStepMs: 50,
  resignAfterMs: 1_500,
  penaltyMs: 1_000,
  resendMs: 100,
  pollMs: 300,
  heartbeatMs: 200,
  housekeepingMs: 200,
  stalledAfterMs: 600,
};

export interface EtcdCluster extends LedgerCluster {
  readonly etcd: MemoryEtcd;
}

/** A client of etcd that dies with its member. */
function mortalEtcd(life: Life, etcd: EtcdApi): EtcdApi {
  return {
    ...etcd,
    range: (request) => life.step(() => etcd.range(request)),
    putIf: (compares, puts) => life.step(() => etcd.putIf(compares, puts)),
    grantLease: (ttlMs) => life.step(() => etcd.grantLease(ttlMs)),
    keepAlive: (lease) => life.step(() => etcd.keepAlive(lease)),
  };
}

export function createEtcdEngineOf(
  parts: EngineParts,
  etcd: EtcdApi,
  tuning: Partial<EtcdTuning> = {},
) {
  const { rig, index, life, store, ...rest } = parts;
  return createEtcdEngine({
    ...rest,
    etcd: mortalEtcd(life, etcd),
    ledgerId: rig.ledgerId,
    genesisTime: rig.genesis.time,
    policy: createFixedPolicy(),
    blocks: store,
    sign: (message) => signMessage(rig.nodeKeys[index]!, message),
    verify: async (checks) => checks.map((c) => verifySignature(c.key, c.message, c.signature)),
    blockIntervalMsMin: rig.genesis.params.blockIntervalMsMin,
    blockBytesMax: rig.genesis.params.blockBytesMax,
    tuning: { ...TEST_TUNING, ...tuning },
  });
}

export async function createEtcdCluster(
  size: number,
  tuning: Partial<EtcdTuning> = {},
  options: Partial<ClusterOptions> = {},
): Promise<EtcdCluster> {
  const etcd = createMemoryEtcd(realClock.now);
  const cluster = await createLedgerCluster({
    size,
    quorum: "crash",
    createEngine: async (parts) =>
      createEtcdEngineOf(parts, etcd.connect(parts.transport.self), tuning),
    ...options,
  });
  return Object.assign(cluster, { etcd });
}

/** The engines that the suite runs against, each as members in this process. */

import { createEtcdGateway } from "@hanse/etcd";
import {
  createBuiltinEngine,
  createFixedPolicy,
  createSigningState,
  decodeMessage,
  openSigner,
} from "@hanse/ordering";
import {
  decodeBlock,
  genesisValidatorSet,
  type QuorumRule,
  signMessage,
  verifySignature,
} from "@hanse/protocol";
import { createEtcdEngineOf } from "../../../packages/etcd/src/testing/etcd-ledgers.ts";
import { createMemoryEtcd } from "../../../packages/etcd/src/testing/memory-etcd.ts";
import { decodeMessage as decodeEtcdMessage } from "../../../packages/etcd/src/wire/messages.ts";
import {
  type ClusterOptions,
  createLedgerCluster,
  type EngineParts,
  type LedgerCluster,
  realClock,
} from "../../../packages/ledger/src/testing/ledger-cluster.ts";
import { ETCD_MISSING } from "../../e2e/harness/etcd.ts";
import { startEtcd } from "./etcd-server.ts";

export interface ConformanceEngine {
  readonly name: string;
  readonly size: number;
  readonly quorum: QuorumRule;
  /** Members that may be gone while the ledger goes on. */
  readonly failuresMax: number;
  /** Why it is not run here; false = it is. */
  readonly skip: string | false;
  /**
   * The height that a message of the engine votes for, vouches for or attests; undefined = none.
   * Absent where votes cannot be seen from here.
   */
  readonly voteHeight:
    | ((message: Uint8Array) => { readonly height: number; readonly durable: boolean } | undefined)
    | undefined;
  create(options?: Partial<ClusterOptions>): Promise<LedgerCluster>;
}

const verify = async (
  checks: readonly {
    key: Parameters<typeof verifySignature>[0];
    message: Uint8Array;
    signature: Uint8Array;
  }[],
) => checks.map((c) => verifySignature(c.key, c.message, c.signature));

async function createBuiltinOf(parts: EngineParts) {
  const { rig, index, life: _life, store, setAt: _setAt, ...rest } = parts;
  const { id, key } = rig.genesis.nodes[index]!;
  const signer = openSigner({
    disk: rest.disk,
    id,
    publicKey: key,
    ledgerId: rig.ledgerId,
    sign: (message) => signMessage(rig.nodeKeys[index]!, message),
  });
  return createBuiltinEngine({
    ...rest,
    signer,
    ledgerId: rig.ledgerId,
    genesisSet: genesisValidatorSet(rig.genesis),
    genesisTime: rig.genesis.time,
    policy: createFixedPolicy(),
    blocks: store,
    verify,
    blockIntervalMsMin: rig.genesis.params.blockIntervalMsMin,
    blockBytesMax: rig.genesis.params.blockBytesMax,
    timeouts: {
      viewMs: 300,
      viewStepMs: 100,
      viewMsMax: 2_000,
      graceMs: 30,
      resendMs: 100,
      fillMs: 5,
    },
    tuning: { heartbeatMs: 200, stalledAfterMs: 600, rangeTimeoutMs: 1_000 },
  });
}

export function builtin(size: number, quorum: QuorumRule, failuresMax: number): ConformanceEngine {
  return {
    name: `built-in, ${size} (${quorum})`,
    size,
    quorum,
    failuresMax,
    skip: false,
    voteHeight(message) {
      const decoded = decodeMessage(message);
      if (decoded.t !== "vote") return undefined;
      return { height: decoded.height, durable: false };
    },
    create: (options) =>
      createLedgerCluster({
        size,
        quorum,
        createEngine: createBuiltinOf,
        createDisk: (rig, index, disk) => {
          const publicKey = rig.genesis.nodes[index]!.key;
          return createSigningState(disk, { ledgerId: rig.ledgerId, publicKey });
        },
        ...options,
      }),
  };
}

function voteOverEtcd(message: Uint8Array) {
  const decoded = decodeEtcdMessage(0, message);
  switch (decoded?.t) {
    case "stored":
      return { height: decoded.height, durable: false };
    case "offer":
      return { height: decodeBlock(decoded.block).header.height, durable: false };
    case "attest":
      return { height: decoded.height, durable: true };
    default:
      return undefined;
  }
}

export const etcdInMemory: ConformanceEngine = {
  name: "etcd in memory, 3",
  size: 3,
  quorum: "crash",
  failuresMax: 1,
  skip: false,
  voteHeight: voteOverEtcd,
  create(options) {
    const etcd = createMemoryEtcd(realClock.now);
    return createLedgerCluster({
      size: 3,
      quorum: "crash",
      createEngine: async (parts) => createEtcdEngineOf(parts, etcd.connect(parts.transport.self)),
      ...options,
    });
  },
};

export const realEtcd: ConformanceEngine = {
  ...etcdInMemory,
  name: "etcd, 3",
  skip: ETCD_MISSING,
  async create(options) {
    const urls = await startEtcd();
    const gateways = new Set<{ close(): void }>();
    const cluster = await createLedgerCluster({
      size: 3,
      quorum: "crash",
      async createEngine(parts) {
        const gateway = createEtcdGateway({ endpoints: urls });
        gateways.add(gateway);
        return createEtcdEngineOf(parts, gateway, { leaseMs: 2_000 });
      },
      ...options,
    });
    return {
      ...cluster,
      async stop() {
        await cluster.stop();
        for (const gateway of gateways) gateway.close();
      },
    };
  },
};

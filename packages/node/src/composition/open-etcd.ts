/** etcd as what keeps the order of a node's ledger; its processes are the operator's. */
import { readFileSync } from "node:fs";
import { createEtcdEngine, createEtcdGateway } from "@hanse/etcd";
import { BLOCK_BYTES_CEILING, validatorSetAt } from "@hanse/modules";
import {
  createPolicy,
  type Disk,
  type OrderingEngine,
  type OrderingEra,
  type Transport,
} from "@hanse/ordering";
import { HanseError, signMessage } from "@hanse/protocol";
import type { NodeConfig } from "../config/schema.ts";
import type { OrderingParts } from "./open-ordering.ts";

function readPem(setting: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const message = `${setting}: ${file} cannot be read; name a PEM file, or leave the setting out`;
    throw new HanseError("NODE_ETCD_FILE", "notFound", message, { cause });
  }
}

export function openGateway({ urls, requestMs, caFile, certFile, keyFile }: NodeConfig["etcd"]) {
  const ca = readPem("etcd.caFile", caFile);
  const cert = readPem("etcd.certFile", certFile);
  const key = readPem("etcd.keyFile", keyFile);
  return createEtcdGateway({
    endpoints: urls.split(",").map((url) => url.trim()),
    timeoutMs: requestMs,
    tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
  });
}

/** Where a ledger's order begins to be kept in etcd, and what the engine there has for itself. */
export interface EtcdPlace {
  readonly era: OrderingEra;
  readonly transport: Transport;
  /** For bodies. */
  readonly disk: Disk;
}

/** The ledger began with etcd. */
function placeOfGenesis({ identity, transport, disk }: OrderingParts): EtcdPlace {
  const { policy, policyParams = {} } = identity.genesis;
  return {
    era: { height: 1, engineEpoch: 0, kind: "etcd", policy, policyParams },
    transport,
    disk,
  };
}

/** @throws HanseError `ETCD_ENDPOINTS`, `NODE_ETCD_FILE` naming the setting. */
export function openEtcd(parts: OrderingParts, place = placeOfGenesis(parts)): OrderingEngine {
  const { config, identity, ledger, store, clock, verify, report } = parts;
  const { genesis, ledgerId, consensusKey } = identity;
  const { era, transport, disk } = place;
  const etcd = openGateway(config.etcd);
  const engine = createEtcdEngine({
    ledgerId,
    engineEpoch: era.engineEpoch,
    base: era.height - 1,
    genesisTime: genesis.time,
    setAt: (height) => validatorSetAt(store.state, height).set,
    app: ledger,
    transport,
    disk,
    clock,
    policy: createPolicy(era.policy, era.policyParams),
    blocks: store,
    etcd,
    sign: (message) => signMessage(consensusKey, message),
    verify,
    get blockIntervalMsMin() {
      const { params } = ledger.tip;
      return Math.max(params.blockIntervalMsMin, config.ordering.blockIntervalMs);
    },
    // The ledger checks the limit in force; this one only bounds what is read from peers.
    blockBytesMax: Math.max(genesis.params.blockBytesMax, BLOCK_BYTES_CEILING),
    tuning: { stalledAfterMs: config.ordering.stalledMs, leaseMs: config.etcd.leaseMs },
    report,
  });
  return {
    kind: engine.kind,
    start: () => engine.start(),
    status: () => engine.status(),
    wake: () => engine.wake(),
    async stop(how) {
      await engine.stop(how);
      etcd.close();
    },
  };
}

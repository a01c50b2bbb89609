/** etcd as what keeps the order of a node's ledger; its processes are the operator's. */
import { readFileSync } from "node:fs";
import { createEtcdEngine, createEtcdGateway } from "@hanse/etcd";
import { BLOCK_BYTES_CEILING, validatorSetAt } from "@hanse/modules";
import { createPolicy, type OrderingEngine } from "@hanse/ordering";
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

function openGateway({ urls, requestMs, caFile, certFile, keyFile }: NodeConfig["etcd"]) {
  const ca = readPem("etcd.caFile", caFile);
  const cert = readPem("etcd.certFile", certFile);
  const key = readPem("etcd.keyFile", keyFile);
  return createEtcdGateway({
    endpoints: urls.split(",").map((url) => url.trim()),
    timeoutMs: requestMs,
    tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
  });
}

/** @throws HanseError `ETCD_ENDPOINTS`, `NODE_ETCD_FILE` naming the setting. */
export function openEtcd(parts: OrderingParts): OrderingEngine {
  const { config, identity, ledger, store, clock, transport, disk, verify, report } = parts;
  const { genesis, ledgerId, consensusKey } = identity;
  const { blockIntervalMsMin, blockBytesMax } = genesis.params;
  const etcd = openGateway(config.etcd);
  const engine = createEtcdEngine({
    ledgerId,
    genesisTime: genesis.time,
    setAt: (height) => validatorSetAt(store.state, height).set,
    app: ledger,
    transport,
    disk,
    clock,
    policy: createPolicy(genesis.policy, genesis.policyParams),
    blocks: store,
    etcd,
    sign: (message) => signMessage(consensusKey, message),
    verify,
    blockIntervalMsMin: Math.max(blockIntervalMsMin, config.ordering.blockIntervalMs),
    // The ledger checks the limit in force; this one only bounds what is read from peers.
    blockBytesMax: Math.max(blockBytesMax, BLOCK_BYTES_CEILING),
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

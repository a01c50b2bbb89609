/** The ordering engine of a node: signer, timers, and what it tells of itself. */
import type { Ledger, LedgerStore } from "@hanse/ledger";
import type { TlsTransport } from "@hanse/network";
import {
  type BuiltinEngineOptions,
  type Clock,
  createBuiltinEngine,
  createFixedPolicy,
  type Disk,
  type EngineEvent,
  type OrderingEngine,
  openSigner,
} from "@hanse/ordering";
import { signMessage, type ValidatorSet } from "@hanse/protocol";
import type { NodeConfig } from "../config/schema.ts";
import type { NodeLog } from "../log/create-log.ts";
import type { NodeIdentity } from "./node-identity.ts";

export interface OrderingParts {
  readonly config: NodeConfig;
  readonly identity: NodeIdentity;
  readonly validators: ValidatorSet;
  readonly ledger: Ledger;
  readonly store: LedgerStore;
  readonly transport: TlsTransport;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly verify: BuiltinEngineOptions["verify"];
  readonly report: (event: EngineEvent) => void;
}

export function openOrdering(parts: OrderingParts): OrderingEngine {
  const { config, identity, disk, clock } = parts;
  const { genesis, ledgerId, consensusKey } = identity;
  const { viewMs, viewStepMs, viewMsMax, graceMs, resendMs } = config.ordering;
  return createBuiltinEngine({
    ledgerId,
    genesisSet: parts.validators,
    genesisTime: genesis.time,
    app: parts.ledger,
    transport: parts.transport,
    disk,
    signer: openSigner({
      disk,
      id: config.node.id,
      publicKey: consensusKey.publicKey,
      ledgerId,
      sign: (message) => signMessage(consensusKey, message),
    }),
    clock,
    policy: createFixedPolicy(),
    blocks: parts.store,
    verify: parts.verify,
    blockIntervalMsMin: Math.max(
      genesis.params.blockIntervalMsMin,
      config.ordering.blockIntervalMs,
    ),
    blockBytesMax: genesis.params.blockBytesMax,
    timeouts: { viewMs, viewStepMs, viewMsMax, graceMs, resendMs },
    tuning: { stalledAfterMs: config.ordering.stalledMs },
    report: parts.report,
  });
}

/** One info line per this many blocks; each one at debug. */
const BLOCKS_PER_LINE = 100;

export function logEngineEvent(log: NodeLog, event: EngineEvent): void {
  const { t: _, ...facts } = event;
  switch (event.t) {
    case "final":
      if (event.height % BLOCKS_PER_LINE === 0) log.info(facts, "blocks are final");
      else log.debug(facts, "block is final");
      return;
    case "committed":
      log.trace(facts, "block is durable");
      return;
    case "syncing":
    case "synced":
    case "quarantineOver":
      log.info(facts, event.t);
      return;
    case "evidence":
      log.error({ kind: "evidence" }, "a validator contradicted itself");
      return;
    case "badPeer":
    case "quarantine":
      log.warn(facts, event.t);
      return;
    case "alarm":
    case "halted":
      log.error(facts, event.t);
  }
}

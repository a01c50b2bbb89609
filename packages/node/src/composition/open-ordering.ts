/** The ordering engine of a node: signer, timers, and what it tells of itself. */
import type { Ledger, LedgerStore } from "@hanse/ledger";
import { BLOCK_BYTES_CEILING, orderingSchedule } from "@hanse/modules";
import type { TlsTransport } from "@hanse/network";
import {
  type BuiltinEngineOptions,
  type Clock,
  type ConsensusSigner,
  createBuiltinEngine,
  createPolicy,
  type Disk,
  type EngineEvent,
  type Evidence,
  type OrderingEngine,
  openSigner,
  removeWal,
} from "@hanse/ordering";
import { HanseError, signMessage, toHex, type ValidatorSet } from "@hanse/protocol";
import type { NodeConfig } from "../config/schema.ts";
import type { NodeLog } from "../log/create-log.ts";
import { loadRecovery } from "./load-recovery.ts";
import type { NodeIdentity } from "./node-identity.ts";
import { openComet } from "./open-comet.ts";
import { openEtcd } from "./open-etcd.ts";

export interface OrderingParts {
  readonly config: NodeConfig;
  readonly identity: NodeIdentity;
  /** In force at heights 1 and 2. */
  readonly validators: ValidatorSet;
  readonly ledger: Ledger;
  readonly store: LedgerStore;
  readonly transport: TlsTransport;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly verify: BuiltinEngineOptions["verify"];
  readonly report: (event: EngineEvent) => void;
  /** Vote on although the signing state is lost; an operator's explicit act, for one start. */
  readonly acceptAmnesia: boolean;
  readonly log: NodeLog;
}

/**
 * A signer whose state was lost signs again from the height above the durable one. Right only when
 * nobody holds votes of this key for it: an operator who knows that no copy runs decides that.
 * @throws HanseError `NODE_AMNESIA` when nothing is lost.
 */
async function acceptAmnesia(signer: ConsensusSigner, parts: OrderingParts): Promise<void> {
  const reason = signer.quarantined;
  if (reason === undefined) {
    throw new HanseError(
      "NODE_AMNESIA",
      "rejected",
      "--accept-amnesia: the signing state is whole; start without it",
    );
  }
  const floor = (await parts.store.info()).height + 1;
  signer.restart(floor);
  await parts.disk.sync();
  // Only now: before, a crash would have found an empty log beside an old signing state.
  removeWal(parts.disk);
  await parts.disk.sync();
  parts.log.warn({ reason, floor }, "AMNESIA ACCEPTED: this key votes again from here");
}

/** @throws HanseError `NODE_AMNESIA`, `NODE_RECOVERY`, `COMET_BINARY`, `ETCD_ENDPOINTS`, `NODE_ETCD_FILE` */
export async function openOrdering(parts: OrderingParts): Promise<OrderingEngine> {
  const { config, identity, disk, clock } = parts;
  const { genesis, ledgerId, consensusKey } = identity;
  if (genesis.ordering === "cometbft") return openComet(parts);
  if (genesis.ordering === "etcd") return openEtcd(parts);
  const signer = openSigner({
    disk,
    id: config.node.id,
    publicKey: consensusKey.publicKey,
    ledgerId,
    sign: (message) => signMessage(consensusKey, message),
  });
  if (parts.acceptAmnesia) await acceptAmnesia(signer, parts);
  const { viewMs, viewStepMs, viewMsMax, graceMs, resendMs } = config.ordering;
  const file = config.ordering.recovery;
  const { state } = parts.store;
  const recovery =
    file === undefined ? undefined : loadRecovery(file, { ledgerId, state }, parts.log);
  return createBuiltinEngine({
    ledgerId,
    genesisSet: parts.validators,
    genesisTime: genesis.time,
    app: parts.ledger,
    transport: parts.transport,
    disk,
    signer,
    clock,
    policy: createPolicy(genesis.policy, genesis.policyParams),
    schedule: async (committed) => orderingSchedule(parts.store.state, committed),
    ...(recovery === undefined ? {} : { recovery }),
    blocks: parts.store,
    verify: parts.verify,
    get blockIntervalMsMin() {
      const { params } = parts.ledger.tip;
      return Math.max(params.blockIntervalMsMin, config.ordering.blockIntervalMs);
    },
    // The ledger checks the limit in force; this one only bounds what is read from peers.
    blockBytesMax: Math.max(genesis.params.blockBytesMax, BLOCK_BYTES_CEILING),
    timeouts: { viewMs, viewStepMs, viewMsMax, graceMs, resendMs },
    tuning: { stalledAfterMs: config.ordering.stalledMs },
    report: parts.report,
  });
}

/** One info line per this many blocks; each one at debug. */
const BLOCKS_PER_LINE = 100;

/** Who, when, and both blocks: enough to find them in that node's own log. */
function evidenceFacts({ kind, validator, height, view, first, second }: Evidence) {
  const blocks = [first, second].map(({ blockHash }) => blockHash && toHex(blockHash));
  return { validator, kind, height, view, blocks };
}

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
    case "handover":
    case "recovery":
      log.info(facts, event.t);
      return;
    case "evidence":
      log.error(evidenceFacts(event.evidence), "a validator contradicted itself");
      return;
    case "dropped":
      log.debug(facts, "messages of peers changed nothing");
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

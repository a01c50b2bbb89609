/** The ordering engine of a node: signer, timers, and what it tells of itself. */
import { join } from "node:path";
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
  type OrderingEra,
  openSigner,
  removeWal,
} from "@hanse/ordering";
import { HanseError, signMessage, toHex, type ValidatorSet } from "@hanse/protocol";
import type { NodeConfig } from "../config/schema.ts";
import { openDisk } from "../disk/open-disk.ts";
import type { NodeLog } from "../log/create-log.ts";
import { checkAnchor, guardByAnchor, loadAnchor } from "../snapshots/trust-anchor.ts";
import { loadRecovery } from "./load-recovery.ts";
import type { NodeIdentity } from "./node-identity.ts";
import { openComet } from "./open-comet.ts";
import { openEtcd } from "./open-etcd.ts";
import { createSwitchingEngine } from "./switching-engine.ts";
import { firstLane, laneOf } from "./transport-lanes.ts";

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

/** @throws HanseError `NODE_AMNESIA`, `NODE_RECOVERY`, `NODE_ANCHOR`, `NODE_ANCHOR_CONTRADICTED`, `COMET_BINARY`, `ETCD_ENDPOINTS`, `NODE_ETCD_FILE` */
export async function openOrdering(parts: OrderingParts): Promise<OrderingEngine> {
  const { ordering } = parts.identity.genesis;
  if (ordering === "cometbft") return openComet(parts);
  if (ordering === "etcd") return openEtcd(parts);
  const later: { handOver?: (era: OrderingEra) => void } = {};
  const options = await builtinOptions(parts, (era) => later.handOver?.(era));
  const onFailure = ({ code, message }: HanseError) => parts.report({ t: "halted", code, message });
  return createSwitchingEngine({
    open(handOver) {
      later.handOver = handOver;
      return createBuiltinEngine(options);
    },
    openNext: (era) => openLater(parts, era, onFailure),
    onFailure,
  });
}

/** The engine that another one hands over to, with a folder and messages of its own. */
function openLater(
  parts: OrderingParts,
  era: OrderingEra,
  onFailure: (error: HanseError) => void,
): OrderingEngine {
  if (era.kind !== "etcd") throw unknownEngine(era.kind);
  const disk = openDisk(join(parts.config.node.dataDir, `ordering-${era.engineEpoch}`), onFailure);
  const transport = laneOf(parts.transport, era.engineEpoch);
  const engine = openEtcd(parts, { era, transport, disk });
  return {
    ...engine,
    async stop(how) {
      await engine.stop(how);
      await disk.close();
    },
  };
}

function unknownEngine(kind: string): HanseError {
  return new HanseError(
    "NODE_ENGINE",
    "rejected",
    `the ledger is ordered by ${kind} from here on, which this version does not take over`,
  );
}

/** @throws HanseError `NODE_AMNESIA`, `NODE_RECOVERY`, `NODE_ANCHOR`, `NODE_ANCHOR_CONTRADICTED` */
async function builtinOptions(
  parts: OrderingParts,
  onHandover: (era: OrderingEra) => void,
): Promise<BuiltinEngineOptions> {
  const { config, identity, disk, clock } = parts;
  const { genesis, ledgerId, consensusKey } = identity;
  const anchor = loadAnchor(config, ledgerId);
  if (anchor !== undefined) await checkAnchor(anchor, parts.ledger.reads);
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
  return {
    ledgerId,
    genesisSet: parts.validators,
    genesisTime: genesis.time,
    app: guardByAnchor(parts.ledger, anchor),
    transport: firstLane(parts.transport),
    disk,
    signer,
    clock,
    policy: createPolicy(genesis.policy, genesis.policyParams),
    schedule: async (committed) => orderingSchedule(parts.store.state, committed),
    ...(recovery === undefined ? {} : { recovery }),
    onHandover,
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
  };
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

/** The ledger of a node: its engines, its limits, its state at height 0. */
import { seedEcosystem } from "@hanse/ecosystem";
import { resolveSender, seedIdentity, senderRows } from "@hanse/identity";
import {
  type BlockContext,
  type ContractEngine,
  createLedger,
  createNativeCodec,
  type Ledger,
  type LedgerOptions,
  type LedgerStore,
  type Sender,
} from "@hanse/ledger";
import {
  createGovernanceModule,
  createGovernanceRule,
  createNativeEngine,
  createNotesModule,
  createPresenceModule,
  createRegistryModule,
  seedGovernance,
  validatorSetAt,
} from "@hanse/modules";
import type { Clock, Disk } from "@hanse/ordering";
import { type GenesisDocument, HanseError } from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import type { NodeConfig } from "../config/schema.ts";
import type { TableAccess } from "../doors/table-reader.ts";
import type { NodeLog } from "../log/create-log.ts";
import type { NodeMetrics } from "../metrics/node-metrics.ts";

/** A contract engine whose tables have rights of their own. */
export interface EngineWithRights extends ContractEngine {
  readAccess(
    table: string,
    caller: Sender | undefined,
    state: StateView,
    block: BlockContext,
  ): TableAccess | undefined;
}

export interface LedgerParts {
  readonly config: NodeConfig;
  readonly genesis: GenesisDocument;
  readonly store: LedgerStore;
  readonly journal: Disk;
  readonly clock: Clock;
  readonly needle: EngineWithRights | undefined;
  readonly metrics: NodeMetrics;
  readonly log: NodeLog;
  readonly verifyBatch: LedgerOptions["verifyBatch"];
  readonly unavailable: NonNullable<LedgerOptions["unavailable"]>;
  readonly onAlarm: NonNullable<LedgerOptions["onAlarm"]>;
  readonly onChanges: NonNullable<LedgerOptions["onChanges"]>;
}

function createEngines(genesis: GenesisDocument, needle: EngineWithRights | undefined) {
  return genesis.engines.map((kind): ContractEngine => {
    if (kind === "native") {
      return createNativeEngine([
        createRegistryModule(),
        createNotesModule(),
        createGovernanceModule(),
        createPresenceModule(),
      ]);
    }
    if (kind === "needle" && needle !== undefined) return needle;
    throw new HanseError(
      "NODE_ENGINE",
      "rejected",
      `ledger.genesis: this node has no contract engine ${kind}; run a version that has it`,
    );
  });
}

/** @throws HanseError `NODE_ENGINE`, `LEDGER_*`. */
export function openLedger(parts: LedgerParts): Promise<Ledger> {
  const { config, genesis, log } = parts;
  const { transactionsMax, bytesMax, perSenderMax, perOrgPercentMax } = config.mempool;
  return createLedger({
    genesis,
    store: parts.store,
    engines: createEngines(genesis, parts.needle),
    codecs: [createNativeCodec()],
    resolveSender,
    senderRows,
    seed(overlay) {
      seedIdentity(overlay, genesis);
      seedGovernance(overlay, genesis);
      if (genesis.engines.includes("needle")) seedEcosystem(overlay, genesis);
    },
    rule: createGovernanceRule(),
    validatorSetAt: (height) => validatorSetAt(parts.store.state, height).set,
    verifyBatch: parts.verifyBatch,
    clock: parts.clock,
    journal: parts.journal,
    log: log.child({ part: "ledger" }),
    metrics: parts.metrics.ledger,
    onAlarm: parts.onAlarm,
    onChanges: parts.onChanges,
    unavailable: parts.unavailable,
    limits: {
      mempool: {
        countMax: transactionsMax,
        bytesMax,
        perSenderMax,
        ...(perOrgPercentMax === undefined ? {} : { organizationShare: perOrgPercentMax / 100 }),
      },
      admission: { batchCountMax: config.api.batchTransactionsMax },
    },
  });
}

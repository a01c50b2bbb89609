/** What a node keeps of the past and how it gets what it missed: pruning and snapshots. */
import type { Ledger } from "@hanse/ledger";
import { validatorSetAt } from "@hanse/modules";
import type { Clock, EngineEvent, SnapshotContent, Transport } from "@hanse/ordering";
import { type GenesisDocument, genesisValidatorSet, type Hash } from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import type { NodeConfig } from "../config/schema.ts";
import { foldersOf } from "../folder/node-folder.ts";
import type { NodeLog } from "../log/create-log.ts";
import { createPruner } from "../snapshots/pruner.ts";
import { createSnapshotService, type SnapshotCounter } from "../snapshots/snapshot-service.ts";
import { loadAnchor } from "../snapshots/trust-anchor.ts";

/** What only a store with a database can do. */
export interface StoreHistory {
  readonly lowest: number;
  writeSnapshot(at: { readonly height: number; readonly folder: string }): Promise<SnapshotContent>;
  prune(below: number): Promise<number>;
}

export interface HistoryParts {
  readonly config: NodeConfig;
  readonly genesis: GenesisDocument;
  readonly ledgerId: Hash;
  readonly ledger: Ledger;
  readonly state: StateView;
  readonly history: StoreHistory;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly count: (what: SnapshotCounter | "pruned", by: number) => void;
  readonly log: NodeLog;
  /** A snapshot waits: the node has to be started anew to load it. */
  readonly onSnapshot: (() => void) | undefined;
}

export interface NodeHistory {
  onCommitted(height: number): void;
  onEngineEvent(event: EngineEvent): void;
  stop(): Promise<void>;
}

export function openHistory(parts: HistoryParts): NodeHistory {
  const { config, genesis, ledger, history, count } = parts;
  const { snapshotEveryBlocks, snapshotsKept, blocksMax } = config.sync;
  const { keepBlocks } = config.storage;
  const folders = foldersOf(config);
  const log = parts.log.child({ part: "history" });
  // Other engines bring their followers up by themselves.
  const ownEngine = genesis.ordering === "builtin";
  const snapshots = createSnapshotService({
    folder: folders.snapshots,
    incomingFolder: folders.incoming,
    ledgerId: parts.ledgerId,
    genesisSet: genesisValidatorSet(genesis),
    anchor: loadAnchor(config, parts.ledgerId),
    reads: ledger.reads,
    lowest: () => history.lowest,
    validatorSetAt: (height) => validatorSetAt(parts.state, height).set,
    write: (at) => history.writeSnapshot(at),
    height: () => ledger.tip.height,
    transport: parts.transport,
    clock: parts.clock,
    everyBlocks: ownEngine ? snapshotEveryBlocks : 0,
    kept: snapshotsKept,
    blocksMax,
    count: (what) => count(what, 1),
    log,
    onFetched: () => parts.onSnapshot?.(),
  });
  const pruner = createPruner({
    prune: (below) => history.prune(below),
    lowest: () => history.lowest,
    keepBlocks,
    neededFrom: () => snapshots.neededFrom,
    count: (blocks) => count("pruned", blocks),
    log,
  });
  const startHeight = ledger.tip.height;
  const mayFetch = ownEngine && blocksMax > 0 && parts.onSnapshot !== undefined;
  let told = false;

  /** An archive's blocks are not given up for a snapshot unless an operator says so. */
  function isArchive(): boolean {
    return keepBlocks === 0 && startHeight > 0 && history.lowest === 1;
  }

  function onStranded(from: number, lowest: number): void {
    if (mayFetch && !isArchive()) {
      snapshots.onBehind({ from, to: lowest, pruned: true });
      return;
    }
    if (told) return;
    told = true;
    log.error(
      { from, lowest },
      "no peer keeps the next block: connect to an archive node, or give up the old blocks here (storage.keepBlocks above 0 and sync.blocksMax above 0) to go on from a snapshot",
    );
  }

  return {
    onCommitted(height) {
      snapshots.onCommitted(height);
      pruner.onCommitted(height);
    },
    onEngineEvent(event) {
      if (event.t === "synced") snapshots.onSynced();
      else if (event.t === "stranded") onStranded(event.from, event.lowest);
      else if (event.t === "syncing" && mayFetch && !isArchive()) snapshots.onBehind(event);
    },
    async stop() {
      snapshots.stop();
      await pruner.stop();
    },
  };
}

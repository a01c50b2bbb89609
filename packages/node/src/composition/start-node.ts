/**
 * The composition root: the only place that puts concrete adapters together. Opens everything
 * bottom up, and closes it top down; a start that fails half way closes what it opened.
 */
import type { Ledger, LedgerStore } from "@hanse/ledger";
import { validatorSetAt } from "@hanse/modules";
import type { Clock, OrderingEngine, OrderingStatus } from "@hanse/ordering";
import {
  encodeReceipt,
  type GenesisDocument,
  genesisValidatorSet,
  type HanseError,
  type Hash,
  readyKeyBackends,
  toHanseError,
  toHex,
} from "@hanse/protocol";
import type { Query, Row } from "@hanse/state";
import type { NodeConfig } from "../config/schema.ts";
import { type NodeDisk, openDisk } from "../disk/open-disk.ts";
import { createHttpDoors } from "../doors/http-server.ts";
import type { NodeServices } from "../doors/services.ts";
import { createTableReader } from "../doors/table-reader.ts";
import { lockFolder } from "../folder/folder-lock.ts";
import {
  checkNodeFolder,
  type FolderNote,
  foldersOf,
  loadReportingAccount,
} from "../folder/node-folder.ts";
import type { NodeLog } from "../log/create-log.ts";
import { createNodeMetrics, type NodeMetrics } from "../metrics/node-metrics.ts";
import { openProbing } from "../presence/open-probing.ts";
import { createVerificationPool } from "../signatures/verification-pool.ts";
import { openReadinessBringer } from "./bring-readiness.ts";
import { checkConsensusKey, loadNodeIdentity, nameBackends } from "./node-identity.ts";
import { type NodeHistory, openHistory, type StoreHistory } from "./open-history.ts";
import { type EngineWithRights, openLedger } from "./open-ledger.ts";
import { openNetwork } from "./open-network.ts";
import { logEngineEvent, openOrdering } from "./open-ordering.ts";
import { createReadiness } from "./readiness.ts";
import { followRegistry, type RegistryPeers } from "./registry-peers.ts";
import { listRunnableEngines } from "./runnable-engines.ts";
import { spreadTransactions } from "./transaction-spreading.ts";

export type { EngineWithRights } from "./open-ledger.ts";

export interface OpenedStore {
  readonly store: LedgerStore;
  /** Durable rows for a reader from outside, without holding up what executes. */
  search(query: Query): Promise<readonly Row[]>;
  /** Without it the node writes no snapshots, prunes nothing and joins by blocks alone. */
  readonly history?: StoreHistory;
  close(): Promise<void>;
  /** Told once when the database is gone. */
  onFailure(handler: (error: HanseError) => void): void;
}

/** What a start takes from outside itself, so that a test can bring a store in memory. */
export interface NodeAdapters {
  readonly log: NodeLog;
  readonly version: string;
  readonly openStore: (context: {
    readonly config: NodeConfig;
    readonly genesis: GenesisDocument;
    readonly ledgerId: Hash;
    readonly note: FolderNote;
    readonly log: NodeLog;
  }) => Promise<OpenedStore>;
  readonly createNeedle?: () => EngineWithRights;
  /** Vote on although the signing state is lost: see `acceptAmnesia` in open-ordering.ts. */
  readonly acceptAmnesia?: boolean;
  /** A snapshot is fetched: stop the node and start it anew to load it. Without this, none is. */
  readonly onSnapshot?: () => void;
  /** The node can do nothing useful any more: the database or a thread is gone. */
  readonly onFatal: (error: HanseError) => void;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface RunningNode {
  readonly id: string;
  readonly ledgerId: Hash;
  readonly api: Address;
  readonly network: Address;
  readonly services: NodeServices;
  /** Refuses new work, finishes what is under way, closes everything. */
  stop(): Promise<void>;
}

const clock: Clock = {
  now: () => Date.now(),
  setTimer(ms, fire) {
    const timer = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Patience of a receipt with the block that certifies it. */
const RECEIPT_MS_MAX = 10_000;

/** Runs what was pushed, last first. */
class Closers {
  readonly #list: (() => unknown)[] = [];
  push(close: () => unknown): void {
    this.#list.push(close);
  }
  async run(log: NodeLog): Promise<void> {
    for (const close of this.#list.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        log.error({ err: error }, "closing a part of the node failed");
      }
    }
  }
}

/** What went wrong for good; the first reason stays. */
class Failure {
  readonly #log: NodeLog;
  reason: string | undefined;
  constructor(log: NodeLog) {
    this.#log = log;
  }
  set(reason: string): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.#log.fatal({ reason }, "the node has stopped voting; reads go on");
  }
}

/** @throws HanseError naming key, file and remedy. */
export async function startNode(config: NodeConfig, adapters: NodeAdapters): Promise<RunningNode> {
  const closers = new Closers();
  try {
    return await openNode(config, adapters, closers);
  } catch (error) {
    await closers.run(adapters.log);
    throw error;
  }
}

const NOT_YET: OrderingStatus = {
  height: 0,
  view: 0,
  role: "observer",
  syncing: false,
  quarantined: undefined,
  stalledSince: undefined,
  peers: [],
};

/** Counts outcomes by code, as they become durable. */
async function countOutcomes(
  blocks: ReturnType<Ledger["subscribe"]>,
  metrics: NodeMetrics,
  history: NodeHistory | undefined,
  log: NodeLog,
): Promise<void> {
  try {
    for await (const block of blocks) {
      history?.onCommitted(block.height);
      for (const { outcome } of block.transactions) metrics.onOutcome(outcome.code);
    }
  } catch (error) {
    log.warn({ err: toHanseError(error) }, "outcomes are not counted any more");
  }
}

async function openNode(
  config: NodeConfig,
  adapters: NodeAdapters,
  closers: Closers,
): Promise<RunningNode> {
  const { log } = adapters;
  const startedAt = clock.now();
  await readyKeyBackends();
  const backends = nameBackends(log);
  const identity = loadNodeIdentity(config);
  const { genesis, ledgerId, node } = identity;
  log.info(
    { org: node.org, ledgerId: toHex(ledgerId), network: genesis.network, backends },
    "node starts",
  );

  const note = checkNodeFolder(config, ledgerId);
  const lock = lockFolder(config.node.dataDir);
  closers.push(() => lock.release());
  const failure = new Failure(log);
  const fatal = (error: HanseError) => {
    failure.set(error.message);
    adapters.onFatal(error);
  };
  const opened = await adapters.openStore({ config, genesis, ledgerId, note, log });
  closers.push(() => opened.close());
  opened.onFailure(fatal);
  const { store } = opened;
  const folders = foldersOf(config);
  const openNodeDisk = (folder: string, onFailure: (error: HanseError) => void): NodeDisk => {
    const disk = openDisk(folder, onFailure);
    closers.push(() => disk.close());
    return disk;
  };
  let journalFailed: string | undefined;
  const journal = openNodeDisk(folders.journal, ({ message }) => {
    journalFailed = message;
    log.error({ reason: message }, "the node takes no transactions any more; it votes on");
  });
  const disk = openNodeDisk(folders.ordering, (error) => failure.set(error.message));
  const verifiers = createVerificationPool(config.workers.count, fatal);
  closers.push(() => verifiers.close());

  /** What is asked before it is there. */
  const later: {
    engine?: OrderingEngine;
    ledger?: Ledger;
    registry?: RegistryPeers;
    history?: NodeHistory;
  } = {};
  let stopping = false;
  const transport = await openNetwork(config, identity, clock, log);
  const orderingStatus = () => later.engine?.status() ?? NOT_YET;
  const readiness = createReadiness({
    self: node.id,
    validators: () => validatorSetAt(store.state, (later.ledger?.tip.height ?? 0) + 1).set,
    ordering: orderingStatus,
    connected: () => transport.peers(),
    failed: () => failure.reason ?? later.ledger?.halted,
    journalFailed: () => journalFailed,
    stopping: () => stopping,
    now: clock.now,
    startedAt,
  });

  const metrics = createNodeMetrics({ process: config.metrics.process });
  const needle = genesis.engines.includes("needle") ? adapters.createNeedle?.() : undefined;
  const ledger = await openLedger({
    config,
    genesis,
    store,
    journal,
    clock,
    needle,
    metrics,
    log,
    verifyBatch: verifiers.verify,
    unavailable: readiness.unavailable,
    onAlarm({ kind, fatal: isFatal, message, facts }) {
      log.error({ ...facts, kind, fatal: isFatal }, `alarm of the ledger: ${message}`);
      if (isFatal) failure.set(message);
    },
    onChanges: (height, changes) => later.registry?.onChanges(height, changes),
  });
  later.ledger = ledger;
  closers.push(() => ledger.stop());
  const hasSigningState = disk.list().some((name) => name.startsWith("sign-state-"));
  checkConsensusKey(identity, store.state, { hasSigningState, log });
  later.registry = followRegistry({
    config,
    state: store.state,
    height: () => ledger.tip.height,
    transport,
    log,
  });
  const engine = await openOrdering({
    config,
    identity,
    validators: genesisValidatorSet(genesis),
    ledger,
    store,
    transport,
    disk,
    clock,
    verify: verifiers.verifyUrgent,
    acceptAmnesia: adapters.acceptAmnesia === true,
    log,
    report(event) {
      metrics.onEngineEvent(event);
      logEngineEvent(log, event);
      later.history?.onEngineEvent(event);
      if (event.t === "halted") failure.set(`${event.code}: ${event.message}`);
    },
  });
  later.engine = engine;
  ledger.onWork(() => engine.wake());
  const spread = spreadTransactions(ledger, transport, log);
  if (opened.history !== undefined) {
    const history = openHistory({
      config,
      genesis,
      ledgerId,
      ledger,
      state: store.state,
      history: opened.history,
      transport,
      clock,
      count: metrics.onHistory,
      log,
      onSnapshot: adapters.onSnapshot,
    });
    later.history = history;
    closers.push(() => history.stop());
  }
  const probing = openProbing({
    identity,
    account: loadReportingAccount(config),
    folder: folders.probes,
    ledger,
    state: store.state,
    ordering: orderingStatus,
    transport,
    clock,
    log,
  });
  closers.push(() => probing.stop());
  const bringer = openReadinessBringer({
    identity,
    account: loadReportingAccount(config),
    version: adapters.version,
    engines: async () => (await listRunnableEngines(config)).engines,
    ledger,
    state: store.state,
    clock,
    log,
  });
  closers.push(() => bringer.stop());

  const services: NodeServices = {
    config,
    genesis,
    ledgerId,
    facts: { version: adapters.version, startedAt, backends },
    ledger,
    state: store.state,
    tables: createTableReader(store.state, opened.search, (table, caller) => {
      const { height, time, hash, params } = ledger.tip;
      const block = { ledgerId, height, time, parentHash: hash, proposer: "", params };
      return needle?.readAccess(table, caller, store.state, block);
    }),
    log: log.child({ part: "doors" }),
    orderingStatus,
    info: () => store.info(),
    links: () => transport.links(),
    notReady: readiness.notReady,
    async receipt(id, refs) {
      const state = refs.map(({ table, key }) => ({ kind: "row", table, key }) as const);
      const timeoutMs = Math.min(RECEIPT_MS_MAX, config.api.waitMsMax);
      return encodeReceipt(await ledger.receipt({ id, state, timeoutMs }));
    },
    metrics: async () => ({
      text: await metrics.registry.metrics(),
      contentType: metrics.registry.contentType,
    }),
    now: clock.now,
  };
  const doors = await createHttpDoors(services, metrics.onRequest);
  metrics.watch({
    ledger,
    ordering: orderingStatus,
    links: () => transport.links(),
    network: transport.counters,
    relays: transport.relays,
    disks: { ordering: disk, journal },
    verifiers,
    streams: () => doors.streams,
    ready: () => readiness.notReady() === undefined,
    spreadDropped: () => spread.dropped,
  });
  const outcomes = ledger.subscribe(ledger.tip.height + 1);
  void countOutcomes(outcomes, metrics, later.history, log);

  closers.push(() => transport.stop());
  const network = await transport.start();
  closers.push(() => engine.stop("drain"));
  await engine.start();
  closers.push(() => doors.close());
  const api = await doors.listen();
  const { height } = await store.info();
  log.info({ api, network, height, peers: config.network.peers.length }, "node runs");

  let stopped: Promise<void> | undefined;
  return {
    id: node.id,
    ledgerId,
    api,
    network,
    services,
    stop() {
      stopped ??= (async () => {
        stopping = true;
        log.info({}, "node stops");
        outcomes.close();
        await closers.run(log);
        log.info({}, "node has stopped");
      })();
      return stopped;
    },
  };
}

/**
 * The composition root: the only place that names concrete adapters. Opens everything bottom up,
 * and closes it top down; a start that fails half way closes what it opened.
 */
import { availableParallelism } from "node:os";
import { seedEcosystem } from "@hanse/ecosystem";
import { resolveSender, seedIdentity, senderRows } from "@hanse/identity";
import {
  type BlockContext,
  type ContractEngine,
  createLedger,
  createNativeCodec,
  type Ledger,
  type LedgerStore,
  type Sender,
} from "@hanse/ledger";
import { createNativeEngine, createNotesModule, createRegistryModule } from "@hanse/modules";
import { createTlsTransport, readTlsIdentity, type TlsTransport } from "@hanse/network";
import {
  type Clock,
  createBuiltinEngine,
  createFixedPolicy,
  type EngineEvent,
  type OrderingEngine,
  openSigner,
} from "@hanse/ordering";
import {
  encodeReceipt,
  equalBytes,
  type GenesisDocument,
  genesisValidatorSet,
  HASH_BACKEND,
  HanseError,
  type Hash,
  KEY_BACKENDS,
  type KeyPair,
  ledgerIdOf,
  readyKeyBackends,
  signMessage,
  toHanseError,
  toHex,
} from "@hanse/protocol";
import { PAIR_HASHER, type Query, type Row, type StateView } from "@hanse/state";
import type { NodeConfig } from "../config/schema.ts";
import { type NodeDisk, openDisk } from "../disk/open-disk.ts";
import { createHttpDoors } from "../doors/http-server.ts";
import type { NodeServices } from "../doors/services.ts";
import { createTableReader, type TableAccess } from "../doors/table-reader.ts";
import { lockFolder } from "../folder/folder-lock.ts";
import {
  checkNodeFolder,
  foldersOf,
  loadConsensusKey,
  loadGenesis,
  loadTlsPem,
  noteDatabase,
} from "../folder/node-folder.ts";
import type { NodeLog } from "../log/create-log.ts";
import { createNodeMetrics } from "../metrics/node-metrics.ts";
import { createVerificationPool } from "../signatures/verification-pool.ts";
import { createReadiness } from "./readiness.ts";
import { spreadTransactions } from "./transaction-spreading.ts";

export interface OpenedStore {
  readonly store: LedgerStore;
  /** Durable rows for a reader from outside, without holding up what executes. */
  search(query: Query): Promise<readonly Row[]>;
  close(): Promise<void>;
  /** Told once when the database is gone. */
  onFailure(handler: (error: HanseError) => void): void;
}

/** A contract engine whose tables have rights of their own. */
export interface EngineWithRights extends ContractEngine {
  readAccess(
    table: string,
    caller: Sender | undefined,
    state: StateView,
    block: BlockContext,
  ): TableAccess | undefined;
}

/** What a start takes from outside itself, so that a test can bring a store in memory. */
export interface NodeAdapters {
  readonly log: NodeLog;
  readonly version: string;
  readonly openStore: (context: {
    readonly config: NodeConfig;
    readonly genesis: GenesisDocument;
    readonly ledgerId: Hash;
    readonly log: NodeLog;
  }) => Promise<OpenedStore>;
  readonly createNeedle?: () => EngineWithRights;
  /** The node can do nothing useful any more: the database or the process is broken. */
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

/** @throws HanseError naming key, file and remedy when genesis, keys and configuration disagree. */
function checkIdentity(
  config: NodeConfig,
  genesis: GenesisDocument,
  consensusKey: KeyPair,
  tlsFingerprint: Hash,
) {
  const { id, org } = config.node;
  const refuse = (code: string, field: string, message: string): never => {
    throw new HanseError(code, "rejected", `${field}: ${message}`, { details: { field } });
  };
  const own = genesis.nodes.find((node) => node.id === id);
  if (own === undefined) {
    return refuse("NODE_UNKNOWN", "node.id", `genesis has no node ${id}`);
  }
  if (org !== undefined && own.org !== org) {
    refuse("NODE_UNKNOWN", "node.org", `genesis has ${id} under ${own.org}, not ${org}`);
  }
  const { publicKey } = consensusKey;
  if (own.key.algorithm !== publicKey.algorithm || !equalBytes(own.key.bytes, publicKey.bytes)) {
    refuse("NODE_KEY", "keys.consensus", `is not the key that genesis has for ${id}`);
  }
  if (!equalBytes(own.tlsFingerprint, tlsFingerprint)) {
    refuse("NODE_KEY", "keys.tls", `is not the key whose fingerprint genesis has for ${id}`);
  }
  for (const peer of config.network.peers) {
    if (peer.id === id) refuse("NODE_PEERS", "network.peers", `${id} is this node itself`);
    if (!genesis.nodes.some((node) => node.id === peer.id)) {
      refuse("NODE_PEERS", "network.peers", `genesis has no node ${peer.id}`);
    }
  }
  return own;
}

function nameBackends(log: NodeLog): Readonly<Record<string, string>> {
  const backends: Record<string, string> = { sha256: HASH_BACKEND, stateTree: PAIR_HASHER };
  const slow: string[] = [];
  for (const [algorithm, info] of Object.entries(KEY_BACKENDS)) {
    backends[algorithm] = info.name;
    if (!info.fast) slow.push(`${algorithm} by ${info.name}`);
  }
  if (slow.length > 0) {
    log.warn(
      { slow },
      "SLOW CRYPTOGRAPHY: a native library is missing here, verification takes many times longer; reinstall the dependencies on this machine",
    );
  }
  return backends;
}

export async function startNode(config: NodeConfig, adapters: NodeAdapters): Promise<RunningNode> {
  const closers = new Closers();
  try {
    return await openNode(config, adapters, closers);
  } catch (error) {
    await closers.run(adapters.log);
    throw error;
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
  const genesis = loadGenesis(config);
  const ledgerId = ledgerIdOf(genesis);
  const consensusKey = loadConsensusKey(config);
  const identity = readTlsIdentity(loadTlsPem(config));
  const own = checkIdentity(config, genesis, consensusKey, identity.fingerprint);
  const { id } = config.node;
  log.info(
    { org: own.org, ledgerId: toHex(ledgerId), network: genesis.network, backends },
    "node starts",
  );
  const note = checkNodeFolder(config, ledgerId);
  const lock = lockFolder(config.node.dataDir);
  closers.push(() => lock.release());

  let failed: string | undefined;
  let stopping = false;
  const fail = (reason: string) => {
    if (failed !== undefined) return;
    failed = reason;
    log.fatal({ reason }, "the node has stopped voting; reads go on");
  };
  const openNodeDisk = (folder: string): NodeDisk => {
    const disk = openDisk(folder, (error) => fail(error.message));
    closers.push(() => disk.close());
    return disk;
  };

  const opened = await adapters.openStore({ config, genesis, ledgerId, log });
  closers.push(() => opened.close());
  noteDatabase(config, note);
  opened.onFailure((error) => {
    fail(error.message);
    adapters.onFatal(error);
  });
  const { store } = opened;

  const verifiers = createVerificationPool(
    config.workers.count === 0 ? Math.min(4, availableParallelism()) : config.workers.count,
    (error) => {
      fail(error.message);
      adapters.onFatal(error);
    },
  );
  closers.push(() => verifiers.close());
  const metrics = createNodeMetrics({ process: config.metrics.process });
  const validators = genesisValidatorSet(genesis);

  const transport: TlsTransport = createTlsTransport({
    self: id,
    identity,
    listen: config.network,
    peers: genesis.nodes
      .filter((node) => node.id !== id)
      .map((node) => ({
        id: node.id,
        address: config.network.peers.find((peer) => peer.id === node.id)?.address,
        tlsFingerprint: node.tlsFingerprint,
      })),
    ledgerId,
    limits: {
      frameBytesMax: config.network.frameBytesMax,
      queueBytesMax: config.network.queueBytesMax,
      bytesPerSecond: config.network.peerBytesPerSecond,
      framesPerSecond: config.network.peerFramesPerSecond,
      keepaliveMs: config.network.keepaliveMs,
      reconnectMsMax: config.network.reconnectMsMax,
    },
    log: log.child({ part: "network" }),
  });

  /** What is asked before it is there. */
  const later: { engine?: OrderingEngine; ledger?: Ledger } = {};
  const orderingStatus = () =>
    later.engine?.status() ?? {
      height: 0,
      view: 0,
      role: "observer" as const,
      syncing: false,
      quarantined: undefined,
      stalledSince: undefined,
      peers: [],
    };
  const readiness = createReadiness({
    self: id,
    validators,
    ordering: orderingStatus,
    connected: () => transport.peers(),
    failed: () => failed ?? later.ledger?.halted,
    stopping: () => stopping,
    now: clock.now,
    startedAt,
  });

  const folders = foldersOf(config);
  const journal = openNodeDisk(folders.journal);
  const needle = genesis.engines.includes("needle") ? adapters.createNeedle?.() : undefined;
  const engines: ContractEngine[] = [];
  for (const kind of genesis.engines) {
    if (kind === "native") {
      engines.push(createNativeEngine([createRegistryModule(), createNotesModule()]));
    } else if (kind === "needle" && needle !== undefined) {
      engines.push(needle);
    } else {
      throw new HanseError(
        "NODE_ENGINE",
        "rejected",
        `ledger.genesis: this node has no contract engine ${kind}; run a version that has it`,
      );
    }
  }
  const ledger: Ledger = await createLedger({
    genesis,
    store,
    engines,
    codecs: [createNativeCodec()],
    resolveSender,
    senderRows,
    seed(overlay) {
      seedIdentity(overlay, genesis);
      if (genesis.engines.includes("needle")) seedEcosystem(overlay, genesis);
    },
    verifyBatch: verifiers.verify,
    clock,
    journal,
    log: log.child({ part: "ledger" }),
    metrics: metrics.ledger,
    onAlarm(alarm) {
      log.error({ ...alarm }, "alarm of the ledger");
      if (!alarm.fatal) return;
      fail(alarm.message);
      if (alarm.kind === "storage") {
        adapters.onFatal(new HanseError("NODE_DATABASE", "corrupt", alarm.message));
      }
    },
    unavailable: readiness.unavailable,
    limits: {
      mempool: {
        countMax: config.mempool.transactionsMax,
        bytesMax: config.mempool.bytesMax,
        perSenderMax: config.mempool.perSenderMax,
        ...(config.mempool.perOrgPercentMax === undefined
          ? {}
          : { organizationShare: config.mempool.perOrgPercentMax / 100 }),
      },
      admission: { batchCountMax: config.api.batchTransactionsMax },
    },
  });
  later.ledger = ledger;
  closers.push(() => ledger.stop());

  const disk = openNodeDisk(folders.ordering);
  const signer = openSigner({
    disk,
    id,
    publicKey: consensusKey.publicKey,
    ledgerId,
    sign: (message) => signMessage(consensusKey, message),
  });
  const built = createBuiltinEngine({
    ledgerId,
    genesisSet: validators,
    genesisTime: genesis.time,
    app: ledger,
    transport,
    disk,
    signer,
    clock,
    policy: createFixedPolicy(),
    blocks: store,
    verify: verifiers.verifyUrgent,
    blockIntervalMsMin: Math.max(
      genesis.params.blockIntervalMsMin,
      config.ordering.blockIntervalMs,
    ),
    blockBytesMax: genesis.params.blockBytesMax,
    timeouts: {
      viewMs: config.ordering.viewMs,
      viewStepMs: config.ordering.viewStepMs,
      viewMsMax: config.ordering.viewMsMax,
      graceMs: config.ordering.graceMs,
      resendMs: config.ordering.resendMs,
    },
    tuning: { stalledAfterMs: config.ordering.stalledMs },
    report: (event) => {
      metrics.onEngineEvent(event);
      logEngineEvent(log, event);
      if (event.t === "halted") fail(`${event.code}: ${event.message}`);
    },
  });
  later.engine = built;

  const spread = spreadTransactions(ledger, transport, log);
  ledger.onWork(() => built.wake());

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
    async receipt(transactionId, refs) {
      const receipt = await ledger.receipt({
        id: transactionId,
        state: refs.map(({ table, key }) => ({ kind: "row" as const, table, key })),
        timeoutMs: Math.min(10_000, config.api.waitMsMax),
      });
      return encodeReceipt(receipt);
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
    disks: { ordering: disk, journal },
    verifiers,
    streams: () => doors.streams,
    ready: () => readiness.notReady() === undefined,
    spreadDropped: () => spread.dropped,
  });
  const outcomes = ledger.subscribe(ledger.tip.height + 1);
  void countOutcomes(outcomes, metrics.onOutcome).catch((error: unknown) =>
    log.warn({ err: toHanseError(error) }, "outcomes are not counted any more"),
  );

  closers.push(() => transport.stop());
  const network = await transport.start();
  closers.push(() => built.stop("drain"));
  await built.start();
  closers.push(() => doors.close());
  const api = await doors.listen();
  const { height } = await store.info();
  log.info({ api, network, height, peers: config.network.peers.length }, "node runs");

  let stopped: Promise<void> | undefined;
  return {
    id,
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

async function countOutcomes(
  blocks: ReturnType<Ledger["subscribe"]>,
  count: (code: string) => void,
): Promise<void> {
  for await (const block of blocks) {
    for (const { outcome } of block.transactions) count(outcome.code);
  }
}

/** One info line per this many blocks; each one at debug. */
const BLOCKS_PER_LINE = 100;

function logEngineEvent(log: NodeLog, event: EngineEvent): void {
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

/** One ledger of a node: what its doors ask and its ordering engine drives. */
import type { LedgerApp } from "@hanse/ordering";
import {
  type Bytes,
  decodeBlock,
  encodeGenesis,
  equalBytes,
  genesisValidatorSet,
  HanseError,
  type Hash,
  hashLedgerParams,
  type LightPage,
  ledgerIdOf,
  type Receipt,
  toHex,
  ZERO_HASH,
} from "@hanse/protocol";
import { createOverlay } from "@hanse/state";
import { type Accepted, createAdmission } from "../admission/admission.ts";
import { ADMISSION_CODES } from "../admission/refusals.ts";
import { createCommitRate } from "../admission/retry-after.ts";
import { createVerdictCache } from "../admission/verdict-cache.ts";
import type { ChainTip } from "../execution/chain-tip.ts";
import { createFuelEstimate } from "../execution/fuel-estimate.ts";
import { createBlockPreparer, type PreparedBlock } from "../execution/prepared-block.ts";
import { openJournal } from "../journal/journal.ts";
import { createCommittedIndex } from "../mempool/committed-index.ts";
import { hashKey } from "../mempool/hash-key.ts";
import { createMempool, type MempoolStats } from "../mempool/mempool.ts";
import { createPublisher, type Subscription } from "../publishing/publisher.ts";
import { createWaiters } from "../publishing/waiters.ts";
import { createLightPages, type LightPageRequest } from "../receipts/build-light-page.ts";
import { buildReceipt, type ReceiptRequest } from "../receipts/build-receipt.ts";
import { decodeTransactionBatch, encodeTransactionBatch, toBatches } from "../spreading/batch.ts";
import { createSpreader } from "../spreading/spreader.ts";
import { createChain } from "./chain.ts";
import type { BlockCommit, LedgerReads, Outcome, Sender } from "./interfaces.ts";
import { type LedgerMetrics, type LedgerOptions, resolveLimits } from "./ledger-options.ts";

export type TransactionStatus =
  | { readonly state: "unknown" }
  | { readonly state: "pending" }
  /** Block time has passed its validUntil: it never becomes part of the ledger. */
  | { readonly state: "expired" }
  /** In a certified block, executed, and durable on this node. */
  | {
      readonly state: "final";
      readonly height: number;
      readonly index: number;
      readonly outcome: Outcome;
    };

/** What became of a batch from another node. */
export interface IncomingResult {
  readonly accepted: number;
  /** Mostly known already, or too much for now. */
  readonly refused: number;
  /** Of the refused, those that no honest node passes on: unreadable or wrongly signed. */
  readonly invalid: number;
}

const INVALID_CODES: ReadonlySet<string> = new Set([
  ADMISSION_CODES.malformed,
  ADMISSION_CODES.form,
  ADMISSION_CODES.signature,
  ADMISSION_CODES.wrongLedger,
]);

export interface Ledger extends LedgerApp {
  readonly ledgerId: Hash;
  readonly tip: ChainTip;
  /** Why this node has stopped executing; undefined = it runs. */
  readonly halted: string | undefined;
  readonly reads: LedgerReads;
  /** Accepted = journaled here. @throws HanseError with one of the codes in the README. */
  submit(bytes: Bytes): Promise<Accepted>;
  /** One verdict for each, in order. @throws HanseError `LEDGER_BATCH_TOO_LARGE` */
  submitMany(list: readonly Bytes[]): Promise<(Accepted | HanseError)[]>;
  status(id: Hash): Promise<TransactionStatus>;
  /**
   * Resolves when the transaction is known here (`accepted`), or final or expired (`final`).
   * @throws HanseError `LEDGER_TX_UNKNOWN`, `LEDGER_WAIT_TIMEOUT`, `LEDGER_WAITERS`.
   */
  waitFor(
    id: Hash,
    until: "accepted" | "final",
    options?: { readonly timeoutMs?: number },
  ): Promise<TransactionStatus>;
  /** Read-only call of a contract engine at the newest state. @throws HanseError */
  query(engine: string, name: string, input: unknown, caller: Sender | undefined): unknown;
  subscribe(fromHeight: number): Subscription;
  /** Proof of a final transaction and of facts of the state; waits for the block that certifies them. */
  receipt(request: ReceiptRequest): Promise<Receipt>;
  /** Headers and proofs for light clients. @throws as `LightPages.page`. */
  lightPage(request: LightPageRequest): Promise<LightPage>;
  mempoolStats(): MempoolStats;
  /** Takes encoded batches of transactions, each for every other node. */
  onOutgoing(send: (batch: Bytes) => void): void;
  /** A batch that another node sent. @throws HanseError when its form is broken: the peer's fault. */
  incoming(batch: Bytes, from: string): Promise<IncomingResult>;
  /** Batches of what waits here from our own clients, for a peer that has just come. */
  pendingBatches(): Iterable<Bytes>;
  /** Called when the mempool gets work. */
  onWork(wake: () => void): void;
  stop(): Promise<void>;
}

const NO_METRICS: LedgerMetrics = { count: () => {}, observe: () => {} };

const WAIT_TIMEOUT_MS = 30_000;

/** Writes height 0 when the store is empty, and says where the chain stands. */
async function loadTip(options: LedgerOptions, ledgerId: Hash): Promise<ChainTip> {
  const { store, genesis } = options;
  let info = await store.info();
  if (info.height === 0 && equalBytes(info.stateRoot, ZERO_HASH)) {
    const overlay = createOverlay(store.state, 0);
    overlay.begin(0);
    options.seed(overlay);
    const changes = overlay.changes();
    const stateRoot = await store.apply(0, changes);
    await store.commitGenesis({ ledgerId, genesis: encodeGenesis(genesis), stateRoot, changes });
    info = await store.info();
    if (!equalBytes(info.stateRoot, stateRoot)) {
      throw new HanseError("INVARIANT", "corrupt", "the store lost the state of height 0");
    }
  }
  const { height, stateRoot, resultsRoot, blockHash } = info;
  const { params } = genesis;
  const common = options.rule?.inForce(store.state) ?? {
    params,
    paramsHash: hashLedgerParams(params),
  };
  if (height === 0) {
    const { time } = genesis;
    return { ...common, height, hash: ledgerId, time, stateRoot, resultsRoot, block: undefined };
  }
  const stored = await store.block(height);
  if (stored === undefined) {
    throw new HanseError(
      "LEDGER_STORE",
      "corrupt",
      `the store names height ${height} but lacks it`,
    );
  }
  const { header, lastCert } = decodeBlock(stored.bytes);
  if (!equalBytes(header.ledgerId, ledgerId)) {
    throw new HanseError(
      "LEDGER_OTHER",
      "corrupt",
      `the store holds ledger ${toHex(header.ledgerId)}, the genesis document is of ${toHex(ledgerId)}: ` +
        "check the database setting or the genesis file",
    );
  }
  const block = { header, lastCert };
  return { ...common, height, hash: blockHash, time: header.time, stateRoot, resultsRoot, block };
}

function byKey<K, V>(list: readonly V[], key: (item: V) => K, what: string): Map<K, V> {
  const map = new Map<K, V>();
  for (const item of list) {
    if (map.has(key(item))) {
      throw new HanseError(
        "LEDGER_OPTIONS",
        "rejected",
        `${what} ${String(key(item))} stands twice`,
      );
    }
    map.set(key(item), item);
  }
  return map;
}

/**
 * Opens a ledger over its store: seeds height 0 where the store is empty, reads the journal back
 * into the mempool.
 * @throws HanseError `LEDGER_OTHER`, `LEDGER_STORE`, `LEDGER_JOURNAL_CORRUPT`, `LEDGER_OPTIONS`,
 * `LEDGER_LIMITS`.
 */
export async function createLedger(options: LedgerOptions): Promise<Ledger> {
  const { store, clock, log } = options;
  const limits = resolveLimits(options);
  const metrics = options.metrics ?? NO_METRICS;
  const ledgerId = ledgerIdOf(options.genesis);
  const codecs = byKey(options.codecs, (codec) => codec.form, "transaction form");
  const engines = byKey(options.engines, (engine) => engine.kind, "contract engine");
  const startTip = await loadTip(options, ledgerId);

  const mempool = createMempool(limits.mempool);
  const verdicts = createVerdictCache(limits.verdictsMax);
  const rate = createCommitRate();
  const fuel = createFuelEstimate();
  const preparer = createBlockPreparer(codecs, mempool, verdicts);
  const journal = openJournal(options.journal, limits.journal, (error) => {
    metrics.count("alarms", 1);
    log.error({ error }, error.message);
    const facts = { cause: error.cause };
    options.onAlarm?.({ kind: "journal", fatal: false, message: error.message, facts });
  });
  const committed = createCommittedIndex({
    store,
    validityWindowMs: startTip.params.validityWindowMs,
    capacity: limits.committedIdsMax,
  });
  await committed.load(startTip);

  const publisher = createPublisher(store, codecs, startTip.height, limits.subscriptionsMax);
  const waiters = createWaiters<TransactionStatus>(clock, limits.waitersMax);
  const heightWaiters = createWaiters<void>(clock, limits.waitersMax);
  let durableHeight = startTip.height;
  const expired = new Set<string>();
  /** Transactions of each peer that are on their way in. */
  const fromPeers = new Map<string, number>();
  let stopped = false;
  let wake: (() => void) | undefined;

  function onDurable(commit: BlockCommit, prepared: PreparedBlock): void {
    const { header } = commit.decided.block;
    const { height } = header;
    const { outcomes } = commit.executed;
    durableHeight = height;
    heightWaiters.resolve(String(height));
    options.onChanges?.(height, commit.changes);
    publisher.publish({
      height,
      hash: commit.decided.hash,
      time: header.time,
      proposer: header.proposer,
      transactions: prepared.transactions.map(({ transaction: { id, sender, engine } }, i) => ({
        id,
        sender,
        engine,
        outcome: outcomes[i]!,
      })),
    });
    for (const [index, { key }] of prepared.transactions.entries()) {
      journal.settle(key);
      waiters.resolve(key, { state: "final", height, index, outcome: outcomes[index]! });
    }
  }

  const { rule } = options;
  const evidenceFault = (evidence: Bytes) => rule?.evidenceFault(evidence, store.state);

  const chain = createChain({
    ledgerId,
    tip: startTip,
    store,
    limits,
    mempool,
    committed,
    preparer,
    rate,
    fuel,
    build: {
      ledgerId,
      mempool,
      preparer,
      clock,
      fuel,
      evidenceFault,
      buildTimeMs: limits.buildTimeMs,
      transactionsTarget: limits.blockTransactionsTarget,
    },
    validation: {
      ledgerId,
      clock,
      preparer,
      committed,
      verdicts,
      engines,
      verifyBatch: options.verifyBatch,
      clockSkewMsMax: limits.clockSkewMsMax,
      evidenceFault,
    },
    execution: {
      ledgerId,
      state: store.state,
      engines,
      resolveSender: options.resolveSender,
      senderRows: options.senderRows,
      rule,
    },
    log,
    metrics,
    onAlarm: options.onAlarm ?? (() => {}),
    onDurable,
    onExpired(entries) {
      for (const { key } of entries) {
        expired.add(key);
        if (expired.size > limits.expiredIdsMax) expired.delete(expired.values().next().value!);
        journal.settle(key);
        waiters.resolve(key, { state: "expired" });
      }
    },
  });

  const spreader = createSpreader({
    clock,
    intervalMs: limits.spreadIntervalMs,
    repeatMs: limits.respreadMs,
    *pendingBefore(time) {
      for (const entry of mempool.entries()) {
        if (entry.local && entry.admittedAt < time) yield entry.transaction.bytes;
      }
    },
  });

  const admission = createAdmission({
    ledgerId,
    limits: limits.admission,
    codecs,
    engines,
    state: store.state,
    store,
    resolveSender: options.resolveSender,
    senderRows: options.senderRows,
    verifyBatch: options.verifyBatch,
    mempool,
    committed,
    verdicts,
    journal,
    rate,
    clock,
    tip: () => chain.tip,
    unavailable() {
      if (stopped) return { state: "halted", reason: "it is being stopped" };
      if (chain.halted !== undefined) return { state: "halted", reason: chain.halted };
      const outside = options.unavailable?.();
      if (outside?.state === "halted" || journal.failed === undefined) return outside;
      return { state: "journalFailed", reason: journal.failed.message };
    },
    onAccepted(entries) {
      metrics.count("transactions_admitted", entries.length);
      const local = entries.filter((entry) => entry.local);
      if (local.length > 0) spreader.add(local.map((entry) => entry.transaction.bytes));
      wake?.();
    },
    onRefused: (count) => metrics.count("transactions_refused", count),
  });

  if (journal.tornBytes > 0) {
    log.warn(
      { bytes: journal.tornBytes },
      "the journal ended inside a record; nobody was told of it",
    );
  }
  await readJournal();

  async function readJournal(): Promise<void> {
    const results = await admission.readmit(journal.found);
    const kept = results.flatMap((result, i) =>
      result instanceof HanseError ? [] : [{ key: hashKey(result.id), bytes: journal.found[i]! }],
    );
    await journal.adopt(kept);
    if (journal.found.length > 0) {
      log.info(
        { found: journal.found.length, pending: kept.length },
        "transactions accepted before the restart",
      );
    }
  }

  const genesisSet = genesisValidatorSet(options.genesis);
  const validatorSetAt = options.validatorSetAt ?? (() => genesisSet);
  const lightPages = createLightPages({ ledgerId, store, validatorSetAt });

  async function whenDurable(height: number, timeoutMs: number): Promise<void> {
    if (height > durableHeight) await heightWaiters.wait(String(height), timeoutMs);
  }

  async function status(id: Hash): Promise<TransactionStatus> {
    const key = hashKey(id);
    if (mempool.get(key) !== undefined) return { state: "pending" };
    const stored = await store.transaction(id);
    if (stored !== undefined) {
      const { height, index, outcome } = stored;
      return { state: "final", height, index, outcome };
    }
    // Executed, and not durable yet.
    if (mempool.get(key) !== undefined || committed.isExecuted(key)) return { state: "pending" };
    return { state: expired.has(key) ? "expired" : "unknown" };
  }

  return {
    ledgerId,
    reads: store,
    get tip() {
      return chain.tip;
    },
    get halted() {
      return chain.halted;
    },
    info: chain.info,
    buildBlock: chain.buildBlock,
    validateBlock: chain.validateBlock,
    finalizeBlock: chain.finalizeBlock,
    commit: chain.commit,
    prove: chain.prove,
    hasWork: chain.hasWork,
    submit: admission.submit,
    submitMany: admission.submitMany,
    status,
    async waitFor(id, until, { timeoutMs = WAIT_TIMEOUT_MS } = {}) {
      const key = hashKey(id);
      const now = await status(id);
      if (now.state === "unknown") {
        throw new HanseError(
          "LEDGER_TX_UNKNOWN",
          "notFound",
          "id: this node knows no such transaction: submit it, or ask the node that accepted it",
        );
      }
      if (now.state !== "pending" || until === "accepted") return now;
      // The look-up above took time; what became final meanwhile is not announced again.
      const outcome = waiters.wait(key, timeoutMs);
      const again = await status(id);
      if (again.state !== "pending") waiters.resolve(key, again);
      return outcome;
    },
    query(kind, name, input, caller) {
      const engine = engines.get(kind);
      if (engine?.query === undefined) {
        throw new HanseError(
          "LEDGER_QUERY_ENGINE",
          "notFound",
          `engine: "${kind}" is not an engine of this ledger that answers queries`,
        );
      }
      const { height, time, hash, params } = chain.tip;
      const block = { ledgerId, height, time, parentHash: hash, proposer: "", params };
      const ask = () => engine.query?.(name, input, caller, store.state, block);
      return store.readOutside === undefined ? ask() : store.readOutside(ask);
    },
    subscribe: publisher.subscribe,
    lightPage: (request) => lightPages.page(request),
    receipt: (request) => buildReceipt({ ledgerId, store, validatorSetAt, whenDurable }, request),
    mempoolStats: mempool.stats,
    onOutgoing: spreader.onBatch,
    async incoming(batch, from) {
      const list = decodeTransactionBatch(batch, limits.incomingBatchBytesMax);
      const underWay = fromPeers.get(from) ?? 0;
      // One peer must not take the verification of all; what is dropped is sent again later.
      if (stopped || underWay + list.length > limits.incomingPerPeerMax) {
        return { accepted: 0, refused: list.length, invalid: 0 };
      }
      fromPeers.set(from, underWay + list.length);
      try {
        const results = await admission.admitForeign(list);
        let accepted = 0;
        let invalid = 0;
        for (const result of results) {
          if (!(result instanceof HanseError)) accepted++;
          else if (INVALID_CODES.has(result.code)) invalid++;
        }
        return { accepted, refused: list.length - accepted, invalid };
      } finally {
        const left = fromPeers.get(from)! - list.length;
        if (left > 0) fromPeers.set(from, left);
        else fromPeers.delete(from);
      }
    },
    *pendingBatches() {
      const local = [...mempool.entries()].filter((entry) => entry.local);
      for (const batch of toBatches(local.map((entry) => entry.transaction.bytes))) {
        yield encodeTransactionBatch(batch);
      }
    },
    onWork(handler) {
      wake = handler;
    },
    async stop() {
      stopped = true;
      spreader.close();
      publisher.close();
      waiters.close();
      heightWaiters.close();
    },
  };
}

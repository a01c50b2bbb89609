/**
 * The way into the mempool, cheap checks first: size, form, ledger, validity window, duplicates,
 * sender, quotas, signature (asynchronous, many at once), the engine's own check, journal, pool.
 */
import type { Clock } from "@hanse/ordering";
import {
  type Bytes,
  equalBytes,
  HanseError,
  type Hash,
  hashLeaf,
  type PublicKey,
  toHanseError,
  toHex,
} from "@hanse/protocol";
import type { CommittedState, RowRef, StateView } from "@hanse/state";
import type { ChainTip } from "../execution/chain-tip.ts";
import { type CodecTable, decodeTransaction } from "../execution/prepared-block.ts";
import type { Journal } from "../journal/journal.ts";
import type { CommittedIndex } from "../mempool/committed-index.ts";
import { detachBytes, hashKey } from "../mempool/hash-key.ts";
import type { Fullness, Mempool, PoolEntry } from "../mempool/mempool.ts";
import type {
  ContractEngine,
  DecodedTransaction,
  LedgerStore,
  Sender,
  SignatureClaim,
} from "../pipeline/interfaces.ts";
import { refuse } from "./refusals.ts";
import { type CommitRate, retryAfterSeconds } from "./retry-after.ts";
import { createSingleSubmits } from "./single-submits.ts";
import type { VerdictCache } from "./verdict-cache.ts";

/** A transaction that waits in the mempool; a restart of this node does not forget it. */
export interface Accepted {
  readonly id: Hash;
}

/** Why nothing is accepted now; undefined = ready. */
export type Unavailable =
  | { readonly state: "syncing" | "stalled"; readonly retryAfterSeconds: number }
  /** Executes and votes on, and could not keep what it accepted: from peers it takes all the same. */
  | { readonly state: "journalFailed"; readonly reason: string }
  | { readonly state: "halted"; readonly reason: string };

export interface AdmissionLimits {
  /** Transactions whose signatures are being verified; more are refused as busy. */
  readonly verifyingMax: number;
  /** Transactions in one call of submitMany. */
  readonly batchCountMax: number;
  /** Batches of single submits under way at once; those that come meanwhile form the next one. */
  readonly singleBatches: number;
}

export const DEFAULT_ADMISSION_LIMITS: AdmissionLimits = {
  verifyingMax: 20_000,
  batchCountMax: 10_000,
  singleBatches: 2,
};

export interface AdmissionParts {
  readonly ledgerId: Hash;
  readonly limits: AdmissionLimits;
  readonly codecs: CodecTable;
  readonly engines: ReadonlyMap<string, ContractEngine>;
  readonly state: CommittedState;
  readonly store: Pick<LedgerStore, "transaction">;
  readonly resolveSender: (view: StateView, key: PublicKey, keyHash: Hash) => Sender;
  readonly senderRows: ((transaction: DecodedTransaction) => readonly RowRef[]) | undefined;
  readonly verifyBatch: (claims: readonly SignatureClaim[]) => Promise<readonly boolean[]>;
  readonly mempool: Mempool;
  readonly committed: CommittedIndex;
  readonly verdicts: VerdictCache;
  readonly journal: Journal;
  readonly rate: CommitRate;
  readonly clock: Clock;
  readonly tip: () => ChainTip;
  readonly unavailable: () => Unavailable | undefined;
  /** Told of transactions that entered the pool. */
  readonly onAccepted: (entries: readonly PoolEntry[]) => void;
  /** Told how many of a call were refused. */
  readonly onRefused: (count: number) => void;
}

export interface Admission {
  submit(bytes: Bytes): Promise<Accepted>;
  /** Local transactions: journaled and durable when it resolves. */
  submitMany(list: readonly Bytes[]): Promise<(Accepted | HanseError)[]>;
  /** From another node, which has them in its own journal. */
  admitForeign(list: readonly Bytes[]): Promise<(Accepted | HanseError)[]>;
  /** Found in the journal at start. */
  readmit(list: readonly Bytes[]): Promise<(Accepted | HanseError)[]>;
}

/** Transactions of the journal that are verified at once at a start. */
const READMIT_CHUNK = 2_000;

type Origin = "client" | "peer" | "journal";

/** A transaction on its way in. */
interface Candidate {
  readonly place: number;
  readonly transaction: DecodedTransaction;
  readonly key: string;
  sender?: Sender;
  leaf?: Hash;
}

export function createAdmission(parts: AdmissionParts): Admission {
  const { mempool, committed, limits } = parts;
  let verifying = 0;

  function alreadyPending(transaction: DecodedTransaction): HanseError {
    return refuse("pending", "this transaction is pending already: ask for its status by its id", {
      id: toHex(transaction.id),
      status: "pending",
    });
  }

  function inBlock(
    { id }: DecodedTransaction,
    at: { readonly height: number; readonly index: number; readonly outcome: string | undefined },
  ): HanseError {
    return refuse(
      "committed",
      "this transaction is in a block already: ask for its status by its id",
      { id: toHex(id), status: "final", height: at.height, index: at.index, outcome: at.outcome },
    );
  }

  /** Told by the filter or the store that it is in a block; the newest may not be durable yet. */
  async function alreadyCommitted({ transaction, key }: Candidate): Promise<HanseError> {
    const stored = await parts.store.transaction(transaction.id);
    if (stored !== undefined)
      return inBlock(transaction, { ...stored, outcome: stored.outcome.code });
    const place = committed.check(key, transaction);
    if (typeof place === "object") return inBlock(transaction, { ...place, outcome: undefined });
    return alreadyPending(transaction);
  }

  function retryAfter(of: Fullness, candidate: Candidate): HanseError {
    const { transaction, sender } = candidate;
    const org = sender!.org;
    const backlog = mempool.backlog(of, org, transaction.sender);
    const active = mempool.activity(org);
    const rate = parts.rate.perSecond(parts.clock.now());
    // The fair order gives every waiting organization, and in it every sender, an equal part.
    const share =
      of === "pool" ? rate : rate / active.organizations / (of === "sender" ? active.senders : 1);
    const details = {
      retryAfterSeconds: retryAfterSeconds(backlog, share, transaction.id),
      pending: backlog,
    };
    switch (of) {
      case "sender":
        return refuse(
          "senderQuota",
          `the sender has ${backlog} pending transactions, ${mempool.limits.perSenderMax} are allowed: wait for some to be final`,
          details,
        );
      case "organization":
        return refuse(
          "organizationQuota",
          `organization ${org} fills its part of the mempool: submit again later`,
          details,
        );
      case "pool":
        return refuse("poolFull", "the mempool is full: submit again later", details);
    }
  }

  /** Checks that need no state. @throws HanseError */
  function read(bytes: Bytes, origin: Origin): DecodedTransaction {
    const { params, time } = parts.tip();
    const sizeMax = Math.min(params.transactionBytesMax, params.blockBytesMax >> 1);
    if (bytes.length > sizeMax) {
      throw refuse(
        "tooLarge",
        `transaction: ${bytes.length} bytes, at most ${sizeMax} are allowed`,
        {
          bytes: bytes.length,
          bytesMax: sizeMax,
        },
      );
    }
    let transaction: DecodedTransaction;
    try {
      transaction = decodeTransaction(parts.codecs, detachBytes(bytes));
    } catch (thrown) {
      const { code, message, details } = toHanseError(thrown);
      if (code === "LEDGER_TX_FORM") throw thrown;
      throw refuse("malformed", `transaction: ${message}`, { ...details, reason: code }, thrown);
    }
    if (!equalBytes(transaction.ledgerId, parts.ledgerId)) {
      throw refuse(
        "wrongLedger",
        `ledgerId: meant for ledger ${toHex(transaction.ledgerId)}, this is ${toHex(parts.ledgerId)}`,
        { expected: toHex(parts.ledgerId) },
      );
    }
    if (!parts.engines.has(transaction.engine)) {
      throw refuse(
        "engine",
        `engine: this ledger has no "${transaction.engine}"; it has ${[...parts.engines.keys()].join(", ")}`,
      );
    }
    const { validUntil } = transaction;
    const now = Math.max(parts.clock.now(), time);
    // What we promised to remember stays until block time, not our clock, has passed it.
    if (validUntil <= (origin === "journal" ? time : now)) {
      throw refuse(
        "expired",
        `validUntil: passed ${now - validUntil} ms ago: sign it anew with a later validUntil`,
        { validUntil, now },
      );
    }
    if (validUntil > now + params.validityWindowMs) {
      throw refuse(
        "tooFarAhead",
        `validUntil: at most ${params.validityWindowMs} ms ahead, ${validUntil - now} ms found`,
        { validUntil, validUntilMax: now + params.validityWindowMs },
      );
    }
    return transaction;
  }

  /** Refuses what is in a block already; asks the store only about what the filter cannot tell. */
  async function dropCommitted(candidates: Candidate[], results: Results): Promise<Candidate[]> {
    const open: Candidate[] = [];
    const fresh: Candidate[] = [];
    for (const candidate of candidates) {
      const before = committed.check(candidate.key, candidate.transaction);
      if (before === "no") fresh.push(candidate);
      else if (before === "perhaps") open.push(candidate);
      else results[candidate.place] = await alreadyCommitted(candidate);
    }
    if (open.length === 0) return fresh;
    const found = await committed.committed(
      open.map(({ key, transaction }) => ({ ...transaction, key })),
    );
    for (const [i, candidate] of open.entries()) {
      if (found[i] === true) {
        results[candidate.place] = await alreadyCommitted(candidate);
      } else fresh.push(candidate);
    }
    return fresh.sort((a, b) => a.place - b.place);
  }

  async function loadSenders(candidates: readonly Candidate[]): Promise<void> {
    const missing: RowRef[] = [];
    for (const { transaction } of candidates) {
      for (const row of parts.senderRows?.(transaction) ?? []) {
        if (!parts.state.hasRow(row.table, row.key)) missing.push(row);
      }
    }
    if (missing.length > 0) await parts.state.prefetch({ rows: missing, kv: [] });
  }

  /**
   * Loads the rows that execution will surely read while signatures are verified, so that neither
   * the engine's check nor the block waits for the database.
   */
  function warm(candidates: readonly Candidate[]): Promise<void> | undefined {
    const missing: RowRef[] = [];
    for (const { transaction } of candidates) {
      const touches = parts.engines.get(transaction.engine)?.touches?.(transaction);
      if (touches === undefined) continue;
      for (const row of touches) if (!parts.state.hasRow(row.table, row.key)) missing.push(row);
    }
    return missing.length === 0 ? undefined : parts.state.prefetch({ rows: missing, kv: [] });
  }

  async function verify(candidates: Candidate[], results: Results): Promise<Candidate[]> {
    const claims: SignatureClaim[] = [];
    const unknown: Candidate[] = [];
    for (const candidate of candidates) {
      candidate.leaf = hashLeaf(candidate.transaction.bytes);
      if (parts.verdicts.has(candidate.leaf)) continue;
      unknown.push(candidate);
      for (const claim of candidate.transaction.claims) claims.push(claim);
    }
    if (unknown.length === 0) return candidates;
    verifying += unknown.length;
    let verdicts: readonly boolean[];
    try {
      verdicts = await parts.verifyBatch(claims);
    } finally {
      verifying -= unknown.length;
    }
    let at = 0;
    let bad = 0;
    for (const candidate of unknown) {
      let holds = candidate.transaction.claims.length > 0;
      for (const _ of candidate.transaction.claims) if (verdicts[at++] !== true) holds = false;
      if (holds) continue;
      bad++;
      results[candidate.place] = refuse(
        "signature",
        "signature: does not hold for this sender and body: sign the exact bytes with the sender's key",
      );
    }
    return bad === 0 ? candidates : candidates.filter((c) => results[c.place] === undefined);
  }

  /** The last steps happen in one turn, so that nothing changes between check and insert. */
  function insert(
    candidates: readonly Candidate[],
    results: Results,
    origin: Origin,
    overtaken: boolean,
  ): PoolEntry[] {
    const entries: PoolEntry[] = [];
    const admittedAt = parts.clock.now();
    const wasIdle = mempool.count === 0;
    for (const candidate of candidates) {
      const { transaction, key, place } = candidate;
      const { org } = candidate.sender!;
      if (mempool.get(key) !== undefined) {
        results[place] = alreadyPending(transaction);
        continue;
      }
      const full = mempool.fullness(org, transaction.sender, transaction.bytes.length);
      const before = overtaken ? committed.check(key, transaction) : "no";
      if (typeof before === "object") {
        results[place] = inBlock(transaction, { ...before, outcome: undefined });
        continue;
      }
      // Quotas do not take back what was promised before a restart.
      if (full !== undefined && origin !== "journal") {
        parts.verdicts.add(candidate.leaf!);
        results[place] = retryAfter(full, candidate);
        continue;
      }
      try {
        parts.engines.get(transaction.engine)!.check(transaction, candidate.sender!, parts.state);
      } catch (thrown) {
        results[place] = toHanseError(thrown);
        continue;
      }
      entries.push(
        mempool.insert({
          transaction,
          leaf: candidate.leaf!,
          organization: org,
          admittedAt,
          local: origin !== "peer",
        }),
      );
      results[place] = { id: transaction.id };
    }
    if (wasIdle && entries.length > 0) parts.rate.resume(admittedAt);
    return entries;
  }

  type Results = (Accepted | HanseError | undefined)[];

  async function admit(list: readonly Bytes[], origin: Origin): Promise<Results> {
    const results: Results = new Array(list.length).fill(undefined);
    let candidates: Candidate[] = [];
    for (const [place, bytes] of list.entries()) {
      try {
        const transaction = read(bytes, origin);
        const key = hashKey(transaction.id);
        if (mempool.get(key) !== undefined) results[place] = alreadyPending(transaction);
        else candidates.push({ place, transaction, key });
      } catch (thrown) {
        results[place] = toHanseError(thrown);
      }
    }
    const seen = committed.newest;
    candidates = await dropCommitted(candidates, results);
    await loadSenders(candidates);
    candidates = candidates.filter((candidate) => {
      const { transaction, place } = candidate;
      try {
        const { senderKey, sender } = transaction;
        candidate.sender = parts.resolveSender(parts.state, senderKey, sender);
      } catch (thrown) {
        results[place] = toHanseError(thrown);
        return false;
      }
      const size = transaction.bytes.length;
      const full = mempool.fullness(candidate.sender.org, transaction.sender, size);
      if (full !== undefined && origin !== "journal") {
        results[place] = retryAfter(full, candidate);
        return false;
      }
      return true;
    });
    if (origin !== "journal" && verifying + candidates.length > limits.verifyingMax) {
      for (const { place, transaction } of candidates) {
        results[place] = refuse("busy", "too many signatures wait to be verified: submit again", {
          retryAfterSeconds: retryAfterSeconds(1, 1, transaction.id),
        });
      }
      return results;
    }
    const warming = warm(candidates);
    [candidates] = await Promise.all([verify(candidates, results), warming]);
    // A block may have come while signatures were verified.
    if (committed.newest !== seen) candidates = await dropCommitted(candidates, results);
    const entries = insert(candidates, results, origin, committed.newest !== seen);
    if (entries.length > 0) {
      // Others may order it from now on; the client hears of it when it is durable here.
      parts.onAccepted(entries);
      if (origin === "client") {
        await parts.journal.append(
          entries.map(({ key, transaction }) => ({ key, bytes: transaction.bytes })),
        );
      }
    }
    return results;
  }

  function unavailableError(): HanseError | undefined {
    const why = parts.unavailable();
    if (why === undefined) return undefined;
    if (why.state === "halted") {
      return refuse("halted", `this node has stopped executing: ${why.reason}`);
    }
    if (why.state === "journalFailed") {
      return refuse(
        "journalFailed",
        `this node takes no transactions: ${why.reason}; submit to another node`,
      );
    }
    const what =
      why.state === "syncing"
        ? "this node is catching up"
        : "the ledger makes no progress: too few validators are connected";
    return refuse(why.state, `${what}: submit again later or to another node`, {
      retryAfterSeconds: why.retryAfterSeconds,
    });
  }

  async function submitMany(list: readonly Bytes[]): Promise<(Accepted | HanseError)[]> {
    const refusal = unavailableError();
    if (refusal !== undefined) return list.map(() => refusal);
    if (list.length > limits.batchCountMax) {
      throw refuse("batchTooLarge", `at most ${limits.batchCountMax} transactions in one batch`);
    }
    return complete(await admit(list, "client"));
  }

  function complete(results: Results): (Accepted | HanseError)[] {
    let refused = 0;
    const verdicts = results.map((result) => {
      if (result === undefined || result instanceof HanseError) refused++;
      return result ?? new HanseError("INVARIANT", "corrupt", "a transaction without a verdict");
    });
    if (refused > 0) parts.onRefused(refused);
    return verdicts;
  }

  const submit = createSingleSubmits({
    submitMany,
    batchesMax: limits.singleBatches,
    batchCountMax: limits.batchCountMax,
    waitingMax: limits.verifyingMax,
  });

  return {
    submitMany,
    submit,
    async admitForeign(list) {
      if (parts.unavailable()?.state === "halted") return [];
      return complete(await admit(list, "peer"));
    },
    async readmit(list) {
      const results: (Accepted | HanseError)[] = [];
      for (let i = 0; i < list.length; i += READMIT_CHUNK) {
        results.push(...complete(await admit(list.slice(i, i + READMIT_CHUNK), "journal")));
      }
      return results;
    },
  };
}

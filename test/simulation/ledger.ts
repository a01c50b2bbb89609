/**
 * The application of the simulation: a hash chain over transactions that must appear exactly once,
 * with a durable store that survives crashes as far as `commit` got.
 */
import {
  applyUpdates,
  type BlockSource,
  type BuildRequest,
  type DecidedBlock,
  decodeEvidence,
  type EngineSwitch,
  type ExecutionResult,
  hashLastCert,
  type LedgerApp,
  offenceKey,
  tryDecodeRecovery,
  type ValidatorPolicy,
  type ValidatorUpdate,
} from "@hanse/ordering";
import {
  type Block,
  certificateOf,
  createValidatorSet,
  encodeBlock,
  encodeCertificate,
  equalBytes,
  evidenceRoot,
  fromUtf8,
  type Hash,
  type QuorumRule,
  sha256,
  transactionRoot,
  utf8,
  type ValidatorInfo,
  type ValidatorSet,
  ZERO_HASH,
} from "@hanse/protocol";
import type { Timeline } from "./node-time.ts";
import type { Random } from "./random.ts";

export interface StoredHeight {
  readonly height: number;
  readonly hash: Hash;
  readonly bytes: Uint8Array;
  readonly certificate: Uint8Array;
  readonly block: Block;
  readonly stateRoot: Hash;
  readonly resultsRoot: Hash;
  /** In force two heights above. */
  readonly set: ValidatorSet;
  readonly change: Change | undefined;
}

/** A switch of the way of ordering; in force above its height `at`. */
export type Change = EngineSwitch;

/** What a node's database holds; outlives the process. */
export class Store {
  heights: StoredHeight[] = [];

  /** What a database that says "durable" too early loses in a power failure. */
  loseNewest(random: Random): void {
    this.heights.length -= Math.min(this.heights.length, random.between(0, 2));
  }
}

export interface LedgerSetup {
  readonly ledgerId: Hash;
  readonly genesisSet: ValidatorSet;
  readonly policy: ValidatorPolicy;
  /** Everyone who may ever be a validator, by index. */
  readonly candidates: readonly ValidatorInfo[];
  readonly blockTransactionsMax: number;
}

/** Smallest set that governance transactions may leave. */
const MEMBERS_MIN = 4;

const RESULTS_AT_GENESIS = ZERO_HASH;

export function updateOf(
  setup: LedgerSetup,
  set: ValidatorSet,
  transaction: string,
): ValidatorUpdate | undefined {
  const match = /^set:(add|remove):(\d+):/.exec(transaction);
  if (match === null) return undefined;
  const candidate = setup.candidates[Number(match[2])];
  if (candidate === undefined) return undefined;
  const member = set.members.some(({ id }) => id === candidate.id);
  if (match[1] === "add") return member ? undefined : candidate;
  if (!member || set.members.length <= MEMBERS_MIN) return undefined;
  return { ...candidate, vote: 0 };
}

/** Blocks from the one that decides a switch to the last one of the old epoch. */
const SWITCH_AFTER = 3;

/** `switch:<quorum rule>:<slot length>:<number>`: another quorum and policy, the same members. */
function switchOf(
  transaction: string,
  height: number,
  members: readonly ValidatorInfo[],
  engineEpoch: number,
): Change | undefined {
  const match = /^switch:(byzantine|crash):(\d+):/.exec(transaction);
  if (match === null) return undefined;
  const slotMs = Number(match[2]);
  return {
    at: height + SWITCH_AFTER,
    engineEpoch,
    kind: "builtin",
    policy: slotMs > 0 ? "dpoa" : "fixed",
    ...(slotMs > 0 ? { policyParams: { slotMs } } : {}),
    set: createValidatorSet(members, match[1] as QuorumRule),
  };
}

export interface Governed {
  /** In force at height + 2. */
  readonly set: ValidatorSet;
  /** The newest switch, decided, running or over. */
  readonly change: Change | undefined;
  readonly validatorUpdates: readonly ValidatorUpdate[];
  readonly engineSwitch: Change | undefined;
}

/** What a block's transactions decide; `before` is in force at height + 1. */
export function govern(
  setup: LedgerSetup,
  before: { readonly set: ValidatorSet; readonly change: Change | undefined },
  height: number,
  transactions: readonly Uint8Array[],
): Governed {
  let { change } = before;
  let engineSwitch: Change | undefined;
  let update: ValidatorUpdate | undefined;
  for (const bytes of transactions) {
    const transaction = fromUtf8(bytes);
    update ??= updateOf(setup, before.set, transaction);
    if (change !== undefined && height <= change.at) continue;
    const epoch = change?.engineEpoch ?? 0;
    engineSwitch = switchOf(transaction, height, before.set.members, epoch + 1);
    change = engineSwitch ?? change;
  }
  const isOver = change === undefined || height > change.at || height + 2 <= change.at;
  const validatorUpdates = update !== undefined && isOver ? [update] : [];
  const begins = change !== undefined && height + 2 === change.at + 1;
  const set = begins ? change!.set : applyUpdates(before.set, validatorUpdates);
  return { set, change, validatorUpdates, engineSwitch };
}

export function nextStateRoot(before: Hash, transactions: readonly Uint8Array[]): Hash {
  if (transactions.length === 0) return before;
  const joined = new Uint8Array(64);
  joined.set(before);
  joined.set(transactionRoot(transactions), 32);
  return sha256(joined);
}

export interface LedgerHooks {
  executed(decided: DecidedBlock, result: ExecutionResult): void;
  committed(height: number): void;
}

export class SimulatedLedger implements LedgerApp {
  readonly #time: Timeline;
  readonly #random: Random;
  readonly #setup: LedgerSetup;
  readonly #store: Store;
  readonly #life: { operation(): boolean };
  readonly #hooks: LedgerHooks;
  readonly #checksDuplicates: boolean;
  readonly #diverges: boolean;
  readonly #included = new Set<string>();
  readonly #offences = new Set<string>();
  readonly #pool = new Map<string, Uint8Array>();
  readonly #executed = new Map<number, StoredHeight>();
  #stateRoot: Hash;
  #resultsRoot: Hash;
  /** In force two heights above the last executed one. */
  #set: ValidatorSet;
  #change: Change | undefined;

  constructor(parts: {
    time: Timeline;
    random: Random;
    setup: LedgerSetup;
    store: Store;
    life: { operation(): boolean };
    hooks: LedgerHooks;
    /** The two below break a rule of the application. */
    checksDuplicates: boolean;
    diverges: boolean;
  }) {
    this.#time = parts.time;
    this.#random = parts.random;
    this.#setup = parts.setup;
    this.#store = parts.store;
    this.#life = parts.life;
    this.#hooks = parts.hooks;
    this.#checksDuplicates = parts.checksDuplicates;
    this.#diverges = parts.diverges;
    const last = parts.store.heights.at(-1);
    this.#stateRoot = last?.stateRoot ?? ZERO_HASH;
    this.#resultsRoot = last?.resultsRoot ?? RESULTS_AT_GENESIS;
    this.#set = last?.set ?? parts.setup.genesisSet;
    this.#change = last?.change;
    for (const { block } of parts.store.heights) {
      for (const transaction of block.transactions) this.#included.add(fromUtf8(transaction));
      for (const evidence of block.evidence) this.#record(evidence);
    }
  }

  /** Latency of a call, as if a database or many transactions were behind it. */
  #later<T>(msMax: number, make: () => T): Promise<T> {
    return new Promise((resolve) => {
      if (!this.#life.operation()) return;
      this.#time.after(this.#random.unit() * msMax, () => {
        if (this.#life.operation()) resolve(make());
      });
    });
  }

  add(transaction: string): void {
    if (this.#checksDuplicates && this.#included.has(transaction)) return;
    this.#pool.set(transaction, utf8(transaction));
  }

  has(transaction: string): boolean {
    return this.#included.has(transaction);
  }

  hasWork(): boolean {
    return this.#pool.size > 0;
  }

  async info() {
    const last = this.#store.heights.at(-1);
    return {
      height: last?.height ?? 0,
      stateRoot: last?.stateRoot ?? ZERO_HASH,
      resultsRoot: last?.resultsRoot ?? RESULTS_AT_GENESIS,
      blockHash: last?.hash ?? ZERO_HASH,
    };
  }

  buildBlock(request: BuildRequest): Promise<Block> {
    return this.#later(3, () => {
      const transactions = [...this.#pool.values()].slice(0, this.#setup.blockTransactionsMax);
      return this.assemble(request, transactions);
    });
  }

  #record(evidence: Uint8Array): void {
    if (tryDecodeRecovery(evidence) !== undefined) return;
    this.#offences.add(offenceKey(decodeEvidence(evidence)));
  }

  #isRecorded(evidence: Uint8Array): boolean {
    if (tryDecodeRecovery(evidence) !== undefined) return false;
    return this.#offences.has(offenceKey(decodeEvidence(evidence)));
  }

  assemble(request: BuildRequest, transactions: readonly Uint8Array[]): Block {
    const evidence = request.evidence.filter((bytes) => !this.#isRecorded(bytes));
    return {
      header: {
        ledgerId: this.#setup.ledgerId,
        engineEpoch: request.engineEpoch,
        height: request.height,
        time: Math.max(request.now, request.parent.time + 1),
        proposer: request.proposer,
        parentHash: request.parent.hash,
        txRoot: transactionRoot(transactions),
        txCount: transactions.length,
        lastCertHash: hashLastCert(request.lastCert),
        prevStateRoot: this.#stateRoot,
        prevResultsRoot: this.#resultsRoot,
        validatorsHash: request.set.hash,
        nextValidatorsHash: request.nextSet.hash,
        paramsHash: ZERO_HASH,
        evidenceHash: evidenceRoot(evidence),
        lastSetChangeHeight: request.lastSetChangeHeight,
        policyExtra: request.policyExtra,
      },
      lastCert: request.lastCert,
      evidence,
      transactions,
    };
  }

  validateBlock(block: Block): Promise<{ ok: true } | { ok: false; reason: string }> {
    return this.#later(3, () => {
      const reason = this.#refusal(block);
      return reason === undefined ? { ok: true } : { ok: false, reason };
    });
  }

  #refusal(block: Block): string | undefined {
    if (!equalBytes(block.header.prevStateRoot, this.#stateRoot)) return "state root";
    if (!equalBytes(block.header.prevResultsRoot, this.#resultsRoot)) return "results root";
    if (block.transactions.length > this.#setup.blockTransactionsMax) return "too many";
    if (block.evidence.some((bytes) => this.#isRecorded(bytes))) return "evidence again";
    const seen = new Set<string>();
    for (const bytes of block.transactions) {
      const transaction = fromUtf8(bytes);
      const isOld = this.#checksDuplicates && this.#included.has(transaction);
      if (seen.has(transaction) || isOld) return "twice";
      seen.add(transaction);
    }
    return undefined;
  }

  finalizeBlock(decided: DecidedBlock): Promise<ExecutionResult> {
    return this.#later(4, () => {
      const { block, hash } = decided;
      const { height } = block.header;
      for (const bytes of block.transactions) {
        const transaction = fromUtf8(bytes);
        this.#included.add(transaction);
        this.#pool.delete(transaction);
      }
      const [first] = block.evidence;
      const recovery = first === undefined ? undefined : tryDecodeRecovery(first);
      const before = { set: recovery?.set ?? this.#set, change: this.#change };
      const governed = govern(this.#setup, before, height, block.transactions);
      for (const bytes of block.evidence) this.#record(bytes);
      this.#set = governed.set;
      this.#change = governed.change;
      const order = this.#diverges ? block.transactions.toReversed() : block.transactions;
      this.#stateRoot = nextStateRoot(this.#stateRoot, order);
      this.#resultsRoot = transactionRoot(block.transactions);
      const result: ExecutionResult = {
        height,
        stateRoot: this.#stateRoot,
        resultsRoot: this.#resultsRoot,
        paramsHash: ZERO_HASH,
        validatorUpdates: governed.validatorUpdates,
        ...(governed.engineSwitch === undefined ? {} : { engineSwitch: governed.engineSwitch }),
        changed: block.transactions.length > 0,
      };
      this.#executed.set(height, {
        height,
        hash,
        bytes: encodeBlock(block),
        certificate: encodeCertificate(certificateOf(decided.proof)),
        block,
        stateRoot: this.#stateRoot,
        resultsRoot: this.#resultsRoot,
        set: this.#set,
        change: this.#change,
      });
      this.#hooks.executed(decided, result);
      return result;
    });
  }

  prove(): Promise<void> {
    throw new Error("the built-in engine proves each block when it decides it");
  }

  commit(height: number): Promise<void> {
    return this.#later(25, () => {
      this.#store.heights.push(this.#executed.get(height)!);
      this.#executed.delete(height);
      this.#hooks.committed(height);
    });
  }

  readonly blocks: BlockSource = {
    blocks: (from, to, bytesMax) =>
      this.#later(3, () => {
        const found: StoredHeight[] = [];
        let bytes = 0;
        for (const stored of this.#store.heights.slice(from - 1, to)) {
          bytes += stored.bytes.length;
          if (found.length > 0 && bytes > bytesMax) break;
          found.push(stored);
        }
        return found;
      }),
  };
}

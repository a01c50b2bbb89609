/**
 * The ledger as its ordering engine sees it: draft, validate, execute and seal, commit. Keeps the
 * tip, stops for good on the first sign that this node's state cannot be trusted.
 */
import type { BuildRequest, DecidedBlock, ExecutionResult, LedgerApp } from "@hanse/ordering";
import {
  type Block,
  equalBytes,
  HanseError,
  type Hash,
  outcomeRoot,
  toHanseError,
} from "@hanse/protocol";
import type { CommitRate } from "../admission/retry-after.ts";
import { type BuildParts, buildBlock } from "../execution/build-block.ts";
import type { ChainTip } from "../execution/chain-tip.ts";
import { type ExecutionParts, executeBlock } from "../execution/execute-block.ts";
import type { FuelEstimate } from "../execution/fuel-estimate.ts";
import type { BlockPreparer, PreparedBlock } from "../execution/prepared-block.ts";
import {
  type Divergence,
  findDivergence,
  refuseBlock,
  type ValidationParts,
  type Verdict,
  validateBlock,
} from "../execution/validate-block.ts";
import type { CommittedIndex } from "../mempool/committed-index.ts";
import type { Mempool, PoolEntry } from "../mempool/mempool.ts";
import type { BlockCommit, LedgerStore } from "./interfaces.ts";
import type { LedgerAlarm, LedgerLimits, LedgerLog, LedgerMetrics } from "./ledger-options.ts";

export interface ChainParts {
  readonly ledgerId: Hash;
  readonly tip: ChainTip;
  readonly store: LedgerStore;
  readonly limits: LedgerLimits;
  readonly mempool: Mempool;
  readonly committed: CommittedIndex;
  readonly preparer: BlockPreparer;
  readonly rate: CommitRate;
  readonly fuel: FuelEstimate;
  readonly build: BuildParts;
  readonly validation: Omit<ValidationParts, "onDivergence">;
  readonly execution: ExecutionParts;
  readonly log: LedgerLog;
  readonly metrics: LedgerMetrics;
  readonly onAlarm: (alarm: LedgerAlarm) => void;
  /** A block is durable: journal, waiters and streams follow. */
  readonly onDurable: (commit: BlockCommit, prepared: PreparedBlock) => void;
  readonly onExpired: (entries: readonly PoolEntry[]) => void;
}

export interface Chain extends LedgerApp {
  readonly tip: ChainTip;
  readonly halted: string | undefined;
  /** Stops everything; the first reason stays. */
  halt(alarm: Omit<LedgerAlarm, "fatal">): void;
}

interface PendingCommit {
  readonly commit: BlockCommit;
  readonly prepared: PreparedBlock;
  written: Promise<void> | undefined;
}

export function createChain(parts: ChainParts): Chain {
  const { store, mempool, committed, metrics, log } = parts;
  const { clock } = parts.validation;
  let tip = parts.tip;
  let halted: string | undefined;
  const pending = new Map<number, PendingCommit>();

  function alarm(event: LedgerAlarm): void {
    metrics.count("alarms", 1);
    log.error({ alarm: event.kind, ...event.facts }, event.message);
    parts.onAlarm(event);
  }

  function halt(event: Omit<LedgerAlarm, "fatal">): void {
    if (halted !== undefined) return;
    halted = event.message;
    alarm({ ...event, fatal: true });
  }

  function assertRunning(): void {
    if (halted === undefined) return;
    throw new HanseError("LEDGER_HALTED", "corrupt", `this node has stopped executing: ${halted}`);
  }

  function divergenceMessage(divergence: Divergence, certified: boolean): string {
    const { height, ours, theirs, proposer } = divergence;
    return (
      `${certified ? "the ledger" : `a proposal of ${proposer}`} states other roots after height ${height}: ` +
      `state ${theirs.stateRoot} against our ${ours.stateRoot}, results ${theirs.resultsRoot} against our ${ours.resultsRoot}`
    );
  }

  /** A certified block is not asked again what its quorum checked, only what our own state must match. */
  function prepareDecided(decided: DecidedBlock): PreparedBlock {
    const { block, hash } = decided;
    const { height } = block.header;
    if (height !== tip.height + 1) {
      throw new HanseError(
        "LEDGER_HEIGHT",
        "conflict",
        `block ${height} cannot be executed above height ${tip.height}`,
      );
    }
    const divergence = findDivergence(block, tip);
    if (divergence !== undefined) {
      const message = divergenceMessage(divergence, true);
      halt({ kind: "divergence", message, facts: divergence });
      throw new HanseError("LEDGER_DIVERGED", "corrupt", message);
    }
    const prepared = parts.preparer.prepare(block, hash);
    if (!equalBytes(prepared.txRoot, block.header.txRoot)) {
      throw new HanseError(
        "LEDGER_BLOCK_BODY",
        "malformed",
        `block ${height}: its transactions are not those that its header names`,
      );
    }
    return prepared;
  }

  async function waitForRoom(): Promise<void> {
    while (pending.size >= parts.limits.commitLagMax) {
      const oldest = pending.values().next().value;
      if (oldest?.written === undefined) return;
      await oldest.written;
    }
  }

  /** What the pool and the indexes forget and learn from an executed block. */
  function settlePool(prepared: PreparedBlock, height: number, time: number): void {
    for (const { key } of prepared.transactions) mempool.remove(key);
    committed.add(
      height,
      prepared.transactions.map(({ key, transaction }) => ({
        key,
        id: transaction.id,
        validUntil: transaction.validUntil,
      })),
    );
    committed.dropBefore(time);
    const expired = mempool.expire(time);
    if (expired.length > 0) {
      metrics.count("transactions_expired", expired.length);
      parts.onExpired(expired);
    }
    parts.rate.record(prepared.transactions.length, clock.now());
    parts.preparer.forget();
  }

  function record(commit: BlockCommit, prepared: PreparedBlock, timings: readonly number[]): void {
    const { outcomes } = commit.executed;
    let failed = 0;
    let fuelUsed = 0n;
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.code !== "ok") failed++;
      fuelUsed += outcome.fuelUsed;
      parts.fuel.record(prepared.transactions[i]!.transaction.engine, outcome.fuelUsed);
    }
    metrics.count("blocks_executed", 1);
    metrics.count("transactions_committed", outcomes.length);
    metrics.count("transactions_failed", failed);
    metrics.observe("block_transactions", outcomes.length);
    metrics.observe("block_fuel", Number(fuelUsed));
    metrics.observe("block_execute_ms", timings[1]! - timings[0]!);
    metrics.observe("block_apply_ms", timings[2]! - timings[1]!);
  }

  async function finalize(decided: DecidedBlock): Promise<ExecutionResult> {
    await waitForRoom();
    const prepared = prepareDecided(decided);
    const { header } = decided.block;
    const { height } = header;
    const began = clock.now();
    let executed: Awaited<ReturnType<typeof executeBlock>>;
    try {
      executed = await executeBlock(parts.execution, prepared, tip);
    } catch (cause) {
      const { message } = toHanseError(cause);
      halt({ kind: "engine", message, facts: { height, cause } });
      throw cause;
    }
    const { outcomes, changes, views, rule, next } = executed;
    const resultsRoot = outcomeRoot(outcomes, views);
    const ran = clock.now();
    let stateRoot: Hash;
    try {
      stateRoot = await store.apply(height, changes);
    } catch (cause) {
      const message = `the state after block ${height} could not be sealed: ${toHanseError(cause).message}`;
      halt({ kind: "storage", message, facts: { height, cause } });
      throw cause;
    }
    const result: ExecutionResult = {
      height,
      stateRoot,
      resultsRoot,
      paramsHash: next.paramsHash,
      validatorUpdates: rule.validatorUpdates,
      ...(rule.engineSwitch === undefined ? {} : { engineSwitch: rule.engineSwitch }),
      changed: outcomes.length > 0 || rule.changed,
    };
    const transactions = prepared.transactions.map((item) => item.transaction);
    const commit: BlockCommit = {
      decided,
      executed: { block: decided.block, hash: decided.hash, transactions, outcomes },
      result,
      changes,
      views,
    };
    pending.set(height, { commit, prepared, written: undefined });
    const { params, paramsHash } = next;
    const { hash } = decided;
    const { time } = header;
    const block = { header, lastCert: decided.block.lastCert };
    tip = { height, hash, time, stateRoot, resultsRoot, params, paramsHash, block };
    record(commit, prepared, [began, ran, clock.now()]);
    settlePool(prepared, height, header.time);
    return result;
  }

  async function write(height: number, item: PendingCommit): Promise<void> {
    const began = clock.now();
    try {
      await store.commit(item.commit);
    } catch (cause) {
      const message = `block ${height} could not be written: ${toHanseError(cause).message}`;
      halt({ kind: "storage", message, facts: { height, cause } });
      throw cause;
    }
    metrics.observe("block_commit_ms", clock.now() - began);
    pending.delete(height);
    committed.settle(height);
    parts.onDurable(item.commit, item.prepared);
  }

  return {
    get tip() {
      return tip;
    },
    get halted() {
      return halted;
    },
    halt,
    info: () => store.info(),
    hasWork: () => halted === undefined && mempool.count > 0,
    async buildBlock(request: BuildRequest): Promise<Block> {
      assertRunning();
      if (request.height !== tip.height + 1) {
        throw new HanseError(
          "LEDGER_HEIGHT",
          "conflict",
          `a draft of height ${request.height} was asked for above height ${tip.height}`,
        );
      }
      const began = clock.now();
      const block = buildBlock(parts.build, request, tip);
      metrics.observe("block_build_ms", clock.now() - began);
      return block;
    },
    async validateBlock(block: Block, hash: Hash): Promise<Verdict> {
      if (halted !== undefined) return refuseBlock("halted", halted);
      const began = clock.now();
      const validation: ValidationParts = {
        ...parts.validation,
        onDivergence: (divergence) =>
          alarm({
            kind: "divergence",
            fatal: false,
            message: divergenceMessage(divergence, false),
            facts: divergence,
          }),
      };
      const verdict = await validateBlock(validation, block, hash, tip);
      metrics.observe("block_validate_ms", clock.now() - began);
      if (!verdict.ok) {
        metrics.count("blocks_refused", 1);
        log.warn({ height: block.header.height, proposer: block.header.proposer }, verdict.reason);
      }
      return verdict;
    },
    finalizeBlock(decided: DecidedBlock): Promise<ExecutionResult> {
      assertRunning();
      return finalize(decided);
    },
    prove: (proof) => store.saveProof(proof),
    commit(height: number): Promise<void> {
      assertRunning();
      const item = pending.get(height);
      if (item === undefined) {
        throw new HanseError("LEDGER_HEIGHT", "conflict", `block ${height} was not executed here`);
      }
      item.written ??= write(height, item);
      return item.written;
    },
  };
}

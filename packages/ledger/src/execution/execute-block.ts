/** Runs a block's transactions in order on one overlay over committed state. */
import {
  type Block,
  HanseError,
  type Hash,
  type PublicKey,
  sha256,
  toHanseError,
} from "@hanse/protocol";
import {
  type CommittedState,
  createOverlay,
  type RowRef,
  type StateChange,
  type StateOverlay,
  type StateView,
} from "@hanse/state";
import { type BlockRule, NO_RULE_RESULT, type RuleResult } from "../pipeline/block-rules.ts";
import type {
  BlockContext,
  ContractEngine,
  DecodedTransaction,
  ForeignView,
  Outcome,
  Sender,
} from "../pipeline/interfaces.ts";
import type { ChainTip } from "./chain-tip.ts";
import type { PreparedBlock } from "./prepared-block.ts";

/** Outcome codes that the pipeline itself gives. */
export const OUTCOME_CODES = {
  /** The block's fuel was used up by the transactions before; submit it again. */
  blockFuel: "LEDGER_BLOCK_FUEL",
  /** The engine spent more than one transaction may. */
  transactionFuel: "LEDGER_TRANSACTION_FUEL",
} as const;

export interface ExecutionParts {
  readonly ledgerId: Hash;
  readonly state: CommittedState;
  readonly engines: ReadonlyMap<string, ContractEngine>;
  readonly resolveSender: (view: StateView, key: PublicKey, keyHash: Hash) => Sender;
  readonly senderRows: ((transaction: DecodedTransaction) => readonly RowRef[]) | undefined;
  readonly rule?: BlockRule | undefined;
}

export interface Executed {
  readonly outcomes: readonly Outcome[];
  readonly changes: readonly StateChange[];
  readonly views: readonly ForeignView[];
  readonly fuelUsed: bigint;
  readonly rule: RuleResult;
  /** In force for the next block. */
  readonly next: Pick<ChainTip, "params" | "paramsHash">;
}

export function blockContext(ledgerId: Hash, block: Block, tip: ChainTip): BlockContext {
  const { height, time, parentHash, proposer } = block.header;
  return { ledgerId, height, time, parentHash, proposer, params: tip.params };
}

function failure(code: string, error: string): Outcome {
  return { code, result: "", error, fuelUsed: 0n, events: [] };
}

/** Rows that the block will surely read and that are not in memory. */
function missingRows(parts: ExecutionParts, prepared: PreparedBlock): RowRef[] {
  const missing: RowRef[] = [];
  const senders = new Set<Hash>();
  const want = (rows: readonly RowRef[] | undefined) => {
    if (rows === undefined) return;
    for (const row of rows) if (!parts.state.hasRow(row.table, row.key)) missing.push(row);
  };
  for (const { transaction } of prepared.transactions) {
    // The codec gives one account id object per key, so identity is enough to skip most repeats.
    if (!senders.has(transaction.sender)) {
      senders.add(transaction.sender);
      want(parts.senderRows?.(transaction));
    }
    want(parts.engines.get(transaction.engine)?.touches?.(transaction));
  }
  return missing;
}

/**
 * What the ledger's own rule makes of the block, behind its last transaction.
 * @throws HanseError `LEDGER_RULE_FAILED`: a bug, never input.
 */
function runRule(
  { rule }: ExecutionParts,
  block: BlockContext,
  { header, lastCert, evidence, transactions }: Block,
  overlay: StateOverlay,
  tip: ChainTip,
): Pick<Executed, "rule" | "next"> {
  if (rule === undefined) return { rule: NO_RULE_RESULT, next: tip };
  overlay.begin(transactions.length);
  try {
    const result = rule.afterBlock(
      { block, header, lastCert, evidence, parent: tip.block },
      overlay,
    );
    return { rule: result, next: result.rulesChanged ? rule.inForce(overlay) : tip };
  } catch (cause) {
    throw new HanseError(
      "LEDGER_RULE_FAILED",
      "corrupt",
      `rule ${rule.name} failed on block ${block.height}: ${toHanseError(cause).message}`,
      { cause, details: { height: block.height, rule: rule.name } },
    );
  }
}

/**
 * Deterministic given the state below. Loads the rows it surely needs in one go, then never waits.
 * @throws HanseError `LEDGER_ENGINE_FAILED` or `LEDGER_RULE_FAILED` when an engine or the rule
 * breaks its contract: a bug, never input.
 */
export async function executeBlock(
  parts: ExecutionParts,
  prepared: PreparedBlock,
  tip: ChainTip,
): Promise<Executed> {
  const missing = missingRows(parts, prepared);
  if (missing.length > 0) await parts.state.prefetch({ rows: missing, kv: [] });

  const { params } = tip;
  const block = blockContext(parts.ledgerId, prepared.block, tip);
  const overlay = createOverlay(parts.state, block.height);
  const fuelPerBlockMax = BigInt(params.fuelPerBlockMax);
  const fuelPerTransactionMax = BigInt(params.fuelPerTransactionMax);
  const outcomes: Outcome[] = [];
  let fuelUsed = 0n;

  function run(transaction: DecodedTransaction, index: number): Outcome {
    if (fuelUsed >= fuelPerBlockMax) {
      return failure(
        OUTCOME_CODES.blockFuel,
        "the block's fuel was used up before this transaction: submit it again",
      );
    }
    let sender: Sender;
    try {
      sender = parts.resolveSender(overlay, transaction.senderKey, transaction.sender);
    } catch (thrown) {
      // The account may have been suspended since the transaction was admitted.
      if (thrown instanceof HanseError && thrown.kind === "denied") {
        return failure(thrown.code, thrown.message);
      }
      throw thrown;
    }
    const engine = parts.engines.get(transaction.engine);
    if (engine === undefined) {
      return failure("LEDGER_TX_ENGINE", `no contract engine "${transaction.engine}" here`);
    }
    const savepoint = overlay.savepoint();
    const outcome = engine.apply({ block, transaction, index, sender, state: overlay });
    fuelUsed += outcome.fuelUsed;
    if (outcome.fuelUsed > fuelPerTransactionMax) {
      overlay.rollbackTo(savepoint);
      return {
        ...failure(
          OUTCOME_CODES.transactionFuel,
          `fuel: ${outcome.fuelUsed} used, at most ${params.fuelPerTransactionMax} for one transaction`,
        ),
        fuelUsed: outcome.fuelUsed,
      };
    }
    if (outcome.code !== "ok") overlay.rollbackTo(savepoint);
    return outcome;
  }

  let index = 0;
  try {
    for (const { transaction } of prepared.transactions) {
      overlay.begin(index);
      outcomes.push(run(transaction, index));
      index++;
    }
  } catch (cause) {
    const engine = prepared.transactions[index]?.transaction.engine ?? "?";
    throw new HanseError(
      "LEDGER_ENGINE_FAILED",
      "corrupt",
      `engine ${engine} failed on transaction ${index} of block ${block.height}: ${toHanseError(cause).message}`,
      { cause, details: { height: block.height, index, engine } },
    );
  }

  const views: ForeignView[] = [];
  for (const engine of parts.engines.values()) {
    const bytes = engine.view?.({
      block: prepared.block,
      hash: prepared.hash,
      transactions: prepared.transactions.map((item) => item.transaction),
      outcomes,
    });
    if (bytes !== undefined) views.push({ engine: engine.kind, hash: sha256(bytes), bytes });
  }
  const ruled = runRule(parts, block, prepared.block, overlay, tip);
  return { outcomes, changes: overlay.changes(), views, fuelUsed, ...ruled };
}

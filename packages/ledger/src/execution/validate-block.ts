/**
 * Whether a proposed block may be voted for, given the state below it. Cheap checks first,
 * signatures last; a refusal is a sentence that begins with a stable reason.
 */
import type { Clock } from "@hanse/ordering";
import {
  type Block,
  type Bytes,
  equalBytes,
  evidenceRoot,
  type Hash,
  toHanseError,
  toHex,
} from "@hanse/protocol";
import type { VerdictCache } from "../admission/verdict-cache.ts";
import type { CommittedIndex } from "../mempool/committed-index.ts";
import type { ContractEngine, SignatureClaim } from "../pipeline/interfaces.ts";
import { earliestTime } from "./build-block.ts";
import type { ChainTip } from "./chain-tip.ts";
import { type BlockPreparer, blockSize, type PreparedBlock } from "./prepared-block.ts";

export const BLOCK_REASONS = {
  height: "BLOCK_HEIGHT",
  ledger: "BLOCK_LEDGER",
  /** Our state and the proposer's differ: one of the two is broken. */
  diverged: "BLOCK_DIVERGED",
  params: "BLOCK_PARAMS",
  time: "BLOCK_TIME",
  limits: "BLOCK_LIMITS",
  transactionRoot: "BLOCK_TX_ROOT",
  evidenceRoot: "BLOCK_EVIDENCE_ROOT",
  evidence: "BLOCK_EVIDENCE",
  transaction: "BLOCK_TX",
  duplicate: "BLOCK_TX_DUPLICATE",
  signature: "BLOCK_TX_SIGNATURE",
  halted: "BLOCK_LEDGER_HALTED",
} as const;

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export interface ValidationParts {
  readonly ledgerId: Hash;
  readonly clock: Clock;
  readonly preparer: BlockPreparer;
  readonly committed: CommittedIndex;
  readonly verdicts: VerdictCache;
  readonly engines: ReadonlyMap<string, ContractEngine>;
  readonly verifyBatch: (claims: readonly SignatureClaim[]) => Promise<readonly boolean[]>;
  /** How far a block's time may lie ahead of our clock, milliseconds. */
  readonly clockSkewMsMax: number;
  /** Why a block may not carry a piece of evidence. */
  readonly evidenceFault: (evidence: Bytes) => string | undefined;
  readonly onDivergence: (divergence: Divergence) => void;
}

/** Roots of one height, ours against those of a block above it. */
export interface Divergence {
  readonly height: number;
  readonly ours: { readonly stateRoot: string; readonly resultsRoot: string };
  readonly theirs: { readonly stateRoot: string; readonly resultsRoot: string };
  readonly proposer: string;
}

export function refuseBlock(reason: keyof typeof BLOCK_REASONS, sentence: string): Verdict {
  return { ok: false, reason: `${BLOCK_REASONS[reason]}: ${sentence}` };
}

/** The roots that a header states for the height below against our own; undefined = equal. */
export function findDivergence(block: Block, tip: ChainTip): Divergence | undefined {
  const { prevStateRoot, prevResultsRoot, proposer } = block.header;
  if (equalBytes(prevStateRoot, tip.stateRoot) && equalBytes(prevResultsRoot, tip.resultsRoot)) {
    return undefined;
  }
  return {
    height: tip.height,
    ours: { stateRoot: toHex(tip.stateRoot), resultsRoot: toHex(tip.resultsRoot) },
    theirs: { stateRoot: toHex(prevStateRoot), resultsRoot: toHex(prevResultsRoot) },
    proposer,
  };
}

function checkHeader(parts: ValidationParts, block: Block, tip: ChainTip): Verdict | undefined {
  const { header } = block;
  const { params } = tip;
  if (header.height !== tip.height + 1) {
    return refuseBlock("height", `height ${header.height}, expected ${tip.height + 1}`);
  }
  if (!equalBytes(header.ledgerId, parts.ledgerId)) {
    return refuseBlock("ledger", "the header names another ledger");
  }
  const divergence = findDivergence(block, tip);
  if (divergence !== undefined) {
    parts.onDivergence(divergence);
    return refuseBlock(
      "diverged",
      `after height ${divergence.height} we hold state ${divergence.ours.stateRoot} and results ` +
        `${divergence.ours.resultsRoot}, ${divergence.proposer} states ${divergence.theirs.stateRoot} ` +
        `and ${divergence.theirs.resultsRoot}`,
    );
  }
  if (!equalBytes(header.paramsHash, tip.paramsHash)) {
    return refuseBlock("params", "paramsHash differs from the ledger's parameters");
  }
  if (header.time < earliestTime(tip)) {
    return refuseBlock("time", `time ${header.time} is before ${earliestTime(tip)}`);
  }
  const now = parts.clock.now();
  if (header.time > now + parts.clockSkewMsMax) {
    return refuseBlock("time", `time ${header.time} is ${header.time - now} ms ahead of our clock`);
  }
  if (header.txCount !== block.transactions.length) {
    return refuseBlock("limits", `txCount ${header.txCount}, ${block.transactions.length} found`);
  }
  if (header.txCount > params.blockTransactionsMax) {
    return refuseBlock(
      "limits",
      `${header.txCount} transactions, ${params.blockTransactionsMax} allowed`,
    );
  }
  const size = blockSize(block);
  if (size > params.blockBytesMax) {
    return refuseBlock("limits", `${size} bytes, ${params.blockBytesMax} allowed`);
  }
  if (!equalBytes(header.evidenceHash, evidenceRoot(block.evidence))) {
    return refuseBlock("evidenceRoot", "evidenceHash differs from the evidence in the block");
  }
  for (const [i, evidence] of block.evidence.entries()) {
    const fault = parts.evidenceFault(evidence);
    if (fault !== undefined) return refuseBlock("evidence", `evidence ${i}: ${fault}`);
  }
  return undefined;
}

function checkTransactions(
  parts: ValidationParts,
  prepared: PreparedBlock,
  tip: ChainTip,
): { refusal?: Verdict; perhaps: PreparedBlock["transactions"] } {
  const { params } = tip;
  const { time } = prepared.block.header;
  const seen = new Set<string>();
  const perhaps: PreparedBlock["transactions"][number][] = [];
  const refuse = (reason: keyof typeof BLOCK_REASONS, sentence: string) => ({
    refusal: refuseBlock(reason, sentence),
    perhaps,
  });
  for (const [i, item] of prepared.transactions.entries()) {
    const { transaction, key } = item;
    if (transaction.bytes.length > params.transactionBytesMax) {
      return refuse(
        "transaction",
        `transaction ${i}: larger than ${params.transactionBytesMax} bytes`,
      );
    }
    if (!equalBytes(transaction.ledgerId, parts.ledgerId)) {
      return refuse("transaction", `transaction ${i}: meant for another ledger`);
    }
    if (transaction.validUntil < time) {
      return refuse(
        "transaction",
        `transaction ${i}: expired ${time - transaction.validUntil} ms before`,
      );
    }
    if (transaction.validUntil > time + params.validityWindowMs) {
      return refuse("transaction", `transaction ${i}: validUntil beyond the validity window`);
    }
    if (!parts.engines.has(transaction.engine)) {
      return refuse("transaction", `transaction ${i}: no contract engine "${transaction.engine}"`);
    }
    seen.add(key);
    if (seen.size !== i + 1) return refuse("duplicate", `transaction ${i} stands twice`);
    if (item.pending) continue;
    const before = parts.committed.check(key, transaction);
    if (before === "perhaps") perhaps.push(item);
    else if (before !== "no") {
      return refuse("duplicate", `transaction ${i} is in block ${before.height} already`);
    }
  }
  return { perhaps };
}

/** Verifies what this node has not verified yet. */
async function checkSignatures(
  parts: ValidationParts,
  prepared: PreparedBlock,
): Promise<Verdict | undefined> {
  const open = prepared.transactions.filter(
    (item) => !item.verified && !parts.verdicts.has(item.leaf),
  );
  if (open.length === 0) return undefined;
  const claims = open.flatMap((item) => item.transaction.claims);
  const verdicts = await parts.verifyBatch(claims);
  let at = 0;
  for (const item of open) {
    let holds = item.transaction.claims.length > 0;
    for (const _ of item.transaction.claims) if (verdicts[at++] !== true) holds = false;
    if (!holds) {
      const index = prepared.transactions.indexOf(item);
      return refuseBlock("signature", `transaction ${index}: its signature does not hold`);
    }
    parts.verdicts.add(item.leaf);
  }
  return undefined;
}

export async function validateBlock(
  parts: ValidationParts,
  block: Block,
  hash: Hash,
  tip: ChainTip,
): Promise<Verdict> {
  const refusal = checkHeader(parts, block, tip);
  if (refusal !== undefined) return refusal;
  let prepared: PreparedBlock;
  try {
    prepared = parts.preparer.prepare(block, hash);
  } catch (thrown) {
    return refuseBlock("transaction", toHanseError(thrown).message);
  }
  if (!equalBytes(prepared.txRoot, block.header.txRoot)) {
    return refuseBlock("transactionRoot", "txRoot differs from the transactions in the block");
  }
  const checked = checkTransactions(parts, prepared, tip);
  if (checked.refusal !== undefined) return checked.refusal;
  if (checked.perhaps.length > 0) {
    const found = await parts.committed.committed(
      checked.perhaps.map(({ key, transaction }) => ({ ...transaction, key })),
    );
    const twice = found.indexOf(true);
    if (twice !== -1) {
      const index = prepared.transactions.indexOf(checked.perhaps[twice]!);
      return refuseBlock("duplicate", `transaction ${index} is in an earlier block already`);
    }
  }
  return (await checkSignatures(parts, prepared)) ?? { ok: true };
}

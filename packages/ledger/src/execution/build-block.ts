/** Drafts the next block from the mempool: fair, within every cap, within a time box. */

import { type BuildRequest, type Clock, hashLastCert } from "@hanse/ordering";
import {
  type Block,
  type Bytes,
  evidenceRoot,
  type Hash,
  hashHeader,
  merkleRoot,
} from "@hanse/protocol";
import type { Mempool } from "../mempool/mempool.ts";
import type { ChainTip } from "./chain-tip.ts";
import type { FuelEstimate } from "./fuel-estimate.ts";
import {
  type BlockPreparer,
  blockSizeWithout,
  type PreparedTransaction,
  TRANSACTION_FRAME_BYTES,
} from "./prepared-block.ts";

export interface BuildParts {
  readonly ledgerId: Hash;
  readonly mempool: Mempool;
  readonly preparer: BlockPreparer;
  readonly clock: Clock;
  readonly fuel: FuelEstimate;
  /** Why a block may not carry a piece of evidence. */
  readonly evidenceFault: (evidence: Bytes) => string | undefined;
  /** Milliseconds that drafting may take. */
  readonly buildTimeMs: number;
  /** Most transactions in a block of ours, below the ledger's own bound. */
  readonly transactionsTarget: number;
}

/** The clock is read once for this many transactions. */
const CLOCK_STRIDE = 256;
/** Transactions too large for what is left of the block that are passed over before it is closed. */
const PASSED_OVER_MAX = 32;

/** Earliest time of the block above the tip. */
export function earliestTime(tip: ChainTip): number {
  return tip.time + Math.max(1, tip.params.blockIntervalMsMin);
}

function choose(
  parts: BuildParts,
  request: Pick<BuildRequest, "lastCert" | "evidence">,
  tip: ChainTip,
  time: number,
) {
  const { params } = tip;
  const countMax = Math.min(params.blockTransactionsMax, parts.transactionsTarget);
  const deadline = parts.clock.now() + parts.buildTimeMs;
  const chosen: PreparedTransaction[] = [];
  let left = params.blockBytesMax - blockSizeWithout(request.lastCert, request.evidence);
  let passedOver = 0;
  let fuelLeft = params.fuelPerBlockMax;
  for (const entry of parts.mempool.inFairOrder()) {
    const { transaction, key, leaf, size } = entry;
    if (transaction.validUntil < time || transaction.validUntil > time + params.validityWindowMs) {
      continue;
    }
    if (size + TRANSACTION_FRAME_BYTES > left) {
      // A smaller one behind it may still fit; the large one comes first in a later draft.
      if (++passedOver > PASSED_OVER_MAX) break;
      continue;
    }
    fuelLeft -= parts.fuel.of(transaction.engine);
    if (fuelLeft < 0 && chosen.length > 0) break;
    left -= size + TRANSACTION_FRAME_BYTES;
    chosen.push({ transaction, key, leaf, verified: true, pending: true });
    if (chosen.length >= countMax) break;
    if (chosen.length % CLOCK_STRIDE === 0 && parts.clock.now() >= deadline) break;
  }
  return chosen;
}

export function buildBlock(parts: BuildParts, request: BuildRequest, tip: ChainTip): Block {
  const time = Math.max(request.now, earliestTime(tip), request.parent.time + 1);
  const evidence = request.evidence.filter((item) => parts.evidenceFault(item) === undefined);
  const chosen = choose(parts, { lastCert: request.lastCert, evidence }, tip, time);
  const txRoot = merkleRoot(chosen.map((item) => item.leaf));
  const block: Block = {
    header: {
      ledgerId: parts.ledgerId,
      engineEpoch: request.engineEpoch,
      height: request.height,
      time,
      proposer: request.proposer,
      parentHash: request.parent.hash,
      txRoot,
      txCount: chosen.length,
      lastCertHash: hashLastCert(request.lastCert),
      prevStateRoot: tip.stateRoot,
      prevResultsRoot: tip.resultsRoot,
      validatorsHash: request.set.hash,
      nextValidatorsHash: request.nextSet.hash,
      paramsHash: tip.paramsHash,
      evidenceHash: evidenceRoot(evidence),
      lastSetChangeHeight: request.lastSetChangeHeight,
      policyExtra: request.policyExtra,
    },
    lastCert: request.lastCert,
    evidence,
    transactions: chosen.map((item) => item.transaction.bytes),
  };
  parts.preparer.remember({ block, hash: hashHeader(block.header), transactions: chosen, txRoot });
  return block;
}

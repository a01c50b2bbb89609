/** Pages of set changes for light clients (spec/light.md), from what is durable here. */
import {
  type BlockHeader,
  type FinalityProof,
  HanseError,
  type Hash,
  LIGHT_PAGE_CHANGES_MAX,
  type LightBlock,
  type LightPage,
  type ValidatorSet,
} from "@hanse/protocol";
import type { LedgerStore } from "../pipeline/interfaces.ts";
import { prunedError, readKeptProof } from "./kept-proofs.ts";

export interface LightPageRequest {
  /** Lowest height of a set change that is wanted. */
  readonly from: number;
  /** Without changes the newest block alone is read. */
  readonly changes: boolean;
  /** The block of this height in place of the newest one. */
  readonly at?: number;
}

export interface LightPageParts {
  readonly ledgerId: Hash;
  readonly store: Pick<LedgerStore, "block" | "header" | "info">;
  /** The set in force at a height. */
  readonly validatorSetAt: (height: number) => ValidatorSet | undefined;
}

/** Blocks below the newest one that are looked at for a proof (engines that prove later). */
const UNPROVEN_MAX = 64;
/** Set changes whose heights are remembered. */
const CHANGES_MAX = 100_000;
/** Bytes of blocks in one page, about; far below what a reader takes. */
const PAGE_BYTES = 2 * 1024 * 1024;

export interface LightPages {
  /**
   * @throws HanseError `LEDGER_LIGHT_EMPTY` while no block is proven, `LEDGER_BLOCK_PRUNED`, or
   * `LEDGER_RECEIPT_SETS` when a set is not kept here.
   */
  page(request: LightPageRequest): Promise<LightPage>;
}

export function createLightPages({ ledgerId, store, validatorSetAt }: LightPageParts): LightPages {
  /** Last heights before each set change, ascending; grows with the ledger, never changes below. */
  let handovers: number[] = [];
  /** The set of this height is the newest that `handovers` account for. */
  let known = 0;

  async function proofAt(height: number): Promise<FinalityProof | undefined> {
    const kept = await readKeptProof(store, height);
    if (kept === undefined) throw prunedError("from", height);
    return kept.proof;
  }

  async function requireProof(height: number): Promise<FinalityProof> {
    const proof = await proofAt(height);
    if (proof !== undefined) return proof;
    throw new HanseError(
      "LEDGER_RECEIPT_UNPROVEN",
      "unavailable",
      `block ${height} is final, but its proof is still being collected: ask again`,
      { details: { retryAfterSeconds: 1 } },
    );
  }

  async function newestProof(): Promise<FinalityProof> {
    const { height } = await store.info();
    for (let at = height; at > 0 && at > height - UNPROVEN_MAX; at--) {
      const proof = await proofAt(at);
      if (proof !== undefined) return proof;
    }
    throw new HanseError(
      "LEDGER_LIGHT_EMPTY",
      "unavailable",
      "no block of this ledger is proven here yet: ask again after the first one",
      { details: { retryAfterSeconds: 1 } },
    );
  }

  function withSet(proof: FinalityProof): LightBlock {
    const set = validatorSetAt(proof.header.height);
    if (set !== undefined) return { proof, set };
    throw new HanseError(
      "LEDGER_RECEIPT_SETS",
      "notFound",
      `the validators of height ${proof.header.height} are not kept here: ask another node`,
    );
  }

  /** Every header names where its set began, so that one read per change finds all of them. */
  async function learnHandovers(newest: BlockHeader): Promise<void> {
    const found: number[] = [];
    let header = newest;
    while (header.lastSetChangeHeight > Math.max(known, 1)) {
      found.push(header.lastSetChangeHeight - 1);
      if (found.length > CHANGES_MAX) break;
      header = (await requireProof(header.lastSetChangeHeight - 1)).header;
    }
    // Another request may have learned some of them meanwhile.
    const fresh = found.reverse().filter((at) => at >= known);
    handovers = [...handovers, ...fresh].slice(-CHANGES_MAX);
    known = Math.max(known, newest.height);
  }

  return {
    async page({ from, changes, at }) {
      const proof = at === undefined ? await newestProof() : await requireProof(at);
      const newest = withSet(proof);
      if (!changes) return { ledgerId, changes: [], complete: false, newest };
      await learnHandovers(proof.header);
      const wanted = handovers.filter((known) => known >= from && known < proof.header.height);
      const blocks: LightBlock[] = [];
      let bytes = 0;
      for (const at of wanted.slice(0, LIGHT_PAGE_CHANGES_MAX)) {
        if (bytes > PAGE_BYTES) break;
        const block = withSet(await requireProof(at));
        blocks.push(block);
        bytes += block.set.members.length * 200 + 1000;
      }
      return { ledgerId, changes: blocks, complete: blocks.length === wanted.length, newest };
    },
  };
}

/** Fetches the signed header of each committed block from CometBFT and hands the ledger its proof. */
import type { BlockSource, Clock, Height, LedgerApp } from "@hanse/ordering";
import {
  type Block,
  createCometProof,
  decodeBlock,
  HanseError,
  type Hash,
  quorumWeight,
  toHanseError,
  type ValidatorSet,
  verifyCometProof,
} from "@hanse/protocol";
import type { CometRpc } from "../rpc/comet-rpc.ts";

/** Blocks kept in memory until they are proven; older ones are read back. */
const RECENT_MAX = 64;
const RETRY_MS = 250;
/** Heights looked back at a start for blocks that were never proven. */
const UNPROVEN_LOOKBACK_MAX = 1_000;

export interface ProofKeeperParts {
  readonly app: Pick<LedgerApp, "prove">;
  readonly blocks: BlockSource;
  readonly rpc: CometRpc;
  readonly clock: Clock;
  readonly ledgerId: Hash;
  readonly setAt: (height: Height) => ValidatorSet;
  readonly onProven: (facts: {
    readonly block: Block;
    /** Of the decision, from 0. */
    readonly round: number;
    /** Members whose signature holds. */
    readonly signers: number;
  }) => void;
  readonly onFailure: (error: HanseError) => void;
}

export class ProofKeeper {
  readonly #parts: ProofKeeperParts;
  readonly #recent = new Map<Height, { readonly block: Block; readonly set: ValidatorSet }>();
  #next: Height;
  #committed: Height;
  #running = false;
  #stopped = false;
  #timer: { cancel(): void } | undefined;

  constructor(parts: ProofKeeperParts, next: Height, committed: Height) {
    this.#parts = parts;
    this.#next = next;
    this.#committed = committed;
  }

  /** The lowest height from `lowest` on that has no proof yet, as far as is looked back. */
  static async firstUnproven(blocks: BlockSource, lowest: Height, tip: Height): Promise<Height> {
    let at = tip;
    while (at >= lowest && tip - at < UNPROVEN_LOOKBACK_MAX) {
      const [stored] = await blocks.blocks(at, at, 1);
      if (stored === undefined || stored.certificate.length > 0) break;
      at--;
    }
    return at + 1;
  }

  /** Heights that still wait for their proof. */
  get waiting(): number {
    return this.#committed - this.#next + 1;
  }

  committed(block: Block, set: ValidatorSet): void {
    const { height } = block.header;
    this.#committed = height;
    this.#recent.set(height, { block, set });
    this.#recent.delete(height - RECENT_MAX);
    this.go();
  }

  go(): void {
    if (this.#running || this.#stopped || this.#next > this.#committed) return;
    this.#running = true;
    this.#proveAll().then(
      () => {
        this.#running = false;
        this.go();
      },
      (thrown: unknown) => {
        this.#running = false;
        const error = toHanseError(thrown);
        if (error.kind !== "unavailable") this.#parts.onFailure(error);
        if (this.#stopped) return;
        this.#timer = this.#parts.clock.setTimer(RETRY_MS, () => this.go());
      },
    );
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #proveAll(): Promise<void> {
    while (this.#next <= this.#committed && !this.#stopped) {
      await this.#prove(this.#next);
      this.#recent.delete(this.#next);
      this.#next++;
    }
  }

  async #prove(height: Height): Promise<void> {
    const { app, blocks, rpc, ledgerId, onProven } = this.#parts;
    const recent = this.#recent.get(height);
    const set = recent?.set ?? this.#parts.setAt(height);
    let block = recent?.block;
    if (block === undefined) {
      const [stored] = await blocks.blocks(height, height, 1);
      if (stored === undefined) return;
      block = decodeBlock(stored.bytes);
    }
    const signed = await rpc.signedHeader(height);
    const proof = createCometProof(block, signed, set);
    const verdict = verifyCometProof(proof, { ledgerId, set });
    if (!verdict.ok || verdict.weight < quorumWeight(set)) {
      const reason = verdict.ok ? `it has weight ${verdict.weight}` : verdict.reason;
      throw new HanseError(
        "COMET_PROOF",
        "corrupt",
        `CometBFT's signed header ${height} does not prove our block: ${reason}`,
      );
    }
    await app.prove(proof);
    if (this.#stopped) return;
    onProven({ block, round: signed.commit.round, signers: verdict.signers.length });
  }
}

/** Where this member stands: executes blocks one by one and commits them a bounded way behind. */
import {
  type AppInfo,
  applyUpdates,
  type EngineSwitch,
  type ExecutionResult,
  type Height,
} from "@hanse/ordering";
import {
  type Block,
  type BlockHeader,
  decodeBlock,
  equalBytes,
  type FinalityProof,
  HanseError,
  type Hash,
  hashHeader,
  toHex,
  type ValidatorSet,
  ZERO_HASH,
} from "@hanse/protocol";
import type { Body } from "../bodies/body-store.ts";
import type { EtcdEngineOptions } from "./options.ts";

/** Heights whose sets are remembered, for proofs that come late. */
const SETS_REMEMBERED_MAX = 512;

export interface Tip {
  readonly height: Height;
  readonly hash: Hash;
  readonly time: number;
}

/** What is known of a block once it is durable. */
export interface DurableBlock {
  readonly header: BlockHeader;
  readonly hash: Hash;
  readonly stateRoot: Hash;
  readonly set: ValidatorSet;
  readonly proven: boolean;
}

export class Progress {
  readonly #options: EtcdEngineOptions;
  readonly #onDurable: (block: DurableBlock) => void;
  readonly #onFailure: (error: unknown) => void;
  readonly #sets = new Map<Height, ValidatorSet>();
  #tip: Tip;
  #committed: Height;
  #lastSetChangeHeight: Height;
  #changed: boolean;
  #last: EngineSwitch | undefined;
  #commits: Promise<void> = Promise.resolve();

  private constructor(
    options: EtcdEngineOptions,
    start: {
      readonly tip: Tip;
      readonly lastSetChangeHeight: Height;
      readonly changed: boolean;
    },
    onDurable: (block: DurableBlock) => void,
    onFailure: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#onDurable = onDurable;
    this.#onFailure = onFailure;
    this.#tip = start.tip;
    this.#committed = start.tip.height;
    this.#changed = start.changed;
    const { height } = start.tip;
    for (const at of [height, height + 1, height + 2]) {
      if (at > 0) this.#sets.set(at, options.setAt(at));
    }
    this.#lastSetChangeHeight = start.lastSetChangeHeight;
  }

  /**
   * @throws HanseError `ETCD_STATE_MISMATCH` when the ledger's last block is not the one that its
   * height names, or the set above it is not the one that it names.
   */
  static async open(
    options: EtcdEngineOptions,
    info: AppInfo,
    onDurable: (block: DurableBlock) => void,
    onFailure: (error: unknown) => void,
  ): Promise<Progress> {
    const { height } = info;
    if (height === 0) {
      const tip = { height, hash: options.ledgerId, time: options.genesisTime };
      return new Progress(
        options,
        { tip, lastSetChangeHeight: 1, changed: false },
        onDurable,
        onFailure,
      );
    }
    const mismatch = (what: string): HanseError =>
      new HanseError(
        "ETCD_STATE_MISMATCH",
        "corrupt",
        `the ledger says height ${height} but ${what}`,
      );
    const [stored] = await options.blocks.blocks(height, height, 1);
    if (stored === undefined) throw mismatch("its block is missing");
    const { header } = decodeBlock(stored.bytes);
    const hash = hashHeader(header);
    if (header.height !== height || !equalBytes(hash, info.blockHash)) {
      throw mismatch("its block is another one");
    }
    const progress = new Progress(
      options,
      {
        tip: { height, hash, time: header.time },
        lastSetChangeHeight: header.lastSetChangeHeight,
        changed: !equalBytes(info.stateRoot, header.prevStateRoot),
      },
      onDurable,
      onFailure,
    );
    if (!equalBytes(progress.setAt(height + 1)!.hash, header.nextValidatorsHash)) {
      throw mismatch("the validator set above it is not the one that its header names");
    }
    return progress;
  }

  get tip(): Tip {
    return this.#tip;
  }

  get committed(): Height {
    return this.#committed;
  }

  /** Whether the newest state still wants a block above that certifies it. */
  get proofBlockDue(): boolean {
    return this.#changed;
  }

  /** The planned switch to another engine, once it is decided. */
  get engineSwitch(): EngineSwitch | undefined {
    return this.#last;
  }

  setAt(height: Height): ValidatorSet | undefined {
    return this.#sets.get(height);
  }

  /** The set of the open height. */
  get set(): ValidatorSet {
    return this.#sets.get(this.#tip.height + 1)!;
  }

  get nextSet(): ValidatorSet {
    return this.#sets.get(this.#tip.height + 2)!;
  }

  get lastSetChangeHeight(): Height {
    const below = this.#sets.get(this.#tip.height);
    const changed = below !== undefined && !equalBytes(below.hash, this.set.hash);
    return changed ? this.#tip.height + 1 : this.#lastSetChangeHeight;
  }

  /** Why a block cannot stand above the tip; undefined = it can, as far as the engine checks. */
  misfit({ header, lastCert }: Block): string | undefined {
    const { ledgerId, engineEpoch = 0 } = this.#options;
    const tip = this.#tip;
    if (header.height !== tip.height + 1) return `height ${header.height} above ${tip.height}`;
    if (!equalBytes(header.ledgerId, ledgerId)) return "another ledger";
    if (header.engineEpoch !== engineEpoch) return "another engine's epoch";
    if (!equalBytes(header.parentHash, tip.hash))
      return `another block below than ${toHex(tip.hash)}`;
    if (header.time <= tip.time) return "its time is not after the block below";
    if (!this.set.members.some(({ id }) => id === header.proposer)) {
      return `${header.proposer} is not in the validator set`;
    }
    if (!equalBytes(header.validatorsHash, this.set.hash)) return "another validator set";
    if (!equalBytes(header.nextValidatorsHash, this.nextSet.hash)) return "another next set";
    if (header.lastSetChangeHeight !== this.lastSetChangeHeight) return "another set change";
    if (lastCert.length > 0 || !equalBytes(header.lastCertHash, ZERO_HASH)) {
      return "it carries a certificate, which blocks in etcd's order do not have";
    }
    if (header.policyExtra.length > 0) return "it carries a policy's extra";
    return undefined;
  }

  /**
   * Executes the block above the tip; waits when too many are not durable yet.
   * @throws HanseError of the application's.
   */
  async execute(
    body: Body,
    proof: FinalityProof | undefined,
    commitLagMax: number,
  ): Promise<ExecutionResult> {
    const { app } = this.#options;
    const { header } = body.block;
    const { height } = header;
    if (height - this.#committed > commitLagMax) await this.#commits;
    const { lastSetChangeHeight } = this;
    const set = this.set;
    const result = await app.finalizeBlock({ block: body.block, hash: body.hash, proof });
    this.#sets.set(height + 2, applyUpdates(this.nextSet, result.validatorUpdates));
    this.#sets.delete(height - SETS_REMEMBERED_MAX);
    this.#lastSetChangeHeight = lastSetChangeHeight;
    this.#tip = { height, hash: body.hash, time: header.time };
    this.#changed = result.changed;
    this.#last ??= result.engineSwitch;
    const { stateRoot } = result;
    this.#commits = this.#commits.then(async () => {
      await app.commit(height);
      this.#committed = height;
      this.#onDurable({ header, hash: body.hash, stateRoot, set, proven: proof !== undefined });
    });
    this.#commits.catch(this.#onFailure);
    return result;
  }

  /** Resolves when everything executed is durable. */
  idle(): Promise<void> {
    return this.#commits;
  }
}

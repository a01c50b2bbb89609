/**
 * The ledger as an ABCI 2.0 application: each of CometBFT's calls becomes a call of `LedgerApp`.
 * Nothing is remembered between rounds of a height; a decided block is executed once, however often
 * CometBFT, restarted, asks again before it is durable.
 */
import { type AppInfo, applyUpdates, type ExecutionResult, type Height } from "@hanse/ordering";
import {
  type Block,
  type BlockHeader,
  type Bytes,
  cometAppHash,
  cometChainId,
  compareBytes,
  decodeBlock,
  equalBytes,
  evidenceRoot,
  HanseError,
  type Hash,
  hashHeader,
  toHanseError,
  toHex,
  type ValidatorSet,
} from "@hanse/protocol";
import {
  type AbciRequest,
  type AbciResponse,
  type BlockRequest,
  CHECK_NEW,
  type MessageOf,
  PROPOSAL,
  type PrepareRequest,
  SNAPSHOT_ABORT,
  type VALIDATOR_UPDATE,
} from "../abci/messages.ts";
import {
  type BlockPlace,
  type CometBlock,
  cometSize,
  evidenceOf,
  headerTime,
  lastCertOf,
  memberByAddress,
  type Parent,
  readBlock,
  toCometTransactions,
} from "./block-frame.ts";
import type { CometEngineOptions } from "./options.ts";

const NO_EVIDENCE = evidenceRoot([]);
/** CometBFT 0.38 to 0.40. */
const ABCI_VERSION = /^2\.0\./;

type CometUpdate = MessageOf<typeof VALIDATOR_UPDATE>;

interface Executed {
  readonly block: Block;
  readonly hash: Hash;
  readonly result: ExecutionResult;
  readonly updates: readonly CometUpdate[];
  readonly appHash: Hash;
}

/** What CometBFT's application hash stands for; see `cometAppHash`. */
interface Anchor {
  readonly stateRoot: Hash;
  readonly blockHash: Hash;
}

/** Changes of CometBFT's set: powers by key, those that leave with 0; in one order on all nodes. */
export function toCometUpdates(from: ValidatorSet, to: ValidatorSet): CometUpdate[] {
  const left = new Map(from.members.map((member) => [toHex(member.key.bytes), member]));
  const updates: CometUpdate[] = [];
  const add = (ed25519: Bytes, power: number) => updates.push({ publicKey: { ed25519 }, power });
  for (const { key, vote } of to.members) {
    const name = toHex(key.bytes);
    if (left.get(name)?.vote !== vote) add(key.bytes, vote);
    left.delete(name);
  }
  for (const { key } of left.values()) add(key.bytes, 0);
  return updates.sort((a, b) => compareBytes(a.publicKey.ed25519!, b.publicKey.ed25519!));
}

export interface CometAppEvents {
  /** CometBFT has (re)started: what it had in memory is gone. */
  onHandshake(): void;
  /** May a bell of ours (doorbell.ts) stay in CometBFT's mempool. */
  keepBell(bell: Bytes, why: "new" | "again"): boolean;
  onFinal(facts: {
    readonly block: Block;
    /** Proposals that were seen at this height. */
    readonly proposals: number;
    readonly executedMs: number;
  }): void;
  onCommitted(block: Block, set: ValidatorSet): void;
  onMisbehavior(message: string): void;
  /** Something that must not go on; every later call is answered with it. */
  onHalt(error: HanseError): void;
}

export class CometApp {
  readonly #options: CometEngineOptions;
  readonly #events: CometAppEvents;
  readonly #epoch: number;
  readonly #initialHeight: Height;
  readonly #sets = new Map<Height, ValidatorSet>();
  #parent: Parent;
  #lastSetChangeHeight: Height;
  /** The last durable height and CometBFT's application hash after it. */
  #durable: { readonly height: Height; readonly appHash: Hash };
  /** Executed and not durable yet. */
  #executed: Executed | undefined;
  #proposals = 0;
  #halted: HanseError | undefined;

  private constructor(
    options: CometEngineOptions,
    events: CometAppEvents,
    start: { readonly appHash: Hash; readonly parent: Parent; readonly changedAt: Height },
  ) {
    this.#options = options;
    this.#events = events;
    this.#epoch = options.engineEpoch ?? 0;
    this.#initialHeight = options.initialHeight ?? 1;
    this.#parent = start.parent;
    this.#durable = { height: start.parent.height, appHash: start.appHash };
    this.#lastSetChangeHeight = start.changedAt;
    const { height } = start.parent;
    for (const at of [height, height + 1, height + 2]) {
      this.#sets.set(at, options.setAt(Math.max(1, at)));
    }
  }

  /**
   * @throws HanseError `COMET_STATE_MISMATCH` when the ledger's last block is not the one that its
   * height names, or names another set above it.
   */
  static async open(options: CometEngineOptions, events: CometAppEvents): Promise<CometApp> {
    const info = await options.app.info();
    const { height } = info;
    if (height === 0) {
      const parent = { height, hash: options.ledgerId, time: options.genesisTime };
      const appHash = cometAppHash(info.stateRoot, parent.hash);
      return new CometApp(options, events, { appHash, parent, changedAt: 1 });
    }
    const header = await readHeader(options, height);
    if (!equalBytes(hashHeader(header), info.blockHash)) {
      throw mismatch(`the ledger says height ${height} but its block is another one`);
    }
    const parent = { height, hash: info.blockHash, time: header.time };
    const changedAt = header.lastSetChangeHeight;
    const { stateRoot, blockHash } = await findAnchor(options, info, header);
    const appHash = cometAppHash(stateRoot, blockHash);
    const app = new CometApp(options, events, { appHash, parent, changedAt });
    if (!equalBytes(app.#set(height + 1).hash, header.nextValidatorsHash)) {
      throw mismatch(`block ${height} names another validator set above it than the ledger`);
    }
    return app;
  }

  get height(): Height {
    return this.#durable.height;
  }

  get set(): ValidatorSet {
    return this.#set(this.#parent.height + 1);
  }

  get halted(): HanseError | undefined {
    return this.#halted;
  }

  /** The set of an open or recent height. */
  setAt(height: Height): ValidatorSet | undefined {
    return this.#sets.get(height);
  }

  #set(height: Height): ValidatorSet {
    const set = this.#sets.get(height);
    if (set === undefined) throw mismatch(`no validator set is known for height ${height}`);
    return set;
  }

  #halt(thrown: unknown): HanseError {
    const error = toHanseError(thrown);
    if (this.#halted === undefined) {
      this.#halted = error;
      this.#events.onHalt(error);
    }
    return error;
  }

  /** One call. Its rejection means that CometBFT must not go on. */
  async handle(request: AbciRequest): Promise<AbciResponse> {
    if (this.#halted !== undefined) throw this.#halted;
    const { info, initChain, checkTx, prepareProposal, processProposal, finalizeBlock } = request;
    if (request.echo !== undefined) return { echo: request.echo };
    if (request.flush !== undefined) return { flush: {} };
    if (checkTx !== undefined) {
      const keep = this.#events.keepBell(checkTx.tx, checkTx.type === CHECK_NEW ? "new" : "again");
      const log = "transactions go to the node's own API";
      return { checkTx: keep ? empty() : { code: 1, log, codespace: "hanse" } };
    }
    if (info !== undefined) return this.#info(info.version, info.abciVersion);
    if (request.query !== undefined) {
      const log = "the node's own API answers queries";
      const value = new Uint8Array(0);
      return { query: { code: 1, log, value, height: this.#durable.height } };
    }
    if (request.listSnapshots !== undefined) return { listSnapshots: { snapshots: [] } };
    if (request.offerSnapshot !== undefined) return { offerSnapshot: { result: SNAPSHOT_ABORT } };
    if (request.applySnapshotChunk !== undefined) {
      return { applySnapshotChunk: { result: SNAPSHOT_ABORT } };
    }
    if (request.loadSnapshotChunk !== undefined) {
      return { loadSnapshotChunk: { chunk: new Uint8Array(0) } };
    }
    // Extensions are off in the genesis that we write.
    if (request.extendVote !== undefined) return { extendVote: { extension: new Uint8Array(0) } };
    if (request.verifyVoteExtension !== undefined) {
      const none = request.verifyVoteExtension.extension.length === 0;
      return { verifyVoteExtension: { result: none ? PROPOSAL.accept : PROPOSAL.reject } };
    }
    try {
      if (initChain !== undefined) return this.#initChain(initChain);
      if (prepareProposal !== undefined) return await this.#prepare(prepareProposal);
      if (processProposal !== undefined) return await this.#process(processProposal);
      if (finalizeBlock !== undefined) return await this.#finalize(finalizeBlock);
      return await this.#commit();
    } catch (thrown) {
      throw this.#halt(thrown);
    }
  }

  #info(version: string, abciVersion: string): AbciResponse {
    if (!ABCI_VERSION.test(abciVersion)) {
      throw this.#halt(
        new HanseError(
          "COMET_VERSION",
          "rejected",
          `CometBFT ${version} speaks ABCI ${abciVersion}, this node ABCI 2.0: install CometBFT 0.38, 0.39 or 0.40 (1.x is another protocol)`,
        ),
      );
    }
    this.#events.onHandshake();
    const { height, appHash } = this.#durable;
    const begun = height >= this.#initialHeight;
    return {
      info: {
        data: "hanse",
        version: "1",
        appVersion: 0,
        lastBlockHeight: begun ? height : 0,
        lastBlockAppHash: begun ? appHash : new Uint8Array(0),
      },
    };
  }

  #initChain(request: NonNullable<AbciRequest["initChain"]>): AbciResponse {
    const chainId = cometChainId(this.#options.ledgerId, this.#epoch);
    const foreign = (what: string) =>
      new HanseError(
        "COMET_GENESIS",
        "conflict",
        `CometBFT's genesis.json has ${what}: write CometBFT's home again from this ledger's genesis`,
      );
    if (request.chainId !== chainId) throw foreign(`chain_id ${request.chainId}, not ${chainId}`);
    if (request.initialHeight !== this.#initialHeight) {
      throw foreign(`initial_height ${request.initialHeight}, not ${this.#initialHeight}`);
    }
    if (request.validators.length > 0) throw foreign("validators, which the ledger states alone");
    if (this.#durable.height !== this.#initialHeight - 1) {
      throw mismatch(
        `CometBFT begins at height ${this.#initialHeight}, the ledger is at ${this.#durable.height}`,
      );
    }
    const nothing = { ...this.set, members: [] };
    const validators = toCometUpdates(nothing, this.set);
    return { initChain: { validators, appHash: this.#durable.appHash } };
  }

  #place(): BlockPlace {
    const { height } = this.#parent;
    const set = this.#set(height + 1);
    const parentSet = this.#set(height);
    const changed = height > 0 && !equalBytes(parentSet.hash, set.hash);
    return {
      ledgerId: this.#options.ledgerId,
      engineEpoch: this.#epoch,
      parent: this.#parent,
      parentSet,
      set,
      nextSet: this.#set(height + 2),
      lastSetChangeHeight: changed ? height + 1 : this.#lastSetChangeHeight,
      blockIntervalMsMin: this.#options.blockIntervalMsMin(),
    };
  }

  async #prepare(request: PrepareRequest): Promise<AbciResponse> {
    const none = { prepareProposal: { txs: [] } };
    const place = this.#place();
    const comet: CometBlock = { ...request, lastCommit: request.localLastCommit };
    const proposer = memberByAddress(place.set, comet.proposerAddress);
    // Nothing that anybody would accept.
    if (comet.height !== place.parent.height + 1 || proposer === undefined) {
      return none;
    }
    const block = await this.#options.app.buildBlock({
      height: comet.height,
      view: 0,
      parent: place.parent,
      lastCert: lastCertOf(place, comet),
      evidence: evidenceOf(place, comet),
      proposer: proposer.id,
      set: place.set,
      nextSet: place.nextSet,
      engineEpoch: this.#epoch,
      lastSetChangeHeight: place.lastSetChangeHeight,
      policyExtra: new Uint8Array(0),
      now: headerTime(place, comet),
    });
    const txs = toCometTransactions(block);
    if (cometSize(txs) > request.maxTxBytes) {
      throw new HanseError(
        "COMET_BLOCK_BYTES",
        "rejected",
        `a block of ${cometSize(txs)} bytes, CometBFT takes ${request.maxTxBytes}: raise block.max_bytes in its genesis`,
      );
    }
    return { prepareProposal: { txs } };
  }

  async #process(request: BlockRequest): Promise<AbciResponse> {
    const reject = { processProposal: { result: PROPOSAL.reject } };
    this.#proposals++;
    const read = readBlock(this.#place(), request, request.txs);
    if (!read.ok) return reject;
    const verdict = await this.#options.app.validateBlock(read.block, read.hash);
    return verdict.ok ? { processProposal: { result: PROPOSAL.accept } } : reject;
  }

  async #finalize(request: BlockRequest): Promise<AbciResponse> {
    const executed = this.#executed;
    if (executed?.result.height === request.height) {
      const { header } = executed.block;
      const again = toCometTransactions(executed.block);
      const same = again.length === request.txs.length && equalBytes(again[0]!, request.txs[0]!);
      if (!same) throw mismatch(`CometBFT decided height ${header.height} twice`);
      return this.#finalized(executed);
    }
    const place = this.#place();
    const read = readBlock(place, request, request.txs);
    if (!read.ok) {
      throw mismatch(`CometBFT's block ${request.height} is none of this ledger: ${read.reason}`);
    }
    const { block, hash } = read;
    const { clock, app } = this.#options;
    const began = clock.now();
    const result = await app.finalizeBlock({ block, hash, proof: undefined });
    const { height } = result;
    if (result.engineSwitch !== undefined) {
      throw new HanseError(
        "COMET_SWITCH",
        "rejected",
        `block ${height} hands the ledger over to ${result.engineSwitch.kind}: a ledger that CometBFT orders stays with it`,
      );
    }
    const following = applyUpdates(place.nextSet, result.validatorUpdates);
    this.#sets.set(height + 2, following);
    this.#sets.delete(height - 2);
    this.#lastSetChangeHeight = place.lastSetChangeHeight;
    this.#parent = { height, hash, time: block.header.time };
    const updates = toCometUpdates(place.nextSet, following);
    const appHash = isEmpty(block.header)
      ? this.#durable.appHash
      : cometAppHash(result.stateRoot, hash);
    this.#executed = { block, hash, result, updates, appHash };
    this.#events.onFinal({
      block,
      proposals: this.#proposals,
      executedMs: clock.now() - began,
    });
    this.#proposals = 0;
    this.#reportMisbehavior(place, request);
    return this.#finalized(this.#executed);
  }

  #finalized({ block, updates, appHash }: Executed): AbciResponse {
    // Outcomes are ours to prove: CometBFT gets one and the same answer for each.
    const txResults = Array.from({ length: block.transactions.length + 1 }, empty);
    return {
      finalizeBlock: { txResults, validatorUpdates: updates, appHash },
    };
  }

  #reportMisbehavior(place: BlockPlace, { misbehavior }: BlockRequest): void {
    for (const { type, validator, height } of misbehavior) {
      const found = memberByAddress(place.set, validator.address);
      const who = found?.id ?? `the validator with address ${toHex(validator.address)}`;
      const what = type === 1 ? "voted twice in one round" : "took part in an attack";
      this.#events.onMisbehavior(`${who} ${what} at height ${height}`);
    }
  }

  async #commit(): Promise<AbciResponse> {
    const executed = this.#executed;
    if (executed === undefined) throw mismatch("CometBFT commits a block that it has not decided");
    const { block, result, appHash } = executed;
    await this.#options.app.commit(result.height);
    this.#durable = { height: result.height, appHash };
    this.#executed = undefined;
    this.#events.onCommitted(block, this.#set(result.height));
    return { commit: { retainHeight: 0 } };
  }
}

async function readHeader(options: CometEngineOptions, height: Height): Promise<BlockHeader> {
  const [stored] = await options.blocks.blocks(height, height, 1);
  if (stored === undefined) throw mismatch(`block ${height} is missing in the ledger's store`);
  return decodeBlock(stored.bytes).header;
}

/** Nothing in it that its state root would have to be proven for. */
function isEmpty(header: BlockHeader): boolean {
  return header.txCount === 0 && equalBytes(header.evidenceHash, NO_EVIDENCE);
}

/** The last block that is not empty at or below the tip, or what this engine began above. */
async function findAnchor(
  options: CometEngineOptions,
  info: AppInfo,
  tip: BlockHeader,
): Promise<Anchor> {
  const lowest = options.initialHeight ?? 1;
  let anchor: Anchor = info;
  let header = tip;
  while (isEmpty(header) && header.height >= lowest) {
    anchor = { stateRoot: header.prevStateRoot, blockHash: header.parentHash };
    if (header.height === 1) break;
    header = await readHeader(options, header.height - 1);
  }
  return anchor;
}

function empty() {
  return { code: 0, log: "", codespace: "" };
}

function mismatch(message: string): HanseError {
  return new HanseError(
    "COMET_STATE_MISMATCH",
    "corrupt",
    `${message}; see "When CometBFT and the ledger disagree" in docs/operators/cometbft.md`,
  );
}

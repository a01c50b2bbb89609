/**
 * Plays CometBFT for two applications in lockstep: the grammar of calls of ABCI 2.0 with rounds,
 * proposers, votes, crashes and bad bytes drawn from a seed. Everything both are asked must be
 * answered alike. Signs what four validators would, so that the proofs it leads to hold.
 */
import assert from "node:assert/strict";
import {
  BLOCK_ID,
  type Bytes,
  COMET_FLAGS,
  COMMIT,
  type CometMember,
  cometChainId,
  cometDataLeaves,
  cometMembers,
  cometValidatorsHash,
  HEADER,
  hashCometHeader,
  type KeyPair,
  merkleRoot,
  precommitMessage,
  signMessage,
  toHex,
  type ValidatorSet,
  ZERO_HASH,
} from "@hanse/protocol";
import { GENESIS_TIME } from "../../../ledger/src/testing/ledger-rig.ts";
import { encodeFrame } from "../abci/frames.ts";
import { type BlockRequest, CHECK_AGAIN, CHECK_NEW, PROPOSAL } from "../abci/messages.ts";
import type { DrivenApp, SignedHeights } from "./driven-app.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** Where a process ends on the way through a height. */
type Crash = "comet before" | "app decided" | "comet decided" | "app committed" | "comet committed";
const CRASHES: readonly Crash[] = [
  "comet before",
  "app decided",
  "comet decided",
  "app committed",
  "comet committed",
];

export interface DriverOptions {
  readonly random: SeededRandom;
  readonly apps: readonly DrivenApp[];
  readonly keys: ReadonlyMap<string, KeyPair>;
  readonly ledgerId: Bytes;
  readonly genesisSet: ValidatorSet;
  readonly signed: SignedHeights;
  /** Of a hundred blocks, so many report a member and a stranger. */
  readonly misbehaviorPercent?: number;
}

type Answer = Awaited<ReturnType<DrivenApp["connections"]["consensus"]["call"]>>;

export class AbciDriver {
  readonly #options: DriverOptions;
  readonly #chainId: string;
  height = 0;
  #time = GENESIS_TIME;
  /** Decided blocks, for replay. */
  readonly #decided: BlockRequest[] = [];
  readonly #appHashes: Bytes[] = [];
  /** Powers by key in hex, in force at a height: CometBFT's own book-keeping. */
  readonly #powers = new Map<number, ReadonlyMap<string, number>>();
  #lastVotes: BlockRequest["lastCommit"] = { round: 0, votes: [] };

  constructor(options: DriverOptions) {
    this.#options = options;
    this.#chainId = cometChainId(options.ledgerId, 0);
  }

  /** The same call to all, and one answer. */
  async #ask(call: (app: DrivenApp) => Promise<Answer>): Promise<Answer> {
    const answers = await Promise.all(this.#options.apps.map(call));
    for (const other of answers.slice(1)) assert.deepEqual(other, answers[0], "in lockstep");
    return answers[0]!;
  }

  /** What the next header of CometBFT's carries. */
  get appHash(): Bytes {
    return this.#appHashes.at(-1)!;
  }

  async start(): Promise<void> {
    const { apps } = this.#options;
    for (const app of apps) await this.#handshake(app);
  }

  /** Info, InitChain at height 0, and every decided block above what the application has. */
  async #handshake(app: DrivenApp): Promise<void> {
    const { consensus, query } = app.connections;
    const { info } = await query.call({
      info: { version: "0.38.25", blockVersion: 11, p2pVersion: 8, abciVersion: "2.0.0" },
    });
    const at = info!.lastBlockHeight;
    assert.ok(at <= this.height, "never ahead of CometBFT");
    if (at === 0) {
      const { initChain } = await consensus.call({
        initChain: {
          time: { seconds: GENESIS_TIME / 1000, nanos: 0 },
          chainId: this.#chainId,
          validators: [],
          initialHeight: 1,
        },
      });
      const powers = new Map(
        initChain!.validators.map(({ publicKey, power }) => [toHex(publicKey.ed25519!), power]),
      );
      this.#powers.set(1, powers);
      this.#powers.set(2, powers);
    } else {
      assert.deepEqual(info!.lastBlockAppHash, this.#appHashes[at - 1], `app hash after ${at}`);
    }
    for (const block of this.#decided.slice(at)) {
      const { finalizeBlock } = await consensus.call({ finalizeBlock: block });
      assert.deepEqual(finalizeBlock!.appHash, this.#appHashes[block.height - 1], "replayed alike");
      await consensus.call({ commit: {} });
    }
  }

  /** CometBFT's set, read back into members with our ids. */
  #members(height: number): CometMember[] {
    const { genesisSet } = this.#options;
    const powers = this.#powers.get(height)!;
    const members = genesisSet.members.map((member) => ({
      ...member,
      vote: powers.get(toHex(member.key.bytes)) ?? 0,
    }));
    return cometMembers({ members: members.filter(({ vote }) => vote > 0) });
  }

  /** One height with all that may happen on the way. */
  async runHeight(): Promise<void> {
    const { random, apps } = this.#options;
    const height = this.height + 1;
    this.#time += 1 + random.below(1_500);
    for (const { node } of apps) node.clock.advance(this.#time - node.clock.now());
    await this.#noise();
    let block: BlockRequest | undefined;
    for (let round = random.below(4); round > 0; round--) {
      const proposed = await this.#round(height);
      if (proposed !== undefined) block = proposed;
    }
    block ??= await this.#propose(height);
    await this.#decide(block);
  }

  /** A proposal by the application of whoever: any node's must be good for all. */
  async #propose(height: number): Promise<BlockRequest> {
    const { random, apps } = this.#options;
    const proposer = random.pick(this.#members(height));
    const common = {
      misbehavior: this.#misbehavior(height),
      height,
      time: { seconds: Math.floor(this.#time / 1000), nanos: (this.#time % 1000) * 1_000_000 },
      nextValidatorsHash: ZERO_HASH,
      proposerAddress: proposer.address,
    };
    const app = random.pick(apps);
    const { prepareProposal } = await app.connections.consensus.call({
      prepareProposal: {
        ...common,
        maxTxBytes: 4 * 1024 * 1024,
        // What lies in CometBFT's own mempool never stands in a block of ours.
        txs: app.bells,
        localLastCommit: this.#lastVotes,
      },
    });
    const { txs } = prepareProposal!;
    return { ...common, txs, lastCommit: this.#lastVotes, hash: random.bytes(32) };
  }

  #misbehavior(height: number): BlockRequest["misbehavior"] {
    const { random, misbehaviorPercent = 0 } = this.#options;
    if (misbehaviorPercent === 0 || height === 1 || !random.chance(misbehaviorPercent / 100)) {
      return [];
    }
    const time = { seconds: Math.floor(this.#time / 1000), nanos: 0 };
    const report = (address: Bytes, at: number) => ({
      type: 1 + random.below(2),
      validator: { address, power: 3 },
      height: at,
      time,
    });
    const { address } = random.pick(this.#members(height));
    const at = 1 + random.below(height - 1);
    // The same twice is CometBFT's way of saying that it was two rounds.
    return [report(random.bytes(20), at), report(address, at), report(address, at)];
  }

  /** A round: a good proposal that all accept, or a bent one that all refuse. */
  async #round(height: number): Promise<BlockRequest | undefined> {
    const { random } = this.#options;
    const good = await this.#propose(height);
    const bent = random.chance(0.5) ? this.#bend(good) : undefined;
    const { processProposal } = await this.#ask((app) =>
      app.connections.consensus.call({ processProposal: bent ?? good }),
    );
    const expected = bent === undefined ? PROPOSAL.accept : PROPOSAL.reject;
    assert.equal(
      processProposal!.result,
      expected,
      bent === undefined ? "a good one" : "a bent one",
    );
    return bent === undefined ? good : undefined;
  }

  #bend(block: BlockRequest): BlockRequest {
    const { random } = this.#options;
    const [header, ...rest] = block.txs as [Bytes, ...Bytes[]];
    const flipped = header.slice();
    flipped[random.below(flipped.length)]! ^= 1 << random.below(8);
    const others = this.#members(block.height).filter(
      ({ address }) => toHex(address) !== toHex(block.proposerAddress),
    );
    const stranger = others.length === 0 ? random.bytes(20) : random.pick(others).address;
    return random.pick<BlockRequest>([
      { ...block, txs: [] },
      { ...block, txs: [flipped, ...rest] },
      { ...block, txs: [header, ...rest, random.bytes(40)] },
      { ...block, txs: [random.bytes(200), ...rest] },
      { ...block, txs: [header, header, ...rest] },
      { ...block, time: { ...block.time, seconds: block.time.seconds + 1 } },
      { ...block, proposerAddress: stranger },
      { ...block, height: block.height + 1 },
      ...(block.misbehavior.length > 0 ? [{ ...block, misbehavior: [] }] : []),
    ]);
  }

  async #decide(block: BlockRequest): Promise<void> {
    const { random, apps } = this.#options;
    const { height } = block;
    const crashes = apps.map(() => (random.chance(0.4) ? random.pick(CRASHES) : undefined));
    const answers: Answer[] = [];
    for (const [i, app] of apps.entries()) {
      if (crashes[i] === "comet before") await this.#restart(app, "comet");
      answers.push(await app.connections.consensus.call({ finalizeBlock: block }));
    }
    assert.deepEqual(answers[1], answers[0], "decided in lockstep");
    const { txResults, appHash, validatorUpdates } = answers[0]!.finalizeBlock!;
    assert.equal(txResults.length, block.txs.length);
    const powers = new Map(this.#powers.get(height + 1));
    for (const { publicKey, power } of validatorUpdates) {
      const key = toHex(publicKey.ed25519!);
      assert.notEqual(powers.get(key) ?? 0, power, "no update that changes nothing");
      if (power === 0) powers.delete(key);
      else powers.set(key, power);
    }
    this.#powers.set(height + 2, powers);
    this.#sign(block, random.below(3));
    this.#decided.push(block);
    this.#appHashes.push(appHash);
    this.height = height;
    for (const [i, app] of apps.entries()) {
      const crash = crashes[i];
      if (crash === "app decided" || crash === "comet decided") {
        // CometBFT has stored the block: the handshake decides it again and commits it.
        await this.#restart(app, crash === "app decided" ? "app" : "comet");
        continue;
      }
      await app.connections.consensus.call({ commit: {} });
      await this.#recheck(app);
      if (crash === "app committed") await this.#restart(app, "app");
      if (crash === "comet committed") await this.#restart(app, "comet");
    }
  }

  /** What of its mempool CometBFT keeps after a block. */
  async #recheck(app: DrivenApp): Promise<void> {
    const kept: Uint8Array[] = [];
    for (const tx of app.bells) {
      const { checkTx } = await app.connections.mempool.call({
        checkTx: { tx, type: CHECK_AGAIN },
      });
      if (checkTx!.code === 0) kept.push(tx);
    }
    assert.ok(kept.length <= 1, "one bell at most");
    if (!app.node.ledger.hasWork()) assert.equal(kept.length, 0, "silent without work");
    app.bells = kept;
  }

  async #restart(app: DrivenApp, who: "app" | "comet"): Promise<void> {
    if (who === "app") {
      await app.stop();
      await app.start();
    } else {
      app.disconnect();
      await app.connect();
    }
    await this.#handshake(app);
  }

  /** A commit that a quorum signed. */
  #sign(block: BlockRequest, round: number): void {
    const { random, keys, signed } = this.#options;
    const members = this.#members(block.height);
    const header = HEADER.create({
      version: { block: 11, app: 0 },
      chainId: this.#chainId,
      height: block.height,
      time: block.time,
      dataHash: merkleRoot(cometDataLeaves(block.txs)),
      validatorsHash: cometValidatorsHash(members),
      proposerAddress: block.proposerAddress,
    });
    const partSetHeader = { total: 1, hash: random.bytes(32) };
    const blockId = BLOCK_ID.create({ hash: hashCometHeader(header), partSetHeader });
    const commit = COMMIT.create({ height: block.height, round, blockId });
    // Three of three are needed, three of four are enough.
    const mute = members.length > 3 && random.chance(0.5) ? random.below(members.length) : -1;
    const signatures = members.map(({ id, address }, i) => {
      const timestamp = { seconds: block.time.seconds + 1, nanos: i };
      if (i === mute) return { flag: COMET_FLAGS.absent, ...EMPTY };
      const message = precommitMessage(commit, timestamp, this.#chainId);
      const signature = signMessage(keys.get(id)!, message);
      return { flag: COMET_FLAGS.commit, validatorAddress: address, timestamp, signature };
    });
    signed.headers.set(block.height, { header, commit: { ...commit, signatures } });
    this.#lastVotes = {
      round,
      votes: members.map(({ address, vote }, i) => ({
        validator: { address, power: vote },
        flag: i === mute ? COMET_FLAGS.absent : COMET_FLAGS.commit,
      })),
    };
  }

  /** What may come at any time, on other connections. */
  async #noise(): Promise<void> {
    const { random, apps } = this.#options;
    const app = random.pick(apps);
    const { mempool, snapshot, query } = app.connections;
    // Proofs then come late, perhaps only after a restart.
    app.rpcDown = random.chance(0.3);
    const strange = { tx: random.bytes(1 + random.below(30)), type: random.below(2) };
    assert.equal((await mempool.call({ checkTx: strange })).checkTx!.code, 1);
    for (const tx of app.bells) {
      const { checkTx } = await mempool.call({ checkTx: { tx, type: CHECK_NEW } });
      if (checkTx!.code !== 0) app.bells = app.bells.filter((bell) => bell !== tx);
    }
    const messages = ["a", "b", "c"].map((text) => `${text}${random.below(100)}`);
    const echoes = await Promise.all(messages.map((message) => query.call({ echo: { message } })));
    assert.deepEqual(
      echoes.map(({ echo }) => echo!.message),
      messages,
    );
    if (random.chance(0.3)) {
      const offer = { snapshot: undefined, appHash: random.bytes(32) };
      const { offerSnapshot } = await snapshot.call({ offerSnapshot: offer });
      assert.equal(offerSnapshot!.result, 2, "no snapshot of CometBFT's is taken");
      const { listSnapshots } = await snapshot.call({ listSnapshots: {} });
      assert.deepEqual(listSnapshots!.snapshots, []);
    }
    if (random.chance(0.3)) await this.#badConnection(app);
  }

  async #badConnection(app: DrivenApp): Promise<void> {
    const { random } = this.#options;
    const stranger = await app.stranger();
    const bytes = random.pick([
      new Uint8Array(9).fill(0xff),
      Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f),
      encodeFrame(Uint8Array.of(0x0a, 0x7f, 1, 2)),
      encodeFrame(Uint8Array.of(0xaa, 0x01, 0x00)),
    ]);
    const alarms = app.events.filter(({ t }) => t === "alarm").length;
    stranger.send(bytes);
    await stranger.closed;
    assert.equal(app.events.filter(({ t }) => t === "alarm").length, alarms + 1, "said by name");
  }
}

const EMPTY = {
  validatorAddress: new Uint8Array(0),
  timestamp: { seconds: 0, nanos: 0 },
  signature: new Uint8Array(0),
};

/**
 * The ordering engine over etcd (spec/etcd.md). etcd keeps the order of digests; bodies travel
 * between the members and are on the disks of a majority before their digest is put in order; each
 * member executes what etcd ordered and attests the outcome. One loop does everything that changes
 * where this member stands, so that nothing in it races.
 */
import type { EngineEvent, Height, OrderingEngine, OrderingStatus } from "@hanse/ordering";
import { TokenBuckets } from "@hanse/ordering";
import {
  type Bytes,
  decodeBlock,
  equalBytes,
  hashHeader,
  toHanseError,
  toHex,
  verifyAttestedProof,
} from "@hanse/protocol";
import { BodyStore } from "../bodies/body-store.ts";
import { type Head, type OrderChange, OrderLog } from "../order/order-log.ts";
import { type OrderingRecord, orderedMessage } from "../order/ordering-record.ts";
import {
  ATTESTATIONS_ASKED_MAX,
  channelOf,
  decodeMessage,
  encodeMessage,
  type WireMessage,
} from "../wire/messages.ts";
import { Acceptor } from "./acceptor.ts";
import { Attestations, GATHERED_HEIGHTS_MAX } from "./attestations.ts";
import { type FetchedBlock, Fetcher } from "./fetcher.ts";
import { Housekeeping } from "./housekeeping.ts";
import { Leadership } from "./leadership.ts";
import { type Body, DEFAULT_TUNING, type EtcdEngineOptions, type EtcdTuning } from "./options.ts";
import { type DurableBlock, Progress } from "./progress.ts";
import { Proposer } from "./proposer.ts";

/** Records above the tip that are kept in memory; more are read again when their turn comes. */
const RECORDS_MAX = 128;

/** @throws nothing; `start` throws when the folder, the ledger and etcd do not fit together. */
export function createEtcdEngine(options: EtcdEngineOptions): OrderingEngine {
  return new EtcdEngine(options);
}

class EtcdEngine implements OrderingEngine {
  readonly kind = "etcd";
  readonly #options: EtcdEngineOptions;
  readonly #tuning: EtcdTuning;
  readonly #engineEpoch: number;
  readonly #self: string;
  readonly #log: OrderLog;
  readonly #leadership: Leadership;
  readonly #attestations: Attestations;
  readonly #buckets: TokenBuckets;
  readonly #housekeeping: Housekeeping;
  #progress!: Progress;
  #bodies!: BodyStore;
  #proposer!: Proposer;
  #acceptor!: Acceptor;
  #fetcher!: Fetcher;
  readonly #records = new Map<Height, OrderingRecord>();
  #head: Head | undefined;
  /** Whether what we know of etcd comes from a watch that runs. */
  #watch: { cancel(): void } | undefined;
  #readAt: number | undefined;
  #outOfSpace = false;
  readonly #peers = new Map<string, { connected: boolean; height: Height }>();
  #running: Promise<void> | undefined;
  #stopped = false;
  #halted: string | undefined;
  #draining = false;
  #wakeUp: (() => void) | undefined;
  #woken = false;
  #heartbeat: { cancel(): void } | undefined;
  #askedAttestationsAt = 0;
  #activeSince: number | undefined;

  constructor(options: EtcdEngineOptions) {
    this.#options = options;
    this.#tuning = { ...DEFAULT_TUNING, ...options.tuning };
    this.#engineEpoch = options.engineEpoch ?? 0;
    const { etcd, clock, ledgerId, transport } = options;
    this.#self = transport.self;
    this.#log = new OrderLog({
      etcd,
      ledgerId,
      engineEpoch: this.#engineEpoch,
      base: options.base ?? 0,
    });
    const wake = () => this.wake();
    this.#leadership = new Leadership({
      self: this.#self,
      etcd,
      log: this.#log,
      clock,
      policy: options.policy,
      tuning: this.#tuning,
      onLost: wake,
    });
    const onAlarm = (code: string, message: string) => this.#report({ t: "alarm", code, message });
    this.#housekeeping = new Housekeeping({
      etcd,
      log: this.#log,
      clock,
      tuning: this.#tuning,
      onAlarm,
    });
    this.#attestations = new Attestations({
      ledgerId,
      self: this.#self,
      engineEpoch: this.#engineEpoch,
      sign: options.sign,
      verify: options.verify,
      prove: (proof) => options.app.prove(proof),
      onContradiction: (_member, _height, message) => onAlarm("ETCD_CONTRADICTION", message),
      onFailure: (error) => this.#fail("ETCD_PROOF", error),
    });
    this.#buckets = new TokenBuckets(clock, this.#tuning.requestsPerSecond);
  }

  async start(): Promise<void> {
    if (this.#running !== undefined) return;
    const { app, disk, clock, transport, blocks } = this.#options;
    // What a killed process wrote may be readable and still not durable.
    await disk.sync();
    const info = await app.info();
    this.#bodies = new BodyStore(disk);
    this.#bodies.dropTo(info.height);
    const onFailure = (error: unknown) => this.#fail("ETCD_COMMIT", error);
    const onDurable = (block: DurableBlock) => this.#onDurable(block);
    this.#progress = await Progress.open(this.#options, info, onDurable, onFailure);
    const stopped = () => this.#isStopped();
    const send = (to: string, message: WireMessage) => this.#send(to, message);
    const wait = (ms: number) => this.#wait(ms);
    const shared = {
      engine: this.#options,
      engineEpoch: this.#engineEpoch,
      bodies: this.#bodies,
      progress: this.#progress,
      stopped,
      send,
    };
    this.#proposer = new Proposer({
      ...shared,
      tuning: this.#tuning,
      log: this.#log,
      leadership: this.#leadership,
      wait,
    });
    this.#acceptor = new Acceptor({
      ...shared,
      onRefused: (proposer, reason) =>
        this.#report({ t: "alarm", code: "ETCD_OFFER", message: `${proposer}: ${reason}` }),
    });
    this.#fetcher = new Fetcher({
      blocks,
      bodies: this.#bodies,
      clock,
      tuning: this.#tuning,
      peers: () => transport.peers(),
      stopped,
      send,
      wait,
      onBadPeer: (peer, code) => this.#report({ t: "badPeer", peer, code }),
    });
    await this.#recallUnproven(info.height, info.stateRoot);
    transport.onPeer((peer, up) => {
      this.#peers.set(peer, { height: this.#peers.get(peer)?.height ?? 0, connected: up });
      if (up && !this.#isStopped()) this.#tellHeight(peer);
      this.wake();
    });
    transport.onMessage((from, channel, message) => {
      if (channel !== "transactions" && !this.#isStopped()) this.#receive(from, message);
    });
    for (const id of transport.peers()) this.#peers.set(id, { connected: true, height: 0 });
    this.#tellHeight("all");
    this.#beat();
    this.#running = this.#run().catch((error: unknown) => this.#fail("ETCD_BUG", error));
  }

  async stop(how: "drain" | "now"): Promise<void> {
    if (how === "drain" && this.#running !== undefined) {
      this.#draining = true;
      this.wake();
      await this.#progress.idle().catch(() => {});
    }
    this.#stopped = true;
    this.#close();
    if (how === "drain" && this.#running !== undefined) {
      await this.#running;
      await this.#acceptor.idle();
      await this.#progress.idle().catch(() => {});
      await this.#leadership.resign(0);
    }
  }

  wake(): void {
    this.#woken = true;
    const wakeUp = this.#wakeUp;
    this.#wakeUp = undefined;
    wakeUp?.();
  }

  status(): OrderingStatus {
    const { clock } = this.#options;
    const progress: Progress | undefined = this.#progress;
    const since = this.#activeSince;
    const stalled = since !== undefined && clock.now() - since >= this.#tuning.stalledAfterMs;
    const isMember = progress?.set.members.some(({ id }) => id === this.#self) ?? false;
    const height = progress?.tip.height ?? 0;
    return {
      height,
      view: 0,
      role: !isMember ? "observer" : this.#leadership.held !== undefined ? "leader" : "follower",
      syncing: (this.#head?.height ?? 0) > height + 1,
      quarantined: this.#halted,
      stalledSince: stalled ? since : undefined,
      peers: (progress?.set.members ?? [])
        .filter(({ id }) => id !== this.#self)
        .map(({ id }) => {
          const peer = this.#peers.get(id);
          return { id, connected: peer?.connected ?? false, height: peer?.height ?? 0 };
        }),
    };
  }

  #isStopped(): boolean {
    return this.#stopped || this.#halted !== undefined;
  }

  /** One step after the other until stopped; etcd's silence is waited out. */
  async #run(): Promise<void> {
    while (!this.#isStopped() && !this.#draining) {
      let pauseMs: number;
      try {
        pauseMs = await this.#step();
      } catch (thrown) {
        if (this.#isStopped()) return;
        const error = toHanseError(thrown);
        // etcd's refusals pass or are put right over there; whatever else is wrong is ours.
        if (!error.code.startsWith("ETCD_") || error.kind === "corrupt") throw error;
        if (error.code === "ETCD_NO_SPACE") this.#outOfSpace = true;
        this.#report({ t: "alarm", code: error.code, message: error.message });
        pauseMs = this.#tuning.resendMs;
        this.#readAt = undefined;
      }
      this.#watchActivity();
      if (pauseMs > 0) await this.#wait(pauseMs);
    }
  }

  /** Milliseconds until there may be something to do, unless woken before. */
  async #step(): Promise<number> {
    const { app, clock } = this.#options;
    const progress = this.#progress;
    this.#watchActivity();
    if (this.#isRefreshDue()) await this.#refresh();
    if (this.#isStopped()) return 0;
    const next = progress.tip.height + 1;
    const behind = (this.#head?.height ?? 0) - progress.tip.height;
    let record = this.#records.get(next);
    if (behind > 0 && record === undefined) {
      await this.#refresh();
      record = this.#records.get(next);
    }
    if (behind >= this.#tuning.rangeFrom || (behind > 0 && record === undefined)) {
      if (await this.#catchUp(next)) return 0;
    }
    if (record !== undefined) {
      await this.#apply(record);
      return 0;
    }
    if (behind > 0) return this.#tuning.resendMs;
    this.#askAttestations();
    const ended =
      progress.engineSwitch !== undefined && progress.tip.height >= progress.engineSwitch.at;
    const candidateInMs = ended ? undefined : this.#leadership.candidateInMs(progress.set, next);
    if (candidateInMs === 0) {
      await this.#leadership.campaign();
      // The lead begins with a look at what others put in order before it.
      this.#readAt = undefined;
      return 0;
    }
    if (this.#leadership.held !== undefined) {
      if (!progress.set.members.some(({ id }) => id === this.#self) || ended) {
        await this.#leadership.resign(0);
        return 0;
      }
      this.#housekeeping.tick(progress.tip.height, this.#slowestMember(), this.#outOfSpace);
      this.#outOfSpace = false;
      if (app.hasWork() || progress.proofBlockDue) {
        const pauseMs = Math.min(
          progress.tip.time + this.#options.blockIntervalMsMin - clock.now(),
          this.#options.blockIntervalMsMin,
        );
        if (progress.tip.height > 0 && pauseMs > 0) return pauseMs;
        return this.#lead();
      }
    }
    return Math.min(candidateInMs ?? this.#tuning.pollMs, this.#tuning.pollMs);
  }

  async #lead(): Promise<number> {
    const began = this.#options.clock.now();
    const outcome = await this.#proposer.propose();
    switch (outcome.kind) {
      case "ordered":
        await this.#execute(outcome.body, undefined, outcome.stored, began);
        return 0;
      case "idle":
        return this.#tuning.pollMs;
      case "deposed":
        this.#readAt = undefined;
        return 0;
      case "alone":
        this.#report({
          t: "alarm",
          code: "ETCD_ALONE",
          message: "too few members keep this node's block; it gives the lead away",
        });
        await this.#leadership.resign(this.#tuning.penaltyMs);
        return 0;
    }
  }

  #isRefreshDue(): boolean {
    const { clock } = this.#options;
    if (this.#watch === undefined || this.#readAt === undefined) return true;
    return clock.now() - this.#readAt >= this.#tuning.pollMs;
  }

  async #refresh(): Promise<void> {
    const { clock, base = 0 } = this.#options;
    const { tip } = this.#progress;
    const readAt = clock.now();
    // The tip's own record too, to see that etcd still tells the story that we executed.
    const view = await this.#log.read(Math.max(1, tip.height));
    this.#readAt = readAt;
    const head = view.head?.height ?? base;
    if (head < tip.height) {
      this.#halt(
        "ETCD_HISTORY_LOST",
        `etcd's order ends at height ${head}, this node executed ${tip.height}: restore etcd's newest ` +
          "data, or begin a new engine epoch by governance; ordering on would fork the ledger",
      );
      return;
    }
    this.#head = view.head;
    for (const record of view.records) this.#onRecord(record);
    this.#leadership.observe(view.term);
    if (this.#watch !== undefined || this.#isStopped()) return;
    this.#watch = this.#log.watch(
      view.revision + 1,
      (change) => this.#onChange(change),
      () => {
        this.#watch = undefined;
        this.wake();
      },
    );
  }

  #onChange(change: OrderChange): void {
    if (this.#isStopped()) return;
    if (change.kind === "term") this.#leadership.observe(change.term);
    else if (change.kind === "record") this.#onRecord(change.record);
    else if ((change.head?.height ?? 0) > (this.#head?.height ?? 0)) this.#head = change.head;
    this.wake();
  }

  #onRecord(record: OrderingRecord): void {
    const { height } = record.header;
    const { tip } = this.#progress;
    if (height > (this.#head?.height ?? 0)) this.#head = { height, hash: record.hash };
    if (height === tip.height && !equalBytes(record.hash, tip.hash)) {
      this.#halt(
        "ETCD_FORKED",
        `etcd's order has block ${toHex(record.hash)} at height ${height}, this node executed ` +
          `${toHex(tip.hash)}: etcd's data was rewritten; keep it, compare the members, restore it`,
      );
      return;
    }
    if (height > tip.height && this.#records.size < RECORDS_MAX) this.#records.set(height, record);
  }

  /** Executes the next block of etcd's order. */
  async #apply(record: OrderingRecord): Promise<void> {
    const { header, hash, term, signature } = record;
    const progress = this.#progress;
    const { height, proposer } = header;
    const key = progress.set.members.find(({ id }) => id === proposer)?.key;
    const { ledgerId, clock } = this.#options;
    const message = orderedMessage({
      ledgerId,
      engineEpoch: this.#engineEpoch,
      height,
      term,
      blockHash: hash,
    });
    const [holds] =
      key === undefined ? [] : await this.#options.verify([{ key, message, signature }]);
    if (holds !== true) {
      this.#halt(
        "ETCD_FOREIGN_RECORD",
        `the record of height ${height} in etcd is not signed by a member (${proposer}): somebody ` +
          "else writes into this ledger's keys; restore etcd's data and its access rules",
      );
      return;
    }
    const began = clock.now();
    const body = await this.#fetcher.body(height, hash, proposer);
    if (body !== undefined) await this.#execute(body, undefined, 1, began);
  }

  async #execute(
    body: Body,
    proof: FetchedBlock["proof"],
    signers: number,
    began: number,
  ): Promise<void> {
    const { clock } = this.#options;
    const misfit = this.#progress.misfit(body.block);
    const { header } = body.block;
    const { height } = header;
    if (misfit !== undefined) {
      this.#halt(
        "ETCD_FORKED",
        `the block that etcd ordered at height ${height} does not stand above ours: ${misfit}`,
      );
      return;
    }
    const started = clock.now();
    await this.#progress.execute(body, proof, this.#tuning.commitLagMax);
    this.#records.delete(height);
    if (height > (this.#head?.height ?? 0)) this.#head = { height, hash: body.hash };
    this.#activeSince = undefined;
    this.#report({
      t: "final",
      height,
      proposer: header.proposer,
      views: 1,
      signers,
      bytes: body.bytes.length,
      transactions: header.txCount,
      agreedMs: started - began,
      executedMs: clock.now() - started,
    });
    this.#acceptor.follow();
  }

  /** Executes proven blocks of a peer; false when there were none. */
  async #catchUp(from: Height): Promise<boolean> {
    const head = this.#head?.height ?? 0;
    this.#report({ t: "syncing", from, to: head });
    const blocks = await this.#fetcher.range(from, head);
    let done = 0;
    while (done < blocks.length && !this.#isStopped()) {
      const upTo = await this.#provenUpTo(blocks, done);
      if (upTo === undefined) break;
      for (; done <= upTo && !this.#isStopped(); done++) {
        const { body, proof } = blocks[done]!;
        const known = proof?.kind === "attested" && this.#isProven(proof) ? proof : undefined;
        await this.#execute(
          body,
          known,
          known?.attestations.length ?? 1,
          this.#options.clock.now(),
        );
      }
    }
    if (this.#progress.tip.height >= head) this.#report({ t: "synced", height: head });
    return done > 0;
  }

  /** The last block from `from` on that a proof, or a record of etcd's, shows to be in the order. */
  async #provenUpTo(blocks: readonly FetchedBlock[], from: number): Promise<number | undefined> {
    let found: number | undefined;
    for (let i = from; i < blocks.length; i++) {
      const { body, proof } = blocks[i]!;
      const { header } = body.block;
      const below = i === from ? this.#progress.tip.hash : blocks[i - 1]!.body.hash;
      if (!equalBytes(header.parentHash, below)) break;
      if (!equalBytes(header.validatorsHash, this.#progress.set.hash)) break;
      const record = this.#records.get(header.height);
      const ordered = record !== undefined && equalBytes(record.hash, body.hash);
      if (ordered || (proof !== undefined && this.#isProven(proof))) found = i;
    }
    return found;
  }

  #isProven(proof: NonNullable<FetchedBlock["proof"]>): boolean {
    if (proof.kind !== "attested") return false;
    return verifyAttestedProof(proof, this.#options.ledgerId, this.#progress.set).ok;
  }

  /** Attests again what no proof was stored for before the last stop. */
  async #recallUnproven(tip: Height, tipRoot: Bytes): Promise<void> {
    const { blocks, base = 0 } = this.#options;
    let stateRoot = tipRoot;
    for (let height = tip; height > base && height > tip - GATHERED_HEIGHTS_MAX; height--) {
      const [stored] = await blocks.blocks(height, height, 1);
      if (stored === undefined || stored.certificate.length > 0) return;
      const { header } = decodeBlock(stored.bytes);
      const set = this.#progress.setAt(height) ?? this.#options.setAt(height);
      const hash = hashHeader(header);
      this.#attestations.addDurable({ header, hash, stateRoot, set }, false);
      stateRoot = header.prevStateRoot;
    }
  }

  #onDurable(block: DurableBlock): void {
    const { height } = block.header;
    this.#bodies.dropTo(height);
    const word = this.#attestations.addDurable(block, block.proven);
    if (block.set.members.some(({ id }) => id === this.#self))
      this.#send("all", { t: "attest", ...word });
    this.#report({ t: "committed", height });
  }

  /** Words that never came, e.g. because their member was away when the block became durable. */
  #askAttestations(): void {
    const now = this.#options.clock.now();
    if (now - this.#askedAttestationsAt < 2 * this.#tuning.resendMs) return;
    this.#askedAttestationsAt = now;
    const [from] = this.#attestations.unproven(1);
    if (from === undefined) return;
    const to = Math.min(from + ATTESTATIONS_ASKED_MAX - 1, this.#progress.committed);
    if (to >= from) this.#send("all", { t: "getAttestations", from, to });
  }

  async #answerAttestations(peer: string, from: Height, to: Height): Promise<void> {
    const { blocks, app } = this.#options;
    const info = await app.info();
    let height = from;
    while (height <= Math.min(to, info.height)) {
      const found = await blocks.blocks(height, Math.min(to + 1, info.height), 1024 * 1024);
      if (found.length === 0) return;
      const headers = found.map(({ bytes }) => decodeBlock(bytes).header);
      for (const [i, header] of headers.entries()) {
        if (header.height > to) return;
        const above = headers[i + 1];
        const isLast = header.height === info.height;
        if (above === undefined && !isLast && i > 0) break;
        const root =
          above?.prevStateRoot ?? (isLast ? info.stateRoot : await this.#rootAfter(header.height));
        if (root === undefined) return;
        const hash = hashHeader(header);
        this.#send(peer, {
          t: "attest",
          ...this.#attestations.sign({ header, hash, stateRoot: root }),
        });
        height = header.height + 1;
      }
    }
  }

  async #rootAfter(height: Height): Promise<Bytes | undefined> {
    const [above] = await this.#options.blocks.blocks(height + 1, height + 1, 1);
    return above && decodeBlock(above.bytes).header.prevStateRoot;
  }

  #receive(from: string, bytes: Bytes): void {
    const message = decodeMessage(this.#engineEpoch, bytes);
    if (message === undefined) return;
    switch (message.t) {
      case "offer":
        this.#acceptor.receive(from, message);
        break;
      case "stored":
        this.#proposer.stored(from, message.height, message.hash);
        this.wake();
        break;
      case "block":
        this.#fetcher.receiveBlock(from, message.block);
        this.wake();
        break;
      case "range":
        this.#fetcher.receiveRange(from, message);
        this.wake();
        break;
      case "getBlock":
      case "getRange":
        if (this.#buckets.take(from)) this.#background(this.#fetcher.answer(from, message));
        break;
      case "getAttestations":
        if (this.#buckets.take(from)) {
          this.#background(this.#answerAttestations(from, message.from, message.to));
        }
        break;
      case "attest":
        this.#attestations.receive(from, message);
        this.#onHeight(from, message.height);
        break;
      case "status":
        this.#onHeight(from, message.height);
    }
  }

  #onHeight(peer: string, height: Height): void {
    const before = this.#peers.get(peer)?.height ?? 0;
    this.#peers.set(peer, { connected: true, height: Math.max(before, height) });
  }

  #slowestMember(): Height {
    let slowest = this.#progress.committed;
    for (const { id } of this.#progress.set.members) {
      if (id !== this.#self) slowest = Math.min(slowest, this.#peers.get(id)?.height ?? 0);
    }
    return slowest;
  }

  #tellHeight(to: string): void {
    this.#send(to, { t: "status", height: this.#progress.committed });
  }

  #beat(): void {
    this.#heartbeat = this.#options.clock.setTimer(this.#tuning.heartbeatMs, () => {
      if (this.#isStopped()) return;
      this.#tellHeight("all");
      this.#beat();
    });
  }

  #send(to: string, message: WireMessage): void {
    if (this.#isStopped()) return;
    const { transport } = this.#options;
    const bytes = encodeMessage(this.#engineEpoch, message);
    if (to === "all") transport.broadcast(channelOf(message), bytes);
    else if (to !== this.#self) transport.send(to, channelOf(message), bytes);
  }

  #background(work: Promise<void>): void {
    work.catch((thrown: unknown) => {
      const { message } = toHanseError(thrown);
      this.#report({ t: "alarm", code: "ETCD_SERVE", message });
    });
  }

  #watchActivity(): void {
    const busy =
      this.#options.app.hasWork() || (this.#head?.height ?? 0) > this.#progress.tip.height;
    if (!busy) this.#activeSince = undefined;
    else this.#activeSince ??= this.#options.clock.now();
  }

  /** Until something happens, at most so long. */
  #wait(ms: number): Promise<void> {
    if (this.#woken || this.#isStopped()) {
      this.#woken = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        this.#wakeUp = undefined;
        this.#woken = false;
        resolve();
      };
      const timer = this.#options.clock.setTimer(Math.max(1, ms), done);
      this.#wakeUp = done;
    });
  }

  #report(event: EngineEvent): void {
    this.#options.report?.(event);
  }

  #fail(fallback: string, thrown: unknown): void {
    const error = toHanseError(thrown);
    this.#halt(fallback, `${error.code}: ${error.message}`);
  }

  #halt(code: string, message: string): void {
    if (this.#isStopped()) return;
    this.#halted = `${code}: ${message}`;
    this.#report({ t: "halted", code, message });
    this.#close();
    void this.#leadership.resign(0);
  }

  #close(): void {
    this.#leadership.close();
    this.#watch?.cancel();
    this.#heartbeat?.cancel();
    this.wake();
  }
}

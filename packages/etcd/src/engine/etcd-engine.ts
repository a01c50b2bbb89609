/**
 * The ordering engine over etcd (spec/etcd.md). etcd keeps the order of digests; bodies travel
 * between the members and are on the disks of a majority before their digest is put in order; each
 * member executes what etcd ordered and attests the outcome. One loop does everything that changes
 * where this member stands, so that nothing in it races.
 */
import type { EngineEvent, Height, OrderingEngine, OrderingStatus } from "@hanse/ordering";
import { TokenBuckets } from "@hanse/ordering";
import { type Bytes, toHanseError } from "@hanse/protocol";
import type { Body } from "../bodies/body-store.ts";
import { BodyStore } from "../bodies/body-store.ts";
import { OrderLog } from "../order/order-log.ts";
import type { OrderingRecord } from "../order/ordering-record.ts";
import { channelOf, decodeMessage, encodeMessage, type WireMessage } from "../wire/messages.ts";
import { Acceptor } from "./acceptor.ts";
import { Attestations } from "./attestations.ts";
import { type FetchedBlock, Fetcher } from "./fetcher.ts";
import { Housekeeping } from "./housekeeping.ts";
import { Leadership } from "./leadership.ts";
import { DEFAULT_TUNING, type EtcdEngineOptions, type EtcdTuning } from "./options.ts";
import { OrderFollower } from "./order-follower.ts";
import { PeerHeights } from "./peer-heights.ts";
import { type DurableBlock, Progress } from "./progress.ts";
import { ProofExchange } from "./proof-exchange.ts";
import { Proposer } from "./proposer.ts";
import { isProven, provenUpTo } from "./proven-range.ts";
import { isSignedByProposer } from "./record-signature.ts";
import { WakeUp } from "./wake-up.ts";

/** The same trouble with etcd is told again after so long. */
const ALARM_PAUSE_MS = 10_000;

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
  readonly #proofs: ProofExchange;
  readonly #wakeUp: WakeUp;
  readonly #requests: TokenBuckets;
  readonly #messages: TokenBuckets;
  readonly #housekeeping: Housekeeping;
  #progress!: Progress;
  #bodies!: BodyStore;
  #proposer!: Proposer;
  #acceptor!: Acceptor;
  #fetcher!: Fetcher;
  #order!: OrderFollower;
  #outOfSpace = false;
  readonly #peers: PeerHeights;
  #running: Promise<void> | undefined;
  #stopped = false;
  #halted: string | undefined;
  #draining = false;
  #heartbeat: { cancel(): void } | undefined;
  #alarmed: { readonly code: string; readonly at: number } | undefined;
  #activeSince: number | undefined;

  constructor(options: EtcdEngineOptions) {
    this.#options = options;
    this.#tuning = { ...DEFAULT_TUNING, ...options.tuning };
    this.#engineEpoch = options.engineEpoch ?? 0;
    const { etcd, clock, ledgerId, transport } = options;
    this.#self = transport.self;
    this.#peers = new PeerHeights(this.#self);
    this.#log = new OrderLog({
      etcd,
      ledgerId,
      engineEpoch: this.#engineEpoch,
      base: options.base ?? 0,
    });
    this.#wakeUp = new WakeUp(clock);
    this.#leadership = new Leadership({
      self: this.#self,
      etcd,
      log: this.#log,
      clock,
      policy: options.policy,
      tuning: this.#tuning,
      onLost: () => this.wake(),
    });
    this.#housekeeping = new Housekeeping({
      etcd,
      log: this.#log,
      clock,
      tuning: this.#tuning,
      onAlarm: (code, message) => this.#report({ t: "alarm", code, message }),
    });
    const attestations = new Attestations({
      ledgerId,
      self: this.#self,
      engineEpoch: this.#engineEpoch,
      sign: options.sign,
      verify: options.verify,
      prove: (proof) => options.app.prove(proof),
      onContradiction: (message) => this.#onTrouble("ETCD_CONTRADICTION", message),
      onFailure: (error) => this.#fail("ETCD_PROOF", error),
    });
    this.#proofs = new ProofExchange({
      engine: options,
      tuning: this.#tuning,
      attestations,
      send: (to, message) => this.#send(to, message),
    });
    this.#requests = new TokenBuckets(clock, this.#tuning.requestsPerSecond);
    this.#messages = new TokenBuckets(clock, this.#tuning.messagesPerSecond);
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
    const wait = (ms: number) => this.#sleep(ms);
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
      wake: () => this.wake(),
    });
    this.#acceptor = new Acceptor({
      ...shared,
      onRefused: (proposer, reason) => this.#onTrouble("ETCD_OFFER", `${proposer}: ${reason}`),
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
    this.#order = new OrderFollower({
      log: this.#log,
      clock,
      tuning: this.#tuning,
      base: this.#options.base ?? 0,
      progress: this.#progress,
      leadership: this.#leadership,
      stopped,
      halt: (code, message) => this.#halt(code, message),
      wake: () => this.wake(),
    });
    await this.#proofs.recall(info, (height) => this.#options.setAt(height));
    transport.onPeer((peer, up) => {
      this.#peers.connection(peer, up);
      if (up && !this.#isStopped()) this.#tellHeight(peer);
      this.wake();
    });
    transport.onMessage((from, channel, message) => {
      if (channel !== "transactions" && !this.#isStopped()) this.#receive(from, message);
    });
    for (const id of transport.peers()) this.#peers.connection(id, true);
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
    this.#wakeUp.wake();
  }

  status(): OrderingStatus {
    const { clock } = this.#options;
    const progress: Progress | undefined = this.#progress;
    const since = this.#activeSince;
    const stalled = since !== undefined && clock.now() - since >= this.#tuning.stalledAfterMs;
    const isMember = progress?.set.members.some(({ id }) => id === this.#self) === true;
    const role = this.#leadership.held === undefined ? "follower" : "leader";
    const height = progress?.tip.height ?? 0;
    return {
      height,
      view: 0,
      role: isMember ? role : "observer",
      syncing: (this.#order?.height ?? 0) > height + 1,
      quarantined: this.#halted,
      stalledSince: stalled ? since : undefined,
      peers: progress === undefined ? [] : this.#peers.status(progress.set),
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
        this.#onTrouble(error.code, error.message);
        pauseMs = this.#tuning.resendMs;
        this.#order.expire();
      }
      this.#watchActivity();
      if (pauseMs > 0) await this.#sleep(pauseMs);
    }
  }

  /** Milliseconds until there may be something to do, unless woken before. */
  async #step(): Promise<number> {
    const { app, clock } = this.#options;
    const progress = this.#progress;
    const order = this.#order;
    this.#watchActivity();
    if (order.isDue) await order.refresh();
    if (this.#isStopped()) return 0;
    const next = progress.tip.height + 1;
    let record = order.record(next);
    if (order.height >= next && record === undefined) {
      await order.refresh();
      record = order.record(next);
    }
    const behind = order.height - progress.tip.height;
    if (behind >= this.#tuning.rangeFrom || (behind > 0 && record === undefined)) {
      if (await this.#catchUp(next)) return 0;
    }
    if (record !== undefined) {
      await this.#apply(record);
      return 0;
    }
    if (behind > 0) return this.#tuning.resendMs;
    this.#proofs.ask(progress.committed);
    const ended =
      progress.engineSwitch !== undefined && progress.tip.height >= progress.engineSwitch.at;
    const candidateInMs = ended ? undefined : this.#leadership.candidateInMs(progress.set, next);
    if (candidateInMs === 0) {
      await this.#leadership.campaign();
      // The lead begins with a look at what others put in order before it.
      order.expire();
      return 0;
    }
    if (this.#leadership.held !== undefined) {
      if (!progress.set.members.some(({ id }) => id === this.#self) || ended) {
        await this.#leadership.resign(0);
        return 0;
      }
      const slowest = this.#peers.slowest(progress.set, progress.committed);
      this.#housekeeping.tick(progress.tip.height, slowest, this.#outOfSpace);
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
        this.#order.expire();
        return 0;
      case "alone":
        this.#onTrouble("ETCD_ALONE", "too few members keep this node's block; it leads no more");
        await this.#leadership.resign(this.#tuning.penaltyMs);
        return 0;
    }
  }

  /** Executes the next block of etcd's order. */
  async #apply(record: OrderingRecord): Promise<void> {
    const { header, hash } = record;
    const { height, proposer } = header;
    const { clock } = this.#options;
    if (!(await isSignedByProposer(this.#options, record, this.#progress.set))) {
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
    this.#order.executed({ height, hash: body.hash });
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
    const head = this.#order.height;
    this.#report({ t: "syncing", from, to: head });
    const blocks = await this.#fetcher.range(from, head);
    const { ledgerId } = this.#options;
    const trust = { ledgerId, progress: this.#progress, order: this.#order };
    let done = 0;
    while (done < blocks.length && !this.#isStopped()) {
      const upTo = provenUpTo(blocks, done, trust);
      if (upTo === undefined) break;
      for (; done <= upTo && !this.#isStopped(); done++) {
        const { body, proof } = blocks[done]!;
        const known = isProven(proof, trust) ? proof : undefined;
        await this.#execute(
          body,
          known,
          known?.kind === "attested" ? known.attestations.length : 1,
          this.#options.clock.now(),
        );
      }
    }
    if (this.#progress.tip.height >= head) this.#report({ t: "synced", height: head });
    return done > 0;
  }

  #onDurable(block: DurableBlock): void {
    const { height } = block.header;
    this.#bodies.dropTo(height);
    this.#proofs.onDurable(block);
    this.#report({ t: "committed", height });
  }

  #receive(from: string, bytes: Bytes): void {
    if (!this.#messages.take(from)) return;
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
        if (this.#requests.take(from)) this.#background(this.#fetcher.answer(from, message));
        break;
      case "getAttestations":
        if (this.#requests.take(from)) {
          this.#background(this.#proofs.answer(from, message.from, message.to));
        }
        break;
      case "attest":
        this.#proofs.receive(from, message);
        this.#peers.claim(from, message.height);
        break;
      case "status":
        this.#peers.claim(from, message.height);
    }
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
    const busy = this.#options.app.hasWork() || this.#order.height > this.#progress.tip.height;
    this.#activeSince = busy ? (this.#activeSince ?? this.#options.clock.now()) : undefined;
  }

  #sleep(ms: number): Promise<void> {
    return this.#isStopped() ? Promise.resolve() : this.#wakeUp.sleep(ms);
  }

  /** Trouble that is waited out: told when it begins, and now and then while it lasts. */
  #onTrouble(code: string, message: string): void {
    const now = this.#options.clock.now();
    const last = this.#alarmed;
    if (last?.code === code && now - last.at < ALARM_PAUSE_MS) return;
    this.#alarmed = { code, at: now };
    this.#report({ t: "alarm", code, message });
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
    this.#order?.close();
    this.#heartbeat?.cancel();
    this.wake();
  }
}

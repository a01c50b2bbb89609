/** The built-in ordering engine: the Simplex core with its log, its peers and its ledger. */
import { toHanseError } from "@hanse/protocol";
import { type Core, createCore } from "../core/core.ts";
import { type CoreEvent, type Effect, LAN_TIMEOUTS, type TimerId } from "../core/events.ts";
import type { Height, OrderingEngine, OrderingEra, OrderingStatus } from "../engine/interfaces.ts";
import { type Evidence, encodeEvidence } from "../evidence/evidence.ts";
import { createPolicy } from "../policy/create-policy.ts";
import { isProbeMessage } from "../probing/probe-messages.ts";
import { isSnapshotMessage } from "../sync/snapshot-messages.ts";
import { openWal, removeWal } from "../wal/wal.ts";
import { channelOf, encodeMessage, type WireMessage } from "../wire/messages.ts";
import { createBootRecord } from "./boot.ts";
import { CandidateBlocks } from "./candidate-blocks.ts";
import { CatchUp } from "./catch-up.ts";
import { Executor } from "./executor.ts";
import { Inbox } from "./inbox.ts";
import { Complaints } from "./peer-conduct.ts";
import { Persistence } from "./persistence.ts";
import { Quarantine } from "./quarantine.ts";
import {
  type BuiltinEngineOptions,
  DEFAULT_TUNING,
  type DropReason,
  type EngineEvent,
  type EngineTuning,
  type Runtime,
} from "./runtime.ts";

/** @throws nothing; `start` throws when the folder and the ledger do not fit together. */
export function createBuiltinEngine(options: BuiltinEngineOptions): OrderingEngine {
  return new BuiltinEngine(options);
}

class BuiltinEngine implements OrderingEngine, Runtime {
  readonly kind = "builtin";
  readonly options: BuiltinEngineOptions;
  readonly tuning: EngineTuning;
  readonly core: Core;
  #persistence!: Persistence;
  readonly candidates: CandidateBlocks;
  #executor!: Executor;
  #inbox!: Inbox;
  #catchUp!: CatchUp;
  #quarantine: Quarantine | undefined;
  #queue: CoreEvent[] = [];
  #stepping = false;
  #started = false;
  #stopped = false;
  #draining = false;
  #halted: string | undefined;
  /** Members that we have a link to. */
  readonly #links = new Set<string>();
  readonly #timers = new Map<TimerId, { cancel(): void }>();
  readonly #drops = new Map<DropReason, number>();
  readonly #complaints: Complaints;
  #heartbeat: { cancel(): void } | undefined;
  /** Since when the open height has a reason to be decided. */
  #activeSince: number | undefined;

  constructor(options: BuiltinEngineOptions) {
    this.options = options;
    this.tuning = { ...DEFAULT_TUNING, ...options.tuning };
    this.#complaints = new Complaints(options.clock);
    this.candidates = new CandidateBlocks(this);
    this.core = createCore({
      self: options.signer.id,
      publicKey: options.signer.publicKey,
      ledgerId: options.ledgerId,
      timeouts: { ...LAN_TIMEOUTS, ...options.timeouts },
      // Governance may change it: read anew for every block.
      get blockIntervalMsMin() {
        return options.blockIntervalMsMin;
      },
      blockBytesMax: options.blockBytesMax,
      clockAheadMsMax: this.tuning.clockAheadMsMax,
      clockBehindMsMax: this.tuning.clockBehindMsMax,
      ...(options.recovery === undefined ? {} : { recoveryHeight: options.recovery.height }),
      policyOf: (era) =>
        era.engineEpoch === (options.engineEpoch ?? 0)
          ? options.policy
          : createPolicy(era.policy, era.policyParams),
      sign: (at, message) => options.signer.sign(at, message),
      ...(options.testOnlyMutation === undefined
        ? {}
        : { testOnlyMutation: options.testOnlyMutation }),
    });
  }

  get stopped(): boolean {
    return this.#stopped || this.#halted !== undefined;
  }

  /** Of the open height. */
  get engineEpoch(): number {
    return this.core.open.era.engineEpoch;
  }

  get executedHeight(): Height {
    return this.#executor.executed;
  }

  get servedHeight(): Height {
    const { kind, height } = this.core.open.era;
    return kind === "builtin" ? this.executedHeight : Math.min(this.executedHeight, height - 1);
  }

  async start(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    const { options } = this;
    const { disk, signer, transport } = options;
    const { contents, wal } = openWal({
      disk,
      ledgerId: options.ledgerId,
      segmentBytes: this.tuning.segmentBytes,
    });
    if (contents.damage !== "none") signer.quarantine("log-corrupt");
    else signer.confirmLog(contents.sequence);
    // What a killed process wrote may be readable and still not durable.
    await disk.sync();
    const info = await options.app.info();
    const record = await createBootRecord(options, contents, info);
    const { recovery } = options;
    if (recovery !== undefined && record.begins !== undefined) {
      const { height, engineEpoch } = recovery;
      // What was signed above it belongs to the ended epoch, which every message names.
      if (signer.quarantined === undefined) signer.restart(height + 1);
      await disk.sync();
      this.report({ t: "recovery", height, engineEpoch });
    }
    this.#persistence = new Persistence({
      disk,
      signer,
      wal: signer.quarantined === undefined ? wal : undefined,
      send: (to, channel, bytes) => {
        if (this.stopped) return;
        if (to === "all") transport.broadcast(channel, bytes);
        else transport.send(to, channel, bytes);
      },
      onDurable: (seq) => {
        this.step({ t: "durable", seq });
        this.#inbox.recheckVotes();
      },
      onFailure: (error) => this.halt("ORDERING_DISK", toHanseError(error).message),
    });
    this.#executor = new Executor(this, this.#persistence, info);
    this.#catchUp = new CatchUp(this, this.#executor);
    this.#inbox = new Inbox(this, {
      claim: (peer, height) => this.#catchUp.claim(peer, height),
      status: (peer, message) => this.#onStatus(peer, message),
      range: (peer, message) => this.#catchUp.answer(peer, message),
      serveRange: (peer, from, to) => this.#background(this.#catchUp.serve(peer, from, to)),
      help: (peer, height) => this.#background(this.#catchUp.help(peer, height)),
      late: (peer, vote) => this.candidates.late.offer(peer, vote),
      evidence: (peer, evidence) => this.#onEvidence(evidence, peer),
      wantsEvidence: (evidence) => this.candidates.evidence.wants(evidence),
    });
    this.#apply(this.core.boot(record, options.clock.now()));
    if (signer.quarantined !== undefined) {
      this.report({ t: "quarantine", reason: signer.quarantined });
      if (signer.quarantined !== "duplicate-key") {
        this.#quarantine = new Quarantine(this, (voteFrom) => this.#endQuarantine(voteFrom));
      }
    }
    transport.onPeer((peer, up) => {
      if (this.stopped) return;
      this.#catchUp.connection(peer, up);
      this.#linked(peer, up);
      if (up) this.#sendStatus(peer, 0, true);
    });
    transport.onMessage((from, channel, message) => {
      if (channel === "transactions" || this.stopped || this.#draining) return;
      // Somebody else's: snapshots and probes travel on the same channel.
      if (isSnapshotMessage(message) || isProbeMessage(message)) return;
      if (!this.#links.has(from)) this.#linked(from, true);
      this.#inbox.receive(from, message);
      this.#settle();
    });
    for (const peer of transport.peers()) this.#catchUp.connection(peer, true);
    this.#sendStatus("all", 0, true);
    this.#beat();
    this.#quarantine?.begin();
    this.#settle();
    if (this.hasWork()) this.wake();
  }

  async stop(how: "drain" | "now"): Promise<void> {
    if (how === "drain" && this.#executor !== undefined && !this.stopped) {
      // No new height is begun or heard of; what is decided gets executed and committed.
      this.#draining = true;
      this.#cancelAll();
      await this.#executor.idle();
    }
    this.#stopped = true;
    this.#cancelAll();
  }

  wake(): void {
    if (this.#executor === undefined || this.stopped || this.#draining) return;
    // Asked once per transaction: an open height that is already under way needs no telling.
    if (!this.core.active && !this.core.executing) this.step({ t: "work" });
  }

  status(): OrderingStatus {
    const { core, options } = this;
    if (this.#executor === undefined) {
      return {
        height: 0,
        view: 0,
        role: "observer",
        syncing: false,
        quarantined: options.signer.quarantined,
        stalledSince: undefined,
        peers: [],
      };
    }
    const now = options.clock.now();
    const since = this.#activeSince;
    const stalled = since !== undefined && now - since >= this.tuning.stalledAfterMs;
    const { set, self } = core.open;
    const leads = self >= 0 && core.leader(core.view) === options.signer.id;
    return {
      height: this.#executor.executed,
      view: core.view,
      role: self < 0 || !core.voting ? "observer" : leads ? "leader" : "follower",
      syncing: this.#catchUp.behind,
      quarantined: this.#halted ?? options.signer.quarantined,
      stalledSince: stalled ? since : undefined,
      peers: set.members
        .filter((member) => member.id !== options.signer.id)
        .map(({ id }) => {
          const peer = this.#catchUp.peers.get(id);
          return { id, connected: peer?.connected ?? false, height: peer?.height ?? 0 };
        }),
    };
  }

  step(event: CoreEvent): void {
    this.#queue.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        if (this.stopped) break;
        this.#apply(this.core.step(next, this.options.clock.now()));
      }
    } catch (thrown) {
      // Anything thrown in here is a broken invariant; going on could sign what is not meant.
      this.halt("ORDERING_BUG", thrown instanceof Error ? `${thrown.stack}` : String(thrown));
    } finally {
      this.#queue.length = 0;
      this.#stepping = false;
    }
    this.#settle();
  }

  #settling = false;

  /** After steps: one sync for all of them, messages of a newly opened height, catching up. */
  #settle(): void {
    if (this.#settling || this.#stepping || this.stopped) return;
    this.#settling = true;
    try {
      this.#persistence.flush();
      this.#watchActivity();
      this.#inbox.follow();
      this.#catchUp.tick();
      this.#persistence.flush();
    } finally {
      this.#settling = false;
    }
  }

  #watchActivity(): void {
    const { core } = this;
    if (!core.active && !core.executing) this.#activeSince = undefined;
    else this.#activeSince ??= this.options.clock.now();
  }

  send(to: string | "all", message: WireMessage): void {
    if (this.stopped) return;
    const { transport } = this.options;
    const bytes = encodeMessage(message);
    if (to === "all") transport.broadcast(channelOf(message), bytes);
    else transport.send(to, channelOf(message), bytes);
  }

  report(event: EngineEvent): void {
    const told = event.t === "badPeer" ? this.#complaints.tell(event) : event;
    if (told !== undefined) this.options.report?.(told);
  }

  dropped(reason: DropReason): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }

  #tellDrops(): void {
    for (const [reason, count] of this.#drops) this.report({ t: "dropped", reason, count });
    this.#drops.clear();
  }

  halt(code: string, message: string): void {
    if (this.stopped) return;
    this.#halted = `${code}: ${message}`;
    this.report({ t: "halted", code, message });
    this.#cancelAll();
  }

  #cancelAll(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#heartbeat?.cancel();
    this.#quarantine?.stop();
    this.#catchUp?.stop();
  }

  /** Answers to peers fail alone: a block that cannot be read is not a reason to stop. */
  #background(work: Promise<void>): void {
    work.catch((thrown: unknown) => {
      const error = toHanseError(thrown);
      this.report({ t: "alarm", code: "ORDERING_SERVE", message: error.message });
    });
  }

  #apply(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (this.stopped) return;
      switch (effect.t) {
        case "persist":
          this.#persistence.persist(effect.seq, effect.record);
          break;
        case "send":
          // A set of one has nobody to tell; its blocks need not be encoded again.
          if (effect.to === "all" && this.options.transport.peers().length === 0) break;
          this.#persistence.send(
            effect.after,
            effect.to,
            channelOf(effect.message),
            encodeMessage(effect.message),
          );
          break;
        case "timer":
          this.#setTimer(effect.id, effect.ms);
          break;
        case "cancel":
          this.#timers.get(effect.id)?.cancel();
          this.#timers.delete(effect.id);
          break;
        case "build":
          if (this.#draining) break;
          this.candidates.build(effect.height, effect.view, effect.now);
          break;
        case "validate":
          this.candidates.validate(effect.body);
          break;
        case "execute": {
          const since = this.#activeSince;
          const agreed = since === undefined ? undefined : this.options.clock.now() - since;
          this.#activeSince = undefined;
          this.candidates.settle(effect.body);
          this.candidates.late.follow(
            effect.certificate,
            this.core.open.set,
            this.#inbox.votesFor(effect.certificate),
          );
          this.#executor.execute(effect.body, effect.certificate, agreed);
          break;
        }
        case "commit":
          this.#executor.commit(effect.height, effect.after);
          break;
        case "evidence":
          this.#onEvidence(effect.evidence);
          break;
        case "handover":
          this.#handOver(effect.era);
          break;
        case "alarm":
          this.#onAlarm(effect.code, effect.message);
          break;
      }
    }
  }

  /** The other engine begins above what is committed here. */
  #handOver(era: OrderingEra): void {
    this.#background(
      this.#executor.idle().then(() => {
        if (this.stopped) return;
        this.report({ t: "handover", era });
        this.options.onHandover?.(era);
      }),
    );
  }

  #onAlarm(code: string, message: string): void {
    this.report({ t: "alarm", code, message });
    if (code === "ORDERING_DUPLICATE_KEY") {
      this.options.signer.quarantine("duplicate-key");
      this.report({ t: "quarantine", reason: "duplicate-key" });
    } else {
      this.halt(code, message);
    }
  }

  #setTimer(id: TimerId, ms: number): void {
    if (this.#draining) return;
    this.#timers.get(id)?.cancel();
    const timer = this.options.clock.setTimer(ms, () => {
      if (this.#timers.get(id) === timer) this.#timers.delete(id);
      if (this.stopped) return;
      if (id === "view") {
        // A member that was never seen since our start has no link to lose.
        const leader = this.core.leader(this.core.view);
        const known =
          leader === this.options.signer.id || (leader !== undefined && this.#links.has(leader));
        if (!known && leader !== undefined) this.step({ t: "peer", id: leader, up: false });
      }
      this.step({ t: "timer", id });
    });
    this.#timers.set(id, timer);
  }

  hasWork(): boolean {
    const next = this.executedHeight + 1;
    return this.options.app.hasWork() || this.candidates.isNeeded(next);
  }

  /** Checked evidence, found here or shown by a peer. */
  #onEvidence(evidence: Evidence, from?: string): void {
    if (!this.candidates.evidence.add(evidence)) return;
    this.report({ t: "evidence", evidence, ...(from === undefined ? {} : { from }) });
    // Whoever leads next can put it into a block.
    if (from === undefined) this.send("all", { t: "evidence", evidence: encodeEvidence(evidence) });
    if (evidence.height < this.core.height) this.wake();
  }

  #onStatus(peer: string, message: Extract<WireMessage, { t: "status" }>): void {
    if (message.ask) this.#sendStatus(peer, message.nonce, false);
    this.#quarantine?.answer(peer, message.height, message.nonce);
    this.#catchUp.claim(peer, message.height, message.lowest);
  }

  #linked(peer: string, up: boolean): void {
    if (up) this.#links.add(peer);
    else this.#links.delete(peer);
    this.step({ t: "peer", id: peer, up });
  }

  #sendStatus(to: string | "all", nonce: number, ask: boolean): void {
    this.send(to, {
      t: "status",
      height: this.servedHeight,
      lowest: this.options.blocks.lowest ?? 1,
      nonce,
      ask,
    });
  }

  #beat(): void {
    this.#heartbeat = this.options.clock.setTimer(this.tuning.heartbeatMs, () => {
      if (this.stopped) return;
      this.#tellDrops();
      this.#sendStatus("all", 0, false);
      this.#beat();
    });
  }

  #endQuarantine(voteFrom: Height): void {
    this.#quarantine = undefined;
    const { disk, signer, options } = { ...this.options, options: this.options };
    signer.restart(voteFrom);
    disk.sync().then(
      () => {
        if (this.stopped) return;
        // Only now: before, a crash would have found an empty log beside an old signing state.
        removeWal(disk);
        const { wal } = openWal({
          disk,
          ledgerId: options.ledgerId,
          segmentBytes: this.tuning.segmentBytes,
        });
        if (wal !== undefined) this.#persistence.useWal(wal);
        this.report({ t: "quarantineOver", voteFrom });
        this.step({ t: "quarantine", until: voteFrom });
      },
      (error: unknown) => this.halt("ORDERING_DISK", toHanseError(error).message),
    );
  }
}

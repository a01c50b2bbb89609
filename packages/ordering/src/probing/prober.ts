/**
 * Asks other nodes for signed answers as policy posr wants it, answers their questions, and draws
 * up one report per epoch. Everything is in memory: what a restart forgets is not reported.
 */
import {
  type Bytes,
  equalBytes,
  type Hash,
  type PublicKey,
  sha256,
  type ValidatorId,
} from "@hanse/protocol";
import { TokenBuckets } from "../driver/runtime.ts";
import type { Clock, Height, ProbeReport, Transport } from "../engine/interfaces.ts";
import { SLOTS } from "../policy/posr-params.ts";
import { listDuties, momentOf } from "./probe-duties.ts";
import {
  encodeProbeMessage,
  type ProbeAnswer,
  type ProbeMessage,
  probeAnswerMessage,
  probeMomentMessage,
} from "./probe-messages.ts";

/** An answer that takes longer counts as none. */
export const ANSWER_MS_MAX = 2_000;
/** Blocks that an answer's tip may lie below the prober's own when it asked. */
export const TIP_LAG_MAX = 2;
/** Questions of one peer per second that are answered. */
export const QUESTIONS_PER_SECOND = 50;
/** Newest blocks whose hashes are compared with an answer's. */
const HASHES_KEPT = 64;
/** Longest wait within the pause between two blocks. */
const PAUSE_MS_MAX = 2_000;

export interface ProbingAccount {
  readonly id: ValidatorId;
  readonly org: string;
  readonly key: PublicKey;
}

/** What the ledger says about probing, read behind a block. */
export interface ProbingFacts {
  readonly epoch: number;
  readonly firstHeight: Height;
  readonly epochBlocks: number;
  /** Probers per target and slot. */
  readonly probers: number;
  /** Members and candidates; asked for once per epoch. */
  readonly accounts: () => readonly ProbingAccount[];
}

/** What the prober saw of one target in one slot, with what shows it to others. */
export interface Observation {
  readonly target: ValidatorId;
  readonly slot: number;
  /** The prober's signature over `probeMomentMessage`; its SHA-256 is the challenge. */
  readonly moment: Bytes;
  /** Undefined: no valid answer in time. */
  readonly answer: ProbeAnswer | undefined;
}

export interface EpochObservations {
  readonly report: ProbeReport;
  readonly observations: readonly Observation[];
}

export type ProbeEvent =
  | {
      readonly t: "badAnswer" | "flooded" | "unexpected";
      readonly peer: ValidatorId;
      readonly reason: string;
    }
  /** The next epoch was over before the last answer was waited for. */
  | { readonly t: "late"; readonly epoch: number };

export interface ProberOptions {
  readonly ledgerId: Hash;
  readonly self: ValidatorId;
  readonly transport: Pick<Transport, "send" | "peers">;
  readonly clock: Clock;
  /** By this node's consensus key; only ever asked for messages of the probes' own domains. */
  readonly sign: (message: Bytes) => Bytes;
  readonly verify: (key: PublicKey, message: Bytes, signature: Bytes) => boolean;
  /** The newest block that this node executed. */
  readonly tip: () => { readonly height: Height; readonly hash: Hash };
  /** Called once for each epoch in which this node asked anybody. */
  readonly deliver: (seen: EpochObservations) => void;
  readonly report: (event: ProbeEvent) => void;
}

interface Probe {
  readonly target: ProbingAccount;
  readonly slot: number;
  readonly moment: Bytes;
  readonly challenge: Hash;
  readonly blocks: number;
  readonly part: number;
  state: "waiting" | "timed" | "asked" | "done" | "skipped";
  timer: { cancel(): void } | undefined;
  /** Own height when it was asked. */
  askedAt: Height;
  answer: ProbeAnswer | undefined;
}

interface Epoch {
  readonly number: number;
  readonly blocks: number;
  readonly accounts: ReadonlyMap<ValidatorId, ProbingAccount>;
  readonly probes: readonly Probe[];
  over: boolean;
  delivered: boolean;
}

export class Prober {
  readonly #options: ProberOptions;
  readonly #buckets: TokenBuckets;
  /** The running epoch and the one before, the newest first. */
  #epochs: Epoch[] = [];
  readonly #hashes = new Map<Height, Hash>();
  #lastBlockAt: number | undefined;
  #pauseMs = 0;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#buckets = new TokenBuckets(options.clock, QUESTIONS_PER_SECOND);
  }

  stop(): void {
    for (const epoch of this.#epochs) forget(epoch);
    this.#epochs = [];
  }

  /** Behind each block that became durable here. @param facts undefined: nobody probes. */
  onBlock(facts: ProbingFacts | undefined): void {
    if (facts === undefined) {
      this.stop();
      return;
    }
    const { tip, clock } = this.#options;
    const { height, hash } = tip();
    this.#hashes.set(height, hash);
    this.#hashes.delete(height - HASHES_KEPT);
    const now = clock.now();
    const pause = now - (this.#lastBlockAt ?? now);
    this.#pauseMs = Math.min(PAUSE_MS_MAX, Math.max(0, pause));
    this.#lastBlockAt = now;

    const running = this.#epochs[0];
    if (running?.number !== facts.epoch) this.#begin(facts);
    const done = Math.max(0, height - facts.firstHeight + 1);
    this.#askDue(this.#epochs[0]!, done);
  }

  receive(from: ValidatorId, message: ProbeMessage): void {
    if (message.t === "probe") this.#answer(from, message);
    else this.#check(from, message);
  }

  #begin(facts: ProbingFacts): void {
    const accounts = facts.accounts();
    const before = this.#epochs[0];
    for (const old of this.#epochs) {
      // Another policy, or the epoch after the next: too late for a report.
      if (old === before && old.number === facts.epoch - 1) continue;
      if (!old.delivered && old.probes.some(({ state }) => state === "asked")) {
        this.#options.report({ t: "late", epoch: old.number });
      }
      forget(old);
    }
    const byId = new Map(accounts.map((account) => [account.id, account]));
    const { ledgerId, self, sign } = this.#options;
    const duties = byId.has(self) ? listDuties(accounts, facts.epoch, facts.probers, self) : [];
    const probes = duties.map(({ target, slot }): Probe => {
      const place = { ledgerId, epoch: facts.epoch, slot, prober: self, target };
      const moment = sign(probeMomentMessage(place));
      const challenge = sha256(moment);
      return {
        target: byId.get(target)!,
        slot,
        moment,
        challenge,
        ...momentOf(challenge, slot, facts.epochBlocks),
        state: "waiting",
        timer: undefined,
        askedAt: 0,
        answer: undefined,
      };
    });
    const epoch: Epoch = {
      number: facts.epoch,
      blocks: facts.epochBlocks,
      accounts: byId,
      probes,
      over: false,
      delivered: false,
    };
    const kept = before?.number === facts.epoch - 1 ? [before] : [];
    this.#epochs = [epoch, ...kept];
    for (const old of kept) this.#end(old);
  }

  /** Moments that fall behind the last block are here now. */
  #end(epoch: Epoch): void {
    epoch.over = true;
    for (const probe of epoch.probes) {
      if (probe.state === "timed") this.#ask(epoch, probe);
      else if (probe.state === "waiting") probe.state = "skipped";
    }
    this.#deliverIfComplete(epoch);
  }

  #askDue(epoch: Epoch, done: number): void {
    const slotBlocks = Math.ceil(epoch.blocks / SLOTS);
    for (const probe of epoch.probes) {
      if (probe.state !== "waiting" || probe.blocks > done) continue;
      // This node was away in that slot.
      if (done - probe.blocks > slotBlocks) {
        probe.state = "skipped";
        continue;
      }
      probe.state = "timed";
      const wait = probe.part * this.#pauseMs;
      probe.timer = this.#options.clock.setTimer(wait, () => this.#ask(epoch, probe));
    }
  }

  #ask(epoch: Epoch, probe: Probe): void {
    probe.timer?.cancel();
    const { transport, clock, tip } = this.#options;
    const { id } = probe.target;
    probe.state = "asked";
    probe.askedAt = tip().height;
    const { slot, challenge } = probe;
    if (!transport.peers().includes(id)) {
      this.#settle(epoch, probe, undefined);
      return;
    }
    probe.timer = clock.setTimer(ANSWER_MS_MAX, () => this.#settle(epoch, probe, undefined));
    transport.send(
      id,
      "sync",
      encodeProbeMessage({ t: "probe", epoch: epoch.number, slot, challenge }),
    );
  }

  #settle(epoch: Epoch, probe: Probe, answer: ProbeAnswer | undefined): void {
    probe.timer?.cancel();
    probe.state = "done";
    probe.answer = answer;
    this.#deliverIfComplete(epoch);
  }

  #answer(from: ValidatorId, message: Extract<ProbeMessage, { t: "probe" }>): void {
    const { ledgerId, self, sign, tip, transport, report } = this.#options;
    if (!this.#buckets.take(from)) {
      const reason = `more than ${QUESTIONS_PER_SECOND} questions in a second`;
      report({ t: "flooded", peer: from, reason });
      return;
    }
    const { epoch, slot, challenge } = message;
    const running = this.#epochs[0];
    // The asker may be a block ahead or behind.
    if (running === undefined || Math.abs(running.number - epoch) > 1) {
      report({ t: "unexpected", peer: from, reason: `a question of epoch ${epoch}` });
      return;
    }
    if (!running.accounts.has(from) || !running.accounts.has(self)) {
      report({ t: "unexpected", peer: from, reason: "not both are members or candidates" });
      return;
    }
    const { height: tipHeight, hash: tipHash } = tip();
    const place = { ledgerId, epoch, slot, prober: from, target: self };
    const signature = sign(probeAnswerMessage(place, { challenge, tipHeight, tipHash }));
    const answer = { epoch, slot, challenge, tipHeight, tipHash, signature };
    transport.send(from, "sync", encodeProbeMessage({ t: "answer", ...answer }));
  }

  #check(from: ValidatorId, message: Extract<ProbeMessage, { t: "answer" }>): void {
    const { t: _, ...answer } = message;
    const epoch = this.#epochs.find(({ number }) => number === answer.epoch);
    const probe = epoch?.probes.find(
      ({ target, slot, state }) => target.id === from && slot === answer.slot && state === "asked",
    );
    if (epoch === undefined || probe === undefined) {
      // Too late, or never asked for: nothing is waiting for it.
      this.#options.report({ t: "unexpected", peer: from, reason: "an answer nobody waits for" });
      return;
    }
    const reason = this.#fault(epoch, probe, answer);
    // A bad answer does not end the wait: who sends one may still send a good one in time.
    if (reason === undefined) this.#settle(epoch, probe, answer);
    else this.#options.report({ t: "badAnswer", peer: from, reason });
  }

  #fault(epoch: Epoch, probe: Probe, answer: ProbeAnswer): string | undefined {
    if (!equalBytes(answer.challenge, probe.challenge)) return "to another challenge";
    if (answer.tipHeight < probe.askedAt - TIP_LAG_MAX) {
      return `its block ${answer.tipHeight} is too old`;
    }
    const own = this.#hashes.get(answer.tipHeight);
    if (own !== undefined && !equalBytes(own, answer.tipHash)) {
      return `another block at height ${answer.tipHeight}`;
    }
    const { ledgerId, self, verify } = this.#options;
    const { slot, target } = probe;
    const place = { ledgerId, epoch: epoch.number, slot, prober: self, target: target.id };
    const isSigned = verify(target.key, probeAnswerMessage(place, answer), answer.signature);
    return isSigned ? undefined : "its signature is not its consensus key's";
  }

  #deliverIfComplete(epoch: Epoch): void {
    if (!epoch.over || epoch.delivered) return;
    if (epoch.probes.some(({ state }) => state !== "done" && state !== "skipped")) return;
    epoch.delivered = true;
    const seen = epoch.probes.filter(({ state }) => state === "done");
    if (seen.length === 0) return;
    const targets = new Map<ValidatorId, { asked: number; answered: number }>();
    for (const { target, slot, answer } of seen) {
      const bits = targets.get(target.id) ?? { asked: 0, answered: 0 };
      bits.asked |= 1 << slot;
      if (answer !== undefined) bits.answered |= 1 << slot;
      targets.set(target.id, bits);
    }
    this.#options.deliver({
      report: {
        prober: this.#options.self,
        epoch: epoch.number,
        targets: [...targets].map(([id, bits]) => ({ id, ...bits })),
      },
      observations: seen.map(({ target, slot, moment, answer }) => ({
        target: target.id,
        slot,
        moment,
        answer,
      })),
    });
  }
}

function forget(epoch: Epoch): void {
  // Nothing of it is delivered any more, whatever still fires.
  epoch.delivered = true;
  for (const probe of epoch.probes) probe.timer?.cancel();
}

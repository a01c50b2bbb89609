/** Who is how far, whether we are behind, and the windows of blocks that bring us up. */
import { type Bytes, totalWeight, type ValidatorId } from "@hanse/protocol";
import type { Body } from "../core/events.ts";
import type { Height } from "../engine/interfaces.ts";
import { type DecidedPair, decodeWindow, firstRun } from "../sync/windows.ts";
import { RANGE_BLOCKS_MAX, RANGE_BYTES_MAX, type WireMessage } from "../wire/messages.ts";
import type { Executor } from "./executor.ts";
import { type Runtime, verifyAll } from "./runtime.ts";

interface Peer {
  /** Highest height it said, or showed, to be final. */
  height: Height;
  lowest: Height;
  connected: boolean;
  /** Answers that were missing or wrong; doubles the pause before it is asked again. */
  faults: number;
  ignoredUntil: number;
}

interface Window {
  readonly from: Height;
  readonly to: Height;
  readonly peer: ValidatorId;
  timer: { cancel(): void } | undefined;
  /** Undefined while asked for. */
  bodies: readonly Body[] | undefined;
  certificate: Bytes;
  bytes: number;
}

/** Pause after a fault, doubled per fault up to the maximum. */
const FAULT_PAUSE_MS = 500;
const FAULT_PAUSE_MS_MAX = 60_000;

export class CatchUp {
  readonly #runtime: Runtime;
  readonly #executor: Executor;
  readonly #peers = new Map<ValidatorId, Peer>();
  /** By first height. */
  readonly #windows = new Map<Height, Window>();
  #ready: DecidedPair[] = [];
  #verifying = false;
  #lagTimer: { cancel(): void } | undefined;
  #retryTimer: { cancel(): void } | undefined;
  #behind = false;
  #lagging = false;
  #turn = 0;
  #ended = false;

  constructor(runtime: Runtime, executor: Executor) {
    this.#runtime = runtime;
    this.#executor = executor;
  }

  get behind(): boolean {
    return this.#behind;
  }

  get peers(): ReadonlyMap<ValidatorId, { readonly height: Height; readonly connected: boolean }> {
    return this.#peers;
  }

  /** For good: what was fetched and not handed over yet is asked for again at the next start. */
  stop(): void {
    this.#ended = true;
    this.#lagTimer?.cancel();
    this.#retryTimer?.cancel();
    for (const window of this.#windows.values()) window.timer?.cancel();
  }

  #peer(id: ValidatorId): Peer {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      peer = { height: 0, lowest: 1, connected: true, faults: 0, ignoredUntil: 0 };
      this.#peers.set(id, peer);
    }
    return peer;
  }

  connection(id: ValidatorId, up: boolean): void {
    const peer = this.#peer(id);
    peer.connected = up;
    if (up) return;
    for (const [from, window] of this.#windows) {
      if (window.peer !== id || window.bodies !== undefined) continue;
      window.timer?.cancel();
      this.#windows.delete(from);
    }
    this.tick();
  }

  claim(id: ValidatorId, height: Height, lowest?: Height): void {
    const peer = this.#peer(id);
    if (lowest !== undefined) peer.lowest = lowest;
    if (height <= peer.height) return;
    peer.height = height;
    this.tick();
  }

  /** Height still to be decided here, whether or not it is being executed. */
  get #next(): Height {
    const { core } = this.#runtime;
    return core.executing ? core.height + 1 : core.height;
  }

  #credible(peer: Peer): boolean {
    return peer.ignoredUntil <= this.#runtime.options.clock.now();
  }

  /** Looks at everything anew: after each step, claim, answer and timeout. */
  tick(): void {
    const { core, options, tuning } = this.#runtime;
    if (this.#runtime.stopped || this.#ended) return;
    this.#feed();
    const next = this.#next;
    let best = 0;
    let ahead = 0;
    for (const member of core.open.set.members) {
      const peer = this.#peers.get(member.id);
      if (peer === undefined || peer.height < next || !this.#credible(peer)) continue;
      ahead += member.vote;
      if (peer.height > best) best = peer.height;
    }
    for (const peer of this.#peers.values()) {
      if (peer.height > best && this.#credible(peer)) best = peer.height;
    }
    // More weight than may lie says so, or blocks with checked certificates wait: it is true.
    const faulty = totalWeight(core.open.set) - core.open.quorum;
    const behind = this.#ready.length > 0 || ahead > faulty;
    if (behind !== this.#behind) {
      this.#behind = behind;
      this.#runtime.step({ t: "behind", behind });
    }
    if (best < next && this.#ready.length === 0) {
      if (this.#lagging) this.#runtime.report({ t: "synced", height: next - 1 });
      this.#lagging = false;
      this.#lagTimer?.cancel();
      this.#lagTimer = undefined;
      return;
    }
    if (!this.#lagging) {
      // One height ahead is what every faster peer is for some milliseconds.
      if (best - next < 2) {
        if (this.#lagTimer !== undefined) return;
        this.#lagTimer = options.clock.setTimer(tuning.lagMs, () => {
          this.#lagTimer = undefined;
          if (this.#next > next || this.#lagging) this.tick();
          else this.#begin(best);
        });
        return;
      }
      this.#begin(best);
      return;
    }
    this.#request(best);
  }

  #begin(best: Height): void {
    if (this.#runtime.stopped) return;
    this.#lagTimer?.cancel();
    this.#lagTimer = undefined;
    this.#lagging = true;
    this.#runtime.report({ t: "syncing", from: this.#next, to: best });
    this.tick();
  }

  #request(best: Height): void {
    const { options, tuning } = this.#runtime;
    let bytes = 0;
    let inFlight = 0;
    let from = this.#next + this.#ready.length;
    for (const window of this.#windows.values()) {
      bytes += window.bytes;
      if (window.bodies === undefined) inFlight++;
      if (window.to < from) this.#windows.delete(window.from);
    }
    while (inFlight < tuning.rangesInFlightMax && bytes < tuning.fetchedBytesMax) {
      while (this.#windows.has(from)) from = this.#windows.get(from)!.to + 1;
      if (from > best) return;
      const limit = Math.min(best, from + RANGE_BLOCKS_MAX - 1);
      const peer = this.#choose(from);
      if (peer === undefined) {
        this.#reportStranded(from);
        this.#retry();
        return;
      }
      const to = Math.min(limit, this.#peers.get(peer)!.height);
      const window: Window = {
        from,
        to,
        peer,
        timer: undefined,
        bodies: undefined,
        certificate: new Uint8Array(0),
        bytes: 0,
      };
      window.timer = options.clock.setTimer(tuning.rangeTimeoutMs, () => this.#fault(window));
      this.#windows.set(from, window);
      this.#runtime.send(peer, { t: "getRange", from, to });
      inFlight++;
    }
  }

  /** Round robin over the connected peers that have the block. */
  #choose(from: Height): ValidatorId | undefined {
    const able: ValidatorId[] = [];
    for (const [id, peer] of this.#peers) {
      if (!peer.connected || peer.height < from || peer.lowest > from) continue;
      if (this.#credible(peer)) able.push(id);
    }
    if (able.length === 0) return undefined;
    able.sort();
    return able[this.#turn++ % able.length];
  }

  #reportStranded(from: Height): void {
    let lowest: Height | undefined;
    for (const peer of this.#peers.values()) {
      if (!peer.connected || peer.height < from || !this.#credible(peer)) continue;
      if (peer.lowest <= from) return;
      lowest = Math.min(lowest ?? peer.lowest, peer.lowest);
    }
    // One peer alone may lie about both heights.
    if (lowest !== undefined && this.#behind) {
      this.#runtime.report({ t: "stranded", from, lowest });
    }
  }

  #retry(): void {
    if (this.#retryTimer !== undefined) return;
    this.#retryTimer = this.#runtime.options.clock.setTimer(FAULT_PAUSE_MS, () => {
      this.#retryTimer = undefined;
      this.tick();
    });
  }

  /** The window's peer did not answer, or not with our ledger: its word counts less for a while. */
  #fault(window: Window): void {
    window.timer?.cancel();
    if (this.#windows.get(window.from) === window) this.#windows.delete(window.from);
    const peer = this.#peer(window.peer);
    const pause = Math.min(FAULT_PAUSE_MS_MAX, FAULT_PAUSE_MS * 2 ** Math.min(peer.faults, 10));
    peer.faults++;
    peer.ignoredUntil = this.#runtime.options.clock.now() + pause;
    // It has to say again how far it is.
    peer.height = 0;
    this.#runtime.report({ t: "badPeer", peer: window.peer, code: "ORDERING_RANGE" });
    this.#retry();
    this.tick();
  }

  answer(id: ValidatorId, message: Extract<WireMessage, { t: "range" }>): void {
    const window = this.#windows.get(message.from);
    if (window === undefined || window.peer !== id || window.bodies !== undefined) return;
    window.timer?.cancel();
    if (message.blocks.length === 0 && this.#peer(id).lowest > window.from) {
      // It said meanwhile that it has let them go, which is no fault.
      this.#windows.delete(window.from);
      this.tick();
      return;
    }
    const asked = window.to - window.from + 1;
    const bodies =
      message.blocks.length === 0 || message.blocks.length > asked
        ? undefined
        : decodeWindow(window.from, message.blocks);
    if (bodies === undefined) {
      this.#fault(window);
      return;
    }
    for (const bytes of message.blocks) window.bytes += bytes.length;
    window.certificate = message.certificate;
    window.bodies = bodies;
    if (bodies.length < asked) {
      // The rest of the window is asked for as a window of its own.
      this.#windows.set(window.from, { ...window, to: window.from + bodies.length - 1, bodies });
    }
    this.tick();
  }

  /** Gives the core its next checked block, and checks the next run when none is left. */
  #feed(): void {
    const { core, options, engineEpoch } = this.#runtime;
    if (core.executing) return;
    while (this.#ready.length > 0 && this.#ready[0]!.body.block.header.height < core.height) {
      this.#ready.shift();
    }
    const ready = this.#ready[0];
    if (ready !== undefined) {
      if (ready.body.block.header.height !== core.height) {
        this.#ready = [];
        return;
      }
      this.#ready.shift();
      this.#runtime.step({ t: "decided", ...ready, log: false });
      return;
    }
    if (this.#verifying) return;
    const window = this.#windowAt(core.height);
    if (window?.bodies === undefined) return;
    const skip = core.height - window.from;
    const { set, quorum, parent } = core.open;
    const run = firstRun(window.bodies.slice(skip), window.certificate, {
      height: core.height,
      parentHash: parent.hash,
      set,
      quorum,
      ledgerId: options.ledgerId,
      engineEpoch,
    });
    if (run === undefined) {
      this.#fault(window);
      return;
    }
    this.#verifying = true;
    const unverified = options.testOnlyMutation === "trust-unverified-range";
    const verdict = unverified ? Promise.resolve(true) : verifyAll(this.#runtime, run.checks);
    verdict.then(
      (ok) => {
        this.#verifying = false;
        if (this.#runtime.stopped) return;
        if (!ok) {
          this.#fault(window);
          return;
        }
        const peer = this.#peer(window.peer);
        peer.faults = 0;
        this.#ready = [...run.blocks];
        if (run.rest.length === 0) this.#windows.delete(window.from);
        this.tick();
      },
      (error: unknown) => this.#runtime.halt("ORDERING_VERIFY", String(error)),
    );
  }

  #windowAt(height: Height): Window | undefined {
    for (const window of this.#windows.values()) {
      if (window.from <= height && height <= window.to) return window;
    }
    return undefined;
  }

  /** A range for a peer: at most 64 blocks or 8 MiB, and the certificate of the last one. */
  async serve(id: ValidatorId, from: Height, to: Height): Promise<void> {
    const { lowest = 1 } = this.#runtime.options.blocks;
    if (from < lowest) {
      // What is kept comes first, so that the empty range is understood.
      const height = this.#runtime.servedHeight;
      this.#runtime.send(id, { t: "status", height, lowest, nonce: 0, ask: false });
    }
    const last = Math.min(to, from + RANGE_BLOCKS_MAX - 1, this.#runtime.servedHeight);
    const blocks: Bytes[] = [];
    let certificate: Bytes = new Uint8Array(0);
    if (from >= 1 && from <= last) {
      let stored =
        from <= this.#executor.committed
          ? await this.#runtime.options.blocks.blocks(
              from,
              Math.min(last, this.#executor.committed),
              RANGE_BYTES_MAX,
            )
          : [];
      // Let go between the question and now: a range begins where it was asked for, or is empty.
      if (stored.length > 0 && stored[0]!.height !== from) stored = [];
      let bytes = 0;
      for (const block of stored.slice(0, RANGE_BLOCKS_MAX)) {
        blocks.push(block.bytes);
        certificate = block.certificate;
        bytes += block.bytes.length;
      }
      for (let height = from + blocks.length; height <= last; height++) {
        const recent = this.#executor.recent(height);
        if (recent === undefined) break;
        bytes += recent.bytes.length;
        if (blocks.length > 0 && bytes > RANGE_BYTES_MAX) break;
        blocks.push(recent.bytes);
        certificate = recent.certificate;
      }
    }
    if (!this.#runtime.stopped) {
      this.#runtime.send(id, { t: "range", from, blocks, certificate });
    }
  }

  /** The final block of one height, from memory or from the ledger. */
  async help(id: ValidatorId, height: Height): Promise<void> {
    if (height < 1) return;
    let block: { readonly bytes: Bytes; readonly certificate: Bytes } | undefined =
      this.#executor.recent(height);
    if (block === undefined && height <= this.#executor.committed) {
      block = (await this.#runtime.options.blocks.blocks(height, height, RANGE_BYTES_MAX))[0];
    }
    if (block === undefined || this.#runtime.stopped) return;
    const { bytes, certificate } = block;
    this.#runtime.send(id, { t: "final", block: bytes, certificate });
  }
}

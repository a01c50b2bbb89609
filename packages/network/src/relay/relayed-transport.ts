/**
 * A transport for many nodes: messages go to relays, which pass them on (spec/network.md). What is
 * sent takes two ways at once, over two relays of different organizations, and is taken once; so
 * the loss or silence of one relay is not felt at all, and that of two until a silent one is
 * passed over. Without a plan of links it is the transport below, untouched.
 */
import type { Channel, Clock, Transport } from "@hanse/ordering";
import { type Bytes, HanseError, type Hash, type ValidatorId } from "@hanse/protocol";
import { TokenBucket } from "../link/token-bucket.ts";
import type { LinkPlan } from "../topology/link-plan.ts";
import {
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  encodeEnvelopeBody,
  HOPS_MAX,
  sealedMessage,
} from "./envelope.ts";
import type { EnvelopeLinks } from "./envelope-links.ts";
import { SealedBoxes } from "./sealed-box.ts";
import { SeenEnvelopes } from "./seen-envelopes.ts";

/** Ways that every message takes. */
const WAYS = 2;
/** Each node gives so often a sign of life. */
export const HEARTBEAT_MS = 500;
/** A relay that was silent for so long is passed over. */
export const SILENT_MS = 1500;
/** A node not heard of for so long is away. */
export const AWAY_MS = 3000;
/** What a relay passes on of one origin. */
const ORIGIN_BYTES_PER_SECOND = 32 * 1024 * 1024;

export interface RelayCounters {
  /** Own envelopes sent, without signs of life. */
  sent: number;
  /** Envelopes of others passed on, with their bytes. */
  relayed: number;
  relayedBytes: number;
  /** Second copies. */
  repeated: number;
  /** Refused: broken form or seal, unknown origin. */
  forged: number;
  /** Not passed on: too much of one origin, or too many hops. */
  notRelayed: number;
  /** Messages for one node that could not be sealed or opened: its key is not known yet. */
  unsealed: number;
}

export interface RelayedTransportOptions {
  readonly links: Transport & EnvelopeLinks;
  readonly ledgerId: Hash;
  readonly clock: Clock;
  /** Signs with the node's own key. */
  readonly sign: (message: Bytes) => Bytes;
  /** False also for who is no node of the ledger. */
  readonly verify: (origin: ValidatorId, message: Bytes, seal: Bytes) => boolean;
}

export interface RelayedTransport extends Transport {
  /** Undefined = everybody has links to everybody. */
  setLinkPlan(plan: LinkPlan | undefined): void;
  readonly counters: RelayCounters;
  stop(): void;
}

class RelayedTransportImpl implements RelayedTransport {
  readonly self: ValidatorId;
  readonly counters: RelayCounters = {
    sent: 0,
    relayed: 0,
    relayedBytes: 0,
    repeated: 0,
    forged: 0,
    notRelayed: 0,
    unsealed: 0,
  };
  readonly #options: RelayedTransportOptions;
  readonly #onMessage: ((from: ValidatorId, channel: Channel, message: Bytes) => void)[] = [];
  readonly #onPeer: ((peer: ValidatorId, up: boolean) => void)[] = [];
  readonly #seen = new SeenEnvelopes();
  readonly #boxes: SealedBoxes;
  readonly #buckets = new Map<ValidatorId, TokenBucket>();
  /** When something was last heard of an origin, and over a link. */
  readonly #heardOf = new Map<ValidatorId, number>();
  readonly #heardFrom = new Map<ValidatorId, number>();
  #up: ReadonlySet<ValidatorId> = new Set();
  #plan: LinkPlan | undefined;
  #sequence: number;
  #heartbeat: { cancel(): void } | undefined;

  constructor(options: RelayedTransportOptions) {
    const { links, clock, ledgerId } = options;
    this.#options = options;
    this.self = links.self;
    this.#boxes = new SealedBoxes({ self: links.self, ledgerId });
    this.#sequence = clock.now() * 1000;
    links.onMessage((from, channel, message) => this.#deliver(from, channel, message));
    links.onEnvelope((from, channel, envelope) => this.#take(from, channel, envelope));
    links.onPeer((peer, up) => {
      if (up) this.#heardFrom.set(peer, clock.now());
      else this.#heardFrom.delete(peer);
      this.#tellPeers();
    });
  }

  setLinkPlan(plan: LinkPlan | undefined): void {
    this.#plan = plan;
    if (plan !== undefined) {
      this.#seen.keepOnly(plan.links);
      this.#boxes.keepOnly(plan.links);
      for (const id of this.#buckets.keys()) if (!plan.links.has(id)) this.#buckets.delete(id);
      for (const id of this.#heardOf.keys()) if (!plan.links.has(id)) this.#heardOf.delete(id);
    }
    this.#heartbeat?.cancel();
    this.#heartbeat = undefined;
    if (plan !== undefined) this.#beat();
    this.#tellPeers();
  }

  stop(): void {
    this.#heartbeat?.cancel();
    this.#heartbeat = undefined;
    this.#plan = undefined;
  }

  onMessage(handler: (from: ValidatorId, channel: Channel, message: Bytes) => void): void {
    this.#onMessage.push(handler);
  }

  onPeer(handler: (peer: ValidatorId, up: boolean) => void): void {
    this.#onPeer.push(handler);
  }

  /** Who can be reached, over a link or over relays. */
  peers(): readonly ValidatorId[] {
    return [...this.#reachable()];
  }

  send(to: ValidatorId, channel: Channel, message: Bytes): void {
    const { links } = this.#options;
    if (this.#plan === undefined || links.peers().includes(to)) {
      links.send(to, channel, message);
      return;
    }
    this.counters.sent++;
    this.#originate(channel, to, message);
  }

  broadcast(channel: Channel, message: Bytes): void {
    if (this.#plan === undefined) {
      this.#options.links.broadcast(channel, message);
      return;
    }
    this.counters.sent++;
    this.#originate(channel, undefined, message);
  }

  #originate(channel: Channel, to: ValidatorId | undefined, message: Bytes | undefined): void {
    const { links, ledgerId, sign } = this.#options;
    const sequence = ++this.#sequence;
    const boxed =
      to === undefined || message === undefined ? message : this.#boxes.seal(to, sequence, message);
    if (boxed === undefined && message !== undefined) {
      this.counters.unsealed++;
      return;
    }
    const sealed = encodeEnvelopeBody({
      origin: this.self,
      sequence,
      channel,
      to,
      message: boxed,
      boxKey: message === undefined ? this.#boxes.publicKey : undefined,
    });
    const seal = sign(sealedMessage(ledgerId, sealed));
    this.#seen.add(this.self, sequence);
    const envelope = encodeEnvelope(0, sealed, seal);
    // A sign of life goes over every link, also those that wait: it tells that they can be used.
    const next =
      message === undefined ? this.#linkedNeighbours() : this.#nextOf(this.self, this.self, 0, to);
    for (const id of next) links.sendEnvelope(id, channel, envelope);
  }

  #take(from: ValidatorId, channel: Channel, bytes: Bytes): void {
    this.#heardFrom.set(from, this.#options.clock.now());
    let envelope: Envelope;
    try {
      envelope = decodeEnvelope(bytes);
    } catch (error) {
      if (!(error instanceof HanseError)) throw error;
      this.counters.forged++;
      return;
    }
    const { origin, sequence, to, message, sealed, seal } = envelope;
    if (origin === this.self) return;
    if (!this.#seen.isNew(origin, sequence)) {
      this.counters.repeated++;
      return;
    }
    const { ledgerId, verify, clock } = this.#options;
    const isGenuine =
      envelope.channel === channel && verify(origin, sealedMessage(ledgerId, sealed), seal);
    if (!isGenuine) {
      this.counters.forged++;
      return;
    }
    this.#seen.add(origin, sequence);
    const wasAway = !this.#isHeardOf(origin);
    this.#heardOf.set(origin, clock.now());
    if (wasAway) this.#tellPeers();
    if (to !== this.self) this.#passOn(from, envelope, bytes.length);
    if (envelope.boxKey !== undefined) this.#boxes.learn(origin, envelope.boxKey);
    if (message === undefined || (to !== undefined && to !== this.self)) return;
    const opened = to === undefined ? message : this.#boxes.open(origin, sequence, message);
    if (opened === undefined) this.counters.unsealed++;
    else this.#deliver(origin, channel, opened);
  }

  #passOn(from: ValidatorId, envelope: Envelope, bytes: number): void {
    const { origin, hops, channel, sealed, seal, to } = envelope;
    if (this.#plan?.relays.has(this.self) !== true) return;
    if (hops >= HOPS_MAX || !this.#mayPassOn(origin, bytes)) {
      this.counters.notRelayed++;
      return;
    }
    const passed = encodeEnvelope(hops + 1, sealed, seal);
    for (const next of this.#nextOf(from, origin, hops, to)) {
      this.counters.relayed++;
      this.counters.relayedBytes += passed.length;
      this.#options.links.sendEnvelope(next, channel, passed);
    }
  }

  #mayPassOn(origin: ValidatorId, bytes: number): boolean {
    let bucket = this.#buckets.get(origin);
    if (bucket === undefined) {
      bucket = new TokenBucket(ORIGIN_BYTES_PER_SECOND, () => this.#options.clock.now());
      this.#buckets.set(origin, bucket);
    }
    return bucket.take(bytes) === 0;
  }

  /** Where an envelope goes from here. */
  #nextOf(
    from: ValidatorId,
    origin: ValidatorId,
    hops: number,
    to: ValidatorId | undefined,
  ): readonly ValidatorId[] {
    const plan = this.#plan;
    if (plan === undefined) return [];
    const linked = new Set(this.#options.links.peers());
    if (to !== undefined && linked.has(to)) return [to];
    const isRelay = plan.relays.has(this.self);
    const next = new Set<ValidatorId>();
    if (!isRelay) {
      for (const relay of this.#livingParents(this.self, linked)) next.add(relay);
      // The neighbours by lot hear it from here too: no relay decides alone what they know.
      for (const id of plan.links.get(this.self) ?? []) {
        if (to === undefined && linked.has(id) && !plan.relays.has(id)) next.add(id);
      }
    } else if (to !== undefined && !plan.relays.has(to)) {
      for (const relay of this.#livingParents(to, linked)) next.add(relay);
    } else {
      for (const id of plan.links.get(this.self) ?? []) {
        if (!linked.has(id)) continue;
        if (!plan.relays.has(id)) {
          // For a relay out of sight only other relays are on the way.
          const serves = this.#livingParents(id, undefined).includes(this.self);
          if (to === undefined && serves) next.add(id);
        } else if (hops === 0 || !this.#knowsAllRelays(plan)) {
          next.add(id);
        }
      }
    }
    next.delete(from);
    next.delete(origin);
    return [...next];
  }

  #linkedNeighbours(): readonly ValidatorId[] {
    const linked = new Set(this.#options.links.peers());
    return [...(this.#plan?.links.get(this.self) ?? [])].filter((id) => linked.has(id));
  }

  #knowsAllRelays(plan: LinkPlan): boolean {
    const own = plan.links.get(this.self);
    for (const relay of plan.relays) {
      if (relay !== this.self && own?.has(relay) !== true) return false;
    }
    return true;
  }

  /** The relays that serve a child now: its first two that are not silent. */
  #livingParents(
    child: ValidatorId,
    linked: ReadonlySet<ValidatorId> | undefined,
  ): readonly ValidatorId[] {
    const parents = this.#plan?.parents.get(child) ?? [];
    const usable = parents.filter((id) => {
      if (id === this.self) return true;
      if (linked !== undefined) return linked.has(id) && !this.#isSilent(id);
      return this.#isHeardOf(id, SILENT_MS);
    });
    // When all seem silent, none is passed over: it may be us who heard nothing.
    return (usable.length === 0 ? parents : usable).slice(0, WAYS);
  }

  #isSilent(neighbour: ValidatorId): boolean {
    const at = this.#heardFrom.get(neighbour);
    return at === undefined || this.#options.clock.now() - at > SILENT_MS;
  }

  #isHeardOf(id: ValidatorId, withinMs = AWAY_MS): boolean {
    const at = this.#heardOf.get(id);
    return at !== undefined && this.#options.clock.now() - at <= withinMs;
  }

  #reachable(): ReadonlySet<ValidatorId> {
    const reachable = new Set(this.#options.links.peers());
    if (this.#plan !== undefined) {
      for (const id of this.#heardOf.keys()) if (this.#isHeardOf(id)) reachable.add(id);
    }
    return reachable;
  }

  #tellPeers(): void {
    const before = this.#up;
    const now = this.#reachable();
    this.#up = now;
    for (const id of now) if (!before.has(id)) for (const tell of this.#onPeer) tell(id, true);
    for (const id of before) if (!now.has(id)) for (const tell of this.#onPeer) tell(id, false);
  }

  #beat(): void {
    this.#heartbeat = this.#options.clock.setTimer(HEARTBEAT_MS, () => {
      if (this.#plan === undefined) return;
      this.#originate("consensus", undefined, undefined);
      this.#tellPeers();
      this.#beat();
    });
  }

  #deliver(from: ValidatorId, channel: Channel, message: Bytes): void {
    for (const handler of this.#onMessage) handler(from, channel, message);
  }
}

export function createRelayedTransport(options: RelayedTransportOptions): RelayedTransport {
  return new RelayedTransportImpl(options);
}

/**
 * Fetches a snapshot: asks every peer what it offers, verifies a manifest from the trusted set on,
 * then takes the chunks from all peers that hold the same content. Every chunk is checked alone; a
 * peer whose answer is wrong or missing is left alone for a while, and its chunk asked of another.
 */
import {
  type Bytes,
  equalBytes,
  type Hash,
  toHanseError,
  toHex,
  type ValidatorId,
} from "@hanse/protocol";
import type { Clock, Height, Transport } from "../engine/interfaces.ts";
import type { ChainTrust } from "./header-chain.ts";
import {
  decodeSnapshotManifest,
  isChunk,
  type SnapshotManifest,
  snapshotIdOf,
  verifySnapshotManifest,
} from "./snapshot-manifest.ts";
import {
  encodeSnapshotMessage,
  type SnapshotMessage,
  type SnapshotOffer,
} from "./snapshot-messages.ts";

/** Chunks asked of one peer at the same time. */
export const CHUNKS_PER_PEER_MAX = 4;
/** Chunks asked for at the same time, and so in memory at most. */
export const CHUNKS_IN_FLIGHT_MAX = 16;
const ASK_EVERY_MS = 1_000;
/** Pause after the first offer, for the others to come. */
const CHOOSE_AFTER_MS = 200;
const ANSWER_MS_MAX = 10_000;
/** Without a new chunk for so long, another snapshot is chosen. */
const STUCK_MS = 30_000;
/** Pause after a fault, doubled per fault up to the maximum. */
const FAULT_PAUSE_MS = 1_000;
const FAULT_PAUSE_MS_MAX = 120_000;
/** Manifests that were refused and are not asked for again. */
const REFUSED_MAX = 256;

/** Where the chunks of one snapshot go. */
export interface ChunkPlace {
  /** Whether the chunk is here from an earlier attempt, and whole. */
  has(index: number): boolean;
  save(index: number, bytes: Bytes): Promise<void>;
}

export type SnapshotFetchEvent =
  | {
      readonly t: "began";
      readonly height: Height;
      readonly chunks: number;
      readonly bytes: number;
    }
  | {
      readonly t: "badPeer";
      readonly peer: ValidatorId;
      readonly code: string;
      readonly message: string;
    }
  | { readonly t: "complete"; readonly manifest: SnapshotManifest }
  /** The place could not be written: fetching has ended. */
  | { readonly t: "failed"; readonly message: string };

export interface SnapshotFetchOptions {
  readonly transport: Pick<Transport, "send" | "peers">;
  readonly clock: Clock;
  readonly trust: ChainTrust;
  /** Opens the place of a verified manifest; what is left of another snapshot goes. */
  open(manifest: SnapshotManifest, encoded: Bytes): Promise<ChunkPlace>;
  readonly report: (event: SnapshotFetchEvent) => void;
}

interface Peer {
  offers: readonly SnapshotOffer[];
  faults: number;
  ignoredUntil: number;
  inFlight: number;
}

interface Asked {
  readonly peer: ValidatorId;
  readonly timer: { cancel(): void };
}

export class SnapshotFetch {
  readonly #options: SnapshotFetchOptions;
  readonly #peers = new Map<ValidatorId, Peer>();
  readonly #refused = new Set<string>();
  /** Snapshots at or below this height are of no use; it moves as the node goes on by blocks. */
  #above: (() => Height) | undefined;
  #timer: { cancel(): void } | undefined;
  #firstOfferAt: number | undefined;
  #askedManifest: (Asked & { readonly id: Hash }) | undefined;
  #manifest: SnapshotManifest | undefined;
  #id: Hash | undefined;
  #place: ChunkPlace | undefined;
  #missing: number[] = [];
  readonly #asked = new Map<number, Asked>();
  #saving = 0;
  #progressAt = 0;
  #opening = false;

  constructor(options: SnapshotFetchOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#above !== undefined;
  }

  /**
   * Looks for a snapshot above a height, until it is complete or `stop` is called.
   * @param above asked again whenever one is to be chosen: a lie about how far others are costs no
   * download of a state that the node is about to reach by itself.
   */
  begin(above: () => Height): void {
    if (this.running) return;
    this.#above = above;
    this.#tick();
  }

  stop(): void {
    this.#above = undefined;
    this.#timer?.cancel();
    this.#forget();
  }

  #forget(): void {
    this.#askedManifest?.timer.cancel();
    this.#askedManifest = undefined;
    for (const { timer } of this.#asked.values()) timer.cancel();
    this.#asked.clear();
    for (const peer of this.#peers.values()) peer.inFlight = 0;
    this.#manifest = undefined;
    this.#id = undefined;
    this.#place = undefined;
    this.#missing = [];
    this.#firstOfferAt = undefined;
  }

  peerLost(id: ValidatorId): void {
    const peer = this.#peers.get(id);
    if (peer !== undefined) peer.offers = [];
    if (this.#askedManifest?.peer === id) this.#dropManifest();
    for (const [index, asked] of this.#asked) {
      if (asked.peer === id) this.#giveBack(index);
    }
    this.#request();
  }

  receive(from: ValidatorId, message: SnapshotMessage): void {
    if (!this.running) return;
    switch (message.t) {
      case "offers":
        this.#onOffers(from, message.offers);
        return;
      case "manifest":
        void this.#onManifest(from, message.id, message.manifest);
        return;
      case "chunk":
        void this.#onChunk(from, message.id, message.index, message.bytes);
    }
  }

  #peer(id: ValidatorId): Peer {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      peer = { offers: [], faults: 0, ignoredUntil: 0, inFlight: 0 };
      this.#peers.set(id, peer);
    }
    return peer;
  }

  #send(to: ValidatorId, message: SnapshotMessage): void {
    this.#options.transport.send(to, "sync", encodeSnapshotMessage(message));
  }

  #fault(id: ValidatorId, code: string, message: string): void {
    const peer = this.#peer(id);
    const pause = Math.min(FAULT_PAUSE_MS_MAX, FAULT_PAUSE_MS * 2 ** Math.min(peer.faults, 10));
    peer.faults++;
    peer.ignoredUntil = this.#options.clock.now() + pause;
    this.#options.report({ t: "badPeer", peer: id, code, message });
  }

  /** Once a second: asks what peers offer, chooses, gives up what does not move. */
  #tick(): void {
    const { clock, transport } = this.#options;
    this.#timer?.cancel();
    if (!this.running) return;
    this.#timer = clock.setTimer(ASK_EVERY_MS, () => this.#tick());
    for (const peer of transport.peers()) this.#send(peer, { t: "getOffers" });
    if (this.#manifest !== undefined && clock.now() - this.#progressAt > STUCK_MS) this.#forget();
    this.#choose();
    this.#request();
  }

  #onOffers(from: ValidatorId, offers: readonly SnapshotOffer[]): void {
    this.#peer(from).offers = offers;
    if (this.#manifest !== undefined || this.#firstOfferAt !== undefined) return;
    if (!offers.some(({ height }) => height > this.#above!())) return;
    const { clock } = this.#options;
    this.#firstOfferAt = clock.now();
    clock.setTimer(CHOOSE_AFTER_MS, () => this.#choose());
  }

  #credible({ ignoredUntil }: Peer): boolean {
    return ignoredUntil <= this.#options.clock.now();
  }

  /** The highest snapshot, of these the one that most peers hold. */
  #choose(): void {
    if (!this.running || this.#manifest !== undefined || this.#askedManifest !== undefined) return;
    if (this.#opening) return;
    const above = this.#above!();
    const found = new Map<string, SnapshotOffer & { readonly peers: ValidatorId[] }>();
    for (const [id, peer] of this.#peers) {
      if (!this.#credible(peer)) continue;
      for (const offer of peer.offers) {
        const key = toHex(offer.id);
        if (offer.height <= above || this.#refused.has(key)) continue;
        const known = found.get(key);
        if (known === undefined) found.set(key, { ...offer, peers: [id] });
        else known.peers.push(id);
      }
    }
    const [best] = [...found.values()].sort(
      (a, b) => b.height - a.height || b.peers.length - a.peers.length,
    );
    if (best === undefined) return;
    const peer = best.peers.sort()[0]!;
    const timer = this.#options.clock.setTimer(ANSWER_MS_MAX, () => {
      this.#dropManifest();
      this.#fault(peer, "SYNC_TIMEOUT", "no manifest came");
      this.#choose();
    });
    this.#askedManifest = { peer, timer, id: best.id };
    this.#send(peer, { t: "getManifest", id: best.id });
  }

  #dropManifest(): void {
    this.#askedManifest?.timer.cancel();
    this.#askedManifest = undefined;
  }

  async #onManifest(from: ValidatorId, id: Hash, bytes: Bytes): Promise<void> {
    const asked = this.#askedManifest;
    if (asked === undefined || asked.peer !== from || !equalBytes(asked.id, id)) return;
    this.#dropManifest();
    const wrong = (code: string, message: string) => {
      // Its own word for the id: others may offer an honest manifest of the same content.
      this.#fault(from, code, message);
      this.#choose();
    };
    let manifest: SnapshotManifest;
    try {
      manifest = decodeSnapshotManifest(bytes);
    } catch (thrown) {
      const { code, message } = toHanseError(thrown);
      wrong(code, message);
      return;
    }
    if (!equalBytes(snapshotIdOf(manifest.content), id)) {
      wrong("SYNC_MANIFEST", "its manifest is of another snapshot");
      return;
    }
    const verdict = verifySnapshotManifest(manifest, this.#options.trust);
    if (!verdict.ok) {
      wrong(verdict.contradictsAnchor ? "SYNC_ANCHOR" : "SYNC_MANIFEST", verdict.reason);
      return;
    }
    if (manifest.content.height <= this.#above!()) return;
    this.#opening = true;
    try {
      this.#place = await this.#options.open(manifest, bytes);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    } finally {
      this.#opening = false;
    }
    if (!this.running) return;
    this.#manifest = manifest;
    this.#id = id;
    this.#progressAt = this.#options.clock.now();
    const { chunkHashes, height } = manifest.content;
    this.#missing = [...chunkHashes.keys()].filter((i) => !this.#place!.has(i)).reverse();
    this.#options.report({
      t: "began",
      height,
      chunks: this.#missing.length,
      bytes: manifest.content.bytes,
    });
    this.#request();
  }

  /** A content whose root turned out not to be its manifest's is not fetched again. */
  refuse(id: Hash): void {
    if (this.#refused.size >= REFUSED_MAX) this.#refused.clear();
    this.#refused.add(toHex(id));
  }

  #fail(thrown: unknown): void {
    this.stop();
    this.#options.report({ t: "failed", message: toHanseError(thrown).message });
  }

  #holders(): ValidatorId[] {
    const holders: ValidatorId[] = [];
    for (const [id, peer] of this.#peers) {
      if (peer.inFlight >= CHUNKS_PER_PEER_MAX || !this.#credible(peer)) continue;
      if (peer.offers.some((offer) => equalBytes(offer.id, this.#id!))) holders.push(id);
    }
    return holders.sort((a, b) => this.#peer(a).inFlight - this.#peer(b).inFlight);
  }

  #request(): void {
    const manifest = this.#manifest;
    if (manifest === undefined || !this.running) return;
    if (this.#missing.length === 0 && this.#asked.size === 0 && this.#saving === 0) {
      this.stop();
      this.#options.report({ t: "complete", manifest });
      return;
    }
    while (this.#missing.length > 0 && this.#asked.size + this.#saving < CHUNKS_IN_FLIGHT_MAX) {
      const [peer] = this.#holders();
      if (peer === undefined) return;
      const index = this.#missing.pop()!;
      const timer = this.#options.clock.setTimer(ANSWER_MS_MAX, () => {
        this.#giveBack(index);
        this.#fault(peer, "SYNC_TIMEOUT", `chunk ${index} did not come`);
        this.#request();
      });
      this.#asked.set(index, { peer, timer });
      this.#peer(peer).inFlight++;
      this.#send(peer, { t: "getChunk", id: this.#id!, index });
    }
  }

  #answered(index: number): void {
    const asked = this.#asked.get(index);
    if (asked === undefined) return;
    asked.timer.cancel();
    this.#asked.delete(index);
    this.#peer(asked.peer).inFlight--;
  }

  #giveBack(index: number): void {
    this.#answered(index);
    this.#missing.push(index);
  }

  async #onChunk(from: ValidatorId, id: Hash, index: number, bytes: Bytes): Promise<void> {
    const manifest = this.#manifest;
    const place = this.#place;
    if (manifest === undefined || place === undefined) return;
    if (this.#asked.get(index)?.peer !== from || !equalBytes(id, this.#id!)) return;
    if (bytes.length === 0) {
      // It has let the snapshot go, which is no fault.
      this.#peer(from).offers = [];
      this.#giveBack(index);
      this.#request();
      return;
    }
    if (!isChunk(manifest.content, index, bytes)) {
      this.#giveBack(index);
      this.#fault(from, "SYNC_CHUNK", `chunk ${index} has not the hash of the manifest`);
      this.#request();
      return;
    }
    this.#answered(index);
    this.#saving++;
    try {
      await place.save(index, bytes);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    } finally {
      this.#saving--;
    }
    this.#progressAt = this.#options.clock.now();
    this.#peer(from).faults = 0;
    this.#request();
  }
}

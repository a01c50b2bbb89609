/** The peers of a node and the keys by which they are known; changes while the node runs. */
import type { TLSSocket } from "node:tls";
import { equalBytes, HanseError, type Hash, toHex, type ValidatorId } from "@hanse/protocol";
import { LinkMeter } from "../health/link-meter.ts";
import type { Connection } from "../link/connection.ts";

export interface TlsPeer {
  readonly id: ValidatorId;
  /** `host:port`, IPv6 in brackets; undefined = as before, or this peer dials us. */
  readonly address?: string | undefined;
  /** SHA-256 of its certificate's public key, from the registry. */
  readonly tlsFingerprint: Hash;
}

export interface Peer {
  readonly id: ValidatorId;
  readonly meter: LinkMeter;
  fingerprint: Hash;
  /** The key before this one, which holds until the timer fires. */
  retiring: { readonly fingerprint: Hash; readonly timer: NodeJS.Timeout } | undefined;
  address: string | undefined;
  connection: Connection | undefined;
  /** The one before, for a moment. */
  replaced: Connection | undefined;
  /** The key that the connection was made with. */
  connectionKey: Hash | undefined;
  dialing: TLSSocket | undefined;
  retry: NodeJS.Timeout | undefined;
  attempts: number;
  upSince: number;
  lastError: string | undefined;
  /** No longer a peer; nothing of it counts any more. */
  removed: boolean;
}

/** What a new list of peers changed. */
export interface PeerChanges {
  readonly added: readonly Peer[];
  readonly removed: readonly Peer[];
  /** Known by another key from now on. */
  readonly rekeyed: readonly Peer[];
  readonly moved: readonly Peer[];
}

export interface PeerBookOptions {
  readonly self: ValidatorId;
  /** Whether a key is one of the node's own. */
  readonly isOwnKey: (fingerprint: Hash) => boolean;
  /** For so long the key before is taken too. */
  readonly keyOverlapMs: number;
  /** The key before is not taken any more. */
  readonly onRetired: (peer: Peer) => void;
}

export class PeerBook {
  readonly #options: PeerBookOptions;
  readonly #peers = new Map<ValidatorId, Peer>();

  constructor(options: PeerBookOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#peers.size;
  }

  get(id: ValidatorId): Peer | undefined {
    return this.#peers.get(id);
  }

  keys(): Iterable<ValidatorId> {
    return this.#peers.keys();
  }

  values(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** The peer of this key, be it its newest or one that still holds. */
  findByKey(fingerprint: Hash): Peer | undefined {
    for (const peer of this.#peers.values()) if (isKeyOf(peer, fingerprint)) return peer;
    return undefined;
  }

  /**
   * Makes the list the peers; all or nothing.
   * @throws HanseError `NETWORK_PEERS` on repeated ids or keys.
   */
  set(list: readonly TlsPeer[]): PeerChanges {
    this.#validate(list);
    const added: Peer[] = [];
    const rekeyed: Peer[] = [];
    const moved: Peer[] = [];
    const wanted = new Set(list.map(({ id }) => id));
    const removed = [...this.#peers.values()].filter((peer) => !wanted.has(peer.id));
    for (const peer of removed) {
      peer.removed = true;
      this.#retire(peer);
      this.#peers.delete(peer.id);
    }
    for (const { id, address, tlsFingerprint } of list) {
      const peer = this.#peers.get(id);
      if (peer === undefined) {
        const fresh = createPeer(id, tlsFingerprint, address);
        this.#peers.set(id, fresh);
        added.push(fresh);
        continue;
      }
      if (!equalBytes(peer.fingerprint, tlsFingerprint)) {
        this.#rekey(peer, tlsFingerprint);
        rekeyed.push(peer);
      }
      if (address !== undefined && address !== peer.address) {
        peer.address = address;
        moved.push(peer);
      }
    }
    return { added, removed, rekeyed, moved };
  }

  /** Stops its timers. */
  stop(): void {
    for (const peer of this.#peers.values()) clearTimeout(peer.retiring?.timer);
  }

  #validate(list: readonly TlsPeer[]): void {
    const ids = new Set<ValidatorId>([this.#options.self]);
    const keys = new Set<string>();
    for (const { id, tlsFingerprint } of list) {
      const hex = toHex(tlsFingerprint);
      if (ids.has(id)) {
        throw new HanseError("NETWORK_PEERS", "rejected", `peer ${id} stands twice`);
      }
      if (keys.has(hex) || this.#options.isOwnKey(tlsFingerprint)) {
        throw new HanseError(
          "NETWORK_PEERS",
          "rejected",
          `peer ${id} has the TLS key of another node; every node needs its own`,
        );
      }
      ids.add(id);
      keys.add(hex);
    }
  }

  #rekey(peer: Peer, fingerprint: Hash): void {
    const before = peer.fingerprint;
    clearTimeout(peer.retiring?.timer);
    peer.fingerprint = fingerprint;
    peer.attempts = 0;
    const timer = setTimeout(() => this.#retire(peer), this.#options.keyOverlapMs).unref();
    peer.retiring = { fingerprint: before, timer };
  }

  #retire(peer: Peer): void {
    clearTimeout(peer.retiring?.timer);
    peer.retiring = undefined;
    this.#options.onRetired(peer);
  }
}

export function isKeyOf(peer: Peer, fingerprint: Hash): boolean {
  return (
    equalBytes(peer.fingerprint, fingerprint) ||
    (peer.retiring !== undefined && equalBytes(peer.retiring.fingerprint, fingerprint))
  );
}

function createPeer(id: ValidatorId, fingerprint: Hash, address: string | undefined): Peer {
  return {
    id,
    meter: new LinkMeter(() => performance.now()),
    fingerprint,
    retiring: undefined,
    address,
    connection: undefined,
    replaced: undefined,
    connectionKey: undefined,
    dialing: undefined,
    retry: undefined,
    attempts: 0,
    upSince: 0,
    lastError: undefined,
    removed: false,
  };
}

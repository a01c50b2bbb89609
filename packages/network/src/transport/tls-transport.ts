/**
 * Links to the known nodes of one ledger over mutual TLS 1.3. Who a node is follows from the key
 * that its certificate shows: the registry pins its fingerprint, certificate authorities play no
 * part. Of two nodes the one with the smaller id dials, so that a pair has one link; a newer one
 * replaces an older, because only a restarted dialer makes one.
 */
import { connect, createServer, type TLSSocket } from "node:tls";
import type { Channel, Transport } from "@hanse/ordering";
import {
  type Bytes,
  compareText,
  equalBytes,
  HanseError,
  type Hash,
  toHex,
  type ValidatorId,
} from "@hanse/protocol";
import { type Hello, NETWORK_PROTOCOL_VERSION } from "../frames/frame-codec.ts";
import { readTlsIdentity, type TlsIdentity, tlsFingerprintOf } from "../identity/tls-identity.ts";
import { Connection, type LinkLimits } from "../link/connection.ts";
import { createCounters, type NetworkCounters } from "./counters.ts";

const ALPN = "hanse/1";
const GREETING_MS_MAX = 5000;
const RECONNECT_MS_MIN = 100;
/** A link that held this long makes the next attempt start without a pause again. */
const STEADY_MS = 2000;

export interface TlsTransportLimits extends LinkLimits {
  /** Longest pause between attempts to reach a peer. */
  readonly reconnectMsMax: number;
}

const MEBIBYTE = 1024 * 1024;

export const DEFAULT_TRANSPORT_LIMITS: TlsTransportLimits = {
  frameBytesMax: 16 * MEBIBYTE,
  queueBytesMax: 64 * MEBIBYTE,
  bytesPerSecond: 128 * MEBIBYTE,
  framesPerSecond: 20_000,
  keepaliveMs: 5000,
  reconnectMsMax: 2000,
};

export interface TlsPeer {
  readonly id: ValidatorId;
  /** `host:port`; undefined = this peer dials us, or cannot be reached. */
  readonly address?: string | undefined;
  /** SHA-256 of its certificate's public key, from the registry. */
  readonly tlsFingerprint: Hash;
}

/** Structured log, message constant and facts in the object (pino fits). */
export interface NetworkLog {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface TlsTransportOptions {
  readonly self: ValidatorId;
  readonly identity: Pick<TlsIdentity, "privateKeyPem" | "certificatePem">;
  readonly listen: { readonly host: string; readonly port: number };
  readonly peers: readonly TlsPeer[];
  readonly ledgerId: Hash;
  readonly limits?: Partial<TlsTransportLimits>;
  readonly log?: NetworkLog;
}

export interface PeerLinkState {
  readonly id: ValidatorId;
  readonly address: string | undefined;
  readonly connected: boolean;
  readonly queuedBytes: number;
  readonly roundTripMs: number | undefined;
  /** Why the last link or attempt ended. */
  readonly lastError: string | undefined;
}

export interface TlsTransport extends Transport {
  /** Listens and begins to dial. @throws HanseError `NETWORK_LISTEN` when the port is taken. */
  start(): Promise<{ readonly host: string; readonly port: number }>;
  /** Closes every link; resolves when the port is free again. */
  stop(): Promise<void>;
  /** A peer has moved; takes effect with the next attempt. */
  setPeerAddress(id: ValidatorId, address: string): void;
  /** Closes the link with a reason; the peer may come back after a pause. */
  disconnect(id: ValidatorId, reason: string): void;
  links(): readonly PeerLinkState[];
  readonly counters: NetworkCounters;
}

interface Peer {
  readonly id: ValidatorId;
  readonly fingerprint: Hash;
  address: string | undefined;
  connection: Connection | undefined;
  dialing: TLSSocket | undefined;
  retry: NodeJS.Timeout | undefined;
  attempts: number;
  upSince: number;
  lastError: string | undefined;
}

const silent: NetworkLog = { debug() {}, info() {}, warn() {}, error() {} };

function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  return {
    host: address.slice(0, at).replace(/^\[|\]$/g, ""),
    port: Number(address.slice(at + 1)),
  };
}

class TlsTransportImpl implements TlsTransport {
  readonly self: ValidatorId;
  readonly counters = createCounters();
  readonly #options: TlsTransportOptions;
  readonly #limits: TlsTransportLimits;
  readonly #log: NetworkLog;
  readonly #peers = new Map<ValidatorId, Peer>();
  readonly #byFingerprint = new Map<string, Peer>();
  readonly #server: ReturnType<typeof createServer>;
  readonly #greetings = new Set<TLSSocket>();
  readonly #hello: Hello;
  #onMessage: (from: ValidatorId, channel: Channel, message: Bytes) => void = () => {};
  readonly #onPeer: ((peer: ValidatorId, up: boolean) => void)[] = [];
  #keepalive: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: TlsTransportOptions) {
    this.self = options.self;
    this.#options = options;
    this.#limits = { ...DEFAULT_TRANSPORT_LIMITS, ...options.limits };
    this.#log = options.log ?? silent;
    this.#hello = {
      version: NETWORK_PROTOCOL_VERSION,
      ledgerId: options.ledgerId,
      id: options.self,
    };
    const { fingerprint } = readTlsIdentity(
      `${options.identity.privateKeyPem}\n${options.identity.certificatePem}`,
    );
    for (const { id, address, tlsFingerprint } of options.peers) {
      const hex = toHex(tlsFingerprint);
      if (id === options.self || this.#peers.has(id)) {
        throw new HanseError("NETWORK_PEERS", "rejected", `peer ${id} stands twice`);
      }
      if (this.#byFingerprint.has(hex) || equalBytes(tlsFingerprint, fingerprint)) {
        throw new HanseError(
          "NETWORK_PEERS",
          "rejected",
          `peer ${id} has the TLS key of another node; every node needs its own`,
        );
      }
      const peer: Peer = {
        id,
        fingerprint: tlsFingerprint,
        address,
        connection: undefined,
        dialing: undefined,
        retry: undefined,
        attempts: 0,
        upSince: 0,
        lastError: undefined,
      };
      this.#peers.set(id, peer);
      this.#byFingerprint.set(hex, peer);
    }
    this.#server = createServer(
      { ...this.#tlsOptions(), requestCert: true, handshakeTimeout: GREETING_MS_MAX },
      (socket) => this.#answer(socket),
    );
    // Twice: a restarted peer's new connection may come before the old one's end is known.
    this.#server.maxConnections = 2 * this.#peers.size + 32;
    this.#server.on("tlsClientError", (error, socket) => {
      this.counters.refused++;
      this.#log.debug({ from: socket.remoteAddress, error: error.message }, "TLS refused");
    });
  }

  #tlsOptions() {
    return {
      key: this.#options.identity.privateKeyPem,
      cert: this.#options.identity.certificatePem,
      minVersion: "TLSv1.3" as const,
      maxVersion: "TLSv1.3" as const,
      ALPNProtocols: [ALPN],
      // The chain is of no interest: the key itself is pinned, right after the handshake, which
      // has proven that the peer holds it.
      rejectUnauthorized: false,
    };
  }

  async start(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      const refuse = (cause: Error) =>
        reject(
          new HanseError(
            "NETWORK_LISTEN",
            "unavailable",
            `network.port: cannot listen on ${host}:${port} (${cause.message})`,
            { cause },
          ),
        );
      this.#server.once("error", refuse);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", refuse);
        this.#server.on("error", (error) =>
          this.#log.error({ error: error.message }, "network door failed"),
        );
        resolve();
      });
    });
    const { keepaliveMs } = this.#limits;
    let expected = performance.now() + keepaliveMs;
    this.#keepalive = setInterval(() => {
      const lateMs = performance.now() - expected;
      expected = performance.now() + keepaliveMs;
      // A program that stood still itself has heard nobody; that says nothing about the peers.
      if (lateMs > keepaliveMs) return;
      for (const peer of this.#peers.values()) peer.connection?.keepAlive();
    }, keepaliveMs);
    for (const peer of this.#peers.values()) this.#dial(peer);
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") return { host, port };
    return { host: bound.address, port: bound.port };
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#keepalive);
    for (const peer of this.#peers.values()) {
      clearTimeout(peer.retry);
      peer.dialing?.destroy();
      peer.connection?.close("the node stops");
    }
    for (const socket of this.#greetings) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  setPeerAddress(id: ValidatorId, address: string): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) {
      throw new HanseError("NETWORK_PEERS", "notFound", `${id} is not a peer of this ledger`);
    }
    peer.address = address;
    peer.attempts = 0;
    if (this.#keepalive !== undefined) this.#dial(peer);
  }

  send(to: ValidatorId, channel: Channel, message: Bytes): void {
    const connection = this.#peers.get(to)?.connection;
    if (connection?.isOpen === true) connection.send(channel, message);
    else this.counters.channels[channel].dropped++;
  }

  broadcast(channel: Channel, message: Bytes): void {
    for (const id of this.#peers.keys()) this.send(id, channel, message);
  }

  onMessage(handler: (from: ValidatorId, channel: Channel, message: Bytes) => void): void {
    const before = this.#onMessage;
    this.#onMessage = (from, channel, message) => {
      before(from, channel, message);
      handler(from, channel, message);
    };
  }

  disconnect(id: ValidatorId, reason: string): void {
    this.#peers.get(id)?.connection?.close(reason);
  }

  onPeer(handler: (peer: ValidatorId, up: boolean) => void): void {
    this.#onPeer.push(handler);
  }

  /** Ids of the peers with an open link. */
  peers(): readonly ValidatorId[] {
    return [...this.#peers.values()].filter((p) => p.connection?.isOpen).map((p) => p.id);
  }

  links(): readonly PeerLinkState[] {
    return [...this.#peers.values()].map((peer) => ({
      id: peer.id,
      address: peer.address,
      connected: peer.connection?.isOpen === true,
      queuedBytes: peer.connection?.queuedBytes ?? 0,
      roundTripMs: peer.connection?.roundTripMs,
      lastError: peer.lastError,
    }));
  }

  #dial(peer: Peer): void {
    clearTimeout(peer.retry);
    peer.retry = undefined;
    if (this.#stopped || compareText(this.self, peer.id) > 0) return;
    if (peer.connection !== undefined || peer.dialing !== undefined) return;
    if (peer.address === undefined) return;
    peer.attempts++;
    const socket = connect({ ...this.#tlsOptions(), ...splitAddress(peer.address) });
    peer.dialing = socket;
    const timeout = setTimeout(
      () => socket.destroy(new Error("no answer in time")),
      GREETING_MS_MAX,
    );
    const lost = (error?: Error) => {
      clearTimeout(timeout);
      if (peer.dialing !== socket) return;
      peer.dialing = undefined;
      this.#retry(peer, error?.message ?? "connection closed");
    };
    socket.once("error", lost);
    socket.once("close", () => lost());
    socket.once("secureConnect", () => {
      const shown = socket.getPeerX509Certificate();
      if (shown === undefined || !equalBytes(tlsFingerprintOf(shown), peer.fingerprint)) {
        this.counters.refused++;
        this.#log.warn(
          { peer: peer.id, address: peer.address },
          "peer shows another TLS key than the registry has; not talking to it",
        );
        socket.destroy(new Error("wrong TLS key"));
        return;
      }
      this.#greet(socket, peer, () => {
        clearTimeout(timeout);
        if (peer.dialing === socket) peer.dialing = undefined;
      });
    });
  }

  #retry(peer: Peer, reason: string): void {
    peer.lastError = reason;
    if (this.#stopped || peer.connection !== undefined) return;
    clearTimeout(peer.retry);
    const ceiling = Math.min(
      this.#limits.reconnectMsMax,
      RECONNECT_MS_MIN * 2 ** Math.min(peer.attempts, 16),
    );
    peer.retry = setTimeout(() => this.#dial(peer), ceiling * (0.5 + Math.random() / 2));
    this.#log.debug({ peer: peer.id, reason, attempts: peer.attempts }, "peer not reached");
  }

  #answer(socket: TLSSocket): void {
    const shown = socket.getPeerX509Certificate();
    const peer =
      shown === undefined ? undefined : this.#byFingerprint.get(toHex(tlsFingerprintOf(shown)));
    if (peer === undefined || this.#stopped) {
      this.counters.refused++;
      this.#log.warn({ from: socket.remoteAddress }, "stranger refused: TLS key not registered");
      socket.on("error", () => {});
      socket.destroy();
      return;
    }
    this.#greetings.add(socket);
    const timeout = setTimeout(() => socket.destroy(), GREETING_MS_MAX);
    const settled = () => {
      clearTimeout(timeout);
      this.#greetings.delete(socket);
    };
    socket.once("close", settled);
    this.#greet(socket, peer, settled);
  }

  /** `settled` is called as soon as the connection is a link, or is over. */
  #greet(socket: TLSSocket, peer: Peer, settled: () => void): void {
    const connection: Connection = new Connection({
      socket,
      hello: this.#hello,
      limits: this.#limits,
      counters: this.counters,
      now: () => performance.now(),
      accept: (hello) => {
        if (!equalBytes(hello.ledgerId, this.#options.ledgerId)) {
          throw new HanseError(
            "NETWORK_WRONG_LEDGER",
            "rejected",
            `peer is on ledger ${toHex(hello.ledgerId).slice(0, 16)}, this node on ${toHex(this.#options.ledgerId).slice(0, 16)}; compare the genesis files`,
          );
        }
        if (hello.id !== peer.id) {
          throw new HanseError(
            "NETWORK_WRONG_PEER",
            "rejected",
            `peer calls itself ${hello.id.slice(0, 100)}; its key belongs to ${peer.id}`,
          );
        }
      },
      onOpen: () => {
        settled();
        const older = peer.connection;
        peer.connection = connection;
        peer.upSince = performance.now();
        peer.lastError = undefined;
        older?.close("replaced by a newer connection");
        this.counters.linksUp++;
        this.#log.info({ peer: peer.id }, "peer connected");
        if (older === undefined) for (const handler of this.#onPeer) handler(peer.id, true);
      },
      onMessage: (channel, message) => this.#deliver(peer, channel, message),
      onClose: (error, violation) => {
        settled();
        this.#closed(peer, connection, error, violation);
      },
    });
  }

  #deliver(peer: Peer, channel: Channel, message: Bytes): void {
    try {
      this.#onMessage(peer.id, channel, message);
    } catch (error) {
      // A malformed message is the peer's breach and costs it the link; all else is a bug of ours,
      // which no connection may swallow: it stops the program.
      if (error instanceof HanseError && error.kind === "malformed") throw error;
      process.nextTick(() => {
        throw error;
      });
    }
  }

  #closed(peer: Peer, connection: Connection, error: HanseError, violation: boolean): void {
    const facts = { peer: peer.id, code: error.code, reason: error.message };
    if (violation) this.counters.violations++;
    if (peer.connection !== connection) {
      if (violation || error.code === "NETWORK_REFUSED_BY_PEER") {
        this.counters.refused++;
        this.#log.warn(facts, "peer refused");
      }
      if (peer.connection === undefined) this.#retry(peer, error.message);
      return;
    }
    peer.connection = undefined;
    this.counters.linksLost++;
    if (performance.now() - peer.upSince >= STEADY_MS) peer.attempts = 0;
    if (violation) this.#log.error(facts, "peer broke the protocol; link closed");
    else if (!this.#stopped) this.#log.warn(facts, "peer lost");
    for (const handler of this.#onPeer) handler(peer.id, false);
    this.#retry(peer, error.message);
  }
}

/**
 * @throws HanseError `NETWORK_PEERS` on repeated ids or keys, `NETWORK_IDENTITY` on an unreadable
 * identity.
 */
export function createTlsTransport(options: TlsTransportOptions): TlsTransport {
  return new TlsTransportImpl(options);
}

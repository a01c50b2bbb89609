/**
 * Links to the known nodes of one ledger over mutual TLS 1.3. Who a node is follows from the key
 * that its certificate shows: the registry pins its fingerprint, certificate authorities play no
 * part. Of two nodes the one with the smaller id dials, so that a pair has one link; a newer one
 * replaces an older, because only a restarted dialer makes one.
 */
import { connect, createServer, type TLSSocket } from "node:tls";
import type { Channel } from "@hanse/ordering";
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
import { healthValue } from "../health/health-value.ts";
import { tlsFingerprintOf } from "../identity/tls-identity.ts";
import { serverNameOf, type TlsKeyPem, TlsKeys } from "../identity/tls-keys.ts";
import { Connection } from "../link/connection.ts";
import { OutboundBudget } from "../link/outbound-budget.ts";
import { parseAddress, type SocketAddress } from "./address.ts";
import { createCounters } from "./counters.ts";
import {
  DEFAULT_TRANSPORT_LIMITS,
  type NetworkLog,
  type PeerLinkState,
  type TlsTransport,
  type TlsTransportLimits,
  type TlsTransportOptions,
} from "./interfaces.ts";
import { isKeyOf, type Peer, PeerBook, type TlsPeer } from "./peer-book.ts";

const ALPN = "hanse/1";
const GREETING_MS_MAX = 5000;
const RECONNECT_MS_MIN = 100;
/** For so long a link serves on beside the one that replaces it. */
const REPLACED_MS = 500;
/** A link that held this long makes the next attempt start without a pause again. */
const STEADY_MS = 2000;

const silent: NetworkLog = { debug() {}, info() {}, warn() {}, error() {} };

const COMMON_TLS = {
  ALPNProtocols: [ALPN],
  // The chain is of no interest: the key itself is pinned, right after the handshake, which
  // has proven that the peer holds it.
  rejectUnauthorized: false,
};

class TlsTransportImpl implements TlsTransport {
  readonly self: ValidatorId;
  readonly counters = createCounters(() => this.#budget.waits);
  readonly #options: TlsTransportOptions;
  readonly #limits: TlsTransportLimits;
  readonly #log: NetworkLog;
  readonly #book: PeerBook;
  readonly #budget: OutboundBudget;
  readonly #server: ReturnType<typeof createServer>;
  readonly #greetings = new Set<TLSSocket>();
  readonly #hello: Hello;
  #keys: TlsKeys;
  #wanted: ReadonlySet<ValidatorId> | undefined;
  readonly #onMessage: ((from: ValidatorId, channel: Channel, message: Bytes) => void)[] = [];
  readonly #onEnvelope: ((from: ValidatorId, channel: Channel, envelope: Bytes) => void)[] = [];
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
    this.#budget = new OutboundBudget(this.#limits.bytesPerSecondMax, () => performance.now());
    this.#keys = new TlsKeys([options.identity, ...(options.otherIdentities ?? [])]);
    this.#book = new PeerBook({
      self: options.self,
      isOwnKey: (fingerprint) => this.#keys.has(fingerprint),
      keyOverlapMs: this.#limits.keyOverlapMs,
      onRetired: (peer) => {
        const { connection, connectionKey } = peer;
        if (connectionKey !== undefined && !isKeyOf(peer, connectionKey)) {
          connection?.close("the key of this link is not registered any more");
        }
      },
    });
    this.#server = createServer(
      {
        ...this.#keys.options,
        ...COMMON_TLS,
        requestCert: true,
        handshakeTimeout: GREETING_MS_MAX,
        SNICallback: (name, done) => done(null, this.#keys.contextOf(name)),
      },
      (socket) => this.#answer(socket),
    );
    this.#server.on("tlsClientError", (error, socket) => {
      this.counters.refused++;
      this.#log.debug({ from: socket.remoteAddress, error: error.message }, "TLS refused");
    });
    this.setPeers(options.peers);
  }

  async start(): Promise<SocketAddress> {
    const bound =
      (await this.#options.carrier?.start((stream) => {
        this.#server.emit("connection", stream);
      })) ?? (await this.#listen());
    const { keepaliveMs } = this.#limits;
    let expected = performance.now() + keepaliveMs;
    this.#keepalive = setInterval(() => {
      const lateMs = performance.now() - expected;
      expected = performance.now() + keepaliveMs;
      // A program that stood still itself has heard nobody; that says nothing about the peers.
      if (lateMs > keepaliveMs) return;
      for (const peer of this.#book.values()) peer.connection?.keepAlive();
    }, keepaliveMs);
    for (const peer of this.#book.values()) this.#dial(peer);
    return bound;
  }

  async #listen(): Promise<SocketAddress> {
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
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") return { host, port };
    return { host: bound.address, port: bound.port };
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#keepalive);
    this.#book.stop();
    for (const peer of this.#book.values()) this.#drop(peer, "the node stops");
    this.#budget.stop();
    for (const socket of this.#greetings) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await this.#options.carrier?.stop();
  }

  setPeers(list: readonly TlsPeer[]): void {
    const { added, removed, rekeyed, moved } = this.#book.set(list);
    // Twice: a restarted peer's new connection may come before the old one's end is known.
    this.#server.maxConnections = 2 * this.#book.size + 32;
    for (const peer of removed) this.#drop(peer, "not a node of this ledger any more");
    if (this.#keepalive === undefined) return;
    for (const peer of [...added, ...moved]) this.#dial(peer);
    for (const peer of rekeyed) {
      this.#log.info({ peer: peer.id }, "peer has a new TLS key");
      this.#dial(peer, { renew: true });
    }
  }

  rotateIdentity(identity: TlsKeyPem, others: readonly TlsKeyPem[] = [this.#keys.inUse]): void {
    this.#keys = new TlsKeys([identity, ...others]);
    this.#server.setSecureContext(this.#keys.options);
    this.#log.info({ fingerprint: toHex(this.#keys.inUse.fingerprint) }, "TLS key changed");
    if (this.#keepalive === undefined) return;
    for (const peer of this.#book.values()) {
      peer.attempts = 0;
      this.#dial(peer, { renew: true });
    }
  }

  setWanted(ids: ReadonlySet<ValidatorId> | undefined): void {
    this.#wanted = ids;
    if (this.#keepalive === undefined) return;
    for (const peer of this.#book.values()) {
      if (ids === undefined || ids.has(peer.id)) this.#dial(peer);
      else if (compareText(this.self, peer.id) < 0) this.#drop(peer, "this link is not needed");
    }
  }

  setPeerAddress(id: ValidatorId, address: string): void {
    const peer = this.#book.get(id);
    if (peer === undefined) {
      throw new HanseError("NETWORK_PEERS", "notFound", `${id} is not a peer of this ledger`);
    }
    peer.address = address;
    peer.attempts = 0;
    if (this.#keepalive !== undefined) this.#dial(peer);
  }

  send(to: ValidatorId, channel: Channel, message: Bytes): void {
    this.#send(to, channel, message, false);
  }

  sendEnvelope(to: ValidatorId, channel: Channel, envelope: Bytes): void {
    this.#send(to, channel, envelope, true);
  }

  #send(to: ValidatorId, channel: Channel, message: Bytes, relayed: boolean): void {
    const connection = this.#book.get(to)?.connection;
    if (connection?.isOpen === true) connection.send(channel, message, relayed);
    else this.counters.channels[channel].dropped++;
  }

  broadcast(channel: Channel, message: Bytes): void {
    for (const id of this.#book.keys()) this.send(id, channel, message);
  }

  onMessage(handler: (from: ValidatorId, channel: Channel, message: Bytes) => void): void {
    this.#onMessage.push(handler);
  }

  onEnvelope(handler: (from: ValidatorId, channel: Channel, envelope: Bytes) => void): void {
    this.#onEnvelope.push(handler);
  }

  disconnect(id: ValidatorId, reason: string): void {
    this.#book.get(id)?.connection?.close(reason);
  }

  onPeer(handler: (peer: ValidatorId, up: boolean) => void): void {
    this.#onPeer.push(handler);
  }

  /** Ids of the peers with an open link. */
  peers(): readonly ValidatorId[] {
    return [...this.#book.values()].filter((p) => p.connection?.isOpen).map((p) => p.id);
  }

  links(): readonly PeerLinkState[] {
    return [...this.#book.values()].map((peer) => {
      const health = peer.meter.facts;
      return {
        id: peer.id,
        address: peer.address,
        connected: peer.connection?.isOpen === true,
        queuedBytes: peer.connection?.queuedBytes ?? 0,
        roundTripMs: peer.connection?.roundTripMs,
        lastError: peer.lastError,
        health,
        healthPpm: healthValue(health),
      };
    });
  }

  #drop(peer: Peer, reason: string): void {
    clearTimeout(peer.retry);
    peer.dialing?.destroy();
    peer.replaced?.close(reason);
    peer.connection?.close(reason);
  }

  /** The older link ends a moment later, when the other side surely has the newer one. */
  #replace(peer: Peer, older: Connection): void {
    peer.replaced?.close("replaced by newer connections");
    peer.replaced = older;
    setTimeout(() => {
      older.close("replaced by a newer connection");
      if (peer.replaced === older) peer.replaced = undefined;
    }, REPLACED_MS).unref();
  }

  /** Whether this side is to look for a link to the peer. */
  #isDialer(peer: Peer): boolean {
    if (this.#stopped || peer.removed || compareText(this.self, peer.id) > 0) return false;
    return peer.address !== undefined && this.#wanted?.has(peer.id) !== false;
  }

  /** `renew` makes a new connection beside one that stands. */
  #dial(peer: Peer, { renew = false } = {}): void {
    clearTimeout(peer.retry);
    peer.retry = undefined;
    if (!this.#isDialer(peer) || (peer.connection !== undefined && !renew)) return;
    if (renew) {
      const before = peer.dialing;
      peer.dialing = undefined;
      before?.destroy();
    }
    if (peer.dialing !== undefined) return;
    const { carrier } = this.#options;
    const socket = connect({
      ...COMMON_TLS,
      ...(carrier === undefined
        ? parseAddress(peer.address!)
        : { socket: carrier.dial(peer.address!) }),
      secureContext: this.#keys.contextFor(peer.attempts++),
      servername: serverNameOf(peer.fingerprint),
    });
    peer.dialing = socket;
    const timeout = setTimeout(
      () => socket.destroy(new Error("no answer in time")),
      GREETING_MS_MAX,
    );
    const lost = (error?: Error) => {
      clearTimeout(timeout);
      if (peer.dialing !== socket) return;
      peer.dialing = undefined;
      peer.meter.onAttempt(false);
      this.#retry(peer, error?.message ?? "connection closed");
    };
    socket.once("error", lost);
    socket.once("close", () => lost());
    socket.once("secureConnect", () => {
      const shown = socket.getPeerX509Certificate();
      const key = shown && tlsFingerprintOf(shown);
      if (key === undefined || !isKeyOf(peer, key)) {
        this.counters.refused++;
        this.#log.warn(
          { peer: peer.id, address: peer.address },
          "peer shows another TLS key than the registry has; not talking to it",
        );
        socket.destroy(new Error("wrong TLS key"));
        return;
      }
      this.#greet(socket, peer, key, () => {
        clearTimeout(timeout);
        if (peer.dialing === socket) peer.dialing = undefined;
      });
    });
  }

  #retry(peer: Peer, reason: string): void {
    peer.lastError = reason;
    clearTimeout(peer.retry);
    if (!this.#isDialer(peer) || peer.connection !== undefined) return;
    const ceiling = Math.min(
      this.#limits.reconnectMsMax,
      RECONNECT_MS_MIN * 2 ** Math.min(peer.attempts, 16),
    );
    peer.retry = setTimeout(() => this.#dial(peer), ceiling * (0.5 + Math.random() / 2));
    this.#log.debug({ peer: peer.id, reason, attempts: peer.attempts }, "peer not reached");
  }

  #answer(socket: TLSSocket): void {
    const shown = socket.getPeerX509Certificate();
    const key = shown && tlsFingerprintOf(shown);
    const peer = key && this.#book.findByKey(key);
    if (peer === undefined || key === undefined || this.#stopped) {
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
    this.#greet(socket, peer, key, settled);
  }

  /** `settled` is called as soon as the connection is a link, or is over. */
  #greet(socket: TLSSocket, peer: Peer, key: Hash, settled: () => void): void {
    const connection: Connection = new Connection({
      socket,
      hello: this.#hello,
      limits: this.#limits,
      counters: this.counters,
      budget: this.#budget,
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
        if (peer.removed) {
          connection.close("not a node of this ledger any more");
          return;
        }
        if (this.#isDialer(peer)) peer.meter.onAttempt(true);
        peer.meter.onLink(true);
        const older = peer.connection;
        peer.connection = connection;
        peer.connectionKey = key;
        peer.upSince = performance.now();
        peer.lastError = undefined;
        if (older !== undefined) this.#replace(peer, older);
        this.counters.linksUp++;
        this.#log.info({ peer: peer.id }, "peer connected");
        if (older === undefined) for (const handler of this.#onPeer) handler(peer.id, true);
      },
      onMessage: (channel, message, relayed) => this.#deliver(peer, channel, message, relayed),
      onProbe: (roundTripMs) => peer.meter.onProbe(roundTripMs),
      onBurst: (bytes, ms) => peer.meter.onBurst(bytes, ms),
      onClose: (error, violation) => {
        settled();
        this.#closed(peer, connection, error, violation);
      },
    });
  }

  #deliver(peer: Peer, channel: Channel, message: Bytes, relayed: boolean): void {
    if (peer.removed) return;
    try {
      for (const handler of relayed ? this.#onEnvelope : this.#onMessage) {
        handler(peer.id, channel, message);
      }
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
    if (violation) this.counters.countViolation(error.code);
    if (peer.connection !== connection) {
      if (connection.opened) return;
      if (violation || error.code === "NETWORK_REFUSED_BY_PEER") {
        this.counters.refused++;
        this.#log.warn(facts, "peer refused");
      }
      if (this.#isDialer(peer)) peer.meter.onAttempt(false);
      if (peer.connection === undefined) this.#retry(peer, error.message);
      return;
    }
    peer.connection = undefined;
    peer.connectionKey = undefined;
    peer.meter.onLink(false);
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

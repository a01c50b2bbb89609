/** What a transport over TLS takes and offers. */
import type { Transport } from "@hanse/ordering";
import type { Hash, ValidatorId } from "@hanse/protocol";
import type { HealthFacts } from "../health/health-value.ts";
import type { TlsKeyPem } from "../identity/tls-keys.ts";
import type { LinkLimits } from "../link/connection.ts";
import type { EnvelopeLinks } from "../relay/envelope-links.ts";
import type { Carrier } from "./carrier.ts";
import type { NetworkCounters } from "./counters.ts";
import type { TlsPeer } from "./peer-book.ts";

export interface TlsTransportLimits extends LinkLimits {
  /** Longest pause between attempts to reach a peer. */
  readonly reconnectMsMax: number;
  /** Bytes per second that leave over all links; votes leave all the same. 0 = no bound. */
  readonly bytesPerSecondMax: number;
  /** For so long after a peer's key changed the one before is taken too. */
  readonly keyOverlapMs: number;
}

const MEBIBYTE = 1024 * 1024;

export const DEFAULT_TRANSPORT_LIMITS: TlsTransportLimits = {
  frameBytesMax: 16 * MEBIBYTE,
  queueBytesMax: 64 * MEBIBYTE,
  bytesPerSecond: 128 * MEBIBYTE,
  framesPerSecond: 20_000,
  keepaliveMs: 5000,
  reconnectMsMax: 2000,
  bytesPerSecondMax: 0,
  keyOverlapMs: 600_000,
};

/** Structured log, message constant and facts in the object (pino fits). */
export interface NetworkLog {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface TlsTransportOptions {
  readonly self: ValidatorId;
  readonly identity: TlsKeyPem;
  /** Keys around a change of keys: the one before, the one to come. */
  readonly otherIdentities?: readonly TlsKeyPem[];
  readonly listen: { readonly host: string; readonly port: number };
  readonly peers: readonly TlsPeer[];
  /** In place of TCP; `listen` is the carrier's own matter then. */
  readonly carrier?: Carrier;
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
  /** What was measured of the peer from here. */
  readonly health: HealthFacts;
  /** The same as one value, parts per million. */
  readonly healthPpm: number;
}

export interface TlsTransport extends Transport, EnvelopeLinks {
  /** Listens and begins to dial. @throws HanseError `NETWORK_LISTEN` when the port is taken. */
  start(): Promise<{ readonly host: string; readonly port: number }>;
  /** Closes every link; resolves when the port is free again. */
  stop(): Promise<void>;
  /**
   * Makes the list the peers from now on: links to others are closed, new ones are dialed, a peer
   * with a new key gets a new link while the old one still serves.
   * @throws HanseError `NETWORK_PEERS` on repeated ids or keys; nothing has changed then.
   */
  setPeers(list: readonly TlsPeer[]): void;
  /**
   * Shows this key from now on, and where a peer expects another, one of `others` (the key before,
   * unless given). Links are renewed one by one without a gap.
   * @throws HanseError `NETWORK_IDENTITY`
   */
  rotateIdentity(identity: TlsKeyPem, others?: readonly TlsKeyPem[]): void;
  /** Only these are dialed; links that this side dialed to others are closed. Undefined = all. */
  setWanted(ids: ReadonlySet<ValidatorId> | undefined): void;
  /** A peer has moved; takes effect with the next attempt. */
  setPeerAddress(id: ValidatorId, address: string): void;
  /** Closes the link with a reason; the peer may come back after a pause. */
  disconnect(id: ValidatorId, reason: string): void;
  links(): readonly PeerLinkState[];
  readonly counters: NetworkCounters;
}

export {
  createTlsIdentity,
  encodeTlsIdentity,
  readTlsIdentity,
  type TlsIdentity,
  tlsFingerprintOf,
} from "./identity/tls-identity.ts";
export type { LinkLimits } from "./link/connection.ts";
export type { ChannelCounters, NetworkCounters } from "./transport/counters.ts";
export {
  createTlsTransport,
  DEFAULT_TRANSPORT_LIMITS,
  type NetworkLog,
  type PeerLinkState,
  type TlsPeer,
  type TlsTransport,
  type TlsTransportLimits,
  type TlsTransportOptions,
} from "./transport/tls-transport.ts";

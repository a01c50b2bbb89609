export {
  type Connectivity,
  type HealthFacts,
  healthParts,
  healthValue,
} from "./health/health-value.ts";
export {
  createTlsIdentity,
  encodeTlsIdentity,
  readTlsIdentity,
  type TlsIdentity,
  tlsFingerprintOf,
} from "./identity/tls-identity.ts";
export { TLS_KEYS_MAX, type TlsKeyPem } from "./identity/tls-keys.ts";
export type { LinkLimits } from "./link/connection.ts";
export type { EnvelopeLinks } from "./relay/envelope-links.ts";
export {
  createRelayedTransport,
  type RelayCounters,
  type RelayedTransport,
  type RelayedTransportOptions,
} from "./relay/relayed-transport.ts";
export { electRelays, type NodeFacts, nextTerms } from "./topology/election.ts";
export { type LinkPlan, planLinks } from "./topology/link-plan.ts";
export { planTerm, TERM_BLOCKS, termOf } from "./topology/terms.ts";
export type { SocketAddress } from "./transport/address.ts";
export type { Carrier } from "./transport/carrier.ts";
export type { ChannelCounters, NetworkCounters } from "./transport/counters.ts";
export {
  DEFAULT_TRANSPORT_LIMITS,
  type NetworkLog,
  type PeerLinkState,
  type TlsTransport,
  type TlsTransportLimits,
  type TlsTransportOptions,
} from "./transport/interfaces.ts";
export type { TlsPeer } from "./transport/peer-book.ts";
export { createTlsTransport } from "./transport/tls-transport.ts";

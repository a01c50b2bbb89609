/** The configuration keys of the section `network`. */
import type { Setting } from "./setting.ts";

const minute = 60_000;
const mebibyte = 1024 * 1024;

export const NETWORK_SETTINGS = {
  host: {
    kind: "text",
    default: "0.0.0.0",
    description: "Address other nodes connect to (mutual TLS).",
  },
  port: {
    kind: "integer",
    default: 7071,
    min: 0,
    max: 65_535,
    unit: "port",
    description: "Port other nodes connect to; 0 takes any free one.",
  },
  peers: {
    kind: "peers",
    default: [],
    entriesMax: 1024,
    description: "Where the other nodes of the ledger listen: id and address (host:port).",
  },
  frameBytesMax: {
    kind: "integer",
    default: 16 * mebibyte,
    min: mebibyte,
    max: 256 * mebibyte,
    unit: "bytes",
    description: "Largest frame accepted from a peer; above the ledger's largest block.",
  },
  queueBytesMax: {
    kind: "integer",
    default: 64 * mebibyte,
    min: mebibyte,
    max: 1024 * mebibyte,
    unit: "bytes",
    description: "Most bytes waiting for one peer; the least urgent are dropped first.",
  },
  peerBytesPerSecond: {
    kind: "integer",
    default: 128 * mebibyte,
    min: mebibyte,
    max: 4096 * mebibyte,
    unit: "bytes/s",
    description: "Fastest intake from one peer; beyond it reading pauses.",
  },
  peerFramesPerSecond: {
    kind: "integer",
    default: 20_000,
    min: 100,
    max: 1_000_000,
    unit: "frames/s",
    description: "Most frames per second taken from one peer; beyond it reading pauses.",
  },
  bytesPerSecondMax: {
    kind: "integer",
    default: 0,
    min: 0,
    max: 4096 * mebibyte,
    unit: "bytes/s",
    description:
      "Most bytes per second sent to all peers together; votes are sent all the same. 0 = no bound.",
  },
  keyOverlapMs: {
    kind: "integer",
    default: 10 * minute,
    min: 0,
    max: 24 * 60 * minute,
    unit: "ms",
    description: "For so long after a peer changed its TLS key the one before is taken too.",
  },
  keepaliveMs: {
    kind: "integer",
    default: 5000,
    min: 100,
    max: 5 * minute,
    unit: "ms",
    description: "How often a link is probed; three times this in silence closes it.",
  },
  reconnectMsMax: {
    kind: "integer",
    default: 2000,
    min: 50,
    max: 10 * minute,
    unit: "ms",
    description: "Longest pause between attempts to reach a peer.",
  },
  meshNodesMax: {
    kind: "integer",
    default: 16,
    min: 3,
    max: 1024,
    unit: "nodes",
    description:
      "Up to so many nodes everybody keeps a link to everybody; in a larger ledger elected relays pass messages on. The same on all nodes.",
  },
  adapter: {
    kind: "choice",
    default: "tcp",
    choices: ["tcp", "libp2p"],
    description:
      "What carries the links; libp2p reaches nodes that nobody can dial, and its peers have multiaddresses. The same on all nodes.",
  },
  circuitRelay: {
    kind: "boolean",
    default: false,
    description:
      "With libp2p: this node can be dialed by all and carries the links of those that cannot.",
  },
  circuitRelays: {
    kind: "text",
    optional: true,
    description:
      "With libp2p, for a node that nobody can dial: multiaddresses of nodes that carry its links, separated by commas.",
  },
} as const satisfies Readonly<Record<string, Setting>>;

/**
 * Every configuration key of a node: default, unit, bounds, meaning. What all nodes of a ledger
 * must agree on is not here but in the genesis document.
 */
import { NETWORK_SETTINGS } from "./network-settings.ts";
import type { PeerAddress, Setting } from "./setting.ts";

const minute = 60_000;
const mebibyte = 1024 * 1024;

const NODE_ID = /^[a-z0-9][a-z0-9.-]*\/[a-z0-9][a-z0-9.-]*$/;

export const CONFIG_SCHEMA = {
  node: {
    id: {
      kind: "text",
      pattern: NODE_ID,
      description: "This node's id in the genesis document: organization/name.",
    },
    dataDir: {
      kind: "path",
      default: "data",
      description: "Folder of everything this node keeps; one process at a time may use it.",
    },
    org: {
      kind: "text",
      optional: true,
      description: "Organization of this node; checked against genesis when given.",
    },
  },
  ledger: {
    genesis: {
      kind: "path",
      default: "genesis.json",
      description: "Genesis document of the ledger, JSON or binary (.cbor).",
    },
  },
  keys: {
    consensus: {
      kind: "path",
      default: "keys/consensus.json",
      description: "Key file with which this node signs votes and blocks.",
    },
    tls: {
      kind: "path",
      default: "keys/tls.pem",
      description: "PEM file with the private key and the certificate shown to other nodes.",
    },
    account: {
      kind: "path",
      optional: true,
      description:
        "Key file of an account of this node's organization, without roles: signs the node's proofs of readiness and its reports to policy posr. Unset: reports are drawn up and kept in dataDir/probes alone, proofs are brought by hand.",
    },
  },
  api: {
    host: { kind: "text", default: "127.0.0.1", description: "Address the HTTP API listens on." },
    port: {
      kind: "integer",
      default: 7070,
      min: 0,
      max: 65_535,
      unit: "port",
      description: "Port of the HTTP API; 0 takes any free one.",
    },
    bodyBytesMax: {
      kind: "integer",
      default: 8 * mebibyte,
      min: 1024,
      max: 256 * mebibyte,
      unit: "bytes",
      description: "Largest request body.",
    },
    batchTransactionsMax: {
      kind: "integer",
      default: 5000,
      min: 1,
      max: 100_000,
      unit: "transactions",
      description: "Most transactions in one batch request.",
    },
    connectionsMax: {
      kind: "integer",
      default: 2000,
      min: 1,
      max: 100_000,
      unit: "connections",
      description: "Most open HTTP connections.",
    },
    subscribersMax: {
      kind: "integer",
      default: 200,
      min: 0,
      max: 10_000,
      unit: "streams",
      description: "Most open event streams.",
    },
    waitMsMax: {
      kind: "integer",
      default: minute,
      min: 100,
      max: 10 * minute,
      unit: "ms",
      description: "Longest a submit may wait for finality.",
    },
    sessionMs: {
      kind: "integer",
      default: 15 * minute,
      min: 1000,
      max: 24 * 60 * minute,
      unit: "ms",
      description: "Life of a session token.",
    },
    readsPerSecond: {
      kind: "integer",
      default: 500,
      min: 1,
      max: 1_000_000,
      unit: "requests/s",
      description:
        "Table reads and queries one account may make per second; queries count by the time they take, up to a tenth of the executing thread.",
    },
    publicReadsPerSecond: {
      kind: "integer",
      default: 2000,
      min: 1,
      max: 10_000_000,
      unit: "reads/s",
      description:
        "Reads without an account that one address may make per second; a block counts as 10, a page of blocks or a receipt as 20.",
    },
    corsOrigin: {
      kind: "text",
      optional: true,
      description:
        "Origin whose web pages may call the API, e.g. https://console.example; * for any.",
    },
  },
  network: NETWORK_SETTINGS,
  database: {
    url: {
      kind: "text",
      optional: true,
      secret: true,
      description: "PostgreSQL server to use, postgres://…; without it a cluster in dataDir.",
    },
    cacheBytesMax: {
      kind: "integer",
      default: 128 * mebibyte,
      min: mebibyte,
      max: 64 * 1024 * mebibyte,
      unit: "bytes",
      description: "Memory for rows of committed state.",
    },
  },
  storage: {
    keepBlocks: {
      kind: "integer",
      default: 0,
      min: 0,
      max: 1_000_000_000,
      unit: "blocks",
      description:
        "Newest blocks kept; older ones are let go, their state stays. 0 keeps all: an archive.",
    },
  },
  sync: {
    snapshotEveryBlocks: {
      kind: "integer",
      default: 10_000,
      min: 0,
      max: 1_000_000_000,
      unit: "blocks",
      description:
        "A snapshot of the state is written at every multiple of this height, for nodes that join; 0 writes none. The same on all nodes of a ledger, so that one can be fetched from several.",
    },
    snapshotsKept: {
      kind: "integer",
      default: 2,
      min: 1,
      max: 8,
      unit: "snapshots",
      description: "Newest snapshots kept; each is about as large as the state.",
    },
    blocksMax: {
      kind: "integer",
      default: 5_000,
      min: 0,
      max: 1_000_000_000,
      unit: "blocks",
      description:
        "A node that is further behind than this, and no archive with blocks of its own, joins by a snapshot; 0 = never.",
    },
    trust: {
      kind: "path",
      optional: true,
      description:
        "A later block that is trusted beside the genesis, as `hanse light sync` keeps it; a snapshot or block that contradicts it is refused, whoever signed it.",
    },
  },
  ordering: {
    viewMs: {
      kind: "integer",
      default: 1000,
      min: 50,
      max: 10 * minute,
      unit: "ms",
      description: "Patience with the first leader of a height.",
    },
    viewStepMs: {
      kind: "integer",
      default: 500,
      min: 0,
      max: 10 * minute,
      unit: "ms",
      description: "Added patience for each further leader.",
    },
    viewMsMax: {
      kind: "integer",
      default: 20_000,
      min: 100,
      max: 60 * minute,
      unit: "ms",
      description: "Longest patience with one leader.",
    },
    graceMs: {
      kind: "integer",
      default: 150,
      min: 0,
      max: minute,
      unit: "ms",
      description: "Pause of a new leader for finality of the view before.",
    },
    resendMs: {
      kind: "integer",
      default: 500,
      min: 20,
      max: minute,
      unit: "ms",
      description: "Pause between repetitions of unanswered votes.",
    },
    blockIntervalMs: {
      kind: "integer",
      default: 0,
      min: 0,
      max: 10 * minute,
      unit: "ms",
      description: "Least pause between blocks this node proposes, above the ledger's own least.",
    },
    stalledMs: {
      kind: "integer",
      default: 15_000,
      min: 500,
      max: 60 * minute,
      unit: "ms",
      description: "Waiting work without a final block for this long counts as stalled.",
    },
    recovery: {
      kind: "path",
      optional: true,
      description:
        "Document of the organizations on how to go on after a loss of quorum; until the node is past it.",
    },
  },
  comet: {
    home: {
      kind: "path",
      default: "comet",
      description: "CometBFT's home folder, on a ledger that CometBFT orders.",
    },
    rpcPort: {
      kind: "integer",
      default: 26_657,
      min: 1,
      max: 65_535,
      unit: "port",
      description: "Port of CometBFT's RPC on 127.0.0.1, as in its config.toml.",
    },
    binary: {
      kind: "path",
      optional: true,
      description: "CometBFT's program; unset: COMETBFT_BIN, PATH, then ~/.cache/hanse/bin.",
    },
  },
  etcd: {
    urls: {
      kind: "text",
      default: "http://127.0.0.1:2379",
      description:
        "Client addresses of etcd, with commas between them, on a ledger whose order etcd keeps.",
    },
    requestMs: {
      kind: "integer",
      default: 2000,
      min: 100,
      max: minute,
      unit: "ms",
      description: "Longest wait for an answer of etcd's.",
    },
    leaseMs: {
      kind: "integer",
      default: 3000,
      min: 1000,
      max: 10 * minute,
      unit: "ms",
      description:
        "Life of the leader's lease without renewal; so long a lost leader holds blocks up.",
    },
    caFile: {
      kind: "path",
      optional: true,
      description: "PEM file with the authority of etcd's certificates, for https addresses.",
    },
    certFile: {
      kind: "path",
      optional: true,
      description: "PEM file with the certificate that this node shows to etcd.",
    },
    keyFile: {
      kind: "path",
      optional: true,
      description: "PEM file with the key of that certificate.",
    },
  },
  mempool: {
    transactionsMax: {
      kind: "integer",
      default: 50_000,
      min: 1,
      max: 10_000_000,
      unit: "transactions",
      description: "Most waiting transactions.",
    },
    bytesMax: {
      kind: "integer",
      default: 64 * mebibyte,
      min: mebibyte,
      max: 16 * 1024 * mebibyte,
      unit: "bytes",
      description: "Most bytes of waiting transactions.",
    },
    perSenderMax: {
      kind: "integer",
      default: 10_000,
      min: 1,
      max: 10_000_000,
      unit: "transactions",
      description: "Most waiting transactions of one account.",
    },
    perOrgPercentMax: {
      kind: "integer",
      optional: true,
      min: 1,
      max: 100,
      unit: "percent",
      description:
        "Largest share of the pool one organization may fill; half of it with several organizations.",
    },
  },
  workers: {
    count: {
      kind: "integer",
      default: 0,
      min: 0,
      max: 64,
      unit: "threads",
      description: "Threads that verify signatures; 0 = one per core, at most four.",
    },
  },
  metrics: {
    process: {
      kind: "boolean",
      default: true,
      description: "Measure the process too: memory, event loop, garbage collection.",
    },
  },
  log: {
    level: {
      kind: "choice",
      choices: ["silent", "error", "warn", "info", "debug", "trace"],
      default: "info",
      description: "Least urgent log lines written.",
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Setting>>>>;

type Schema = typeof CONFIG_SCHEMA;

type ValueOf<S> = S extends { kind: "integer" }
  ? number
  : S extends { kind: "boolean" }
    ? boolean
    : S extends { kind: "choice"; choices: readonly (infer C)[] }
      ? C
      : S extends { kind: "peers" }
        ? readonly PeerAddress[]
        : string;

type FieldOf<S> = S extends { optional: true } ? ValueOf<S> | undefined : ValueOf<S>;

/** Every value, checked and frozen. */
export type NodeConfig = {
  readonly [Section in keyof Schema]: {
    readonly [Key in keyof Schema[Section]]: FieldOf<Schema[Section][Key]>;
  };
};

/** What a file holds: any key may be left out. */
export type NodeConfigInput = {
  readonly [Section in keyof Schema]?: {
    readonly [Key in keyof Schema[Section]]?: ValueOf<Schema[Section][Key]>;
  };
};

/** Dotted names of all keys with their settings, in order. */
export const CONFIG_KEYS: ReadonlyMap<string, Setting> = new Map(
  Object.entries(CONFIG_SCHEMA).flatMap(([section, settings]) =>
    Object.entries(settings).map(([key, setting]): [string, Setting] => [
      `${section}.${key}`,
      setting,
    ]),
  ),
);

/** `api.bodyBytesMax` -> `HANSE_API_BODY_BYTES_MAX`. */
export function environmentName(key: string): string {
  return `HANSE_${key
    .replace(".", "_")
    .replaceAll(/[A-Z]/g, (letter) => `_${letter}`)
    .toUpperCase()}`;
}

/** `api.bodyBytesMax` -> `--api.body-bytes-max`. */
export function flagName(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * CometBFT's home folder for one node of a ledger: its configuration, its genesis, and the node's
 * consensus key in CometBFT's form. One key signs for both, so that our validator set is CometBFT's.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Bytes,
  cometAddress,
  cometChainId,
  HanseError,
  type Hash,
  type KeyPair,
  toHex,
} from "@hanse/protocol";
import { cometBlockBytesMax } from "../engine/options.ts";

export interface CometAddress {
  readonly host: string;
  readonly port: number;
}

/** Ledger-wide: the same on every node. */
export interface CometGenesis {
  readonly ledgerId: Hash;
  readonly engineEpoch: number;
  readonly initialHeight: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly blockBytesMax: number;
}

export interface CometPeer extends CometAddress {
  /** `cometNodeId` of the peer's link key. */
  readonly nodeId: string;
}

export interface CometHome {
  readonly folder: string;
  /** The node's id, shown to peers. */
  readonly moniker: string;
  /** Ed25519: signs CometBFT's votes. */
  readonly consensusKey: KeyPair;
  /** Ed25519: names this CometBFT on its links. */
  readonly linkKey: KeyPair;
  readonly genesis: CometGenesis;
  readonly listen: CometAddress;
  /** RPC; loopback only, it has no authentication. */
  readonly rpc: CometAddress;
  readonly peers: readonly CometPeer[];
  /** Least pause between blocks, milliseconds. */
  readonly blockIntervalMs: number;
}

/** A wait for a proposal and for votes; longer in each further round. */
const PROPOSE_MS = 1_000;
const VOTES_MS = 500;
const STEP_MS = 500;
/** CometBFT's own 5 MB/s per peer would make a large block miss its round. */
const PEER_BYTES_PER_SECOND = 50_000_000;
/** Pause after a decision for the votes that are still on their way. */
const COMMIT_PAUSE_MS = 20;

/** How CometBFT names a link key. */
export function cometNodeId(publicKey: Bytes): string {
  return toHex(cometAddress(publicKey));
}

const base64 = (bytes: Bytes) => Buffer.from(bytes).toString("base64");

function privateKey({ publicKey, secretKey }: KeyPair) {
  if (publicKey.algorithm !== "ed25519") {
    throw new HanseError("COMET_KEY", "rejected", "CometBFT's keys must be ed25519");
  }
  const both = new Uint8Array(64);
  both.set(secretKey);
  both.set(publicKey.bytes, 32);
  return { type: "tendermint/PrivKeyEd25519", value: base64(both) };
}

const hostPort = ({ host, port }: CometAddress) =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`;

/** Only what differs from CometBFT's own defaults, and why. */
function configToml(home: CometHome): string {
  const { moniker, listen, rpc, peers, blockIntervalMs } = home;
  const persistent = peers.map((peer) => `${peer.nodeId}@${hostPort(peer)}`).join(",");
  return `# Written for the node ${moniker}; the application's address is given at each start.
moniker = ${JSON.stringify(moniker)}
log_level = "error"

[rpc]
laddr = "tcp://${hostPort(rpc)}"

[p2p]
laddr = "tcp://${hostPort(listen)}"
persistent_peers = "${persistent}"
# The members of the ledger are its only peers.
pex = false
addr_book_strict = false
allow_duplicate_ip = true
flush_throttle_timeout = "10ms"
send_rate = ${PEER_BYTES_PER_SECOND}
recv_rate = ${PEER_BYTES_PER_SECOND}

[mempool]
# Holds the node's own bell and nothing else: transactions are kept and spread by the node.
broadcast = false
recheck = true
size = 64
cache_size = 256

[statesync]
enable = false

[consensus]
timeout_propose = "${PROPOSE_MS}ms"
timeout_propose_delta = "${STEP_MS}ms"
timeout_prevote = "${VOTES_MS}ms"
timeout_prevote_delta = "${STEP_MS}ms"
timeout_precommit = "${VOTES_MS}ms"
timeout_precommit_delta = "${STEP_MS}ms"
timeout_commit = "${Math.max(COMMIT_PAUSE_MS, blockIntervalMs)}ms"
# An idle ledger is silent; a changed state gets one more block, which certifies it.
create_empty_blocks = false
peer_gossip_sleep_duration = "10ms"
peer_query_maj23_sleep_duration = "500ms"

[tx_index]
indexer = "null"
`;
}

function genesisJson(genesis: CometGenesis): string {
  const { ledgerId, engineEpoch, initialHeight, time, blockBytesMax } = genesis;
  return `${JSON.stringify(
    {
      genesis_time: new Date(time).toISOString(),
      chain_id: cometChainId(ledgerId, engineEpoch),
      initial_height: String(initialHeight),
      consensus_params: {
        block: { max_bytes: String(cometBlockBytesMax(blockBytesMax)), max_gas: "-1" },
        evidence: {
          max_age_num_blocks: "100000",
          max_age_duration: "172800000000000",
          max_bytes: "1048576",
        },
        validator: { pub_key_types: ["ed25519"] },
        version: { app: "0" },
        abci: { vote_extensions_enable_height: "0" },
      },
      // The ledger itself states its validators when the chain begins.
      validators: [],
      app_hash: "",
    },
    undefined,
    2,
  )}\n`;
}

/**
 * Writes the folder; keys and configuration are replaced, what CometBFT has signed is not: a private
 * validator state that is there stays.
 * @throws HanseError `COMET_KEY` when a key is not Ed25519.
 */
export function createCometHome(home: CometHome): void {
  const { folder, consensusKey, linkKey } = home;
  const config = join(folder, "config");
  const data = join(folder, "data");
  for (const each of [config, data]) mkdirSync(each, { recursive: true, mode: 0o700 });
  const write = (name: string, text: string) =>
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  const writeJson = (name: string, value: unknown) =>
    write(name, `${JSON.stringify(value, undefined, 2)}\n`);
  write("config/config.toml", configToml(home));
  write("config/genesis.json", genesisJson(home.genesis));
  writeJson("config/node_key.json", { priv_key: privateKey(linkKey) });
  const { bytes } = consensusKey.publicKey;
  writeJson("config/priv_validator_key.json", {
    address: toHex(cometAddress(bytes)).toUpperCase(),
    pub_key: { type: "tendermint/PubKeyEd25519", value: base64(bytes) },
    priv_key: privateKey(consensusKey),
  });
  const state = "data/priv_validator_state.json";
  if (!existsSync(join(folder, state))) writeJson(state, { height: "0", round: 0, step: 0 });
}

/** The few calls of CometBFT's RPC that a node makes to the CometBFT beside it. */
import {
  type Bytes,
  COMET_FLAGS,
  type CometCommit,
  type CometHeader,
  type CometTime,
  fromHex,
  HanseError,
} from "@hanse/protocol";

const TIMEOUT_MS = 5_000;
/** A commit of 1024 validators takes about 250 000 bytes of JSON. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

export interface CometStatus {
  readonly version: string;
  readonly height: number;
  /** It fetches blocks from others and does not vote. */
  readonly syncing: boolean;
}

export interface CometRpc {
  /** Puts a transaction into the mempool; does not wait for it. */
  broadcast(transaction: Bytes): Promise<void>;
  signedHeader(
    height: number,
  ): Promise<{ readonly header: CometHeader; readonly commit: CometCommit }>;
  status(): Promise<CometStatus>;
  /** Monikers of the peers that are connected. */
  peers(): Promise<readonly string[]>;
}

type Json = Readonly<Record<string, unknown>>;

function wrong(field: string): never {
  throw new HanseError("COMET_RPC", "malformed", `CometBFT's RPC: ${field} is not as expected`);
}

function objectAt(value: unknown, field: string): Json {
  if (typeof value !== "object" || value === null) wrong(field);
  return value as Json;
}

function listAt(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) wrong(field);
  return value;
}

function textAt(value: unknown, field: string): string {
  if (typeof value !== "string") wrong(field);
  return value;
}

/** Integers of 64 bits are texts, shorter ones are numbers. */
function integerAt(value: unknown, field: string): number {
  const number = typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : value;
  if (!Number.isSafeInteger(number)) wrong(field);
  return number as number;
}

function hexAt(value: unknown, field: string): Bytes {
  const text = textAt(value ?? "", field);
  if (!/^([0-9a-fA-F]{2})*$/.test(text)) wrong(field);
  return fromHex(text.toLowerCase());
}

/** RFC 3339 with up to nine digits of a second. */
export function parseTime(value: unknown, field: string): CometTime {
  const text = textAt(value, field);
  const [, seconds, fraction = ""] = /^([^.]+?)(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
  const ms = Date.parse(`${seconds}Z`);
  if (Number.isNaN(ms)) wrong(field);
  return { seconds: ms / 1000, nanos: Number(fraction.padEnd(9, "0")) };
}

function blockIdAt(value: unknown, field: string) {
  const { hash, parts } = objectAt(value, field);
  const set = objectAt(parts, `${field}.parts`);
  return {
    hash: hexAt(hash, `${field}.hash`),
    partSetHeader: {
      total: integerAt(set.total, `${field}.parts.total`),
      hash: hexAt(set.hash, `${field}.parts.hash`),
    },
  };
}

/** @throws HanseError `COMET_RPC` naming the field. */
export function parseSignedHeader(value: unknown): {
  readonly header: CometHeader;
  readonly commit: CometCommit;
} {
  const signed = objectAt(value, "signed_header");
  const h = objectAt(signed.header, "header");
  const c = objectAt(signed.commit, "commit");
  const version = objectAt(h.version, "header.version");
  const hash = (name: string) => hexAt(h[name], `header.${name}`);
  return {
    header: {
      version: {
        block: integerAt(version.block ?? 0, "header.version.block"),
        app: integerAt(version.app ?? 0, "header.version.app"),
      },
      chainId: textAt(h.chain_id, "header.chain_id"),
      height: integerAt(h.height, "header.height"),
      time: parseTime(h.time, "header.time"),
      lastBlockId: blockIdAt(h.last_block_id, "header.last_block_id"),
      lastCommitHash: hash("last_commit_hash"),
      dataHash: hash("data_hash"),
      validatorsHash: hash("validators_hash"),
      nextValidatorsHash: hash("next_validators_hash"),
      consensusHash: hash("consensus_hash"),
      appHash: hash("app_hash"),
      lastResultsHash: hash("last_results_hash"),
      evidenceHash: hash("evidence_hash"),
      proposerAddress: hash("proposer_address"),
    },
    commit: {
      height: integerAt(c.height, "commit.height"),
      round: integerAt(c.round, "commit.round"),
      blockId: blockIdAt(c.block_id, "commit.block_id"),
      signatures: listAt(c.signatures, "commit.signatures").map((item, i) => {
        const at = `commit.signatures[${i}]`;
        const s = objectAt(item, at);
        const flag = integerAt(s.block_id_flag, `${at}.block_id_flag`);
        const signature = flag === COMET_FLAGS.absent ? "" : textAt(s.signature, `${at}.signature`);
        return {
          flag,
          validatorAddress: hexAt(s.validator_address, `${at}.validator_address`),
          timestamp: parseTime(s.timestamp, `${at}.timestamp`),
          signature: new Uint8Array(Buffer.from(signature, "base64")),
        };
      }),
    },
  };
}

/** `url`: `http://host:port`, loopback. Every call takes at most 5 s. */
export function createCometRpc(url: string): CometRpc {
  async function call(method: string, params: Json): Promise<Json> {
    let answer: Json;
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      if (text.length > ANSWER_BYTES_MAX) wrong("the size of its answer");
      answer = objectAt(JSON.parse(text), method);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new HanseError("COMET_RPC_DOWN", "unavailable", `CometBFT's RPC at ${url}: ${reason}`, {
        cause,
      });
    }
    if (answer.error !== undefined && answer.error !== null) {
      const { message, data } = objectAt(answer.error, "error");
      throw new HanseError(
        "COMET_RPC_REFUSED",
        "unavailable",
        `CometBFT's RPC refuses ${method}: ${message} ${data ?? ""}`,
      );
    }
    return objectAt(answer.result, `${method}.result`);
  }

  return {
    async broadcast(transaction) {
      await call("broadcast_tx_async", { tx: Buffer.from(transaction).toString("base64") });
    },
    async signedHeader(height) {
      return parseSignedHeader((await call("commit", { height: String(height) })).signed_header);
    },
    async status() {
      const result = await call("status", {});
      const node = objectAt(result.node_info, "node_info");
      const sync = objectAt(result.sync_info, "sync_info");
      return {
        version: textAt(node.version, "node_info.version"),
        height: integerAt(sync.latest_block_height, "sync_info.latest_block_height"),
        syncing: sync.catching_up === true,
      };
    },
    async peers() {
      const { peers } = await call("net_info", {});
      return listAt(peers, "net_info.peers").map((item) => {
        const node = objectAt(objectAt(item, "peer").node_info, "peer.node_info");
        return textAt(node.moniker, "peer.node_info.moniker");
      });
    },
  };
}

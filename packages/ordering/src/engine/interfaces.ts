/**
 * The joint between what orders blocks and what gives them meaning. The shape follows ABCI 2.0,
 * so that an external engine's adapter is a translation and not a second application.
 */
import type {
  Block,
  Bytes,
  FinalityProof,
  Hash,
  PublicKey,
  QuorumRule,
  ValidatorId,
  ValidatorSet,
  VoteKind,
} from "@hanse/protocol";

export type Height = number;
/** Attempt inside one height (Raft term, Tendermint round). */
export type View = number;

export interface ValidatorUpdate {
  readonly id: ValidatorId;
  readonly org: string;
  readonly key: PublicKey;
  /** 0 = leaves. */
  readonly vote: number;
  readonly propose: number;
}

/**
 * A decision of governance at height H to order otherwise from `at`+1 on. Block `at` is the last
 * one of the old engine; `at` >= H+2, and from H+1 on every header carries the changed paramsHash.
 */
export interface EngineSwitch {
  readonly at: Height;
  /** The old one's plus one. */
  readonly engineEpoch: number;
  readonly kind: EngineKind;
  readonly policy: PolicyKind;
  readonly set: ValidatorSet;
}

export type EngineKind = "builtin" | "cometbft" | "etcd";
export type PolicyKind = "fixed" | "dpoa" | "posr";

/** What a ledger may expect of its engine (the table of docs/operators on choosing one). */
export interface EngineCaps {
  readonly kind: EngineKind;
  readonly faultModel: QuorumRule | "external";
  /** Vote weight that may fail (crash) or lie (byzantine) without harm. */
  faultyWeightMax(set: ValidatorSet): number;
  readonly proof: FinalityProof["kind"];
  readonly leaderPolicy: "pluggable" | "engine-owned";
  readonly separateProposeWeight: boolean;
  readonly mempool: "platform" | "engine";
  readonly blockBytesMax: number;
  /** Whether two contradicting proofs name the liars. */
  readonly accountableFaults: boolean;
}

export interface BuildRequest {
  readonly height: Height;
  readonly view: View;
  readonly parent: { readonly height: Height; readonly hash: Hash; readonly time: number };
  readonly lastCert: Bytes;
  readonly evidence: readonly Bytes[];
  readonly proposer: ValidatorId;
  readonly set: ValidatorSet;
  readonly nextSet: ValidatorSet;
  readonly engineEpoch: number;
  readonly lastSetChangeHeight: Height;
  readonly policyExtra: Bytes;
  /** Local clock, milliseconds since 1970. */
  readonly now: number;
}

export interface DecidedBlock {
  readonly block: Block;
  readonly hash: Hash;
  /** Absent when the engine proves a block only later: see `LedgerApp.prove`. */
  readonly proof: FinalityProof | undefined;
}

export interface ExecutionResult {
  readonly height: Height;
  readonly stateRoot: Hash;
  readonly resultsRoot: Hash;
  readonly paramsHash: Hash;
  /** Effective at height + 2. */
  readonly validatorUpdates: readonly ValidatorUpdate[];
  readonly engineSwitch?: EngineSwitch;
  /** Whether the block changed state, so that its root wants a proof block on an idle ledger. */
  readonly changed: boolean;
}

export interface AppInfo {
  readonly height: Height;
  /** ZERO_HASH before genesis is loaded. */
  readonly stateRoot: Hash;
  readonly resultsRoot: Hash;
  readonly blockHash: Hash;
}

/** The platform, as an ordering engine sees it. */
export interface LedgerApp {
  /** Last durably committed height. */
  info(): Promise<AppInfo>;
  /** May differ from node to node. */
  buildBlock(request: BuildRequest): Promise<Block>;
  /**
   * Deterministic given the state after height-1: header roots equal our own, limits, no
   * duplicates, every signature holds. Link, proposer, sets, certificate are the engine's to check.
   */
  validateBlock(block: Block, hash: Hash): Promise<{ ok: true } | { ok: false; reason: string }>;
  /** Deterministic; nothing durable yet. Called once per height, in order. */
  finalizeBlock(decided: DecidedBlock): Promise<ExecutionResult>;
  /**
   * One atomic durable write with block, proof, rows and height. May lag behind by a bounded
   * number of heights; resolves when durable. The engine keeps final blocks until then.
   */
  commit(height: Height): Promise<void>;
  /** The proof of a committed height that was finalized without one; replaces an earlier one. */
  prove(proof: FinalityProof): Promise<void>;
  /** Whether transactions wait, so that idle ledgers stay silent. */
  hasWork(): boolean;
}

export interface OrderingStatus {
  readonly height: Height;
  readonly view: View;
  readonly role: "leader" | "follower" | "observer";
  readonly syncing: boolean;
  readonly quarantined: string | undefined;
  /** Milliseconds since 1970 since when work waits and nothing became final. */
  readonly stalledSince: number | undefined;
  readonly peers: readonly {
    readonly id: ValidatorId;
    readonly connected: boolean;
    readonly height: Height;
  }[];
}

/** One engine per ledger; `builtin` is Simplex-H. */
export interface OrderingEngine {
  readonly kind: EngineKind;
  start(): Promise<void>;
  stop(how: "drain" | "now"): Promise<void>;
  status(): OrderingStatus;
  /** The mempool has work. */
  wake(): void;
}

/** What a consensus signature stands for; `blockHash` and `parentView` as in the signed subject. */
export interface SignPlace {
  readonly kind: VoteKind | "propose";
  readonly height: Height;
  readonly view: View;
  readonly blockHash?: Hash;
  readonly parentView?: View;
}

export interface SignedPlace extends SignPlace {
  readonly signature: Bytes;
}

/**
 * Refuses, durably, to sign anything that contradicts what it signed before. What `sign` returns
 * may leave the node only after `flush` and the disk's next `sync`.
 */
export interface ConsensusSigner {
  readonly id: ValidatorId;
  readonly publicKey: PublicKey;
  /** Why the signer refuses everything; undefined = it may sign. */
  readonly quarantined: SignerQuarantine | undefined;
  /** No vote at a height below this one. */
  readonly floor: Height;
  /** What the signing state holds: the place last signed in and the view before it. */
  readonly signed: readonly SignedPlace[];
  /** @throws HanseError `SIGNER_CONTRADICTION`, `SIGNER_BEHIND`, `SIGNER_QUARANTINED`. */
  sign(at: SignPlace, message: Bytes): Bytes;
  /** Writes the signing state if anything was signed since; the log is durable up to this record. */
  flush(logSequence: number): void;
  /** The log's last readable record; a log that lost what was durable quarantines the signer. */
  confirmLog(logSequence: number): void;
  quarantine(reason: SignerQuarantine): void;
  /** Ends quarantine: a new signing state that signs nothing below `floor`. */
  restart(floor: Height): void;
}

export type SignerQuarantine =
  | "signing-state-missing"
  | "signing-state-corrupt"
  | "signing-state-foreign"
  | "log-corrupt"
  | "log-truncated"
  | "duplicate-key";

/** Pure rule on who validates and proposes. */
export interface ValidatorPolicy {
  readonly kind: PolicyKind;
  leader(set: ValidatorSet, height: Height, view: View): ValidatorId;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  setTimer(ms: number, fire: () => void): { cancel(): void };
}

/** Priority classes, most urgent first: each peer link sends a higher class before a lower one. */
export type Channel = "consensus" | "sync" | "transactions";

/** Finalized blocks that are durable here, for peers that catch up; `LedgerReads` of packages/ledger fits. */
export interface BlockSource {
  /** Blocks from..to inclusive in order, as many as fit into bytesMax (at least one when there is one). */
  blocks(
    from: Height,
    to: Height,
    bytesMax: number,
  ): Promise<
    readonly { readonly height: Height; readonly bytes: Bytes; readonly certificate: Bytes }[]
  >;
}

/** Authenticated links to known peers; may drop anything on reconnect; order is kept per channel. */
export interface Transport {
  readonly self: ValidatorId;
  send(to: ValidatorId, channel: Channel, message: Bytes): void;
  broadcast(channel: Channel, message: Bytes): void;
  onMessage(handler: (from: ValidatorId, channel: Channel, message: Bytes) => void): void;
  onPeer(handler: (peer: ValidatorId, up: boolean) => void): void;
  peers(): readonly ValidatorId[];
}

/** A folder of append-only files with checksums; the simulator's loses what was not synced. */
export interface Disk {
  readonly exists: (name: string) => boolean;
  read(name: string): Bytes | undefined;
  append(name: string, bytes: Bytes): void;
  /**
   * Replaces a whole small file, in place: a crash before `sync` may leave the old bytes, the new
   * ones or a torn mixture. Who writes keeps two copies with checksums.
   */
  write(name: string, bytes: Bytes): void;
  remove(name: string): void;
  list(): readonly string[];
  /**
   * Resolves when everything appended, written or removed before is durable, also by an earlier
   * process that was killed before its own sync. Rejects once, for good.
   */
  sync(): Promise<void>;
}

export type { FinalityProof, QuorumRule };

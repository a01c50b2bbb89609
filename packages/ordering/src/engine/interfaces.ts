/**
 * The joint between what orders blocks and what gives them meaning. The shape follows ABCI 2.0,
 * so that an external engine's adapter is a translation and not a second application.
 */
import type {
  Block,
  BlockHeader,
  Bytes,
  FinalityProof,
  Hash,
  PublicKey,
  QuorumRule,
  ValidatorId,
  ValidatorInfo,
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
  readonly policyParams?: Readonly<Record<string, number>>;
  /**
   * In force from `at`+1 on. The executions of `at`-1 and `at` return no validator updates: they
   * would be in force above `at`, where this set decides.
   */
  readonly set: ValidatorSet;
}

/** A stretch of heights that one engine orders by one policy. */
export interface OrderingEra {
  /** Its first height. */
  readonly height: Height;
  readonly engineEpoch: number;
  readonly kind: EngineKind;
  readonly policy: PolicyKind;
  readonly policyParams?: Readonly<Record<string, number>>;
}

/** What the ledger's state says of ordering above a committed height, for a node without a log. */
export interface OrderingSchedule {
  /** Each in force from its height on; the first one covers the committed height. */
  readonly sets: readonly { readonly height: Height; readonly set: ValidatorSet }[];
  /** The running era, or the one of the committed height, and those decided. */
  readonly eras: readonly OrderingEra[];
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

/** What a policy sees of a block. */
export type PolicyHeader = Pick<BlockHeader, "height" | "time" | "proposer" | "policyExtra">;

/** Below height 1: genesis's time, no proposer, no extra bytes. */
export type PolicyParent = Pick<BlockHeader, "height" | "time" | "policyExtra">;

/**
 * What a final block tells its policy. Everything comes from the block and the state below it, so
 * that each node, and each replay, gives the same.
 */
export interface PolicyFacts {
  readonly header: PolicyHeader;
  /** In force at this height: its rota decided who proposed. */
  readonly set: ValidatorSet;
  /** What this block's updates are laid upon: in force at the next height, with governance's changes of this block. */
  readonly latest: ValidatorSet;
  /**
   * Finalize votes that this block puts on the ledger: `lastCert` shows those of the height below,
   * of the members of that height's set. None at height 1 and where an engine shows no signatures.
   */
  readonly votes: readonly {
    readonly height: Height;
    readonly eligible: readonly ValidatorId[];
    readonly present: readonly ValidatorId[];
  }[];
  /** Members whom governance or proven evidence denies proposing: a policy never gives it back to them. */
  readonly barred: readonly ValidatorId[];
  /** Observations that transactions of this block brought, in the block's order (policy `posr` with probing). */
  readonly reports?: readonly ProbeReport[];
  /** Windows of planned maintenance announced by transactions of this block. */
  readonly maintenance?: readonly MaintenanceNotice[];
  /** Admitted by governance and ready, but not in the set: who may come in when the policy chooses (`posr` with probing). */
  readonly candidates?: readonly Omit<ValidatorInfo, "vote" | "propose">[];
}

/** What one prober saw in one epoch; bits of slot 0 to 11, lowest bit first. */
export interface ProbeReport {
  readonly prober: ValidatorId;
  readonly epoch: number;
  readonly targets: readonly {
    readonly id: ValidatorId;
    /** Slots in which the prober asked. */
    readonly asked: number;
    /** Of these, the slots with a valid signed answer in time. */
    readonly answered: number;
  }[];
}

/** A member will be away from the start of `fromEpoch` to the start of `toEpoch`. */
export interface MaintenanceNotice {
  readonly id: ValidatorId;
  readonly fromEpoch: number;
  readonly toEpoch: number;
}

export interface PolicyOutcome {
  /** The policy's record, to be kept on the ledger and handed back at the next height. */
  readonly state: Bytes;
  /**
   * The difference between what the policy wants and `latest`. What is not applied (governance
   * changes the set in the same block) comes again with the next block: dropping it is safe.
   */
  readonly updates: readonly ValidatorUpdate[];
}

/** Who may make a fresh block of view 0 at a moment. */
export interface Turn {
  /** Undefined: nobody, until `untilMs`. */
  readonly proposer: ValidatorId | undefined;
  /** First moment, milliseconds since 1970, at which the answer may be another. */
  readonly untilMs: number;
}

/** Pure rule on who validates and proposes; integers only. */
export interface ValidatorPolicy {
  readonly kind: PolicyKind;
  /** Who proposes in a view; where the policy has a `turn`, in views above 0 only. */
  leader(set: ValidatorSet, height: Height, view: View): ValidatorId;
  /**
   * Time slots: who may make a fresh block of view 0 with this time in its header. The driver asks
   * with the time that the header would carry, waits until `untilMs` when it is not its turn, and
   * adds that pause to the time of view 0. Absent: `leader` decides in view 0 as well.
   */
  turn?(set: ValidatorSet, parent: PolicyParent, time: number): Turn;
  /** `policyExtra` of a fresh block with this time in its header; absent: empty. */
  policyExtra?(time: number): Bytes;
  /**
   * Asked before any vote for a fresh block, of any view, and never a matter of the voter's clock:
   * proposer, time, and extra bytes fit the policy. Absent: the proposer is `leader`'s and the
   * extra bytes are empty.
   */
  mayPropose?(set: ValidatorSet, header: PolicyHeader, parent: PolicyParent, view: View): boolean;
  /** The record before the policy's first block; absent: it keeps none, and `afterBlock` is absent. */
  initialState?(first: { readonly height: Height; readonly set: ValidatorSet }): Bytes;
  /** The rule's step after each final block, within its execution. Bounded by the members' number. */
  afterBlock?(state: Bytes, facts: PolicyFacts): PolicyOutcome;
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
  /** Lowest block kept here; absent = 1, all of them. */
  readonly lowest?: Height;
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

/** What the parts of the driver share. */
import type { Bytes, Hash, ValidatorId, ValidatorSet } from "@hanse/protocol";
import type { Core } from "../core/core.ts";
import type { CoreEvent, Mutation, Timeouts } from "../core/events.ts";
import type {
  BlockSource,
  Clock,
  ConsensusSigner,
  Disk,
  Height,
  LedgerApp,
  OrderingEra,
  OrderingSchedule,
  Transport,
  ValidatorPolicy,
} from "../engine/interfaces.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { RecoveryDocument } from "../recovery/recovery-document.ts";
import type { SignatureCheck } from "../wire/bodies.ts";
import type { WireMessage } from "../wire/messages.ts";

export interface BuiltinEngineOptions {
  readonly ledgerId: Hash;
  /** Of height 1; 0 if absent. */
  readonly engineEpoch?: number;
  /** The set in force at heights 1 and 2. */
  readonly genesisSet: ValidatorSet;
  /** Milliseconds since 1970; block 1 is later. */
  readonly genesisTime: number;
  readonly app: LedgerApp;
  readonly transport: Transport;
  /** Holds the log and the signing state; the signer's disk. */
  readonly disk: Disk;
  readonly signer: ConsensusSigner;
  readonly clock: Clock;
  /** Of the first epoch, `engineEpoch`; later ones name theirs. */
  readonly policy: ValidatorPolicy;
  /** What the ledger knows of sets and eras above a committed height; the log knows them too. */
  readonly schedule?: (committed: Height) => Promise<OrderingSchedule>;
  /**
   * The organizations' word on how to go on after a loss of quorum, verified by who gives it
   * (`verifyRecovery`). Given at every start until the node's log has passed its height.
   */
  readonly recovery?: RecoveryDocument;
  /** From this era on another engine decides; this one goes on serving what it decided. */
  readonly onHandover?: (era: OrderingEra) => void;
  /** Durable blocks, for peers that catch up and for our own start. */
  readonly blocks: BlockSource;
  /** One verdict per check, in order. */
  readonly verify: (checks: readonly SignatureCheck[]) => Promise<readonly boolean[]>;
  /** Least pause between blocks, milliseconds. */
  readonly blockIntervalMsMin: number;
  readonly blockBytesMax: number;
  readonly timeouts?: Partial<Timeouts>;
  readonly tuning?: Partial<EngineTuning>;
  /** Everything worth a log line or a metric. */
  readonly report?: (event: EngineEvent) => void;
  /** For the mutation check of the simulator only. Not reachable from configuration. */
  readonly testOnlyMutation?: Mutation;
}

export interface EngineTuning {
  /** Executed heights that may wait for their durable commit. */
  readonly commitLagMax: number;
  /** Bytes after which the log starts a new segment. */
  readonly segmentBytes: number;
  /** Every so often peers are told our height. */
  readonly heartbeatMs: number;
  /** So long a peer may be one height ahead before we ask for it. */
  readonly lagMs: number;
  /** So long a peer may take to answer a range. */
  readonly rangeTimeoutMs: number;
  /** Ranges asked for at the same time. */
  readonly rangesInFlightMax: number;
  /** Bytes of blocks fetched and not yet executed. */
  readonly fetchedBytesMax: number;
  readonly clockAheadMsMax: number;
  readonly clockBehindMsMax: number;
  /** Work waiting for so long without a final block counts as stalled. */
  readonly stalledAfterMs: number;
  /** Requests (need, block, range, help) one peer may make per second. */
  readonly requestsPerSecond: number;
}

export const DEFAULT_TUNING: EngineTuning = {
  commitLagMax: 4,
  segmentBytes: 16 * 1024 * 1024,
  heartbeatMs: 5_000,
  lagMs: 50,
  rangeTimeoutMs: 5_000,
  rangesInFlightMax: 3,
  fetchedBytesMax: 48 * 1024 * 1024,
  clockAheadMsMax: 10_000,
  clockBehindMsMax: 60_000,
  stalledAfterMs: 5_000,
  requestsPerSecond: 100,
};

export type EngineEvent =
  | {
      readonly t: "final";
      readonly height: Height;
      readonly proposer: ValidatorId;
      readonly views: number;
      readonly signers: number;
      readonly bytes: number;
      readonly transactions: number;
      /** Encoded bytes of the certificate, where the engine makes one. */
      readonly certificateBytes?: number;
      /** Members whose finalize vote for the height below stands in this block's `lastCert`. */
      readonly presentBelow?: number;
      /** From the height's first activity here to its finality; undefined when caught up. */
      readonly agreedMs: number | undefined;
      readonly executedMs: number;
    }
  | { readonly t: "committed"; readonly height: Height }
  /** A validator contradicted itself: told once per offence; `from` = the peer that showed it. */
  | { readonly t: "evidence"; readonly evidence: Evidence; readonly from?: ValidatorId }
  | { readonly t: "alarm"; readonly code: string; readonly message: string }
  /** The engine stopped for good: votes end, reads go on. */
  | { readonly t: "halted"; readonly code: string; readonly message: string }
  /** Told at once, then at most once a second per peer and code; `count`: since the last time. */
  | {
      readonly t: "badPeer";
      readonly peer: ValidatorId;
      readonly code: string;
      readonly count?: number;
    }
  /** Messages that changed nothing since the last event of the reason. */
  | { readonly t: "dropped"; readonly reason: DropReason; readonly count: number }
  | { readonly t: "quarantine"; readonly reason: string }
  | { readonly t: "quarantineOver"; readonly voteFrom: Height }
  /** The next height is another engine's. */
  | { readonly t: "handover"; readonly era: OrderingEra }
  /** A new epoch begins above this height by the organizations' recovery document. */
  | { readonly t: "recovery"; readonly height: Height; readonly engineEpoch: number }
  | { readonly t: "syncing"; readonly from: Height; readonly to: Height }
  /** Every peer that is ahead has let go of the next block: only a snapshot helps. */
  | { readonly t: "stranded"; readonly from: Height; readonly lowest: Height }
  | { readonly t: "synced"; readonly height: Height };

/** Why a message of a peer changed nothing. */
export type DropReason =
  /** Of no member of the set. */
  | "stranger"
  /** Of a height, view or block that is over. */
  | "stale"
  /** Of a height or view too far ahead. */
  | "future"
  /** More requests than one peer may make. */
  | "rate"
  /** Its sender made a signature that does not hold, a short while ago. */
  | "muted"
  /** A bounded store is full. */
  | "full"
  /** Known already, or a further contradiction. */
  | "duplicate"
  /** A proposal by somebody whose turn it is not, or a body that nobody asked for. */
  | "unasked";

export interface Runtime {
  readonly options: BuiltinEngineOptions;
  /** Of the open height. */
  readonly engineEpoch: number;
  readonly tuning: EngineTuning;
  readonly core: Core;
  readonly stopped: boolean;
  step(event: CoreEvent): void;
  send(to: ValidatorId | "all", message: WireMessage): void;
  report(event: EngineEvent): void;
  /** Counts a message that changed nothing; told in sums. */
  dropped(reason: DropReason): void;
  /** Whether the next height has a reason: transactions or evidence wait. */
  hasWork(): boolean;
  /** Fail-stop: no vote, no timer, no execution after it. */
  halt(code: string, message: string): void;
  /** Last height executed here. */
  readonly executedHeight: Height;
  /** The same, but for heights that another engine ordered after this one: not ours to serve. */
  readonly servedHeight: Height;
}

/** Verifies a batch; a failing backend counts as no signature valid. */
export async function verifyAll(
  runtime: Runtime,
  checks: readonly SignatureCheck[],
): Promise<boolean> {
  if (checks.length === 0) return true;
  const verdicts = await runtime.options.verify(checks);
  return verdicts.length === checks.length && verdicts.every((verdict) => verdict);
}

/** Requests per second and peer, with as much burst. */
export class TokenBuckets {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  take(peer: string): boolean {
    const now = this.#clock.now();
    const bucket = this.#buckets.get(peer) ?? { tokens: this.#perSecond, at: now };
    const gained = (Math.max(0, now - bucket.at) * this.#perSecond) / 1000;
    bucket.tokens = Math.min(this.#perSecond, bucket.tokens + gained);
    bucket.at = now;
    this.#buckets.set(peer, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}

export type { Bytes };

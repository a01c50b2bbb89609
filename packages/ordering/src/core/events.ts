/**
 * What goes into the Simplex core and what comes out of it. The core is synchronous and total:
 * `boot(record)` and `step(event)` return effects, and nothing else ever happens inside.
 */
import type {
  Block,
  Bytes,
  Certificate,
  Hash,
  PublicKey,
  ValidatorId,
  ValidatorSet,
  VoteKind,
} from "@hanse/protocol";
import type {
  ExecutionResult,
  Height,
  OrderingEra,
  SignedPlace,
  SignPlace,
  ValidatorPolicy,
  View,
} from "../engine/interfaces.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { WalRecord } from "../wal/records.ts";
import type { WireMessage } from "../wire/messages.ts";

/** A block with what is needed of it again and again. */
export interface Body {
  readonly hash: Hash;
  /** The hash in hexadecimal: key of maps. */
  readonly key: string;
  readonly block: Block;
  readonly bytes: Bytes;
}

/** A vote whose signature was checked. */
export interface Vote {
  readonly kind: VoteKind;
  readonly height: Height;
  readonly view: View;
  readonly blockHash?: Hash;
  readonly parentView?: View;
  /** Index in the height's validator set. */
  readonly signer: number;
  readonly signature: Bytes;
}

/** A proposal whose signature was checked and whose body fits its header. */
export interface Proposal {
  readonly from: ValidatorId;
  readonly height: Height;
  readonly view: View;
  readonly parentView: View;
  readonly body: Body;
  readonly signature: Bytes;
}

export const TIMERS = ["view", "grace", "pace", "resend", "need", "echo"] as const;
export type TimerId = (typeof TIMERS)[number];

export type CoreEvent =
  | { readonly t: "vote"; readonly vote: Vote }
  | { readonly t: "certificate"; readonly certificate: Certificate }
  | { readonly t: "proposal"; readonly proposal: Proposal }
  | { readonly t: "body"; readonly body: Body }
  /** A peer was seen at this place by an unchecked message; only steers whom echoes go to. */
  | {
      readonly t: "seen";
      readonly from: ValidatorId;
      readonly height: Height;
      readonly view: View;
      readonly kind: VoteKind;
    }
  | {
      readonly t: "need";
      readonly from: ValidatorId;
      readonly height: Height;
      readonly view: View;
    }
  | { readonly t: "getBlock"; readonly from: ValidatorId; readonly hash: Hash }
  /** Every record up to `seq` is on disk. */
  | { readonly t: "durable"; readonly seq: number }
  | { readonly t: "timer"; readonly id: TimerId }
  | { readonly t: "built"; readonly height: Height; readonly view: View; readonly body: Body }
  | { readonly t: "buildFailed"; readonly height: Height; readonly view: View }
  | {
      readonly t: "validated";
      readonly height: Height;
      readonly key: string;
      readonly ok: boolean;
      readonly reason?: string;
    }
  | {
      readonly t: "executed";
      readonly height: Height;
      readonly result: ExecutionResult;
      readonly hasWork: boolean;
    }
  /**
   * A verified final block of the open height. Catch-up leaves it out of the log: a node that
   * loses it asks for it again.
   */
  | {
      readonly t: "decided";
      readonly body: Body;
      readonly certificate: Certificate;
      readonly log: boolean;
    }
  | { readonly t: "work" }
  /** The link to a member is there or lost; shortens waiting for a leader, decides nothing. */
  | { readonly t: "peer"; readonly id: ValidatorId; readonly up: boolean }
  /** Others are known to be further: no votes until this ends. */
  | { readonly t: "behind"; readonly behind: boolean }
  /** Observe only, or (with a floor) vote again from that height on. */
  | { readonly t: "quarantine"; readonly until: Height | undefined };

export type Effect =
  | { readonly t: "persist"; readonly seq: number; readonly record: WalRecord }
  /** Not before a `durable` event with seq >= after. */
  | {
      readonly t: "send";
      readonly to: ValidatorId | "all";
      readonly message: WireMessage;
      readonly after: number;
    }
  | { readonly t: "timer"; readonly id: TimerId; readonly ms: number }
  | { readonly t: "cancel"; readonly id: TimerId }
  | { readonly t: "build"; readonly height: Height; readonly view: View; readonly now: number }
  | { readonly t: "validate"; readonly body: Body }
  | {
      readonly t: "execute";
      readonly body: Body;
      readonly certificate: Certificate;
      /** Log record to be durable before the application commits the height. */
      readonly after: number;
    }
  /** The height was executed here and may be committed once the log is durable up to `after`. */
  | { readonly t: "commit"; readonly height: Height; readonly after: number }
  | { readonly t: "evidence"; readonly evidence: Evidence }
  /** The height above belongs to another engine: this one decides nothing any more. */
  | { readonly t: "handover"; readonly era: OrderingEra }
  | { readonly t: "alarm"; readonly code: AlarmCode; readonly message: string };

export type AlarmCode =
  | "ORDERING_DIVERGED"
  | "ORDERING_SIGNER"
  | "ORDERING_DUPLICATE_KEY"
  | "ORDERING_SET_UPDATE"
  | "ORDERING_SWITCH";

export interface ParentBlock {
  readonly height: Height;
  readonly hash: Hash;
  readonly time: number;
  /** Absent: empty. */
  readonly policyExtra?: Bytes;
  /** Transactions in it; unknown after a start, then nothing waits for it. */
  readonly transactions?: number;
}

/** An era with the rule that it names. */
export interface Era extends OrderingEra {
  readonly rule: ValidatorPolicy;
}

/** What is left of the time before a restart. */
export interface BootRecord {
  /** The last committed block; height 0 with the ledger id and genesis time at first. */
  readonly parent: ParentBlock;
  /** Encoded finality certificate of the parent; empty at height 0. */
  readonly lastCert: Bytes;
  readonly lastSetChangeHeight: Height;
  /** Whether the parent changed state, so that a proof block is due. */
  readonly changed: boolean;
  readonly hasWork: boolean;
  /** No vote below this height; undefined = observe only. */
  readonly voteFrom: Height | undefined;
  /** In force from these heights on; the first entry covers parent.height or lower. */
  readonly sets: readonly { readonly height: Height; readonly set: ValidatorSet }[];
  /** Running and decided ones; the first entry covers the parent's height or the one above. */
  readonly eras: readonly OrderingEra[];
  readonly finals: readonly { readonly body: Body; readonly certificate: Certificate }[];
  readonly votes: readonly SignedPlace[];
  readonly proposals: readonly SignedPlace[];
  readonly certificates: readonly Certificate[];
  readonly bodies: readonly Body[];
  /** What a recovery begins above its height, to be logged before anything is voted there. */
  readonly begins: { readonly set: ValidatorSet; readonly era: OrderingEra } | undefined;
}

export interface Timeouts {
  /** T0: time a view has, milliseconds. */
  readonly viewMs: number;
  /** Added per view. */
  readonly viewStepMs: number;
  readonly viewMsMax: number;
  /** Time of a view whose leader has no link to us: its proposal could not arrive. */
  readonly lostLeaderMs: number;
  /** G: how long a leader that entered by a notarization waits for finality. */
  readonly graceMs: number;
  /** t_r: first pause between repetitions; grows by half up to the maximum. */
  readonly resendMs: number;
  readonly resendMsMax: number;
  /** Certificates are echoed to peers that showed no progress for this long. */
  readonly echoMs: number;
  /** Pause before asking again for missing certificates or bodies. */
  readonly needMs: number;
  /**
   * Least pause between the times of two blocks of a busy ledger, so that blocks fill: each costs
   * every member three synced writes and a database transaction, whatever is in it.
   */
  readonly fillMs: number;
  /** A ledger is busy while the newest block has at least so many transactions. */
  readonly busyTransactions: number;
}

export const LAN_TIMEOUTS: Timeouts = {
  viewMs: 1_000,
  viewStepMs: 500,
  viewMsMax: 20_000,
  lostLeaderMs: 100,
  graceMs: 150,
  resendMs: 500,
  resendMsMax: 5_000,
  echoMs: 50,
  needMs: 100,
  fillMs: 60,
  busyTransactions: 16,
};

/** Each deliberately broken rule of the mutation check (test/simulation). */
export const MUTATIONS = [
  "quorum-one-too-small",
  "finalize-after-nullify",
  "skip-justification",
  "notarize-twice",
  "accept-non-leader",
  "skip-validation",
  "forget-votes",
  "forget-certificates",
  "no-retally",
  "vote-while-behind",
  "send-before-durable",
  "wrong-set-at-next-height",
  "reuse-wiped-signing-state",
  "trust-unverified-range",
  // Evidence in a block is not checked before voting: a liar accuses the honest.
  "accept-any-evidence",
  // A fresh block is accepted whoever's slot it is made in.
  "ignore-slots",
  // Certificates of the ended epoch still count above the switch.
  "keep-old-epoch",
  // A view that was finalized is nullified when the time of the next one is up.
  "nullify-after-finalize",
  // Votes begin again where the ledger stands, not two heights above.
  "quarantine-floor-too-low",
] as const;
export type Mutation = (typeof MUTATIONS)[number];

export interface CoreConfig {
  readonly self: ValidatorId;
  /** The key that `sign` signs with; absent: whatever key the set has for `self`. */
  readonly publicKey?: PublicKey;
  readonly ledgerId: Hash;
  readonly timeouts: Timeouts;
  /** Least pause between the times of two blocks, milliseconds. */
  readonly blockIntervalMsMin: number;
  readonly blockBytesMax: number;
  /** A fresh block's time may lie this far ahead of our clock. */
  readonly clockAheadMsMax: number;
  /** …and this far behind it. */
  readonly clockBehindMsMax: number;
  /** The rule of an era; throws HanseError when its parameters are none of the policy's. */
  readonly policyOf: (era: OrderingEra) => ValidatorPolicy;
  /** What executions decided for above this height is void: the organizations decided otherwise. */
  readonly recoveryHeight?: Height;
  /** The guarded consensus key; throws HanseError when it refuses. */
  readonly sign: (at: SignPlace, message: Bytes) => Bytes;
  /** For the mutation check of the simulator only. Not reachable from configuration. */
  readonly testOnlyMutation?: Mutation;
}

/** Finalize votes count in so many views below ours; older blocks are offered again anyway. */
export const FINALIZE_VIEWS_BELOW_MAX = 64;

/** Views above the highest certified one for which messages are kept. */
export const VIEWS_AHEAD_MAX = 8;

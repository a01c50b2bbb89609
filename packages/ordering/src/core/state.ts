/** State of the core: what is fixed, what belongs to the open height, and how effects are emitted. */
import {
  type Bytes,
  type Certificate,
  encodeCertificate,
  equalBytes,
  quorumWeight,
  toHex,
  type ValidatorInfo,
  type ValidatorSet,
  type VoteKind,
} from "@hanse/protocol";
import type { Height, PolicyParent, SignedPlace, Turn, View } from "../engine/interfaces.ts";
import type { WalRecord } from "../wal/records.ts";
import type { WireMessage } from "../wire/messages.ts";
import type {
  AlarmCode,
  Body,
  CoreConfig,
  Effect,
  Era,
  Mutation,
  ParentBlock,
  Proposal,
  TimerId,
  Vote,
} from "./events.ts";
import { Tally } from "./tally.ts";

export interface OwnVote {
  readonly vote: Vote;
  /** Log record to be durable before it is sent. */
  readonly seq: number;
  /** False when its body did not survive a restart: not repeated, since it vouches for the body. */
  readonly mayRepeat: boolean;
}

export interface OwnProposal {
  readonly body: Body;
  readonly parentView: View;
  readonly signature: Bytes;
  readonly seq: number;
}

/** Everything about the height that is being decided. */
export interface HeightState {
  readonly height: Height;
  readonly era: Era;
  readonly set: ValidatorSet;
  readonly nextSet: ValidatorSet;
  readonly quorum: number;
  /** Our index in the set; -1 = observer. */
  readonly self: number;
  readonly parent: ParentBlock;
  readonly lastCert: Bytes;
  readonly lastSetChangeHeight: Height;
  /** The parent changed state: one empty block proves it on an idle ledger. */
  readonly proofDue: boolean;
  /**
   * `voting` until decided, then `executing` until the application answers; `handedOver` when the
   * height is another engine's.
   */
  phase: "voting" | "executing" | "handedOver";
  /** There is a reason to decide this height; before, no timer runs. */
  active: boolean;
  /** Some reason other than our own mempool, whose work may vanish. */
  activeForOthers: boolean;
  view: View;
  readonly tally: Tally;
  /** kind:view -> own vote. */
  readonly own: Map<string, OwnVote>;
  readonly ownProposals: Map<View, OwnProposal>;
  /** Signed before a restart, with a block that the restart lost: no other may be offered there. */
  readonly lostProposals: Set<View>;
  readonly notarizations: Map<View, Certificate>;
  readonly nullifications: Map<View, Certificate>;
  finalization: Certificate | undefined;
  /** Highest view with a notarization or nullification; -1 = none. */
  certified: View;
  readonly bodies: Map<string, Body>;
  readonly persistedBodies: Set<string>;
  readonly validity: Map<string, "pending" | "ok" | "bad">;
  readonly proposals: Map<View, { readonly proposal: Proposal; readonly clockOk: boolean }>;
  building: View | undefined;
  /** View 0 waits until the interval since the parent is over. */
  pace: "none" | "waiting" | "over";
  resends: number;
  /** Rounds of echoes since the newest certificate. */
  echoes: number;
  /** Highest view in which each member was seen, and whether its finalize vote was. */
  readonly seen: Map<string, { view: View; finalized: View }>;
}

export interface CoreState {
  readonly config: CoreConfig;
  readonly mutation: Mutation | undefined;
  /** Local clock of the running step, milliseconds since 1970. */
  now: number;
  effects: Effect[];
  seq: number;
  durable: number;
  /** Own votes that wait to be durable before they count. */
  readonly undurable: OwnVote[];
  behind: boolean;
  /** Members without a link to us. */
  readonly lost: Set<string>;
  /** Undefined = never until told otherwise. */
  voteFrom: Height | undefined;
  /** In force from these heights on, ascending. */
  sets: { readonly height: Height; readonly set: ValidatorSet }[];
  /** Ascending; the first covers the height below the open one or the open one. */
  eras: Era[];
  open: HeightState;
  /** The height below the open one: for peers that lag by one. */
  previous: { readonly finalization: Certificate; readonly finalized: Set<string> } | undefined;
  restored: {
    votes: readonly SignedPlace[];
    proposals: readonly SignedPlace[];
    certificates: readonly Certificate[];
    bodies: readonly Body[];
    finals: readonly { readonly body: Body; readonly certificate: Certificate }[];
  };
}

export function setAt(state: Pick<CoreState, "sets">, height: Height): ValidatorSet {
  let found = state.sets[0]!.set;
  for (const entry of state.sets) if (entry.height <= height) found = entry.set;
  return found;
}

export function eraAt(state: Pick<CoreState, "eras">, height: Height): Era {
  let found = state.eras[0]!;
  for (const era of state.eras) if (era.height <= height) found = era;
  return found;
}

export function quorumOf(state: Pick<CoreState, "mutation">, set: ValidatorSet): number {
  const quorum = quorumWeight(set);
  return state.mutation === "quorum-one-too-small" ? Math.max(1, quorum - 1) : quorum;
}

/** A member of our name with another key is who we were before, or will be: not us at this height. */
function isOwn({ self, publicKey }: CoreConfig, { id, key }: ValidatorInfo): boolean {
  if (id !== self) return false;
  if (publicKey === undefined) return true;
  return key.algorithm === publicKey.algorithm && equalBytes(key.bytes, publicKey.bytes);
}

export function createHeight(
  state: Pick<CoreState, "config" | "mutation" | "sets" | "eras">,
  at: Pick<HeightState, "height" | "parent" | "lastCert" | "lastSetChangeHeight" | "proofDue">,
): HeightState {
  const set = setAt(state, at.height);
  const era = eraAt(state, at.height);
  return {
    ...at,
    era,
    set,
    nextSet: setAt(state, at.height + 1),
    quorum: quorumOf(state, set),
    self: set.members.findIndex((member) => isOwn(state.config, member)),
    phase: era.kind === "builtin" ? "voting" : "handedOver",
    active: false,
    activeForOthers: false,
    view: 0,
    tally: new Tally(set, era.engineEpoch),
    own: new Map(),
    ownProposals: new Map(),
    lostProposals: new Set(),
    notarizations: new Map(),
    nullifications: new Map(),
    finalization: undefined,
    certified: -1,
    bodies: new Map(),
    persistedBodies: new Set(),
    validity: new Map(),
    proposals: new Map(),
    building: undefined,
    pace: "none",
    resends: 0,
    echoes: 0,
    seen: new Map(),
  };
}

export function ownVote(h: HeightState, kind: VoteKind, view: View): OwnVote | undefined {
  return h.own.get(`${kind}:${view}`);
}

export function mayVote(state: CoreState): boolean {
  const h = state.open;
  return (
    h.self >= 0 &&
    h.phase === "voting" &&
    h.finalization === undefined &&
    (!state.behind || state.mutation === "vote-while-behind") &&
    state.voteFrom !== undefined &&
    h.height >= state.voteFrom
  );
}

/** Whether time slots say who may propose: several may, one after the other. */
export function isSlotted(state: CoreState, view: View): boolean {
  return view === 0 && state.open.era.rule.turn !== undefined;
}

/** Whether we may offer a block in this view; in a slotted one, when our slot runs. */
export function isLeader(state: CoreState, view: View): boolean {
  const { set, self } = state.open;
  if (isSlotted(state, view)) return (set.members[self]?.propose ?? 0) > 0;
  return leaderOf(state, view) === state.config.self;
}

/** Undefined: nobody's slot runs now. */
export function leaderOf(state: CoreState, view: View): string | undefined {
  const { era, set, height } = state.open;
  if (isSlotted(state, view)) return turnAt(state, freshTime(state))!.proposer;
  return era.rule.leader(set, height, view);
}

/** Milliseconds since 1970 that a block made now would carry. */
export function freshTime(state: CoreState): number {
  const { parent } = state.open;
  return Math.max(state.now, parent.time + Math.max(1, state.config.blockIntervalMsMin));
}

export function turnAt(state: CoreState, time: number): Turn | undefined {
  const { era, set } = state.open;
  return era.rule.turn?.(set, policyParent(state), time);
}

export function policyParent(state: CoreState): PolicyParent {
  const { height, time, policyExtra = new Uint8Array(0) } = state.open.parent;
  return { height, time, policyExtra };
}

export function persist(state: CoreState, record: WalRecord): number {
  state.seq++;
  state.effects.push({ t: "persist", seq: state.seq, record });
  return state.seq;
}

export function persistBody(state: CoreState, body: Body): void {
  const h = state.open;
  if (h.persistedBodies.has(body.key)) return;
  h.persistedBodies.add(body.key);
  persist(state, { t: "body", height: h.height, block: body.bytes });
}

export function persistCertificate(state: CoreState, certificate: Certificate): void {
  persist(state, {
    t: "certificate",
    height: certificate.height,
    certificate: encodeCertificate(certificate),
  });
}

/** Everything that carries, or follows from, our signature waits for the log. */
export function send(
  state: CoreState,
  to: string | "all",
  message: WireMessage,
  after = state.seq,
): void {
  const bound = state.mutation === "send-before-durable" ? 0 : after;
  state.effects.push({ t: "send", to, message, after: bound });
}

export function sendCertificate(state: CoreState, to: string | "all", c: Certificate): void {
  send(state, to, { t: "certificate", certificate: encodeCertificate(c) });
}

export function setTimer(state: CoreState, id: TimerId, ms: number): void {
  state.effects.push({ t: "timer", id, ms });
}

export function cancelTimer(state: CoreState, id: TimerId): void {
  state.effects.push({ t: "cancel", id });
}

export function alarm(state: CoreState, code: AlarmCode, message: string): void {
  state.effects.push({ t: "alarm", code, message });
}

export function hashKey(hash: Bytes): string {
  return toHex(hash);
}

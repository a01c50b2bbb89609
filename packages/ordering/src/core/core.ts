/**
 * Simplex-H: the Simplex protocol (Chan and Pass, TCC 2023, ePrint 2023/463) run once per height,
 * with signed per-view justifications, as one synchronous state machine (spec/ordering.md).
 */
import {
  type Certificate,
  decodeCertificate,
  type ValidatorSet,
  type VoteKind,
} from "@hanse/protocol";
import type { Height, View } from "../engine/interfaces.ts";
import {
  type BootRecord,
  type CoreConfig,
  type CoreEvent,
  type Effect,
  type Era,
  FINALIZE_VIEWS_BELOW_MAX,
  VIEWS_AHEAD_MAX,
} from "./events.ts";
import { decide, onExecuted, openRestored } from "./heights.ts";
import { mayLead, onBuilt, onProposal, onValidated, wantsProposal } from "./proposals.ts";
import {
  type CoreState,
  createHeight,
  eraAt,
  type HeightState,
  hashKey,
  leaderOf,
  mayVote,
  persist,
  quorumOf,
  send,
  setAt,
} from "./state.ts";
import { activate, answerNeed, onPeer, onTimer, pauseView, resumeView } from "./views.ts";
import { countVote, onBody, onCertificate, onDurable } from "./votes.ts";

export interface Core {
  /** The log's state at the start; called once, before any step. `now`: milliseconds since 1970. */
  boot(record: BootRecord, now: number): Effect[];
  step(event: CoreEvent, now: number): Effect[];
  readonly height: Height;
  readonly view: View;
  readonly executing: boolean;
  readonly active: boolean;
  readonly voting: boolean;
  readonly open: Readonly<HeightState>;
  setAt(height: Height): ValidatorSet;
  quorumOf(set: ValidatorSet): number;
  /** Undefined: nobody's time slot runs now. */
  leader(view: View): string | undefined;
  eraAt(height: Height): Era;
  /** Whether a member may ever propose there; for what is kept before the height opens. */
  mayLead(height: Height, view: View, id: string): boolean;
  /** Whether a vote could still matter: checked before its signature is. */
  wantsVote(kind: VoteKind, height: Height, view: View): boolean;
  wantsCertificate(c: Pick<Certificate, "kind" | "height" | "view" | "blockHash">): boolean;
  wantsProposal(
    from: string,
    p: { readonly height: Height; readonly view: View; readonly parentView: View },
  ): boolean;
  /** Whether a certified block lacks its body: otherwise none is read that nobody proposed. */
  wantsBodies(): boolean;
}

export function createCore(config: CoreConfig): Core {
  let state: CoreState | undefined;
  const get = (): CoreState => state!;

  return {
    boot(record, now) {
      const mutation = config.testOnlyMutation;
      const forgetsVotes = mutation === "forget-votes";
      const eras = record.eras.map((era) => ({ ...era, rule: config.policyOf(era) }));
      const base = { config, mutation, sets: [...record.sets], eras };
      const open = createHeight(base, {
        height: record.parent.height + 1,
        parent: record.parent,
        lastCert: record.lastCert,
        lastSetChangeHeight: record.lastSetChangeHeight,
        proofDue: record.changed,
      });
      state = {
        ...base,
        now,
        effects: [],
        seq: 0,
        durable: 0,
        undurable: [],
        behind: false,
        lost: new Set(),
        voteFrom: record.voteFrom,
        open,
        previous:
          record.lastCert.length === 0
            ? undefined
            : { finalization: decodeCertificate(record.lastCert), finalized: new Set() },
        restored: {
          votes: forgetsVotes ? [] : record.votes,
          proposals: forgetsVotes ? [] : record.proposals,
          certificates: mutation === "forget-certificates" ? [] : record.certificates,
          bodies: record.bodies,
          finals: record.finals,
        },
      };
      if (record.begins !== undefined) {
        const { set, era } = record.begins;
        persist(state, { t: "set", height: era.height, set });
        // The log may hold a set that the block below it decided, which is void.
        persist(state, { t: "set", height: era.height + 1, set });
        persist(state, { ...era, t: "era" });
      }
      openRestored(state, record.hasWork);
      return state.effects;
    },
    step(event, now) {
      const s = get();
      s.now = now;
      s.effects = [];
      dispatch(s, event);
      return s.effects;
    },
    get height() {
      return get().open.height;
    },
    get view() {
      return get().open.view;
    },
    get executing() {
      return get().open.phase === "executing";
    },
    get active() {
      return get().open.active;
    },
    get voting() {
      return mayVote(get());
    },
    get open() {
      return get().open;
    },
    setAt: (height) => setAt(get(), height),
    quorumOf: (set) => quorumOf(get(), set),
    leader: (view) => leaderOf(get(), view),
    eraAt: (height) => eraAt(get(), height),
    mayLead(height, view, id) {
      const s = get();
      return mayLead({ era: eraAt(s, height), set: setAt(s, height), height }, id, view);
    },
    wantsVote(kind, height, view) {
      const h = get().open;
      if (height !== h.height || h.phase !== "voting") return false;
      if (view > h.certified + VIEWS_AHEAD_MAX) return false;
      if (kind === "finalize") {
        return h.finalization === undefined && view >= h.view - FINALIZE_VIEWS_BELOW_MAX;
      }
      if (view < h.view - 2) return false;
      return kind === "notarize" ? !h.notarizations.has(view) : !h.nullifications.has(view);
    },
    wantsCertificate(c) {
      const h = get().open;
      if (c.height !== h.height || h.phase !== "voting") return false;
      if (c.kind === "finalize") return h.finalization === undefined;
      return c.kind === "notarize" ? !h.notarizations.has(c.view) : !h.nullifications.has(c.view);
    },
    wantsProposal: (from, p) => wantsProposal(get(), from, p),
    wantsBodies() {
      const h = get().open;
      if (h.phase !== "voting") return false;
      const isMissing = (c: Certificate) => !h.bodies.has(hashKey(c.blockHash!));
      if (h.finalization !== undefined) return isMissing(h.finalization);
      return [...h.notarizations.values()].some(isMissing);
    },
  };
}

function dispatch(s: CoreState, event: CoreEvent): void {
  switch (event.t) {
    case "vote":
      countVote(s, event.vote);
      return;
    case "certificate":
      onCertificate(s, event.certificate, false);
      return;
    case "proposal":
      onProposal(s, event.proposal);
      return;
    case "body":
      onBody(s, event.body);
      return;
    case "seen":
      onSeen(s, event);
      return;
    case "need":
      if (event.height === s.open.height) answerNeed(s, event.from, event.view);
      return;
    case "getBlock": {
      const body = s.open.bodies.get(hashKey(event.hash));
      if (body !== undefined) send(s, event.from, { t: "block", block: body.bytes }, 0);
      return;
    }
    case "durable":
      onDurable(s, event.seq);
      return;
    case "timer":
      onTimer(s, event.id);
      return;
    case "built":
      if (event.height === s.open.height) onBuilt(s, event.view, event.body);
      return;
    case "buildFailed":
      if (event.height === s.open.height && s.open.building === event.view) {
        s.open.building = undefined;
      }
      return;
    case "validated":
      if (event.height === s.open.height) onValidated(s, event.key, event.ok, event.reason);
      return;
    case "executed":
      onExecuted(s, event.result, event.hasWork);
      return;
    case "decided":
      if (event.certificate.height === s.open.height && s.open.phase === "voting") {
        decide(s, event.body, event.certificate, event.log);
      }
      return;
    case "work":
      activate(s, false);
      return;
    case "peer":
      onPeer(s, event.id, event.up);
      return;
    case "behind":
      if (s.behind === event.behind) return;
      s.behind = event.behind;
      if (event.behind) pauseView(s);
      else resumeView(s);
      return;
    case "quarantine":
      s.voteFrom = event.until;
      if (event.until === undefined) {
        pauseView(s);
        return;
      }
      // The log begins anew: what it knew of sets and eras goes before any vote.
      for (const { height, set } of s.sets) persist(s, { t: "set", height, set });
      for (const { rule: _, ...era } of s.eras) persist(s, { ...era, t: "era" });
      resumeView(s);
  }
}

function onSeen(s: CoreState, event: Extract<CoreEvent, { t: "seen" }>): void {
  if (event.height === s.open.height - 1) {
    if (event.kind === "finalize") s.previous?.finalized.add(event.from);
    return;
  }
  if (event.height !== s.open.height) return;
  // The link is authenticated: a member that acts is reason enough to start the clocks.
  activate(s, true);
  const seen = s.open.seen.get(event.from) ?? { view: -1, finalized: -1 };
  if (event.view > seen.view) seen.view = event.view;
  if (event.kind === "finalize" && event.view > seen.finalized) seen.finalized = event.view;
  s.open.seen.set(event.from, seen);
}

/** Views and their timers: rules R1 and R5 of spec/ordering.md. */
import { encodeCertificate } from "@hanse/protocol";
import type { View } from "../engine/interfaces.ts";
import { CERTIFICATES_PER_MESSAGE_MAX } from "../wire/messages.ts";
import type { TimerId } from "./events.ts";
import { considerNotarize, pauseOf, proposalMessage, propose } from "./proposals.ts";
import {
  type CoreState,
  cancelTimer,
  freshTime,
  hashKey,
  isLeader,
  leaderOf,
  mayVote,
  ownVote,
  send,
  sendCertificate,
  setTimer,
  turnAt,
} from "./state.ts";
import { castVote, fetchBody, voteToMessage } from "./votes.ts";

/** R0: the height has a reason to be decided. `forOthers`: not only our own mempool wants it. */
export function activate(state: CoreState, forOthers: boolean): void {
  const h = state.open;
  if (h.phase !== "voting") return;
  if (forOthers) h.activeForOthers = true;
  if (h.active) return;
  h.active = true;
  startView(state, "start");
}

/** R1. */
export function enterView(state: CoreState, view: View, by: "notarize" | "nullify"): void {
  const h = state.open;
  h.view = view;
  h.active = true;
  h.activeForOthers = true;
  h.resends = 0;
  // Far lower votes can decide nothing any more; certificates are kept apart.
  h.tally.forgetBelow(view - 2);
  startView(state, by);
}

function startView(state: CoreState, by: "start" | "notarize" | "nullify"): void {
  const h = state.open;
  const { timeouts } = state.config;
  cancelTimer(state, "resend");
  cancelTimer(state, "grace");
  if (h.self >= 0) {
    const own = Math.min(timeouts.viewMsMax, timeouts.viewMs + h.view * timeouts.viewStepMs);
    const leader = leaderOf(state, h.view);
    const isLost = leader !== undefined && state.lost.has(leader);
    const time = isLost ? timeouts.lostLeaderMs : own;
    const grace = by === "notarize" ? timeouts.graceMs : 0;
    const pause = h.view === 0 ? pauseOf(state) + slotPauseOf(state) : 0;
    setTimer(state, "view", time + grace + pause);
  }
  if (isLeader(state, h.view)) {
    // Finality of the view below usually arrives within one hop and makes a proposal needless.
    if (by === "notarize") setTimer(state, "grace", timeouts.graceMs);
    else propose(state);
  }
  considerNotarize(state);
}

/** Milliseconds until somebody's slot begins; 0 where there are none or one runs. */
function slotPauseOf(state: CoreState): number {
  const turn = turnAt(state, freshTime(state));
  if (turn === undefined || turn.proposer !== undefined) return 0;
  return Math.max(0, turn.untilMs - state.now);
}

/** Proposals come from their leader only: without a link to it there is nothing to wait for. */
export function onPeer(state: CoreState, id: string, up: boolean): void {
  const h = state.open;
  if (up) {
    state.lost.delete(id);
    return;
  }
  state.lost.add(id);
  if (!h.active || h.phase !== "voting" || h.self < 0 || h.proposals.has(h.view)) return;
  const undecided =
    ownVote(h, "nullify", h.view) === undefined && ownVote(h, "finalize", h.view) === undefined;
  if (undecided && leaderOf(state, h.view) === id) {
    const { lostLeaderMs, graceMs } = state.config.timeouts;
    setTimer(state, "view", lostLeaderMs + graceMs);
  }
}

export function onTimer(state: CoreState, id: TimerId): void {
  const h = state.open;
  if (id === "echo") {
    echo(state);
    return;
  }
  if (h.phase !== "voting") return;
  switch (id) {
    case "view":
      onTimeout(state);
      return;
    case "pace":
      h.pace = "over";
      if (h.active && isLeader(state, h.view)) propose(state);
      return;
    case "grace":
      if (h.active && isLeader(state, h.view)) propose(state);
      return;
    case "resend":
      resend(state);
      return;
    case "need":
      if (h.finalization !== undefined) {
        if (!h.bodies.has(hashKey(h.finalization.blockHash!))) {
          fetchBody(state, h.finalization.blockHash!);
        }
        return;
      }
      considerNotarize(state);
      if (h.active && isLeader(state, h.view)) propose(state);
      return;
  }
}

/** R5. */
function onTimeout(state: CoreState): void {
  const h = state.open;
  if (h.finalization === undefined && ownVote(h, "nullify", h.view) === undefined) {
    if (ownVote(h, "finalize", h.view) === undefined) castVote(state, "nullify", h.view);
  }
  if (state.mutation === "nullify-after-finalize" && h.view > 0) {
    castVote(state, "nullify", h.view - 1);
  }
  scheduleResend(state);
}

function scheduleResend(state: CoreState): void {
  const h = state.open;
  const { resendMs, resendMsMax } = state.config.timeouts;
  const pause = Math.min(resendMsMax, resendMs * 1.5 ** Math.min(h.resends, 16));
  // Spread by place instead of by chance: the core holds no randomness.
  const spread = ((h.self + 1) * 7 + h.resends * 13 + h.view * 3) % 16;
  setTimer(state, "resend", Math.round(pause * (0.85 + spread / 50)));
}

/** Repeats what a peer may lack to leave this view with us. */
function resend(state: CoreState): void {
  const h = state.open;
  h.resends++;
  for (const view of h.view > 0 ? [h.view - 1, h.view] : [h.view]) {
    for (const kind of ["notarize", "nullify", "finalize"] as const) {
      const own = ownVote(h, kind, view);
      if (own?.mayRepeat) send(state, "all", voteToMessage(state, own.vote), own.seq);
    }
  }
  if (h.ownProposals.has(h.view)) {
    send(state, "all", proposalMessage(state, h.view));
  }
  const entering = h.notarizations.get(h.view - 1) ?? h.nullifications.get(h.view - 1);
  if (entering !== undefined) sendCertificate(state, "all", entering);
  if (h.view === 0 && state.previous !== undefined) {
    sendCertificate(state, "all", state.previous.finalization);
  }
  if (h.finalization !== undefined) sendCertificate(state, "all", h.finalization);
  // A timeout that came while we were not allowed to vote is made up for.
  if (mayVote(state) && ownVote(h, "nullify", h.view) === undefined) {
    if (ownVote(h, "finalize", h.view) === undefined) castVote(state, "nullify", h.view);
  }
  scheduleResend(state);
}

/** Members that the first round of echoes goes to; each further round takes in as many again. */
const ECHO_MEMBERS = 2;

/**
 * Certificates only to those who seem to lack them, or every height would be told twice; and first
 * to the next members in the set's order alone, so that where links are slower than `echoMs` not
 * everyone tells everyone.
 */
function echo(state: CoreState): void {
  const h = state.open;
  const { members } = h.set;
  const best = h.notarizations.get(h.certified) ?? h.nullifications.get(h.certified);
  const reach = ECHO_MEMBERS * 2 ** h.echoes;
  const told = h.echoes === 0 ? 0 : reach / 2;
  let isLeftOut = false;
  for (const [i, member] of members.entries()) {
    // From 1 on, also for an observer, whose place is -1.
    const distance = (i - h.self + members.length) % members.length || members.length;
    if (member.id === state.config.self || distance <= told) continue;
    const seen = h.seen.get(member.id);
    const isBehind =
      best !== undefined &&
      h.phase === "voting" &&
      !(seen !== undefined && (seen.view > h.certified || seen.finalized >= h.certified));
    const isBelow =
      state.previous !== undefined &&
      seen === undefined &&
      !state.previous.finalized.has(member.id);
    if (!isBehind && !isBelow) continue;
    if (distance > reach) {
      isLeftOut = true;
      continue;
    }
    if (isBehind) sendCertificate(state, member.id, best);
    if (isBelow) sendCertificate(state, member.id, state.previous!.finalization);
  }
  if (!isLeftOut) return;
  h.echoes++;
  setTimer(state, "echo", state.config.timeouts.echoMs);
}

/** Everything a peer needs to justify or enter `view`. */
export function answerNeed(state: CoreState, from: string, view: View): void {
  const h = state.open;
  const certificates: Uint8Array[] = [];
  const top = Math.min(view, h.certified + 1);
  for (let v = top; v >= 0 && certificates.length + 2 <= CERTIFICATES_PER_MESSAGE_MAX; v--) {
    for (const known of [h.notarizations.get(v), h.nullifications.get(v)]) {
      if (known !== undefined) certificates.push(encodeCertificate(known));
    }
  }
  if (certificates.length > 0) send(state, from, { t: "certificates", certificates });
}

/** Voting begins or begins again: a running view gets its time anew. */
export function resumeView(state: CoreState): void {
  if (state.open.active && state.open.phase === "voting") startView(state, "nullify");
}

export function pauseView(state: CoreState): void {
  for (const id of ["view", "grace", "pace", "resend"] as const) cancelTimer(state, id);
}

/** Proposals and what justifies them: rules R2 and R3 of spec/ordering.md. */
import {
  type Bytes,
  type Certificate,
  encodeCertificate,
  equalBytes,
  ZERO_HASH,
} from "@hanse/protocol";
import type { SignedPlace, View } from "../engine/interfaces.ts";
import { type ProposeMessage, proposeMessage } from "../wire/messages.ts";
import { type Body, type Proposal, VIEWS_AHEAD_MAX } from "./events.ts";
import {
  type CoreState,
  cancelTimer,
  freshTime,
  type HeightState,
  hashKey,
  isLeader,
  isSlotted,
  leaderOf,
  mayVote,
  ownVote,
  persist,
  persistBody,
  policyParent,
  send,
  setTimer,
  turnAt,
} from "./state.ts";
import { activate } from "./views.ts";
import { accuse, castVote, fetchBody, trySign } from "./votes.ts";

/** Bodies of undecided proposals kept per height; the oldest that no quorum vouched for go first. */
const BODIES_MAX = 16;

/** The view whose block must be offered in `view`: undefined = certificates are missing. */
export function parentViewOf(
  state: CoreState,
  view: View,
): { readonly parentView: View; readonly notarization?: Certificate } | undefined {
  const h = state.open;
  for (let v = view - 1; v >= 0; v--) {
    const notarization = h.notarizations.get(v);
    if (notarization !== undefined) return { parentView: v, notarization };
    if (!h.nullifications.has(v)) return undefined;
  }
  return { parentView: -1 };
}

/** Whether (view, parentView) is justified by certificates that we hold. */
function isJustified(state: CoreState, p: Proposal): boolean {
  const h = state.open;
  if (state.mutation === "skip-justification") return true;
  for (let v = p.view - 1; v > p.parentView; v--) if (!h.nullifications.has(v)) return false;
  if (p.parentView < 0) return true;
  const notarized = h.notarizations.get(p.parentView)?.blockHash;
  return notarized !== undefined && equalBytes(notarized, p.body.hash);
}

/** Milliseconds from the time of the parent to the first proposal above it. */
export function pauseOf(state: CoreState): number {
  const { blockIntervalMsMin, timeouts } = state.config;
  const isBusy = (state.open.parent.transactions ?? 0) >= timeouts.busyTransactions;
  return isBusy ? Math.max(blockIntervalMsMin, timeouts.fillMs) : blockIntervalMsMin;
}

/** R2: offers what the certificates ask for, or fetches what is missing to know it. */
export function propose(state: CoreState): void {
  const h = state.open;
  const view = h.view;
  if (!h.active || !mayVote(state) || !isLeader(state, view)) return;
  if (h.ownProposals.has(view) || h.lostProposals.has(view)) return;
  if (ownVote(h, "nullify", view) !== undefined) return;
  const parent = parentViewOf(state, view);
  if (parent === undefined) {
    send(state, "all", { t: "need", height: h.height, view: view - 1 }, 0);
    setTimer(state, "need", state.config.timeouts.needMs);
    return;
  }
  if (parent.notarization !== undefined) {
    const hash = parent.notarization.blockHash!;
    const body = h.bodies.get(hashKey(hash));
    if (body === undefined) fetchBody(state, hash);
    else emitProposal(state, view, parent.parentView, body);
    return;
  }
  if (h.building === view) return;
  // Somebody was first in the slots of this view: our vote is for that block or none.
  if (isSlotted(state, view) && h.proposals.has(view)) return;
  if (view === 0 && h.pace !== "over") {
    if (h.pace === "waiting") return;
    const pause = pauseOf(state);
    const wait = h.parent.time + pause - state.now;
    if (wait > 0 && h.parent.height > 0) {
      h.pace = "waiting";
      // A parent whose clock ran ahead must not hold us up for longer than the pause.
      setTimer(state, "pace", Math.min(wait, pause));
      return;
    }
  }
  const now = freshTime(state);
  if (isSlotted(state, view)) {
    const turn = turnAt(state, now)!;
    if (turn.proposer !== state.config.self) {
      setTimer(state, "pace", Math.max(1, turn.untilMs - state.now));
      return;
    }
  }
  h.building = view;
  state.effects.push({ t: "build", height: h.height, view, now });
}

export function onBuilt(state: CoreState, view: View, body: Body): void {
  const h = state.open;
  if (h.phase !== "voting" || h.view !== view || h.building !== view) return;
  h.building = undefined;
  if (!mayVote(state) || h.ownProposals.has(view)) return;
  if (ownVote(h, "nullify", view) !== undefined) return;
  if (isSlotted(state, view)) {
    if (h.proposals.has(view)) return;
    if (!isDue(state, body, view)) {
      // The ledger gave it another time than it was asked for; not before the next slot again.
      setTimer(state, "pace", Math.max(1, turnAt(state, state.now)!.untilMs - state.now));
      return;
    }
  }
  const empty = body.block.transactions.length === 0 && body.block.evidence.length === 0;
  if (empty && view === 0 && !h.activeForOthers) {
    // The work vanished: nobody else waits, so the ledger stays silent.
    h.active = false;
    cancelTimer(state, "view");
    return;
  }
  h.bodies.set(body.key, body);
  h.validity.set(body.key, "ok");
  emitProposal(state, view, -1, body);
}

function emitProposal(state: CoreState, view: View, parentView: View, body: Body): void {
  const h = state.open;
  const place = {
    kind: "propose" as const,
    height: h.height,
    view,
    blockHash: body.hash,
    parentView,
  };
  const signature = trySign(
    state,
    place,
    proposeMessage({
      ...place,
      ledgerId: state.config.ledgerId,
      engineEpoch: h.era.engineEpoch,
      validatorsHash: h.set.hash,
    }),
  );
  if (signature === undefined) return;
  persistBody(state, body);
  const seq = persist(state, { ...place, t: "proposal", signature });
  h.ownProposals.set(view, { body, parentView, signature, seq });
  h.proposals.set(view, {
    proposal: {
      from: state.config.self,
      height: h.height,
      view,
      parentView,
      body,
      signature,
    },
    clockOk: true,
  });
  // The vote joins the proposal's log batch, so that both leave after one sync.
  considerNotarize(state);
  send(state, "all", proposalMessage(state, view));
}

export function proposalMessage(state: CoreState, view: View): ProposeMessage {
  const h = state.open;
  const own = h.ownProposals.get(view)!;
  const justification: Bytes[] = [];
  for (let v = view - 1; v > own.parentView; v--) {
    const nullification = h.nullifications.get(v);
    if (nullification !== undefined) justification.push(encodeCertificate(nullification));
  }
  const notarization = h.notarizations.get(own.parentView);
  if (notarization !== undefined) justification.push(encodeCertificate(notarization));
  return {
    t: "propose",
    engineEpoch: h.era.engineEpoch,
    height: h.height,
    view,
    parentView: own.parentView,
    block: own.body.bytes,
    // Nearest first: what does not fit is asked for with `need`.
    justification: justification.slice(0, 256),
    signature: own.signature,
  };
}

/** Whether a proposal could still matter; asked before its signature is checked. */
export function wantsProposal(
  state: CoreState,
  from: string,
  p: { readonly height: number; readonly view: View; readonly parentView: View },
): boolean {
  const h = state.open;
  if (p.height !== h.height || h.phase !== "voting" || h.finalization !== undefined) return false;
  if (p.view < h.view || p.view > h.certified + VIEWS_AHEAD_MAX) return false;
  if (p.parentView >= p.view) return false;
  if (state.mutation === "accept-non-leader") return true;
  if (!isSlotted(state, p.view)) return leaderOf(state, p.view) === from;
  const first = h.proposals.get(p.view)?.proposal.from ?? from;
  return p.parentView < 0 && first === from && mayLead(h, from, p.view);
}

/** Whether a member may ever lead this view; of a slotted one, every proposer. */
export function mayLead(
  h: Pick<HeightState, "era" | "set" | "height">,
  id: string,
  view: View,
): boolean {
  if (view > 0 || h.era.rule.turn === undefined)
    return h.era.rule.leader(h.set, h.height, view) === id;
  return h.set.members.some((member) => member.id === id && member.propose > 0);
}

export function onProposal(state: CoreState, p: Proposal): void {
  const h = state.open;
  if (!wantsProposal(state, p.from, p)) return;
  activate(state, true);
  const first = h.proposals.get(p.view)?.proposal;
  if (first !== undefined && state.mutation !== "notarize-twice") {
    if (!equalBytes(first.body.hash, p.body.hash) || first.parentView !== p.parentView) {
      const signer = h.set.members.findIndex(({ id }) => id === p.from);
      if (first.from === p.from) accuse(state, signer, placeOf(first), placeOf(p));
    }
    return;
  }
  if (isSlotted(state, p.view)) {
    // What is not acceptable now must not stand in the way of who comes next.
    if (!isTimely(state, p.body) || !isOwnBlock(state, p)) return;
  }
  dropOldBodies(state);
  if (!h.bodies.has(p.body.key)) h.bodies.set(p.body.key, p.body);
  h.proposals.set(p.view, { proposal: p, clockOk: p.parentView >= 0 || isTimely(state, p.body) });
  considerNotarize(state);
}

function placeOf(p: Proposal): SignedPlace {
  const { height, view, parentView, signature } = p;
  return { kind: "propose", height, view, blockHash: p.body.hash, parentView, signature };
}

function isTimely(state: CoreState, body: Body): boolean {
  const { time } = body.block.header;
  const { clockAheadMsMax, clockBehindMsMax } = state.config;
  return time <= state.now + clockAheadMsMax && time >= state.now - clockBehindMsMax;
}

/** Bytes of bodies that we voted for and no quorum certified, kept in memory per height. */
const VOTED_BODY_BYTES_MAX = 256 * 1024 * 1024;

/** The log keeps them, so that a restart has them again. */
function dropVotedBodies(state: CoreState): void {
  const h = state.open;
  const certified = new Set([...h.notarizations.values()].map((c) => hashKey(c.blockHash!)));
  const kept = [...h.bodies.values()].filter(({ key }) => !certified.has(key));
  let bytes = 0;
  for (const body of kept) bytes += body.bytes.length;
  const running = h.proposals.get(h.view)?.proposal.body.key;
  for (const body of kept) {
    if (bytes <= VOTED_BODY_BYTES_MAX) return;
    if (body.key === running) continue;
    bytes -= body.bytes.length;
    h.bodies.delete(body.key);
    for (const [view, { proposal }] of h.proposals) {
      if (proposal.body.key === body.key && view < h.view) h.proposals.delete(view);
    }
  }
}

function dropOldBodies(state: CoreState): void {
  const h = state.open;
  dropVotedBodies(state);
  if (h.bodies.size < BODIES_MAX) return;
  const notarized = new Set(
    [...h.notarizations.values()].map((certificate) => hashKey(certificate.blockHash!)),
  );
  for (const [view, { proposal }] of h.proposals) {
    if (view >= h.view || h.ownProposals.has(view)) continue;
    h.proposals.delete(view);
    const { key } = proposal.body;
    if (!notarized.has(key) && !h.persistedBodies.has(key)) {
      h.bodies.delete(key);
      h.validity.delete(key);
    }
  }
}

/** R3 for the proposal of the running view, as soon as everything that it needs is here. */
export function considerNotarize(state: CoreState): void {
  const h = state.open;
  const entry = h.proposals.get(h.view);
  if (entry === undefined || !entry.clockOk || !mayVote(state)) return;
  const p = entry.proposal;
  if (ownVote(h, "notarize", p.view) !== undefined && state.mutation !== "notarize-twice") return;
  if (ownVote(h, "nullify", p.view) !== undefined || !isOwnBlock(state, p)) return;
  if (!isJustified(state, p)) {
    if (p.from !== state.config.self) {
      send(state, p.from, { t: "need", height: h.height, view: p.view - 1 }, 0);
      setTimer(state, "need", state.config.timeouts.needMs);
    }
    return;
  }
  const known = h.validity.get(p.body.key);
  if (known === undefined) {
    const ok = fitsHeight(state, p.body);
    h.validity.set(p.body.key, ok ? "pending" : "bad");
    if (ok) state.effects.push({ t: "validate", body: p.body });
    return;
  }
  if (known !== "ok") return;
  const again = ownVote(h, "notarize", p.view)?.vote.blockHash;
  if (again !== undefined && equalBytes(again, p.body.hash)) return;
  persistBody(state, p.body);
  castVote(state, "notarize", p.view, { hash: p.body.hash, parentView: p.parentView });
}

/** A fresh block must be its leader's own: a matter of the view, not of the block's validity. */
function isOwnBlock(state: CoreState, p: Proposal): boolean {
  if (p.parentView >= 0 || state.mutation === "accept-non-leader") return true;
  return p.body.block.header.proposer === p.from && isDue(state, p.body, p.view);
}

/** The policy's word on a fresh block: whose it is, when, with which extra bytes. */
function isDue(state: CoreState, body: Body, view: View): boolean {
  const { header } = body.block;
  const { era, set } = state.open;
  if (state.mutation === "ignore-slots") return true;
  if (era.rule.mayPropose === undefined) return header.proposer === leaderOf(state, view);
  return era.rule.mayPropose(set, header, policyParent(state), view);
}

/**
 * The header rules that are the engine's: place, links, sets, size. Nothing of the view may be in
 * here, since the verdict is remembered for the block.
 */
function fitsHeight(state: CoreState, body: Body): boolean {
  const h = state.open;
  const { header } = body.block;
  return (
    equalBytes(header.ledgerId, state.config.ledgerId) &&
    header.engineEpoch === h.era.engineEpoch &&
    header.height === h.height &&
    equalBytes(header.parentHash, h.parent.hash) &&
    header.time > h.parent.time &&
    equalBytes(header.validatorsHash, h.set.hash) &&
    equalBytes(header.nextValidatorsHash, h.nextSet.hash) &&
    header.lastSetChangeHeight === h.lastSetChangeHeight &&
    (h.era.rule.mayPropose !== undefined || header.policyExtra.length === 0) &&
    (h.height > 1 ||
      (body.block.lastCert.length === 0 && equalBytes(header.lastCertHash, ZERO_HASH))) &&
    body.bytes.length <= state.config.blockBytesMax
  );
}

export function onValidated(state: CoreState, key: string, ok: boolean, reason?: string): void {
  const h = state.open;
  if (h.validity.get(key) !== "pending") return;
  h.validity.set(key, ok || state.mutation === "skip-validation" ? "ok" : "bad");
  if (!ok) {
    for (const certificate of h.notarizations.values()) {
      if (hashKey(certificate.blockHash!) === key) {
        state.effects.push({
          t: "alarm",
          code: "ORDERING_DIVERGED",
          message: `a quorum accepted block ${h.height} that this node's ledger refuses: ${reason ?? ""}`,
        });
      }
    }
  }
  considerNotarize(state);
}

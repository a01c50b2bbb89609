/** Casting, counting and certifying votes: rules R3 to R8 of spec/ordering.md. */
import {
  bitmapToIndices,
  type Certificate,
  equalBytes,
  HanseError,
  type Hash,
  type VoteKind,
  voteMessage,
} from "@hanse/protocol";
import type { SignedPlace, SignPlace, View } from "../engine/interfaces.ts";
import { createEvidence } from "../evidence/evidence.ts";
import type { VoteMessage } from "../wire/messages.ts";
import type { Body, Vote } from "./events.ts";
import { decide } from "./heights.ts";
import { considerNotarize, propose } from "./proposals.ts";
import {
  alarm,
  type CoreState,
  cancelTimer,
  hashKey,
  isLeader,
  mayVote,
  type OwnVote,
  ownVote,
  persist,
  persistCertificate,
  send,
  setTimer,
} from "./state.ts";
import { subjectKey } from "./tally.ts";
import { activate, enterView } from "./views.ts";

/** Signs, remembers, sends and (once durable) counts a vote of our own. False = not allowed to. */
export function castVote(
  state: CoreState,
  kind: VoteKind,
  view: View,
  block?: { readonly hash: Hash; readonly parentView?: View },
): boolean {
  const h = state.open;
  if (!mayVote(state)) return false;
  const place: SignPlace = {
    kind,
    height: h.height,
    view,
    ...(block === undefined ? {} : { blockHash: block.hash }),
    ...(block?.parentView === undefined ? {} : { parentView: block.parentView }),
  };
  const message = voteMessage({
    ...place,
    kind,
    ledgerId: state.config.ledgerId,
    engineEpoch: h.era.engineEpoch,
    validatorsHash: h.set.hash,
  });
  const signature = trySign(state, place, message);
  if (signature === undefined) return false;
  const vote: Vote = { ...place, kind, signer: h.self, signature };
  const seq = persist(state, { t: "vote", ...place, kind, signature });
  const own: OwnVote = { vote, seq, mayRepeat: true };
  h.own.set(`${kind}:${view}`, own);
  send(state, "all", voteToMessage(state, vote), seq);
  if (state.mutation === "send-before-durable") countVote(state, vote);
  else state.undurable.push(own);
  return true;
}

/** Undefined when the guard refuses: silently when we only lag behind what we once signed. */
export function trySign(
  state: CoreState,
  place: SignPlace,
  message: Uint8Array,
): Uint8Array | undefined {
  try {
    return state.config.sign(place, message);
  } catch (error) {
    if (!(error instanceof HanseError)) throw error;
    if (error.code !== "SIGNER_BEHIND") {
      alarm(state, "ORDERING_SIGNER", `${error.code}: ${error.message}`);
    }
    return undefined;
  }
}

export function voteToMessage(state: CoreState, vote: Vote): VoteMessage {
  return {
    t: "vote",
    kind: vote.kind,
    engineEpoch: state.open.era.engineEpoch,
    height: vote.height,
    view: vote.view,
    ...(vote.blockHash === undefined ? {} : { blockHash: vote.blockHash }),
    ...(vote.parentView === undefined ? {} : { parentView: vote.parentView }),
    signature: vote.signature,
  };
}

export function onDurable(state: CoreState, seq: number): void {
  if (seq > state.durable) state.durable = seq;
  while (state.undurable.length > 0 && state.undurable[0]!.seq <= state.durable) {
    const { vote } = state.undurable.shift()!;
    if (vote.height === state.open.height) countVote(state, vote);
  }
}

/** A checked vote, ours or another's. */
export function countVote(state: CoreState, vote: Vote): void {
  const h = state.open;
  if (vote.height !== h.height || h.phase !== "voting") return;
  if (vote.signer !== h.self) activate(state, true);
  const added = h.tally.add(vote);
  if (added.t === "conflict") {
    accuse(state, vote.signer, added.first, vote);
    return;
  }
  if (added.t === "known") return;
  if (vote.kind !== "notarize") {
    const other = h.tally.voteOf(
      vote.kind === "finalize" ? "nullify" : "finalize",
      vote.view,
      vote.signer,
    );
    if (other !== undefined) accuse(state, vote.signer, other, vote);
  }
  if (added.weight >= h.quorum) onCertificate(state, h.tally.certificate(vote), true);
}

/** Two signatures of one member that no honest one makes both of. */
export function accuse(
  state: CoreState,
  signer: number,
  one: SignedPlace,
  other: SignedPlace,
): void {
  const { set, self, era } = state.open;
  // Our own key used elsewhere is another matter: `isForeignUseOfOurKey`.
  if (signer === self) return;
  const evidence = createEvidence(
    {
      engineEpoch: era.engineEpoch,
      validatorsHash: set.hash,
      validator: set.members[signer]!.id,
    },
    one,
    other,
  );
  state.effects.push({ t: "evidence", evidence });
}

/**
 * Compares a certificate's signatures with the votes that came here: a liar that tells each half
 * of the ledger another thing is found where the halves' certificates meet.
 */
function watchSigners(state: CoreState, c: Certificate): void {
  const { tally } = state.open;
  const { kind, height, view, blockHash, parentView } = c;
  for (const [i, signer] of bitmapToIndices(c.signers).entries()) {
    const vote: Vote = {
      kind,
      height,
      view,
      signer,
      ...(blockHash === undefined ? {} : { blockHash }),
      ...(parentView === undefined ? {} : { parentView }),
      signature: c.signatures[i]!,
    };
    const same = tally.voteOf(kind, view, signer);
    if (same !== undefined && subjectKey(same) !== subjectKey(vote)) {
      accuse(state, signer, same, vote);
    }
    if (kind === "notarize") continue;
    const other = tally.voteOf(kind === "finalize" ? "nullify" : "finalize", view, signer);
    if (other !== undefined) accuse(state, signer, other, vote);
  }
}

/** A certificate, from our own tally or checked from elsewhere. */
export function onCertificate(state: CoreState, c: Certificate, formed: boolean): void {
  const h = state.open;
  if (c.height !== h.height || h.phase !== "voting") return;
  if (!equalBytes(c.validatorsHash, h.set.hash)) return;
  if (c.engineEpoch !== h.era.engineEpoch) return;
  if (!formed && isForeignUseOfOurKey(state, c)) return;
  if (!formed) watchSigners(state, c);
  if (c.kind === "finalize") {
    onFinalization(state, c);
    return;
  }
  const known = c.kind === "notarize" ? h.notarizations : h.nullifications;
  if (known.has(c.view)) return;
  known.set(c.view, c);
  persistCertificate(state, c);
  activate(state, true);
  if (c.view > h.certified) h.certified = c.view;
  if (c.kind === "notarize") finalizeNotarized(state, c);
  h.echoes = 0;
  setTimer(state, "echo", state.config.timeouts.echoMs);
  if (h.finalization !== undefined) return;
  if (c.view >= h.view) {
    enterView(state, c.view + 1, c.kind);
  } else {
    // An older certificate may be what a justification or our own proposal waited for.
    considerNotarize(state);
    if (isLeader(state, h.view)) propose(state);
  }
}

/** R4, second half. */
function finalizeNotarized(state: CoreState, c: Certificate): void {
  const h = state.open;
  if (h.validity.get(hashKey(c.blockHash!)) === "bad") {
    alarm(
      state,
      "ORDERING_DIVERGED",
      `a quorum accepted block ${h.height} that this node's ledger refuses`,
    );
    return;
  }
  if (c.view < h.view || ownVote(h, "finalize", c.view) !== undefined) return;
  if (ownVote(h, "nullify", c.view) !== undefined && state.mutation !== "finalize-after-nullify") {
    return;
  }
  castVote(state, "finalize", c.view, { hash: c.blockHash! });
}

/** R7: in any view. */
function onFinalization(state: CoreState, c: Certificate): void {
  const h = state.open;
  h.finalization ??= c;
  const body = h.bodies.get(hashKey(c.blockHash!));
  if (body === undefined) fetchBody(state, c.blockHash!);
  else decide(state, body, h.finalization, true);
}

export function onBody(state: CoreState, body: Body): void {
  const h = state.open;
  if (body.block.header.height !== h.height || h.phase !== "voting") return;
  // Only what a quorum vouched for: anyone can invent bodies.
  const wanted =
    isHash(h.finalization, body) ||
    [...h.notarizations.values()].some((certificate) => isHash(certificate, body));
  if (!wanted) return;
  h.bodies.set(body.key, body);
  if (h.finalization !== undefined) {
    if (isHash(h.finalization, body)) decide(state, body, h.finalization, true);
  } else {
    considerNotarize(state);
    if (isLeader(state, h.view)) propose(state);
  }
}

function isHash(certificate: Certificate | undefined, body: Body): boolean {
  return certificate?.blockHash !== undefined && equalBytes(certificate.blockHash, body.hash);
}

/** Asks everyone: at least Q - F honest weight that notarized the block has it on disk. */
export function fetchBody(state: CoreState, hash: Hash): void {
  send(state, "all", { t: "getBlock", height: state.open.height, hash }, 0);
  setTimer(state, "need", state.config.timeouts.needMs);
}

/**
 * A certificate with our signature over what we never signed: another machine runs with our key
 * (or our signing state is older than it should be). Whoever finds that stops voting.
 */
function isForeignUseOfOurKey(state: CoreState, c: Certificate): boolean {
  const h = state.open;
  if (h.self < 0 || state.voteFrom === undefined || h.height < state.voteFrom) return false;
  const own = ownVote(h, c.kind, c.view)?.vote;
  if (own?.blockHash === undefined && c.blockHash === undefined && own !== undefined) return false;
  if (own?.blockHash !== undefined && c.blockHash !== undefined) {
    if (equalBytes(own.blockHash, c.blockHash)) return false;
  }
  if (!bitmapToIndices(c.signers).includes(h.self)) return false;
  alarm(
    state,
    "ORDERING_DUPLICATE_KEY",
    `our own signature (${c.kind}, height ${c.height}, view ${c.view}) that this node never made`,
  );
  state.voteFrom = undefined;
  cancelTimer(state, "view");
  return false;
}

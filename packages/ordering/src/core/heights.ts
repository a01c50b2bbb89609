/** From one height to the next: deciding, executing, opening (rules R0 and R7 of spec/ordering.md). */
import {
  type Certificate,
  encodeCertificate,
  equalBytes,
  HanseError,
  type ValidatorSet,
} from "@hanse/protocol";
import type {
  EngineSwitch,
  ExecutionResult,
  OrderingEra,
  ValidatorPolicy,
} from "../engine/interfaces.ts";
import { applyUpdates } from "../quorum/quorum.ts";
import { type Body, type Era, TIMERS, type Vote } from "./events.ts";
import {
  alarm,
  type CoreState,
  cancelTimer,
  createHeight,
  hashKey,
  persist,
  persistBody,
  setAt,
  setTimer,
} from "./state.ts";
import { activate, enterView } from "./views.ts";
import { countVote, onCertificate } from "./votes.ts";

/** The open height is decided: remembered, then handed to the application. */
export function decide(state: CoreState, body: Body, c: Certificate, log: boolean): void {
  const h = state.open;
  h.phase = "executing";
  h.active = false;
  h.finalization = c;
  h.bodies.set(body.key, body);
  for (const id of TIMERS) if (id !== "echo") cancelTimer(state, id);
  if (log) {
    persistBody(state, body);
    persist(state, {
      t: "final",
      height: h.height,
      blockHash: body.hash,
      certificate: encodeCertificate(c),
    });
    setTimer(state, "echo", state.config.timeouts.echoMs);
  }
  state.effects.push({ t: "execute", body, certificate: c, after: log ? state.seq : 0 });
}

export function onExecuted(state: CoreState, result: ExecutionResult, hasWork: boolean): void {
  const h = state.open;
  if (h.phase !== "executing" || result.height !== h.height) return;
  const c = h.finalization!;
  const body = h.bodies.get(hashKey(c.blockHash!))!;
  if (!adoptUpdates(state, result) || !adoptSwitch(state, result)) return;
  const finalized = new Set<string>();
  for (const [id, seen] of h.seen) if (seen.finalized >= c.view) finalized.add(id);
  state.previous = { finalization: c, finalized };
  state.effects.push({ t: "commit", height: h.height, after: state.seq });
  const next = h.height + 1;
  const changed = !equalBytes(setAt(state, next).hash, h.set.hash);
  state.open = createHeight(state, {
    height: next,
    parent: {
      height: h.height,
      hash: body.hash,
      time: body.block.header.time,
      policyExtra: body.block.header.policyExtra,
      transactions: body.block.transactions.length,
    },
    lastCert: encodeCertificate(c),
    lastSetChangeHeight: changed ? next : h.lastSetChangeHeight,
    proofDue: result.changed,
  });
  openRestored(state, hasWork);
}

/** From block `at` on the next epoch's rules hold. False = the switch is impossible. */
function adoptSwitch(state: CoreState, result: ExecutionResult): boolean {
  const { height, engineSwitch } = result;
  const next = state.eras.find((era) => era.height > height);
  const isLeft = isVoid(state, height, next?.height ?? 0);
  if (
    !isLeft &&
    next !== undefined &&
    result.validatorUpdates.length > 0 &&
    height + 2 >= next.height
  ) {
    alarm(state, "ORDERING_SET_UPDATE", `an update of block ${height} would undo the switch's set`);
    return false;
  }
  // The one that has ended vouched for the block just decided; nobody asks for it again.
  state.eras = state.eras.filter((_, i) => (state.eras[i + 1]?.height ?? height + 1) > height);
  if (engineSwitch === undefined || isVoid(state, height, engineSwitch.at + 1)) return true;
  // Executed again after a restart: the log knows it.
  const { at, set, engineEpoch, kind, policy, policyParams } = engineSwitch;
  if (state.eras.some((e) => e.height === at + 1 && e.engineEpoch === engineEpoch)) return true;
  const refusal = switchRefusal(engineSwitch, height, state.eras.at(-1)!);
  if (refusal !== undefined) {
    alarm(state, "ORDERING_SWITCH", `engine switch decided in block ${height}: ${refusal}`);
    return false;
  }
  const era: OrderingEra = {
    height: at + 1,
    engineEpoch: state.mutation === "keep-old-epoch" ? engineEpoch - 1 : engineEpoch,
    kind,
    policy,
    ...(policyParams === undefined ? {} : { policyParams }),
  };
  let rule: ValidatorPolicy;
  try {
    rule = state.config.policyOf(era);
  } catch (error) {
    if (!(error instanceof HanseError)) throw error;
    alarm(state, "ORDERING_SWITCH", error.message);
    return false;
  }
  state.eras.push({ ...era, rule });
  state.sets = [...state.sets, { height: at + 1, set }];
  persist(state, { t: "set", height: at + 1, set });
  persist(state, { ...era, t: "era" });
  return true;
}

/** Whether a recovery took the place of what a block decided for `from` on. */
function isVoid(state: CoreState, height: number, from: number): boolean {
  const { recoveryHeight } = state.config;
  return recoveryHeight !== undefined && height <= recoveryHeight && from > recoveryHeight;
}

function switchRefusal(s: EngineSwitch, height: number, running: Era): string | undefined {
  if (s.at < height + 2) return `it begins after block ${s.at}, which is too soon`;
  if (running.height > height) return "another switch is decided and still to come";
  if (s.engineEpoch !== running.engineEpoch + 1) return `epoch ${s.engineEpoch} is not the next`;
  return undefined;
}

/** Updates of H are in force from H + 2. False = they are impossible, and the node stops here. */
function adoptUpdates(state: CoreState, result: ExecutionResult): boolean {
  const { height, validatorUpdates } = result;
  if (validatorUpdates.length === 0 || isVoid(state, height, height + 2)) return true;
  const from = state.mutation === "wrong-set-at-next-height" ? height + 1 : height + 2;
  let set: ValidatorSet;
  try {
    set = applyUpdates(setAt(state, height + 1), validatorUpdates);
  } catch (error) {
    if (!(error instanceof HanseError)) throw error;
    alarm(state, "ORDERING_SET_UPDATE", error.message);
    return false;
  }
  const kept = state.sets.filter((entry) => entry.height < from);
  const later = state.sets.filter((entry) => entry.height > from);
  // Only what is at or above the height just decided can still be asked for.
  while (kept.length > 1 && kept[1]!.height <= height) kept.shift();
  state.sets = [...kept, { height: from, set }, ...later];
  persist(state, { t: "set", height: from, set });
  return true;
}

/** Puts back what the log says of the height that has just been opened. */
export function openRestored(state: CoreState, hasWork: boolean): void {
  const h = state.open;
  const { restored } = state;
  if (h.phase === "handedOver") {
    state.effects.push({ t: "handover", era: h.era });
    return;
  }
  const final = restored.finals.find((f) => f.body.block.header.height === h.height);
  if (final !== undefined) {
    h.persistedBodies.add(final.body.key);
    decide(state, final.body, final.certificate, false);
    return;
  }
  restoreVotes(state);
  const last = restored.finals.at(-1);
  if (last === undefined || last.body.block.header.height < h.height) {
    // Beyond what the log knew: nothing below can be asked for again.
    if (restored.votes.every((vote) => vote.height <= h.height)) {
      state.restored = { votes: [], proposals: [], certificates: [], bodies: [], finals: [] };
    }
  }
  if (h.phase === "voting" && (h.proofDue || hasWork)) activate(state, h.proofDue);
}

function restoreVotes(state: CoreState): void {
  const h = state.open;
  const { restored } = state;
  for (const body of restored.bodies) {
    if (body.block.header.height !== h.height) continue;
    h.bodies.set(body.key, body);
    h.persistedBodies.add(body.key);
  }
  let view = -1;
  for (const place of restored.proposals) {
    if (place.height !== h.height) continue;
    const body = h.bodies.get(hashKey(place.blockHash!));
    view = Math.max(view, place.view);
    if (body === undefined) {
      h.lostProposals.add(place.view);
      continue;
    }
    const { parentView = -1, signature } = place;
    h.validity.set(body.key, "ok");
    h.ownProposals.set(place.view, { body, parentView, signature, seq: 0 });
    h.proposals.set(place.view, {
      proposal: {
        from: state.config.self,
        height: h.height,
        view: place.view,
        parentView,
        body,
        signature,
      },
      clockOk: true,
    });
  }
  const votes: Vote[] = [];
  for (const place of restored.votes) {
    if (place.height !== h.height || place.kind === "propose") continue;
    view = Math.max(view, place.view);
    const vote: Vote = { ...place, kind: place.kind, signer: h.self };
    const key = place.blockHash === undefined ? undefined : hashKey(place.blockHash);
    const hasBody = key !== undefined && h.bodies.has(key);
    if (place.kind === "notarize" && hasBody) h.validity.set(key, "ok");
    // A notarize vote vouches for a body on disk; without the body it was never sent.
    const mayRepeat = place.kind !== "notarize" || hasBody;
    h.own.set(`${place.kind}:${place.view}`, { vote, seq: 0, mayRepeat });
    if (mayRepeat && h.self >= 0 && state.mutation !== "no-retally") votes.push(vote);
  }
  const certificates = restored.certificates.filter((c) => c.height === h.height);
  if (view < 0 && certificates.length === 0) return;
  for (const c of certificates) restoreCertificate(state, c);
  const at = Math.max(view, h.certified + 1);
  if (at > 0) enterView(state, at, "nullify");
  else activate(state, true);
  for (const vote of votes) countVote(state, vote);
}

function restoreCertificate(state: CoreState, c: Certificate): void {
  const h = state.open;
  if (!equalBytes(c.validatorsHash, h.set.hash)) return;
  if (c.engineEpoch !== h.era.engineEpoch) return;
  if (c.kind === "finalize") {
    onCertificate(state, c, true);
    return;
  }
  (c.kind === "notarize" ? h.notarizations : h.nullifications).set(c.view, c);
  if (c.view > h.certified) h.certified = c.view;
}

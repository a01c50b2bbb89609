/**
 * Validator policy `posr`, proof of stable runtime: who was there steadily, as signatures on the
 * ledger show, proposes more often (spec/policies.md). Votes stay equal, or in a mild band.
 */
import type { ValidatorId, ValidatorInfo, ValidatorSet } from "@hanse/protocol";
import type {
  Height,
  MaintenanceNotice,
  PolicyFacts,
  ProbeReport,
  ValidatorPolicy,
  ValidatorUpdate,
} from "../engine/interfaces.ts";
import { applyUpdates } from "../quorum/quorum.ts";
import { createFixedPolicy } from "./fixed.ts";
import { type PolicyParams, readPolicyParams } from "./policy-params.ts";
import { endEpoch } from "./posr-epoch.ts";
import { POSR_PARAMS, type PosrParams, SLOTS } from "./posr-params.ts";
import {
  decodePosrState,
  encodePosrState,
  NEW_ACCOUNT,
  type PosrAccount,
  type PosrState,
} from "./posr-state.ts";
import { updatesOf } from "./wanted-updates.ts";

/**
 * A member counts as present at h if its finalize vote of h or one of the next heights, so many in
 * all, is on the ledger. Each of them is put there by another proposer, so that hiding a vote
 * takes that many proposers in a row.
 */
export const PRESENCE_HEIGHTS = 4;

/** Targets in one report, reports in one epoch, and announced windows that are kept. */
export const REPORT_TARGETS_MAX = 1024;
export const REPORTS_PER_EPOCH_MAX = 1024;
export const MAINTENANCE_MAX = 1024;
/** Epochs before its start at which maintenance must be announced. */
export const MAINTENANCE_NOTICE_EPOCHS = 2;

const SLOT_BITS = 2 ** SLOTS;

/** The first block of the policy begins epoch 0. */
export function createPosrState(firstHeight: Height): PosrState {
  return {
    epoch: 0,
    firstHeight,
    neutralSigned: 0,
    neutralProbed: 0,
    accounts: new Map(),
    wanted: new Map(),
    taken: [],
    reports: [],
    maintenance: [],
  };
}

/** One block further, before the epoch's end. */
function countSigned(
  accounts: Map<ValidatorId, PosrAccount>,
  { height, eligible, present }: PolicyFacts["votes"][number],
): void {
  const voted = new Set(present);
  for (const id of eligible) {
    const old = accounts.get(id) ?? NEW_ACCOUNT;
    // Who was never asked before has as long as everyone to be seen.
    const seen = voted.has(id) ? height : old.seen === 0 ? height - 1 : old.seen;
    const isPresent = seen > height - PRESENCE_HEIGHTS;
    const { now } = old;
    accounts.set(id, {
      ...old,
      seen,
      now: { eligible: now.eligible + 1, present: now.present + (isPresent ? 1 : 0) },
    });
  }
}

/** Reports of the running epoch and the one before, one per prober and epoch. */
function takeReports(state: PosrState, reports: readonly ProbeReport[]): readonly ProbeReport[] {
  const kept = [...state.reports];
  for (const report of reports) {
    if (report.epoch !== state.epoch && report.epoch !== state.epoch - 1) continue;
    if (report.targets.length > REPORT_TARGETS_MAX) continue;
    const same = kept.filter(({ epoch }) => epoch === report.epoch);
    if (same.length >= REPORTS_PER_EPOCH_MAX) continue;
    if (same.some(({ prober }) => prober === report.prober)) continue;
    const isSound = report.targets.every(
      ({ asked, answered }) => asked < SLOT_BITS && answered < SLOT_BITS,
    );
    if (isSound) kept.push(report);
  }
  return kept;
}

/** Why a window of maintenance is not taken; undefined = it is. */
export function maintenanceRefusal(
  state: Pick<PosrState, "epoch" | "maintenance">,
  { id, fromEpoch, toEpoch }: MaintenanceNotice,
  members: readonly Pick<ValidatorInfo, "id">[],
  params: PosrParams,
): string | undefined {
  if (!members.some((member) => member.id === id)) return `${id} is no validator`;
  const earliest = state.epoch + MAINTENANCE_NOTICE_EPOCHS;
  if (fromEpoch < earliest) return `fromEpoch: ${earliest} is the earliest that can be announced`;
  if (toEpoch <= fromEpoch) return "toEpoch: must be above fromEpoch";
  if (state.maintenance.length >= MAINTENANCE_MAX) return "too many windows are announced";
  const most = params.maintenanceEpochsMax;
  let used = toEpoch - fromEpoch;
  for (const own of state.maintenance) {
    if (own.id !== id) continue;
    const from = Math.max(own.fromEpoch, toEpoch - params.maintenanceWithin);
    used += Math.max(0, own.toEpoch - from);
  }
  if (used > most) {
    return `${used} epochs of maintenance within ${params.maintenanceWithin}: at most ${most}`;
  }
  const meanwhile = state.maintenance.filter(
    (own) => own.fromEpoch < toEpoch && fromEpoch < own.toEpoch,
  );
  const atOnceMax = Math.max(1, Math.floor(members.length / 10));
  return meanwhile.length < atOnceMax
    ? undefined
    : `${meanwhile.map((own) => own.id).join(", ")} announced these epochs; at most ${atOnceMax} at once`;
}

/** Windows announced in time, within their member's budget, and of few members at once. */
function takeMaintenance(
  state: PosrState,
  notices: readonly MaintenanceNotice[],
  members: readonly ValidatorInfo[],
  params: PosrParams,
): readonly MaintenanceNotice[] {
  let maintenance = state.maintenance;
  for (const notice of notices) {
    const { epoch } = state;
    if (maintenanceRefusal({ epoch, maintenance }, notice, members, params) !== undefined) continue;
    maintenance = [...maintenance, notice];
  }
  return maintenance;
}

/** What the set should become: weights of members, who leaves, who comes in. */
function wantedUpdates(
  state: PosrState,
  facts: PolicyFacts,
  params: PosrParams,
): { readonly updates: readonly ValidatorUpdate[]; readonly taken: readonly ValidatorId[] } {
  const { latest } = facts;
  const barred = new Set(facts.barred);
  const taken = new Set(state.taken);
  const weights = latest.members.map((member) => {
    const wanted = state.wanted.get(member.id);
    const leaves = wanted?.vote === 0;
    const isWeighted = params.weightedVotes === 1 && wanted !== undefined;
    const vote = leaves ? 0 : isWeighted ? wanted.vote : member.vote;
    const held = member.propose > 0 || taken.has(member.id);
    const propose = held && !barred.has(member.id) ? (wanted?.propose ?? member.propose) : 0;
    // Given back only when the set shows it: an update that finds no place comes again.
    if (member.propose > 0) {
      if (propose > 0) taken.delete(member.id);
      else taken.add(member.id);
    }
    return { member, vote, propose };
  });
  const here = new Set(latest.members.map((member) => member.id));
  const joins: ValidatorUpdate[] = [];
  for (const candidate of facts.candidates ?? []) {
    const wanted = state.wanted.get(candidate.id);
    if (wanted === undefined || wanted.vote === 0) continue;
    if (!here.has(candidate.id) && !barred.has(candidate.id))
      joins.push({ ...candidate, ...wanted });
  }
  const present = [...taken].filter((id) => here.has(id));
  return { updates: firstThatFits(latest, [...joins, ...updatesOf(weights)]), taken: present };
}

/**
 * As many of the updates as the engines take at once: all, or those of propose weights, or one
 * that comes or goes. The others come again with the next block.
 */
function firstThatFits(
  latest: ValidatorSet,
  updates: readonly ValidatorUpdate[],
): readonly ValidatorUpdate[] {
  if (updates.length === 0) return updates;
  const votes = new Map(latest.members.map((member) => [member.id, member.vote]));
  const single = updates.filter((update) => (votes.get(update.id) ?? 0) !== update.vote);
  const others = updates.filter((update) => votes.get(update.id) === update.vote);
  for (const part of [updates, ...single.map((update) => [update]), others]) {
    try {
      applyUpdates(latest, part);
      return part;
    } catch {
      // Too much for one block: the next smaller part.
    }
  }
  return [];
}

/**
 * `posr` with these parameters; what is not given takes its default.
 * @throws HanseError `POLICY_PARAMS_INVALID` naming the parameter.
 */
export function createPosrPolicy(given: PolicyParams = {}): ValidatorPolicy {
  const params = readPolicyParams("posr", POSR_PARAMS, given);
  const { leader } = createFixedPolicy();
  return {
    kind: "posr",
    leader,
    initialState: ({ height }) => encodePosrState(createPosrState(height)),
    afterBlock(bytes, facts) {
      const { state, updates } = stepPosr(decodePosrState(bytes), facts, params);
      return { state: encodePosrState(state), updates };
    },
  };
}

/** `afterBlock` on the decoded state. */
export function stepPosr(
  before: PosrState,
  facts: PolicyFacts,
  params: PosrParams,
): { readonly state: PosrState; readonly updates: readonly ValidatorUpdate[] } {
  const accounts = new Map(before.accounts);
  for (const votes of facts.votes) countSigned(accounts, votes);
  const candidates = facts.candidates ?? [];
  let state: PosrState = {
    ...before,
    accounts,
    reports: params.probing === 1 ? takeReports(before, facts.reports ?? []) : [],
    maintenance: takeMaintenance(before, facts.maintenance ?? [], facts.latest.members, params),
  };
  if (facts.header.height - state.firstHeight + 1 >= params.epochBlocks) {
    state = endEpoch(
      state,
      { latest: facts.latest, candidates, barred: new Set(facts.barred) },
      params,
    );
  }
  const { updates, taken } = wantedUpdates(state, facts, params);
  return { state: { ...state, taken }, updates };
}

/** The parameters of `posr` with their defaults filled in. */
export function readPosrParams(given: PolicyParams = {}): PosrParams {
  return readPolicyParams("posr", POSR_PARAMS, given);
}

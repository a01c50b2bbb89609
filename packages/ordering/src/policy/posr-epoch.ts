/** The end of an epoch of policy `posr`: who was there, what it earns, who comes and goes. */
import {
  compareText,
  totalWeight,
  type ValidatorId,
  type ValidatorInfo,
  type ValidatorSet,
} from "@hanse/protocol";
import { isResilient, makeResilient } from "../quorum/quorum.ts";
import { type PosrParams, PPM, VOTE_BASE, VOTE_BONUS } from "./posr-params.ts";
import { availabilityOf, decideProbes, slotCount } from "./posr-probes.ts";
import {
  capWeights,
  moveWeights,
  nextStanding,
  proposeOfScore,
  proposeOfStreak,
  scoreOf,
} from "./posr-score.ts";
import { NEW_ACCOUNT, type PosrAccount, type PosrState, type Wanted } from "./posr-state.ts";

export type Candidate = Omit<ValidatorInfo, "vote" | "propose">;

interface EpochFacts {
  readonly latest: ValidatorSet;
  readonly candidates: readonly Candidate[];
  readonly barred: ReadonlySet<ValidatorId>;
}

/** Slow decay: every fourth neutral epoch behind the last free one counts. */
const SLOW_EPOCHS = 4;

function inMaintenance(state: PosrState, id: ValidatorId, epoch: number): boolean {
  return state.maintenance.some(
    (notice) => notice.id === id && notice.fromEpoch <= epoch && epoch < notice.toEpoch,
  );
}

/** Presence of an account in thousandths; undefined when it was a member for less than half. */
function partOf(account: PosrAccount, params: PosrParams): number | undefined {
  const { eligible, present } = account.now;
  return 2 * eligible < params.epochBlocks ? undefined : Math.floor((1000 * present) / eligible);
}

/** Streaks and silence, from signatures alone. */
function judgeSigned(state: PosrState, facts: EpochFacts, params: PosrParams) {
  const accounts = new Map(state.accounts);
  const parts = new Map<ValidatorId, number>();
  for (const { id } of facts.latest.members) {
    const part = partOf(accounts.get(id) ?? NEW_ACCOUNT, params);
    if (part !== undefined && !inMaintenance(state, id, state.epoch)) parts.set(id, part);
  }
  let good = 0;
  for (const part of parts.values()) if (part >= params.presentPermille) good++;
  // Many away at once is the network's fault, not theirs.
  const neutral = 3 * good < 2 * parts.size;
  const neutralSigned = neutral ? state.neutralSigned + 1 : 0;
  const over = neutralSigned - params.neutralEpochsMax;
  const frozen = neutral && (over <= 0 || over % SLOW_EPOCHS !== 0);
  for (const [id, part] of parts) {
    const old = accounts.get(id) ?? NEW_ACCOUNT;
    if (part >= params.presentPermille) {
      const streak = neutral ? old.streak : old.streak + 1;
      accounts.set(id, { ...old, streak, silent: false });
    } else if (!frozen) {
      const silent = old.silent || part < params.silentPermille;
      accounts.set(id, { ...old, streak: Math.floor(old.streak / 2), silent });
    }
  }
  return { accounts, neutralSigned };
}

/** Standing and reliability of the epoch before the running one, whose reports are complete now. */
function judgeProbed(
  state: PosrState,
  before: ReadonlyMap<ValidatorId, PosrAccount>,
  facts: EpochFacts,
  params: PosrParams,
) {
  const accounts = new Map(before);
  const epoch = state.epoch - 1;
  if (epoch < 0) return { accounts, neutralProbed: 0 };
  const known = [...facts.latest.members, ...facts.candidates].map(({ id, org }) => ({
    id,
    org,
    reliability: (accounts.get(id) ?? NEW_ACCOUNT).reliability,
  }));
  const verdict = decideProbes(known, epoch, state.reports, params);
  const judged = known.map(({ id }) => {
    const old = accounts.get(id) ?? NEW_ACCOUNT;
    const away = inMaintenance(state, id, epoch);
    const slots = away ? { counted: 0, up: 0 } : verdict.targets.get(id)!;
    const probed = availabilityOf(slots);
    const { eligible, present } = old.last;
    const signed =
      away || 2 * eligible < params.epochBlocks
        ? undefined
        : Math.floor((present * PPM) / eligible);
    // Signatures cannot be vouched for by friends, so the lower of both counts. Who had left for
    // that epoch was away in it: coming back in time to be judged saves nothing.
    const shown = signed === undefined ? probed : Math.min(signed, probed ?? signed);
    const availability = old.here ? shown : 0;
    return { id, old, slots, away, availability };
  });

  let slots = 0;
  let counted = 0;
  let up = 0;
  for (const { slots: decided, away } of judged) {
    if (away) continue;
    slots += 12;
    counted += slotCount(decided.counted);
    up += slotCount(decided.up);
  }
  const neutral = 3 * up < 2 * counted || 3 * counted < 2 * slots;
  const neutralProbed = neutral ? state.neutralProbed + 1 : 0;
  const slow = neutral && neutralProbed > params.neutralEpochsMax;
  for (const { id, old, slots: decided, availability } of judged) {
    const reliability = verdict.reliability.get(id) ?? old.reliability;
    const seen = { ...old, reliability, slots: decided };
    if (availability === undefined || (neutral && !slow)) {
      accounts.set(id, seen);
      continue;
    }
    const standing = nextStanding(old.standing, availability, params, slow);
    const isLow = 2 * availability < PPM;
    const low = neutral ? old.low : isLow ? old.low + 1 : 0;
    accounts.set(id, { ...seen, availability, standing, low });
  }
  // Who is neither member nor candidate is away: its standing falls like in a total outage.
  const ids = new Set(known.map(({ id }) => id));
  for (const [id, old] of accounts) {
    if (ids.has(id) || neutral) continue;
    accounts.set(id, { ...old, standing: nextStanding(old.standing, 0, params) });
  }
  return { accounts, neutralProbed };
}

/** Propose weights and votes that the members' records earn. */
function weigh(
  accounts: ReadonlyMap<ValidatorId, PosrAccount>,
  state: PosrState,
  facts: EpochFacts,
  params: PosrParams,
): Map<ValidatorId, Wanted> {
  const { members } = facts.latest;
  const taken = new Set(state.taken);
  const scores = members.map(({ id }) =>
    scoreOf((accounts.get(id) ?? NEW_ACCOUNT).standing, params.standingEpochsMax),
  );
  const earned = members.map(({ id, propose }, i) => {
    // Zero by governance stays zero.
    if (propose === 0 && !taken.has(id)) return 0;
    const { streak } = accounts.get(id) ?? NEW_ACCOUNT;
    return params.probing === 1
      ? proposeOfScore(scores[i]!, params)
      : proposeOfStreak(streak, params);
  });
  // More than half keep proposing: the longest silent are taken first, ties by id.
  let proposers = earned.filter((weight) => weight > 0).length;
  const least = Math.floor(members.length / 2) + 1;
  const silent = members
    .map(({ id }, i) => ({ id, i, present: accounts.get(id)?.now.present ?? 0 }))
    .filter(({ id, i }) => earned[i]! > 0 && (accounts.get(id)?.silent ?? false))
    .sort((a, b) => a.present - b.present || compareText(a.id, b.id));
  for (const { i } of silent) {
    if (proposers <= least) break;
    earned[i] = 0;
    proposers--;
  }
  const propose = capWeights(earned, params.shareMaxPpm);
  const votes = wantedVotes(accounts, facts.latest, scores, params);
  return new Map(members.map(({ id }, i) => [id, { vote: votes[i]!, propose: propose[i]! }]));
}

function wantedVotes(
  accounts: ReadonlyMap<ValidatorId, PosrAccount>,
  set: ValidatorSet,
  scores: readonly number[],
  params: PosrParams,
): number[] {
  const current = set.members.map((member) => member.vote);
  if (params.weightedVotes === 0) return current;
  const earned = set.members.map((member, i) => {
    const { streak } = accounts.get(member.id) ?? NEW_ACCOUNT;
    const bonus =
      params.probing === 1
        ? Math.floor((VOTE_BONUS * scores[i]!) / PPM)
        : Math.floor((VOTE_BONUS * streak) / (streak + params.halfEpochs));
    return { ...member, vote: VOTE_BASE + bonus };
  });
  const target = makeResilient(earned).map((member) => member.vote);
  let budget = Math.floor((totalWeight(set) * params.changePermille) / 1000);
  // Rounding may leave the resilient path between two resilient ends; a shorter step does not.
  for (; budget > 0; budget = Math.floor(budget / 2)) {
    const votes = moveWeights(current, target, budget);
    if (isResilient(votes.map((vote) => ({ vote })))) return votes;
  }
  return current;
}

/** Who leaves after too many bad epochs, and which candidates come in. */
function comeAndGo(
  wanted: Map<ValidatorId, Wanted>,
  accounts: ReadonlyMap<ValidatorId, PosrAccount>,
  facts: EpochFacts,
  params: PosrParams,
): void {
  const { members } = facts.latest;
  const standingOf = (id: ValidatorId) => (accounts.get(id) ?? NEW_ACCOUNT).standing;
  const byStanding = (a: Candidate, b: Candidate) =>
    standingOf(a.id) - standingOf(b.id) || compareText(b.id, a.id);
  let changes = Math.max(1, Math.floor(members.length / 10));
  const staying = [...members];
  const leave = (id: ValidatorId) => {
    wanted.set(id, { vote: 0, propose: 0 });
    staying.splice(
      staying.findIndex((member) => member.id === id),
      1,
    );
  };
  for (const member of [...members].sort(byStanding)) {
    if (changes === 0 || staying.length <= params.membersMin) break;
    if ((accounts.get(member.id) ?? NEW_ACCOUNT).low < params.leaveEpochs) continue;
    leave(member.id);
    changes--;
  }
  const orgs = new Set(members.map((member) => member.org));
  const waiting = facts.candidates
    .filter(({ id }) => {
      const { standing, low } = accounts.get(id) ?? NEW_ACCOUNT;
      return standing >= 1000 * params.probationEpochs && low === 0 && !facts.barred.has(id);
    })
    .sort(byStanding)
    .reverse();
  for (const candidate of waiting) {
    if (changes === 0) break;
    // One vote per organization, however many servers it runs.
    if (orgs.has(candidate.org)) continue;
    if (staying.length >= params.membersMax) {
      const weakest = [...staying].sort(byStanding)[0]!;
      const bar = standingOf(weakest.id) * (1000 + params.hysteresisPermille);
      if (standingOf(candidate.id) * 1000 <= bar) break;
      leave(weakest.id);
    }
    orgs.add(candidate.org);
    const vote = params.weightedVotes === 1 ? VOTE_BASE : 1;
    wanted.set(candidate.id, { vote, propose: params.base });
    staying.push({ ...candidate, vote, propose: params.base });
    changes--;
  }
}

/** Accounts whose record is kept without being member or candidate; the best standings win. */
export const AWAY_ACCOUNTS_MAX = 1024;

function withoutOldAccounts(
  accounts: ReadonlyMap<ValidatorId, PosrAccount>,
  here: ReadonlySet<ValidatorId>,
): ReadonlyMap<ValidatorId, PosrAccount> {
  const kept = new Map(accounts);
  const away = [...accounts]
    .filter(([id]) => !here.has(id))
    .sort(([a, x], [b, y]) => y.standing - x.standing || compareText(a, b));
  for (const [i, [id, account]] of away.entries()) {
    if (i >= AWAY_ACCOUNTS_MAX || account.standing === 0) kept.delete(id);
  }
  return kept;
}

/** The state with the next epoch begun: judged records, and weights that its members should have. */
export function endEpoch(state: PosrState, facts: EpochFacts, params: PosrParams): PosrState {
  const signed = judgeSigned(state, facts, params);
  const probing = params.probing === 1;
  const probed = probing
    ? judgeProbed(state, signed.accounts, facts, params)
    : { accounts: signed.accounts, neutralProbed: 0 };
  const wanted = weigh(probed.accounts, state, facts, params);
  if (probing) comeAndGo(wanted, probed.accounts, facts, params);
  const here = new Set([...facts.latest.members, ...facts.candidates].map(({ id }) => id));
  const accounts = new Map<ValidatorId, PosrAccount>();
  for (const [id, account] of withoutOldAccounts(probed.accounts, here)) {
    const now = { eligible: 0, present: 0 };
    accounts.set(id, { ...account, now, last: account.now, here: here.has(id) });
  }
  for (const id of here) {
    if (!accounts.has(id)) accounts.set(id, { ...NEW_ACCOUNT, here: true });
  }
  const epoch = state.epoch + 1;
  return {
    ...state,
    epoch,
    firstHeight: state.firstHeight + params.epochBlocks,
    neutralSigned: signed.neutralSigned,
    neutralProbed: probed.neutralProbed,
    accounts,
    wanted,
    reports: state.reports.filter((report) => report.epoch >= epoch - 1),
    maintenance: state.maintenance.filter(
      (notice) => notice.toEpoch + params.maintenanceWithin >= epoch,
    ),
  };
}

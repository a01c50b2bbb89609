/**
 * Validator policy `dpoa`: honor nodes take turns, by height or by time slot, and who misses its
 * turns pauses (spec/policies.md). The slot rule and the names of its parameters follow IBAX, the
 * checks that IBAX leaves out are made here by every voter.
 */
import { encodeCbor, equalBytes, type ValidatorId, type ValidatorSet } from "@hanse/protocol";
import type { ValidatorPolicy } from "../engine/interfaces.ts";
import { type DpoaMember, decodeDpoaState, encodeDpoaState } from "./dpoa-state.ts";
import { type ParamRange, type PolicyParams, readPolicyParams } from "./policy-params.ts";
import { updatesOf } from "./wanted-updates.ts";

const MS_MAX = 1_000_000_000_000;

/** Parameters of `dpoa` with their defaults and bounds. */
export const DPOA_PARAMS = {
  /** Length of a time slot, milliseconds; 0 = turns by height. */
  slotMs: { default: 0, min: 0, max: 3_600_000 },
  /** Start of slot 0, milliseconds since 1970. */
  slotStartMs: { default: 0, min: 0, max: 10_000_000_000_000 },
  /** Place in the rota at which turns begin. */
  start: { default: 0, min: 0, max: 1_000_000 },
  /** So many missed of the last `turnsWatched` turns suspend a member; 0 = never. */
  missedTurns: { default: 5, min: 0, max: 50 },
  turnsWatched: { default: 10, min: 1, max: 50 },
  /** Blocks that such a suspension lasts. */
  suspensionBlocks: { default: 500, min: 1, max: 10_000_000 },
  /** So many missed turns within `DAY_MS` of block time suspend a member; 0 = never. */
  missedPerDay: { default: 0, min: 0, max: 100 },
  /** Block time that such a suspension lasts, milliseconds. */
  suspensionMs: { default: 86_400_000, min: 1, max: MS_MAX },
} as const satisfies Record<string, ParamRange>;

export type DpoaParams = { readonly [K in keyof typeof DPOA_PARAMS]: number };

export const DAY_MS = 86_400_000;

/** What IBAX calls them, as its platform parameters hold them. */
export interface IbaxParams {
  /** Milliseconds. */
  readonly max_block_generation_time: number;
  /** Seconds. */
  readonly gap_between_blocks: number;
  readonly incorrect_blocks_per_day: number;
  /** Milliseconds. */
  readonly node_ban_time: number;
  /** Milliseconds since 1970. */
  readonly first_block_time: number;
}

/** The parameters of `dpoa` that make it keep the times of an IBAX network. */
export function dpoaParamsFromIbax(ibax: IbaxParams): PolicyParams {
  return {
    slotMs: ibax.max_block_generation_time + ibax.gap_between_blocks * 1000,
    slotStartMs: ibax.first_block_time,
    missedTurns: 0,
    missedPerDay: ibax.incorrect_blocks_per_day,
    suspensionMs: ibax.node_ban_time,
  };
}

/** Sets whose rota is remembered: the current, the next and the one before. */
const ROTAS_REMEMBERED = 8;

/** Who takes turns: members with a propose weight, by id. A weight above 1 gives no second turn. */
function createRotas(): (set: ValidatorSet) => readonly ValidatorId[] {
  const rotas = new Map<ValidatorSet, readonly ValidatorId[]>();
  return (set) => {
    let rota = rotas.get(set);
    if (rota === undefined) {
      rota = set.members.filter((member) => member.propose > 0).map((member) => member.id);
      if (rotas.size >= ROTAS_REMEMBERED) rotas.clear();
      rotas.set(set, rota);
    }
    return rota;
  };
}

/**
 * `dpoa` with these parameters; what is not given takes its default.
 * @throws HanseError `POLICY_PARAMS_INVALID` naming the parameter.
 */
export function createDpoaPolicy(given: PolicyParams = {}): ValidatorPolicy {
  const params = readPolicyParams("dpoa", DPOA_PARAMS, given);
  const rotaOf = createRotas();
  const slotOf = (time: number) => Math.floor((time - params.slotStartMs) / params.slotMs);

  const leader: ValidatorPolicy["leader"] = (set, height, view) => {
    const rota = rotaOf(set);
    return rota[(params.start + height + view) % rota.length]!;
  };

  /** Genesis is in no slot: the first block may be made in the running one. */
  const parentSlot = (parent: { readonly height: number; readonly time: number }) =>
    parent.height === 0 ? -1 : slotOf(parent.time);
  const slotOwner = (set: ValidatorSet, slot: number) => {
    const rota = rotaOf(set);
    return rota[slot % rota.length]!;
  };

  const slots: Pick<ValidatorPolicy, "turn" | "policyExtra" | "mayPropose"> = {
    turn(set, parent, time) {
      const slot = slotOf(time);
      const first = Math.max(0, parentSlot(parent) + 1);
      const end = (n: number) => params.slotStartMs + n * params.slotMs;
      if (slot < first) return { proposer: undefined, untilMs: end(first) };
      return { proposer: slotOwner(set, slot), untilMs: end(slot + 1) };
    },
    policyExtra: (time) => encodeCbor(Math.max(0, slotOf(time))),
    mayPropose(set, header, parent, view) {
      const slot = slotOf(header.time);
      if (!equalBytes(header.policyExtra, encodeCbor(Math.max(0, slot)))) return false;
      if (view > 0) return header.proposer === leader(set, header.height, view);
      return slot > parentSlot(parent) && slot >= 0 && header.proposer === slotOwner(set, slot);
    },
  };

  /** Whose turn it was before the proposer's, in the order of the views that had to pass. */
  function missedTurns(
    set: ValidatorSet,
    header: { readonly height: number; readonly time: number; readonly proposer: ValidatorId },
    parentTime: number | undefined,
  ): ValidatorId[] {
    const rota = rotaOf(set);
    const place = rota.indexOf(header.proposer);
    if (place < 0) return [];
    const first = (params.start + header.height) % rota.length;
    const views = (place - first + rota.length) % rota.length;
    const missed = Array.from({ length: views }, (_, i) => rota[(first + i) % rota.length]!);
    if (params.slotMs === 0) return missed;
    // By slots view 0 belongs to the owner of the block's slot; the rest of the rota is as by height.
    const slot = slotOf(header.time);
    if (slot < 0 || parentTime === undefined || slot <= slotOf(parentTime)) return missed.slice(1);
    const owner = slotOwner(set, slot);
    if (owner === header.proposer) return [];
    return [...new Set([owner, ...missed.slice(1)])];
  }

  return {
    kind: "dpoa",
    leader,
    ...(params.slotMs > 0 ? slots : {}),
    initialState: () => encodeDpoaState({ lastTime: undefined, members: new Map() }),
    afterBlock(bytes, facts) {
      const { header, latest } = facts;
      const state = decodeDpoaState(bytes);
      const members = new Map(state.members);
      const entry = (id: ValidatorId): DpoaMember => members.get(id) ?? CLEAN;

      const record = (id: ValidatorId, missed: 0 | 1) => {
        const old = entry(id);
        if (isSuspended(old)) return;
        const watched = 2 ** params.turnsWatched;
        const days = old.missedAt.filter((time) => time > header.time - DAY_MS);
        if (missed === 1 && params.missedPerDay > 0) days.push(header.time);
        members.set(id, {
          ...old,
          turns: (old.turns * 2 + missed) % watched,
          missedAt: days.slice(-Math.max(1, params.missedPerDay)),
        });
      };
      for (const id of missedTurns(facts.set, header, state.lastTime)) record(id, 1);
      record(header.proposer, 0);

      const barred = new Set(facts.barred);
      let proposers = 0;
      for (const member of latest.members) {
        const known = entry(member.id);
        const over = header.height >= known.untilHeight && header.time >= known.untilTime;
        if (isSuspended(known) && over) {
          // A fresh start: what led to the suspension is paid for.
          members.set(member.id, { ...CLEAN, owed: known.owed });
        }
        if (!barred.has(member.id) && !isSuspended(entry(member.id))) {
          if (member.propose > 0 || entry(member.id).owed > 0) proposers++;
        }
      }
      // More than half keep proposing, whoever is slow: an outage of many is no misdeed of each.
      const least = Math.floor(latest.members.length / 2) + 1;
      for (const { id, propose } of latest.members) {
        const known = entry(id);
        if (proposers <= least || barred.has(id) || isSuspended(known)) continue;
        if (propose === 0 && known.owed === 0) continue;
        const byTurns = params.missedTurns > 0 && bitCount(known.turns) >= params.missedTurns;
        const byDay = params.missedPerDay > 0 && known.missedAt.length >= params.missedPerDay;
        if (!byTurns && !byDay) continue;
        proposers--;
        members.set(id, {
          ...known,
          untilHeight: byTurns ? header.height + params.suspensionBlocks : 0,
          untilTime: byDay ? header.time + params.suspensionMs : 0,
        });
      }

      const wanted = latest.members.map((member) => {
        const known = entry(member.id);
        const pauses = barred.has(member.id) || isSuspended(known);
        const { vote } = member;
        if (!pauses) {
          const propose = member.propose > 0 ? member.propose : known.owed;
          members.set(member.id, { ...known, owed: member.propose > 0 ? 0 : known.owed });
          return { member, vote, propose };
        }
        if (member.propose > 0) members.set(member.id, { ...known, owed: member.propose });
        return { member, vote, propose: 0 };
      });

      const present = new Set(latest.members.map((member) => member.id));
      for (const [id, known] of members) {
        const keep = isSuspended(known) || (present.has(id) && !isClean(known));
        if (!keep) members.delete(id);
      }
      return {
        // By height nobody asks for it, and the record stays the same while nobody misses a turn.
        state: encodeDpoaState({
          lastTime: params.slotMs === 0 ? undefined : header.time,
          members,
        }),
        updates: updatesOf(wanted),
      };
    },
  };
}

const CLEAN: DpoaMember = { turns: 0, missedAt: [], untilHeight: 0, untilTime: 0, owed: 0 };

function isSuspended(member: DpoaMember): boolean {
  return member.untilHeight > 0 || member.untilTime > 0;
}

function isClean(member: DpoaMember): boolean {
  return (
    !isSuspended(member) && member.turns === 0 && member.missedAt.length === 0 && member.owed === 0
  );
}

/** Bits set in an integer below 2^50. */
function bitCount(bits: number): number {
  let count = 0;
  for (let left = bits; left > 0; left = Math.floor(left / 2)) count += left % 2;
  return count;
}

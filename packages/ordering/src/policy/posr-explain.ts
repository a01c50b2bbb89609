/** Why a member weighs what it weighs, down to the blocks and reports that anyone can read. */
import type { ValidatorId } from "@hanse/protocol";
import type { Height } from "../engine/interfaces.ts";
import type { PosrParams } from "./posr-params.ts";
import { availabilityOf, slotCount } from "./posr-probes.ts";
import { proposeOfScore, proposeOfStreak, scoreOf } from "./posr-score.ts";
import { NEW_ACCOUNT, type PosrAccount, type PosrState } from "./posr-state.ts";

/** One figure, and the figures it was made of. */
export interface Explained {
  readonly what: string;
  readonly value: number;
  /** Where the figure stands on the ledger, for those that nothing here is below of. */
  readonly on?: string;
  readonly from: readonly Explained[];
}

const leaf = (what: string, value: number, on?: string): Explained => ({
  what,
  value,
  ...(on === undefined ? {} : { on }),
  from: [],
});

/** Blocks whose `lastCert` shows the presence counted in an epoch; undefined before the first. */
function blocksOf(state: PosrState, ago: number, params: PosrParams): [Height, Height] | undefined {
  const from = state.firstHeight - ago * params.epochBlocks;
  return state.epoch < ago || from < 1 ? undefined : [from, from + params.epochBlocks - 1];
}

function explainSigned(state: PosrState, { last }: PosrAccount, params: PosrParams): Explained {
  const blocks = blocksOf(state, 1, params);
  const on =
    blocks === undefined
      ? "no epoch has ended"
      : `signatures in lastCert of blocks ${blocks[0]} to ${blocks[1]}`;
  return {
    what: "share of the last epoch's blocks signed, thousandths",
    value: last.eligible === 0 ? 0 : Math.floor((1000 * last.present) / last.eligible),
    from: [
      leaf("blocks at which it counted as present", last.present, on),
      leaf("blocks at which it was a member", last.eligible, on),
    ],
  };
}

function explainProbed(state: PosrState, account: PosrAccount, params: PosrParams): Explained {
  const { slots, availability } = account;
  const on = state.epoch < 2 ? "no epoch is decided" : `reports of epoch ${state.epoch - 2}`;
  const from: Explained[] = [
    {
      what: "availability by probes, ppm",
      value: availabilityOf(slots) ?? 0,
      from: [
        leaf("slots in which it was up", slotCount(slots.up), on),
        leaf("slots that were decided", slotCount(slots.counted), on),
      ],
    },
  ];
  // The lower of both counts: what differs from the probes' figure is the signatures'.
  const blocks = blocksOf(state, 2, params);
  if (
    blocks !== undefined &&
    availability !== undefined &&
    availability !== availabilityOf(slots)
  ) {
    const where = `signatures in lastCert of blocks ${blocks[0]} to ${blocks[1]}`;
    from.push(leaf("share of the blocks signed, ppm", availability, where));
  }
  return {
    what: "standing, thousandths of epochs",
    value: account.standing,
    from: [{ what: "availability last decided, ppm", value: availability ?? 0, from }],
  };
}

/**
 * The tree behind a member's propose weight: its parts sum up to it. Undefined for who is neither
 * member nor known to the policy.
 */
export function explainPosr(
  state: PosrState,
  id: ValidatorId,
  params: PosrParams,
): Explained | undefined {
  const account = state.accounts.get(id);
  const wanted = state.wanted.get(id);
  if (account === undefined && wanted === undefined) return undefined;
  const known = account ?? NEW_ACCOUNT;
  const earned =
    params.probing === 1
      ? proposeOfScore(scoreOf(known.standing, params.standingEpochsMax), params)
      : proposeOfStreak(known.streak, params);
  const bonus: Explained =
    params.probing === 1
      ? {
          what: "bonus by standing",
          value: earned - params.base,
          from: [explainProbed(state, known, params)],
        }
      : {
          what: "bonus by good epochs",
          value: earned - params.base,
          from: [
            {
              what: "good epochs, halved by others",
              value: known.streak,
              from: [explainSigned(state, known, params)],
            },
          ],
        };
  const from: Explained[] = [leaf("base", params.base, "parameters of the policy"), bonus];
  const value = wanted?.propose ?? params.base;
  if (value < earned) {
    const why =
      value > 0
        ? "cut to the largest share"
        : known.silent
          ? "silent in an epoch, until the next good one"
          : "no right to propose, by governance";
    from.push(leaf(why, value - earned));
  }
  return { what: "propose weight", value, from };
}

/** Parameters of policy `posr` (spec/policies.md), with defaults for epochs of about ten minutes. */
import type { ParamRange } from "./policy-params.ts";

export const POSR_PARAMS = {
  /** Blocks per epoch. */
  epochBlocks: { default: 600, min: 8, max: 1_000_000 },
  /** Share of an epoch's blocks, in thousandths, whose signing makes the epoch a good one. */
  presentPermille: { default: 950, min: 1, max: 1000 },
  /** Below this share a member proposes nothing until its next good epoch. */
  silentPermille: { default: 500, min: 0, max: 1000 },
  /** Propose weight of a newcomer, and the most that standing adds to it. */
  base: { default: 10, min: 1, max: 1000 },
  bonus: { default: 30, min: 0, max: 10_000 },
  /** Good epochs in a row that earn half of the bonus (without probing). */
  halfEpochs: { default: 50, min: 1, max: 1_000_000 },
  /** No member proposes more than this share, or 1.25 / members if that is more. */
  shareMaxPpm: { default: 80_000, min: 1, max: 1_000_000 },
  /** 1 = vote weights from 30 to 40 by standing; 0 = every vote weighs the same. */
  weightedVotes: { default: 0, min: 0, max: 1 },
  /** Most vote weight that an epoch moves, in thousandths of the total. */
  changePermille: { default: 100, min: 1, max: 333 },
  /** 1 = standing and admission by probes on the ledger as well as signatures. */
  probing: { default: 0, min: 0, max: 1 },
  /** Probers that count per target and slot. */
  probers: { default: 9, min: 3, max: 64 },
  /** Availability from which an epoch adds to standing. */
  availabilityMinPpm: { default: 900_000, min: 1, max: 1_000_000 },
  /** Standing is full after so many epochs: 90 days. */
  standingEpochsMax: { default: 12_960, min: 1, max: 1_000_000 },
  /** Standing lost in an epoch of total outage: half in two days. */
  decayPpm: { default: 2_404, min: 0, max: 1_000_000 },
  /** Standing that admission asks for: 3 days. */
  probationEpochs: { default: 432, min: 0, max: 1_000_000 },
  /** The policy admits up to so many members and lets none go at or below the least. */
  membersMax: { default: 31, min: 1, max: 1024 },
  membersMin: { default: 4, min: 1, max: 1024 },
  /** A candidate must stand so much above a member, in thousandths, to take its place. */
  hysteresisPermille: { default: 100, min: 0, max: 10_000 },
  /** Epochs in a row below half availability after which a member leaves (with probing). */
  leaveEpochs: { default: 3, min: 1, max: 1_000_000 },
  /** Epochs in a row that may be neutral before standing falls again, at a quarter of the rate. */
  neutralEpochsMax: { default: 36, min: 0, max: 1_000_000 },
  /** Agreement below which a prober's negative answers count nothing. */
  reliabilityMinPpm: { default: 800_000, min: 0, max: 1_000_000 },
  /** Planned maintenance a member may take, epochs within so many epochs: 0.5 % of 30 days. */
  maintenanceEpochsMax: { default: 21, min: 0, max: 1_000_000 },
  maintenanceWithin: { default: 4_320, min: 1, max: 1_000_000 },
} as const satisfies Record<string, ParamRange>;

export type PosrParams = { readonly [K in keyof typeof POSR_PARAMS]: number };

export const PPM = 1_000_000;
/** Vote weights where `weightedVotes` is 1: a band of 4 to 3. */
export const VOTE_BASE = 30;
export const VOTE_BONUS = 10;
/** Slots of an epoch that probes are counted in. */
export const SLOTS = 12;
/** Epochs that a prober's agreement is averaged over. */
export const RELIABILITY_EPOCHS = 50;

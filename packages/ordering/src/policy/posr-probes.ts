/**
 * What probes say about an epoch (spec/policies.md): per target and slot, decided by a third of
 * those who were asked to look, so that neither friends nor slanderers decide alone.
 */
import { compareText, encodeCbor, sha256, type ValidatorId } from "@hanse/protocol";
import type { ProbeReport } from "../engine/interfaces.ts";
import { type PosrParams, PPM, RELIABILITY_EPOCHS, SLOTS } from "./posr-params.ts";

export interface ProbeAccount {
  readonly id: ValidatorId;
  readonly org: string;
  /** Agreement with earlier decisions, ppm. */
  readonly reliability: number;
}

/** Slots as bits, lowest first. */
export interface DecidedSlots {
  readonly counted: number;
  readonly up: number;
}

export interface ProbeVerdict {
  readonly targets: ReadonlyMap<ValidatorId, DecidedSlots>;
  /** New agreement of each prober that looked at a decided slot, ppm. */
  readonly reliability: ReadonlyMap<ValidatorId, number>;
}

/** Positive answers needed of `observed`, or undefined where too few looked to say anything. */
export function positivesNeeded(observed: number): number | undefined {
  return observed < 3 ? undefined : Math.max(2, Math.ceil(observed / 3));
}

/** Places drawn at random before the rest of the probers is taken in order. */
const DRAWS_MAX = 64;
/** Draws of 16 bits in one hash. */
const DRAWS_PER_HASH = 16;

/** Endless places below `n`, from hashes of epoch, target and slot. */
function createDraws(epoch: number, target: ValidatorId, slot: number, n: number): () => number {
  let hash = new Uint8Array(0);
  let used = DRAWS_PER_HASH;
  let round = 0;
  return () => {
    if (used === DRAWS_PER_HASH) {
      hash = new Uint8Array(sha256(encodeCbor(["hanse/probers/1", epoch, target, slot, round++])));
      used = 0;
    }
    const place = (hash[2 * used]! * 256 + hash[2 * used + 1]!) % n;
    used++;
    return place;
  };
}

/**
 * Who probes whom in which slot of an epoch: `probers` accounts of other and distinct
 * organizations, drawn for each target and slot by a hash. Foreseeable, since ledgers have no
 * unbiased randomness: what a target cannot foresee is the moment within the slot.
 */
export function assignProbers(
  accounts: readonly Pick<ProbeAccount, "id" | "org">[],
  epoch: number,
  probers: number,
): (target: Pick<ProbeAccount, "id" | "org">) => readonly ReadonlySet<ValidatorId>[] {
  const sorted = [...accounts].sort((a, b) => compareText(a.id, b.id));
  return (target) =>
    Array.from({ length: SLOTS }, (_, slot) => {
      const chosen = new Set<ValidatorId>();
      const orgs = new Set([target.org]);
      const take = (place: number) => {
        const account = sorted[place % sorted.length]!;
        if (orgs.has(account.org)) return;
        orgs.add(account.org);
        chosen.add(account.id);
      };
      const draw = createDraws(epoch, target.id, slot, sorted.length);
      // Where everyone is needed, or few are left to find, the rest follows in order.
      if (sorted.length > probers + 1) {
        for (let i = 0; i < DRAWS_MAX && chosen.size < probers; i++) take(draw());
      }
      const from = chosen.size < probers ? draw() : 0;
      for (let i = 0; i < sorted.length && chosen.size < probers; i++) take(from + i);
      return chosen;
    });
}

/**
 * Decides every slot of every account. Reports of strangers, about strangers, second ones of a
 * prober, and observations nobody was asked for count nothing.
 */
export function decideProbes(
  accounts: readonly ProbeAccount[],
  epoch: number,
  reports: readonly ProbeReport[],
  params: Pick<PosrParams, "probers" | "reliabilityMinPpm">,
): ProbeVerdict {
  const byId = new Map(accounts.map((account) => [account.id, account]));
  /** Observations by target and prober. */
  const seen = new Map<ValidatorId, Map<ValidatorId, { asked: number; answered: number }>>();
  const reported = new Set<ValidatorId>();
  for (const report of reports) {
    if (report.epoch !== epoch || !byId.has(report.prober) || reported.has(report.prober)) continue;
    reported.add(report.prober);
    for (const { id, asked, answered } of report.targets) {
      let of = seen.get(id);
      if (of === undefined) {
        of = new Map();
        seen.set(id, of);
      }
      if (!of.has(report.prober)) of.set(report.prober, { asked, answered: answered & asked });
    }
  }

  const probersOf = assignProbers(accounts, epoch, params.probers);
  const targets = new Map<ValidatorId, DecidedSlots>();
  const judged = new Map<ValidatorId, { agreed: number; of: number }>();
  for (const account of accounts) {
    const observations = seen.get(account.id);
    let counted = 0;
    let up = 0;
    for (const [slot, chosen] of probersOf(account).entries()) {
      const bit = 1 << slot;
      let observed = 0;
      let positives = 0;
      for (const prober of chosen) {
        const seenBy = observations?.get(prober);
        if (seenBy === undefined || (seenBy.asked & bit) === 0) continue;
        const positive = (seenBy.answered & bit) !== 0;
        // Who often disagrees may still vouch: a false positive is worth little below a third.
        if (!positive && byId.get(prober)!.reliability < params.reliabilityMinPpm) continue;
        observed++;
        if (positive) positives++;
      }
      const needed = positivesNeeded(observed);
      if (needed === undefined) continue;
      counted |= bit;
      const isUp = positives >= needed;
      if (isUp) up |= bit;
      for (const prober of chosen) {
        const seenBy = observations?.get(prober);
        if (seenBy === undefined || (seenBy.asked & bit) === 0) continue;
        const of = judged.get(prober) ?? { agreed: 0, of: 0 };
        of.of++;
        if (((seenBy.answered & bit) !== 0) === isUp) of.agreed++;
        judged.set(prober, of);
      }
    }
    targets.set(account.id, { counted, up });
  }

  const reliability = new Map<ValidatorId, number>();
  for (const [id, { agreed, of }] of judged) {
    const old = byId.get(id)!.reliability;
    const now = Math.floor((agreed * PPM) / of);
    reliability.set(id, old + Math.trunc((now - old) / RELIABILITY_EPOCHS));
  }
  return { targets, reliability };
}

/** Bits set among the slots of an epoch. */
export function slotCount(bits: number): number {
  let count = 0;
  for (let slot = 0; slot < SLOTS; slot++) count += (bits >> slot) & 1;
  return count;
}

/** Share of the decided slots in which the target was up, ppm; undefined = none was decided. */
export function availabilityOf({ counted, up }: DecidedSlots): number | undefined {
  const slots = slotCount(counted);
  return slots === 0 ? undefined : Math.floor((slotCount(up) * PPM) / slots);
}

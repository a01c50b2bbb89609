/** What `posr` keeps on the ledger (spec/policies.md). */
import {
  asArray,
  asText,
  asUint,
  type Bytes,
  type CborValue,
  compareText,
  decodeCbor,
  encodeCbor,
  type ValidatorId,
} from "@hanse/protocol";
import type { Height, MaintenanceNotice, ProbeReport } from "../engine/interfaces.ts";

/** Presence counted in one epoch. */
export interface Signed {
  /** Heights at which the member could sign. */
  readonly eligible: number;
  /** Of these, the heights for which the ledger holds its finalize vote. */
  readonly present: number;
}

export interface PosrAccount {
  /** The running epoch's. */
  readonly now: Signed;
  /** The epoch's before. */
  readonly last: Signed;
  /** Last height whose finalize vote of this account is on the ledger; 0 = none yet. */
  readonly seen: Height;
  /** Good epochs, halved by each other one. */
  readonly streak: number;
  /** Proposes nothing since an epoch of silence. */
  readonly silent: boolean;
  /** Standing, thousandths of epochs (with probing). */
  readonly standing: number;
  /** Availability of the last decided epoch, ppm; undefined = never decided. */
  readonly availability: number | undefined;
  /** Decided slots of that epoch as bits, and those of them in which the account was up. */
  readonly slots: { readonly counted: number; readonly up: number };
  /** Epochs in a row below half availability. */
  readonly low: number;
  /** Was a member or candidate when the epoch before the running one ended. */
  readonly here: boolean;
  /** Agreement as a prober with what was decided, ppm. */
  readonly reliability: number;
}

/** What the policy wants a member to weigh; vote 0 = leave. */
export interface Wanted {
  readonly vote: number;
  readonly propose: number;
}

export interface PosrState {
  /** The running epoch, 0 at first, and its first height. */
  readonly epoch: number;
  readonly firstHeight: Height;
  /** Epochs in a row in which too many were away at once: by signatures, by probes. */
  readonly neutralSigned: number;
  readonly neutralProbed: number;
  readonly accounts: ReadonlyMap<ValidatorId, PosrAccount>;
  readonly wanted: ReadonlyMap<ValidatorId, Wanted>;
  /** Members whose propose weight the policy itself took, and may give back. */
  readonly taken: readonly ValidatorId[];
  /** Of the running epoch and the one before, in the order of the ledger. */
  readonly reports: readonly ProbeReport[];
  readonly maintenance: readonly MaintenanceNotice[];
}

export const NEW_ACCOUNT: PosrAccount = {
  now: { eligible: 0, present: 0 },
  last: { eligible: 0, present: 0 },
  seen: 0,
  streak: 0,
  silent: false,
  standing: 0,
  availability: undefined,
  slots: { counted: 0, up: 0 },
  low: 0,
  here: false,
  reliability: 1_000_000,
};

const VERSION = 1;

const signedToCbor = ({ eligible, present }: Signed): CborValue => [eligible, present];

function accountToCbor(id: ValidatorId, a: PosrAccount): CborValue {
  return [
    id,
    signedToCbor(a.now),
    signedToCbor(a.last),
    a.seen,
    a.streak,
    a.silent ? 1 : 0,
    a.standing,
    a.availability ?? null,
    [a.slots.counted, a.slots.up],
    a.low,
    a.here ? 1 : 0,
    a.reliability,
  ];
}

export function encodePosrState(state: PosrState): Bytes {
  const byId = <T>(map: ReadonlyMap<ValidatorId, T>) =>
    [...map].sort(([a], [b]) => compareText(a, b));
  return encodeCbor([
    VERSION,
    state.epoch,
    state.firstHeight,
    state.neutralSigned,
    state.neutralProbed,
    byId(state.accounts).map(([id, account]) => accountToCbor(id, account)),
    byId(state.wanted).map(([id, wanted]) => [id, wanted.vote, wanted.propose]),
    [...state.taken].sort(compareText),
    state.reports.map((report) => [
      report.prober,
      report.epoch,
      report.targets.map((target) => [target.id, target.asked, target.answered]),
    ]),
    state.maintenance.map((notice) => [notice.id, notice.fromEpoch, notice.toEpoch]),
  ]);
}

function signedFromCbor(value: CborValue | undefined): Signed {
  const [eligible, present] = asArray(value, "posr.signed", 2);
  return {
    eligible: asUint(eligible, "posr.eligible"),
    present: asUint(present, "posr.present"),
  };
}

const idsFromCbor = (value: CborValue | undefined, field: string) =>
  asArray(value, field).map((id) => asText(id, field));

function accountFromCbor(value: CborValue): [ValidatorId, PosrAccount] {
  const f = asArray(value, "posr.account", 12);
  const [counted, up] = asArray(f[8], "posr.slots", 2);
  return [
    asText(f[0], "posr.account.id"),
    {
      now: signedFromCbor(f[1]),
      last: signedFromCbor(f[2]),
      seen: asUint(f[3], "posr.seen"),
      streak: asUint(f[4], "posr.streak"),
      silent: asUint(f[5], "posr.silent") === 1,
      standing: asUint(f[6], "posr.standing"),
      availability: f[7] === null ? undefined : asUint(f[7], "posr.availability"),
      slots: { counted: asUint(counted, "posr.slots"), up: asUint(up, "posr.slots") },
      low: asUint(f[9], "posr.low"),
      here: asUint(f[10], "posr.here") === 1,
      reliability: asUint(f[11], "posr.reliability"),
    },
  ];
}

/** @throws HanseError naming the field that is not as `encodePosrState` writes it. */
export function decodePosrState(bytes: Bytes): PosrState {
  const f = asArray(decodeCbor(bytes), "posr", 10);
  // Another version fails here: nothing writes one.
  if (f[0] !== VERSION) asUint(undefined, "posr.version");
  return {
    epoch: asUint(f[1], "posr.epoch"),
    firstHeight: asUint(f[2], "posr.firstHeight"),
    neutralSigned: asUint(f[3], "posr.neutralSigned"),
    neutralProbed: asUint(f[4], "posr.neutralProbed"),
    accounts: new Map(asArray(f[5], "posr.accounts").map(accountFromCbor)),
    wanted: new Map(
      asArray(f[6], "posr.wanted").map((item) => {
        const [id, vote, propose] = asArray(item, "posr.wanted", 3);
        return [
          asText(id, "posr.wanted.id"),
          { vote: asUint(vote, "posr.vote"), propose: asUint(propose, "posr.propose") },
        ];
      }),
    ),
    taken: idsFromCbor(f[7], "posr.taken"),
    reports: asArray(f[8], "posr.reports").map((item) => {
      const [prober, epoch, targets] = asArray(item, "posr.report", 3);
      return {
        prober: asText(prober, "posr.prober"),
        epoch: asUint(epoch, "posr.report.epoch"),
        targets: asArray(targets, "posr.targets").map((target) => {
          const [id, asked, answered] = asArray(target, "posr.target", 3);
          return {
            id: asText(id, "posr.target.id"),
            asked: asUint(asked, "posr.asked"),
            answered: asUint(answered, "posr.answered"),
          };
        }),
      };
    }),
    maintenance: asArray(f[9], "posr.maintenance").map((item) => {
      const [id, fromEpoch, toEpoch] = asArray(item, "posr.maintenance", 3);
      return {
        id: asText(id, "posr.maintenance.id"),
        fromEpoch: asUint(fromEpoch, "posr.fromEpoch"),
        toEpoch: asUint(toEpoch, "posr.toEpoch"),
      };
    }),
  };
}

/** What `dpoa` keeps on the ledger: missed turns and suspensions (spec/policies.md). */
import {
  asArray,
  asText,
  asUint,
  type Bytes,
  compareText,
  decodeCbor,
  encodeCbor,
  type ValidatorId,
} from "@hanse/protocol";

export interface DpoaMember {
  /** The last turns as bits, the newest lowest; 1 = missed. */
  readonly turns: number;
  /** Block times of missed turns within a day, oldest first. */
  readonly missedAt: readonly number[];
  /** Suspended below this height; 0 = not by height. */
  readonly untilHeight: number;
  /** Suspended before this block time; 0 = not by time. */
  readonly untilTime: number;
  /** Propose weight to give back after a pause; 0 = none taken. */
  readonly owed: number;
}

export interface DpoaState {
  /** Time of the block below; undefined before the policy's first. */
  readonly lastTime: number | undefined;
  readonly members: ReadonlyMap<ValidatorId, DpoaMember>;
}

const VERSION = 1;

export function encodeDpoaState(state: DpoaState): Bytes {
  const members = [...state.members].sort(([a], [b]) => compareText(a, b));
  return encodeCbor([
    VERSION,
    state.lastTime ?? null,
    members.map(([id, m]) => [id, m.turns, m.missedAt, m.untilHeight, m.untilTime, m.owed]),
  ]);
}

/** @throws HanseError naming the field that is not as `encodeDpoaState` writes it. */
export function decodeDpoaState(bytes: Bytes): DpoaState {
  const [version, lastTime, list] = asArray(decodeCbor(bytes), "dpoa", 3);
  if (version !== VERSION) asUint(undefined, "dpoa.version");
  const members = new Map<ValidatorId, DpoaMember>();
  for (const item of asArray(list, "dpoa.members")) {
    const [id, turns, missedAt, untilHeight, untilTime, owed] = asArray(item, "dpoa.member", 6);
    members.set(asText(id, "dpoa.member.id"), {
      turns: asUint(turns, "dpoa.member.turns"),
      missedAt: asArray(missedAt, "dpoa.member.missedAt").map((time) =>
        asUint(time, "dpoa.member.missedAt"),
      ),
      untilHeight: asUint(untilHeight, "dpoa.member.untilHeight"),
      untilTime: asUint(untilTime, "dpoa.member.untilTime"),
      owed: asUint(owed, "dpoa.member.owed"),
    });
  }
  return { lastTime: lastTime === null ? undefined : asUint(lastTime, "dpoa.lastTime"), members };
}

/** The validator sets of a ledger as its state holds them: past, present and decided. */
import type { Height } from "@hanse/ordering";
import {
  asArray,
  asUint,
  createValidatorSet,
  decodeCbor,
  encodeCbor,
  HanseError,
  publicKeyFromText,
  publicKeyToText,
  type QuorumRule,
  utf8,
  type ValidatorSet,
} from "@hanse/protocol";
import {
  canonicalJson,
  type KvEntry,
  type Row,
  type StateOverlay,
  type StateView,
} from "@hanse/state";
import { GOVERNANCE_KV, VALIDATOR_SETS } from "./tables.ts";

/** Heights of the newest sets that are found without a search; a block asks for four heights at most. */
const RECENT_MAX = 8;
const RECENT_KEY = utf8("sets");

export interface SetFrom {
  /** In force from this height on. */
  readonly from: Height;
  readonly set: ValidatorSet;
}

interface MemberJson {
  readonly id: string;
  readonly org: string;
  readonly key: string;
  readonly vote: number;
  readonly propose: number;
}

// Rows and entries are never mutated, so what was read from them holds as long as they do.
const setsOfRows = new WeakMap<Row, ValidatorSet>();
const recentOfEntries = new WeakMap<KvEntry, readonly Height[]>();

function setFromRow(row: Row): ValidatorSet {
  let set = setsOfRows.get(row);
  if (set !== undefined) return set;
  const [, , quorum, members] = row.values;
  set = createValidatorSet(
    (JSON.parse(members as string) as MemberJson[]).map((member, i) => ({
      ...member,
      key: publicKeyFromText(member.key, `${VALIDATOR_SETS}.members[${i}].key`),
    })),
    quorum as QuorumRule,
  );
  setsOfRows.set(row, set);
  return set;
}

function recentHeights(view: StateView): readonly Height[] {
  const entry = view.getKv(GOVERNANCE_KV, RECENT_KEY);
  if (entry === undefined) {
    throw new HanseError(
      "GOVERNANCE_NOT_SEEDED",
      "corrupt",
      "this ledger's state holds no validator sets: it was made by a version without governance",
    );
  }
  let heights = recentOfEntries.get(entry);
  if (heights === undefined) {
    heights = asArray(decodeCbor(entry.value), "sets").map((item, i) => asUint(item, `sets[${i}]`));
    recentOfEntries.set(entry, heights);
  }
  return heights;
}

function setStoredAt(view: StateView, from: Height): SetFrom {
  const row = view.getRow(VALIDATOR_SETS, BigInt(from));
  if (row === undefined) {
    throw new HanseError("GOVERNANCE_TABLE", "corrupt", `${VALIDATOR_SETS}: no set from ${from}`);
  }
  return { from, set: setFromRow(row) };
}

/** The set decided last: in force now, or in two heights at most. */
export function newestSet(view: StateView): SetFrom {
  return setStoredAt(view, recentHeights(view).at(-1)!);
}

/** The set in force at a height, as far as it is decided; heights start at 1. */
export function validatorSetAt(view: StateView, height: Height): SetFrom {
  const recent = recentHeights(view).findLast((from) => from <= height);
  if (recent !== undefined) return setStoredAt(view, recent);
  const where = { op: "le", column: "from_height", value: BigInt(height) } as const;
  const order = [{ column: "from_height", descending: true }];
  const row = view.find({ table: VALIDATOR_SETS, where, order, limit: 1 })[0];
  if (row === undefined) return setStoredAt(view, recentHeights(view)[0]!);
  return { from: Number(row.values[0]), set: setFromRow(row) };
}

/** The set in force at a recent height and those that follow it, in order. */
export function setsFrom(view: StateView, height: Height): SetFrom[] {
  const heights = recentHeights(view);
  const first = heights.findLastIndex((from) => from <= height);
  return heights.slice(Math.max(0, first)).map((from) => setStoredAt(view, from));
}

/** The newest first. */
export function listValidatorSets(view: StateView, limit: number, offset: number): SetFrom[] {
  const order = [{ column: "from_height", descending: true }];
  return view
    .find({ table: VALIDATOR_SETS, order, limit, offset })
    .map((row) => ({ from: Number(row.values[0]), set: setFromRow(row) }));
}

export function describeSet(set: ValidatorSet): {
  readonly quorum: QuorumRule;
  readonly members: readonly MemberJson[];
} {
  return {
    quorum: set.quorum,
    members: set.members.map(({ id, org, key, vote, propose }) => ({
      id,
      org,
      key: publicKeyToText(key),
      vote,
      propose,
    })),
  };
}

/** Decides the set from a height on, in place of what was decided for this height before. */
export function putValidatorSet(overlay: StateOverlay, from: Height, set: ValidatorSet): void {
  const { quorum, members } = describeSet(set);
  const json = canonicalJson(JSON.stringify(members));
  const key = BigInt(from);
  if (overlay.getRow(VALIDATOR_SETS, key) === undefined) {
    overlay.insert(VALIDATOR_SETS, [key, set.hash, quorum, json]);
  } else {
    overlay.update(VALIDATOR_SETS, key, { hash: set.hash, quorum, members: json });
  }
  const before =
    overlay.getKv(GOVERNANCE_KV, RECENT_KEY) === undefined ? [] : recentHeights(overlay);
  const heights = [...before.filter((height) => height < from), from].slice(-RECENT_MAX);
  overlay.putKv(GOVERNANCE_KV, RECENT_KEY, encodeCbor(heights));
}

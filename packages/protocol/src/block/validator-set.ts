/** Validator sets: who votes with which weight at a height (spec/blocks.md). */
import { compareText } from "../encoding/bytes.ts";
import { type CborValue, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asText, asUint } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { DOMAINS, type Hash, hashWithDomain } from "../hash/domain.ts";
import { type PublicKey, publicKeyFromCbor, publicKeyToCbor } from "../keys/algorithms.ts";

/** Identity of a validator in the ledger's registry, e.g. `harbour/node-1`. */
export type ValidatorId = string;

export type QuorumRule = "byzantine" | "crash";

export interface ValidatorInfo {
  readonly id: ValidatorId;
  readonly org: string;
  readonly key: PublicKey;
  /** Vote weight, integer >= 1. */
  readonly vote: number;
  /** Propose weight, integer >= 0. */
  readonly propose: number;
}

export interface ValidatorSet {
  /** Sorted by id. */
  readonly members: readonly ValidatorInfo[];
  readonly quorum: QuorumRule;
  readonly hash: Hash;
}

export const VALIDATORS_MAX = 1024;
export const VOTE_WEIGHT_MAX = 1_000_000;

function invalid(message: string): never {
  throw new HanseError("VALIDATOR_SET_INVALID", "rejected", message);
}

export function validatorSetToCbor(set: Omit<ValidatorSet, "hash">): CborValue {
  return [
    set.quorum,
    set.members.map((m) => [m.id, m.org, publicKeyToCbor(m.key), m.vote, m.propose]),
  ];
}

/**
 * Sorts, validates and hashes a set.
 * @throws HanseError `VALIDATOR_SET_INVALID` when empty, with repeated ids or keys, or weights out
 * of bounds.
 */
export function createValidatorSet(
  members: readonly ValidatorInfo[],
  quorum: QuorumRule,
): ValidatorSet {
  if (members.length === 0) invalid("a validator set needs at least one member");
  if (members.length > VALIDATORS_MAX) invalid(`more than ${VALIDATORS_MAX} validators`);
  const sorted = [...members].sort((a, b) => compareText(a.id, b.id));
  const keys = new Set<string>();
  for (const [i, member] of sorted.entries()) {
    if (i > 0 && sorted[i - 1]!.id === member.id) invalid(`validator ${member.id} stands twice`);
    const key = `${member.key.algorithm}:${member.key.bytes.join(",")}`;
    if (keys.has(key)) invalid(`validator ${member.id} shares its key with another`);
    keys.add(key);
    if (!Number.isInteger(member.vote) || member.vote < 1 || member.vote > VOTE_WEIGHT_MAX) {
      invalid(`validator ${member.id}: vote weight must be 1 to ${VOTE_WEIGHT_MAX}`);
    }
    if (
      !Number.isInteger(member.propose) ||
      member.propose < 0 ||
      member.propose > VOTE_WEIGHT_MAX
    ) {
      invalid(`validator ${member.id}: propose weight must be 0 to ${VOTE_WEIGHT_MAX}`);
    }
  }
  if (sorted.every((m) => m.propose === 0)) invalid("no member may propose");
  const plain = { members: sorted, quorum };
  return {
    ...plain,
    hash: hashWithDomain(DOMAINS.validatorSet, encodeCbor(validatorSetToCbor(plain))),
  };
}

/** @throws HanseError naming the field. */
export function validatorSetFromCbor(value: CborValue | undefined, field: string): ValidatorSet {
  const [quorum, members] = asArray(value, field, 2);
  const rule = asText(quorum, `${field}.quorum`);
  if (rule !== "byzantine" && rule !== "crash") invalid(`${field}.quorum: byzantine or crash`);
  return createValidatorSet(
    asArray(members, `${field}.members`).map((item, i) => {
      const at = `${field}.members[${i}]`;
      const [id, org, key, vote, propose] = asArray(item, at, 5);
      return {
        id: asText(id, `${at}.id`),
        org: asText(org, `${at}.org`),
        key: publicKeyFromCbor(key, `${at}.key`),
        vote: asUint(vote, `${at}.vote`),
        propose: asUint(propose, `${at}.propose`),
      };
    }),
    rule,
  );
}

export function totalWeight(set: Pick<ValidatorSet, "members">): number {
  let weight = 0;
  for (const member of set.members) weight += member.vote;
  return weight;
}

/** Least weight of a quorum: floor(2W/3)+1 byzantine, floor(W/2)+1 crash. */
export function quorumWeight(set: Pick<ValidatorSet, "members" | "quorum">): number {
  const weight = totalWeight(set);
  return set.quorum === "byzantine" ? Math.floor((2 * weight) / 3) + 1 : Math.floor(weight / 2) + 1;
}

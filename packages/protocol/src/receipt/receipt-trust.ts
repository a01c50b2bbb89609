/** What a checker of receipts trusts to begin with, and its JSON form (spec/receipts.md). */
import {
  createValidatorSet,
  VALIDATORS_MAX,
  type ValidatorInfo,
  type ValidatorSet,
} from "../block/validator-set.ts";
import { fromHex, toHex } from "../encoding/bytes.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { nearestName } from "../errors/nearest-name.ts";
import type { GenesisDocument } from "../genesis/genesis-document.ts";
import { HASH_BYTES, type Hash } from "../hash/domain.ts";
import { publicKeyFromText, publicKeyToText } from "../keys/key-text.ts";

/** A block that the checker trusts and the set that certified it. */
export interface TrustedSet {
  readonly ledgerId: Hash;
  readonly height: number;
  readonly headerHash: Hash;
  /** Time of the block in milliseconds since 1970, where it is known: how old the trust is. */
  readonly time?: number;
  /** The set in force at `height`. */
  readonly set: ValidatorSet;
}

export type ReceiptTrust = { readonly genesis: GenesisDocument } | TrustedSet;

const FIELDS = ["version", "ledgerId", "height", "headerHash", "time", "validators"];
const SET_FIELDS = ["quorum", "members"];
const MEMBER_FIELDS = ["id", "org", "key", "vote", "propose"];

function wrong(field: string, expected: string): never {
  throw new HanseError("TRUST_INVALID", "malformed", `${field}: expected ${expected}`, {
    details: { field },
  });
}

function readObject(value: unknown, at: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) wrong(at, "an object");
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) {
      const nearest = nearestName(name, known);
      wrong(`${at}.${name}`, nearest === undefined ? "no such field" : `the field ${nearest}`);
    }
  }
  return value as Record<string, unknown>;
}

function readText(value: unknown, at: string): string {
  if (typeof value !== "string" || !value.isWellFormed()) wrong(at, "a text");
  return value;
}

function readInteger(value: unknown, at: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) wrong(at, "an unsigned integer");
  return value as number;
}

function readHash(value: unknown, at: string): Hash {
  const text = readText(value, at);
  if (text.length !== 2 * HASH_BYTES || !/^[0-9a-f]*$/.test(text)) {
    wrong(at, `${2 * HASH_BYTES} lower-case hex digits`);
  }
  return fromHex(text);
}

/** A plain object for JSON.stringify. */
export function trustedSetToJson(trust: TrustedSet): Record<string, unknown> {
  return {
    version: 1,
    ledgerId: toHex(trust.ledgerId),
    height: trust.height,
    headerHash: toHex(trust.headerHash),
    ...(trust.time === undefined ? {} : { time: trust.time }),
    validators: {
      quorum: trust.set.quorum,
      members: trust.set.members.map(({ id, org, key, vote, propose }) => ({
        id,
        org,
        key: publicKeyToText(key),
        vote,
        propose,
      })),
    },
  };
}

/** @throws HanseError `TRUST_INVALID`, `KEY_TEXT` or `VALIDATOR_SET_INVALID` naming the field. */
export function trustedSetFromJson(value: unknown): TrustedSet {
  const f = readObject(value, "trust", FIELDS);
  if (f.version !== 1) wrong("trust.version", "1");
  const v = readObject(f.validators, "trust.validators", SET_FIELDS);
  if (v.quorum !== "byzantine" && v.quorum !== "crash") {
    wrong("trust.validators.quorum", "byzantine or crash");
  }
  if (!Array.isArray(v.members) || v.members.length > VALIDATORS_MAX) {
    wrong("trust.validators.members", `a list of at most ${VALIDATORS_MAX} members`);
  }
  const members = v.members.map((item, i): ValidatorInfo => {
    const at = `trust.validators.members[${i}]`;
    const m = readObject(item, at, MEMBER_FIELDS);
    return {
      id: readText(m.id, `${at}.id`),
      org: readText(m.org, `${at}.org`),
      key: publicKeyFromText(m.key, `${at}.key`),
      vote: readInteger(m.vote, `${at}.vote`),
      propose: readInteger(m.propose, `${at}.propose`),
    };
  });
  return {
    ledgerId: readHash(f.ledgerId, "trust.ledgerId"),
    height: readInteger(f.height, "trust.height"),
    headerHash: readHash(f.headerHash, "trust.headerHash"),
    ...(f.time === undefined ? {} : { time: readInteger(f.time, "trust.time") }),
    set: createValidatorSet(members, v.quorum),
  };
}

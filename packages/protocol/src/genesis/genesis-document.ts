/**
 * The genesis document (spec/genesis.md): what the organizations of a network agreed on before the
 * first block. Its hash is the ledger's id, so that every signature on the ledger is bound to it.
 */
import { createValidatorSet, type QuorumRule, type ValidatorSet } from "../block/validator-set.ts";
import type { Bytes } from "../encoding/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes, asMap, asText, asUint } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { nearestName } from "../errors/nearest-name.ts";
import { DOMAINS, HASH_BYTES, type Hash, hashWithDomain } from "../hash/domain.ts";
import { type PublicKey, publicKeyFromCbor, publicKeyToCbor } from "../keys/algorithms.ts";
import { type Constitution, constitutionFromCbor, constitutionToCbor } from "./constitution.ts";
import { validateGenesis } from "./genesis-rules.ts";
import { type LedgerParams, ledgerParamsFromCbor, ledgerParamsToCbor } from "./parameters.ts";

export interface GenesisOrganization {
  /** Lower case, `[a-z][a-z0-9-]{0,62}`. */
  readonly id: string;
  readonly name: string;
}

export interface GenesisNode {
  /** `org/name`, e.g. `harbour/node-1`. */
  readonly id: string;
  readonly org: string;
  /** Signs votes; Ed25519. */
  readonly key: PublicKey;
  /** SHA-256 of the SubjectPublicKeyInfo of the node's TLS certificate. */
  readonly tlsFingerprint: Bytes;
}

export interface GenesisAccount {
  readonly name: string;
  readonly org: string;
  readonly key: PublicKey;
  readonly roles: readonly string[];
}

export interface GenesisValidator {
  /** A node's id. */
  readonly id: string;
  /** Vote weight, 1 or more. */
  readonly vote: number;
  /** Propose weight, 0 or more. */
  readonly propose: number;
}

export const GENESIS_POLICIES = ["fixed", "dpoa", "posr"] as const;
export type GenesisPolicy = (typeof GENESIS_POLICIES)[number];

/** Who orders the blocks from height 1 on. */
export const GENESIS_ORDERINGS = ["builtin", "cometbft", "etcd"] as const;
export type GenesisOrdering = (typeof GENESIS_ORDERINGS)[number];

export interface GenesisDocument {
  readonly version: 1;
  readonly network: string;
  readonly ledger: string;
  /** Milliseconds since 1970; the time of height 0. */
  readonly time: number;
  readonly organizations: readonly GenesisOrganization[];
  readonly nodes: readonly GenesisNode[];
  readonly accounts: readonly GenesisAccount[];
  readonly validators: {
    readonly quorum: QuorumRule;
    readonly members: readonly GenesisValidator[];
  };
  readonly ordering: GenesisOrdering;
  readonly policy: GenesisPolicy;
  /** Kinds of the contract engines that run on the ledger, e.g. `native`, `needle`. */
  readonly engines: readonly string[];
  readonly params: LedgerParams;
  /** Of the policy, unsigned integers by name; what is not named takes the policy's default. */
  readonly policyParams?: Readonly<Record<string, number>>;
  /** Absent: `DEFAULT_CONSTITUTION`. */
  readonly governance?: Constitution;
}

export const GENESIS_VERSION = 1;

/** Bytes of an encoded genesis document that are read at all. */
export const GENESIS_BYTES_MAX = 16 * 1024 * 1024;

/** Field names of every object of the document, for the encoding, the JSON form and advice. */
export const GENESIS_FIELDS = {
  document: [
    "version",
    "network",
    "ledger",
    "time",
    "organizations",
    "nodes",
    "accounts",
    "validators",
    "ordering",
    "policy",
    "engines",
    "params",
    "policyParams",
    "governance",
  ],
  organization: ["id", "name"],
  node: ["id", "org", "key", "tlsFingerprint"],
  account: ["name", "org", "key", "roles"],
  validators: ["quorum", "members"],
  validator: ["id", "vote", "propose"],
} as const;

/** The refusal of a field that the document does not have, with the nearest one that it has. */
export function unknownField(at: string, name: string, known: readonly string[]): HanseError {
  const nearest = nearestName(name, known);
  const advice = nearest === undefined ? `known: ${known.join(", ")}` : `did you mean ${nearest}?`;
  return new HanseError(
    "GENESIS_UNKNOWN_FIELD",
    "malformed",
    `${at}.${name}: no such field; ${advice}`,
    {
      details: { field: `${at}.${name}`, nearest },
    },
  );
}

/**
 * The deterministic bytes of a document; lists keep their order.
 * @throws HanseError `GENESIS_INVALID` naming the field.
 */
export function encodeGenesis(genesis: GenesisDocument): Bytes {
  validateGenesis(genesis);
  const object = (fields: Record<string, CborValue>) => new Map(Object.entries(fields));
  return encodeCbor(
    object({
      version: genesis.version,
      network: genesis.network,
      ledger: genesis.ledger,
      time: genesis.time,
      organizations: genesis.organizations.map(({ id, name }) => object({ id, name })),
      nodes: genesis.nodes.map(({ id, org, key, tlsFingerprint }) =>
        object({ id, org, key: publicKeyToCbor(key), tlsFingerprint }),
      ),
      accounts: genesis.accounts.map(({ name, org, key, roles }) =>
        object({ name, org, key: publicKeyToCbor(key), roles }),
      ),
      validators: object({
        quorum: genesis.validators.quorum,
        members: genesis.validators.members.map(({ id, vote, propose }) =>
          object({ id, vote, propose }),
        ),
      }),
      ordering: genesis.ordering,
      policy: genesis.policy,
      engines: genesis.engines,
      params: ledgerParamsToCbor(genesis.params),
      ...(genesis.policyParams === undefined ? {} : { policyParams: object(genesis.policyParams) }),
      ...(genesis.governance === undefined
        ? {}
        : { governance: constitutionToCbor(genesis.governance) }),
    }),
  );
}

/**
 * @throws HanseError `GENESIS_INVALID`, `GENESIS_UNKNOWN_FIELD`, `FIELD_INVALID` or `CBOR_*` naming
 * the field.
 */
export function decodeGenesis(bytes: Bytes): GenesisDocument {
  if (bytes.length > GENESIS_BYTES_MAX) {
    const message = `a genesis document has at most ${GENESIS_BYTES_MAX} bytes`;
    throw new HanseError("GENESIS_INVALID", "tooLarge", message);
  }
  const object = (value: CborValue | undefined, at: string, known: readonly string[]) => {
    const map = asMap(value, at);
    for (const name of map.keys()) if (!known.includes(name)) throw unknownField(at, name, known);
    return map;
  };
  const list = <T>(
    value: CborValue | undefined,
    at: string,
    read: (item: CborValue, at: string) => T,
  ): T[] => asArray(value, at).map((item, i) => read(item, `${at}[${i}]`));
  const f = object(decodeCbor(bytes), "genesis", GENESIS_FIELDS.document);
  const validators = object(f.get("validators"), "genesis.validators", GENESIS_FIELDS.validators);
  const genesis = {
    version: asUint(f.get("version"), "genesis.version"),
    network: asText(f.get("network"), "genesis.network"),
    ledger: asText(f.get("ledger"), "genesis.ledger"),
    time: asUint(f.get("time"), "genesis.time"),
    organizations: list(f.get("organizations"), "genesis.organizations", (item, at) => {
      const o = object(item, at, GENESIS_FIELDS.organization);
      return { id: asText(o.get("id"), `${at}.id`), name: asText(o.get("name"), `${at}.name`) };
    }),
    nodes: list(f.get("nodes"), "genesis.nodes", (item, at) => {
      const o = object(item, at, GENESIS_FIELDS.node);
      return {
        id: asText(o.get("id"), `${at}.id`),
        org: asText(o.get("org"), `${at}.org`),
        key: publicKeyFromCbor(o.get("key"), `${at}.key`),
        tlsFingerprint: asBytes(o.get("tlsFingerprint"), `${at}.tlsFingerprint`, HASH_BYTES),
      };
    }),
    accounts: list(f.get("accounts"), "genesis.accounts", (item, at) => {
      const o = object(item, at, GENESIS_FIELDS.account);
      return {
        name: asText(o.get("name"), `${at}.name`),
        org: asText(o.get("org"), `${at}.org`),
        key: publicKeyFromCbor(o.get("key"), `${at}.key`),
        roles: list(o.get("roles"), `${at}.roles`, asText),
      };
    }),
    validators: {
      quorum: asText(validators.get("quorum"), "genesis.validators.quorum"),
      members: list(validators.get("members"), "genesis.validators.members", (item, at) => {
        const o = object(item, at, GENESIS_FIELDS.validator);
        return {
          id: asText(o.get("id"), `${at}.id`),
          vote: asUint(o.get("vote"), `${at}.vote`),
          propose: asUint(o.get("propose"), `${at}.propose`),
        };
      }),
    },
    ordering: asText(f.get("ordering"), "genesis.ordering"),
    policy: asText(f.get("policy"), "genesis.policy"),
    engines: list(f.get("engines"), "genesis.engines", asText),
    params: ledgerParamsFromCbor(f.get("params"), "genesis.params"),
    ...(f.has("policyParams")
      ? { policyParams: policyParamsFromCbor(f.get("policyParams"), "genesis.policyParams") }
      : {}),
    ...(f.has("governance")
      ? { governance: constitutionFromCbor(f.get("governance"), "genesis.governance") }
      : {}),
  };
  validateGenesis(genesis as GenesisDocument);
  return genesis as GenesisDocument;
}

/** @throws HanseError `FIELD_INVALID` naming the field. */
function policyParamsFromCbor(value: CborValue | undefined, field: string) {
  const map = asMap(value, field);
  return Object.fromEntries([...map].map(([name, n]) => [name, asUint(n, `${field}.${name}`)]));
}

/** The ledger's id: the domain hash of the encoded document. */
export function ledgerIdOf(genesis: GenesisDocument): Hash {
  return hashWithDomain(DOMAINS.genesis, encodeGenesis(genesis));
}

/** The set that validates from height 1. */
export function genesisValidatorSet(genesis: GenesisDocument): ValidatorSet {
  const nodes = new Map(genesis.nodes.map((node) => [node.id, node]));
  return createValidatorSet(
    genesis.validators.members.map(({ id, vote, propose }) => {
      const node = nodes.get(id);
      if (node === undefined) {
        const message = `genesis.validators: ${id} is not a node of the document`;
        throw new HanseError("GENESIS_INVALID", "malformed", message);
      }
      return { id, org: node.org, key: node.key, vote, propose };
    }),
    genesis.validators.quorum,
  );
}

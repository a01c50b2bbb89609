/** The genesis document as JSON, the form that people read and pass on (spec/genesis.md). */
import { fromHex, toHex } from "../encoding/bytes.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { HASH_BYTES } from "../hash/domain.ts";
import { publicKeyFromText, publicKeyToText } from "../keys/key-text.ts";
import {
  CONSTITUTION_FIELDS,
  type Constitution,
  type EvidenceConsequence,
  type Fraction,
} from "./constitution.ts";
import { GENESIS_FIELDS, type GenesisDocument, unknownField } from "./genesis-document.ts";
import { validateGenesis } from "./genesis-rules.ts";
import { DEFAULT_LEDGER_PARAMS, type LedgerParams } from "./parameters.ts";

function wrong(field: string, expected: string): never {
  throw new HanseError("GENESIS_INVALID", "malformed", `${field}: expected ${expected}`, {
    details: { field },
  });
}

type Json = unknown;

/** A JSON object with exactly the known fields, but for those that may be absent. */
function readObject(
  value: Json,
  at: string,
  known: readonly string[],
  absent: readonly string[] = [],
): Record<string, Json> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) wrong(at, "an object");
  const object = value as Record<string, Json>;
  for (const name of Object.keys(object)) {
    if (!known.includes(name)) throw unknownField(at, name, known);
  }
  for (const name of known) {
    if (!Object.hasOwn(object, name) && !absent.includes(name)) wrong(`${at}.${name}`, "a value");
  }
  return object;
}

function readList<T>(value: Json, at: string, read: (item: Json, at: string) => T): T[] {
  if (!Array.isArray(value)) wrong(at, "a list");
  return value.map((item, i) => read(item, `${at}[${i}]`));
}

function readText(value: Json, at: string): string {
  if (typeof value !== "string") wrong(at, "a text");
  return value;
}

function readInteger(value: Json, at: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) wrong(at, "an unsigned integer");
  return value as number;
}

function readHash(value: Json, at: string) {
  const text = readText(value, at);
  if (text.length !== 2 * HASH_BYTES || !/^[0-9a-f]*$/.test(text)) {
    wrong(at, `${2 * HASH_BYTES} lower-case hex digits`);
  }
  return fromHex(text);
}

function readIntegers(value: Json): Readonly<Record<string, number>> {
  const at = "genesis.policyParams";
  if (typeof value !== "object" || value === null || Array.isArray(value)) wrong(at, "an object");
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, readInteger(item, `${at}.${name}`)]),
  );
}

/** Its form is checked with the document. */
function readConstitution(value: Json): Constitution {
  const at = "genesis.governance";
  const f = readObject(value, at, CONSTITUTION_FIELDS);
  const fraction = (name: keyof Constitution): Fraction => {
    const [above, of, ...rest] = readList(f[name], `${at}.${name}`, readInteger);
    if (above === undefined || of === undefined || rest.length > 0) {
      wrong(`${at}.${name}`, "[numerator, denominator]");
    }
    return [above, of];
  };
  return {
    approveAbove: fraction("approveAbove"),
    switchAbove: fraction("switchAbove"),
    emergencyAbove: fraction("emergencyAbove"),
    proposalBlocks: readInteger(f.proposalBlocks, `${at}.proposalBlocks`),
    readinessBlocks: readInteger(f.readinessBlocks, `${at}.readinessBlocks`),
    evidence: readText(f.evidence, `${at}.evidence`) as EvidenceConsequence,
  };
}

/** A plain object for JSON.stringify: bytes in hex, keys as `algorithm:hex`. */
export function genesisToJson(genesis: GenesisDocument): Record<string, unknown> {
  return {
    version: genesis.version,
    network: genesis.network,
    ledger: genesis.ledger,
    time: genesis.time,
    organizations: genesis.organizations.map(({ id, name }) => ({ id, name })),
    nodes: genesis.nodes.map(({ id, org, key, tlsFingerprint }) => ({
      id,
      org,
      key: publicKeyToText(key),
      tlsFingerprint: toHex(tlsFingerprint),
    })),
    accounts: genesis.accounts.map(({ name, org, key, roles }) => ({
      name,
      org,
      key: publicKeyToText(key),
      roles: [...roles],
    })),
    validators: {
      quorum: genesis.validators.quorum,
      members: genesis.validators.members.map(({ id, vote, propose }) => ({ id, vote, propose })),
    },
    ordering: genesis.ordering,
    policy: genesis.policy,
    engines: [...genesis.engines],
    params: { ...genesis.params },
    ...(genesis.policyParams === undefined ? {} : { policyParams: { ...genesis.policyParams } }),
    ...(genesis.governance === undefined ? {} : { governance: { ...genesis.governance } }),
  };
}

/**
 * The document of a parsed JSON value.
 * @throws HanseError `GENESIS_INVALID`, `GENESIS_UNKNOWN_FIELD` (with the nearest known field) or
 * `KEY_TEXT` naming the field.
 */
export function genesisFromJson(value: unknown): GenesisDocument {
  const f = readObject(value, "genesis", GENESIS_FIELDS.document, ["policyParams", "governance"]);
  const validators = readObject(f.validators, "genesis.validators", GENESIS_FIELDS.validators);
  const names = Object.keys(DEFAULT_LEDGER_PARAMS) as (keyof LedgerParams)[];
  const params = readObject(f.params, "genesis.params", names);
  const genesis = {
    version: readInteger(f.version, "genesis.version"),
    network: readText(f.network, "genesis.network"),
    ledger: readText(f.ledger, "genesis.ledger"),
    time: readInteger(f.time, "genesis.time"),
    organizations: readList(f.organizations, "genesis.organizations", (item, at) => {
      const o = readObject(item, at, GENESIS_FIELDS.organization);
      return { id: readText(o.id, `${at}.id`), name: readText(o.name, `${at}.name`) };
    }),
    nodes: readList(f.nodes, "genesis.nodes", (item, at) => {
      const o = readObject(item, at, GENESIS_FIELDS.node);
      return {
        id: readText(o.id, `${at}.id`),
        org: readText(o.org, `${at}.org`),
        key: publicKeyFromText(o.key, `${at}.key`),
        tlsFingerprint: readHash(o.tlsFingerprint, `${at}.tlsFingerprint`),
      };
    }),
    accounts: readList(f.accounts, "genesis.accounts", (item, at) => {
      const o = readObject(item, at, GENESIS_FIELDS.account);
      return {
        name: readText(o.name, `${at}.name`),
        org: readText(o.org, `${at}.org`),
        key: publicKeyFromText(o.key, `${at}.key`),
        roles: readList(o.roles, `${at}.roles`, readText),
      };
    }),
    validators: {
      quorum: readText(validators.quorum, "genesis.validators.quorum"),
      members: readList(validators.members, "genesis.validators.members", (item, at) => {
        const o = readObject(item, at, GENESIS_FIELDS.validator);
        return {
          id: readText(o.id, `${at}.id`),
          vote: readInteger(o.vote, `${at}.vote`),
          propose: readInteger(o.propose, `${at}.propose`),
        };
      }),
    },
    ordering: readText(f.ordering, "genesis.ordering"),
    policy: readText(f.policy, "genesis.policy"),
    engines: readList(f.engines, "genesis.engines", readText),
    params: Object.fromEntries(
      names.map((name) => [name, readInteger(params[name], `genesis.params.${name}`)]),
    ) as unknown as LedgerParams,
    ...(f.policyParams === undefined ? {} : { policyParams: readIntegers(f.policyParams) }),
    ...(f.governance === undefined ? {} : { governance: readConstitution(f.governance) }),
  } as GenesisDocument;
  validateGenesis(genesis);
  return genesis;
}

/** JSON text of a genesis file, with a final line break. */
export function encodeGenesisFile(genesis: GenesisDocument): string {
  return `${JSON.stringify(genesisToJson(genesis), null, 2)}\n`;
}

/** @throws HanseError as `genesisFromJson`, and `GENESIS_INVALID` when the text is not JSON. */
export function decodeGenesisFile(text: string): GenesisDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new HanseError("GENESIS_INVALID", "malformed", "genesis: the file is not JSON", {
      cause,
    });
  }
  return genesisFromJson(value);
}

/** What a genesis document must satisfy; the first breach is named with its place and remedy. */
import { VALIDATORS_MAX, VOTE_WEIGHT_MAX } from "../block/validator-set.ts";
import { toHex } from "../encoding/bytes.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { HASH_BYTES } from "../hash/domain.ts";
import { PUBLIC_KEY_BYTES, type PublicKey } from "../keys/algorithms.ts";
import { publicKeyToText } from "../keys/key-text.ts";
import { validateConstitution } from "./constitution.ts";
import { GENESIS_ORDERINGS, GENESIS_POLICIES, type GenesisDocument } from "./genesis-document.ts";
import { paramsFault } from "./parameters.ts";

/** Entries of each list of a genesis document. */
export const GENESIS_LIST_MAX = 100_000;
export const ROLES_MAX = 64;
/** Parameters of a policy; which there are is the policy's to say. */
export const POLICY_PARAMS_MAX = 64;

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const ROLE = /^[a-z][a-z0-9_.:-]{0,62}$/;
const ENGINE = /^[a-z][a-z0-9-]{0,31}$/;

function invalid(field: string, expected: string): never {
  throw new HanseError("GENESIS_INVALID", "malformed", `genesis.${field}: ${expected}`, {
    details: { field: `genesis.${field}` },
  });
}

function requireName(field: string, text: string, pattern: RegExp = NAME): void {
  if (!pattern.test(text)) {
    const found = JSON.stringify(text.slice(0, 80));
    invalid(field, `expected a name like ${pattern.source.slice(1, -1)}, found ${found}`);
  }
}

/** Text for people: no control characters, no space around it. */
function requireTitle(field: string, text: string, lengthMax: number): void {
  if (text.length === 0 || text.length > lengthMax || !text.isWellFormed()) {
    invalid(field, `expected 1 to ${lengthMax} characters`);
  }
  if (text.trim() !== text || /\p{Cc}/u.test(text)) {
    invalid(field, "no control characters and no space at its ends");
  }
}

function requireCount(field: string, list: readonly unknown[], least: number, most: number): void {
  if (list.length < least || list.length > most) {
    invalid(field, `expected ${least} to ${most} entries, found ${list.length}`);
  }
}

/** Remembers values and refuses one that comes twice. */
class Unique {
  readonly #places = new Map<string, string>();

  add(field: string, value: string, what: string): void {
    const first = this.#places.get(value);
    if (first !== undefined) invalid(field, `${what} is already used at genesis.${first}`);
    this.#places.set(value, field);
  }

  has(value: string): boolean {
    return this.#places.has(value);
  }
}

function requireKey(field: string, key: PublicKey): void {
  if (key.bytes.length !== PUBLIC_KEY_BYTES[key.algorithm]) {
    invalid(field, `expected ${PUBLIC_KEY_BYTES[key.algorithm]} bytes for ${key.algorithm}`);
  }
}

/**
 * Checks a whole document.
 * @throws HanseError `GENESIS_INVALID` naming the field and what it should be.
 */
export function validateGenesis(genesis: GenesisDocument): void {
  if (genesis.version !== 1) invalid("version", "only version 1 is known here");
  requireName("network", genesis.network);
  requireName("ledger", genesis.ledger);
  if (!Number.isSafeInteger(genesis.time) || genesis.time < 0) {
    invalid("time", "expected milliseconds since 1970");
  }

  requireCount("organizations", genesis.organizations, 1, GENESIS_LIST_MAX);
  const orgs = new Unique();
  for (const [i, org] of genesis.organizations.entries()) {
    requireName(`organizations[${i}].id`, org.id);
    requireTitle(`organizations[${i}].name`, org.name, 200);
    orgs.add(`organizations[${i}].id`, org.id, org.id);
  }
  const requireOrg = (field: string, org: string) => {
    if (!orgs.has(org)) invalid(field, `there is no organization ${JSON.stringify(org)}`);
  };

  requireCount("nodes", genesis.nodes, 1, GENESIS_LIST_MAX);
  const nodes = new Unique();
  const nodeKeys = new Unique();
  const fingerprints = new Unique();
  for (const [i, node] of genesis.nodes.entries()) {
    const at = `nodes[${i}]`;
    requireOrg(`${at}.org`, node.org);
    if (!node.id.startsWith(`${node.org}/`)) {
      invalid(`${at}.id`, `expected ${node.org}/ and the node's name`);
    }
    requireName(`${at}.id`, node.id.slice(node.org.length + 1));
    nodes.add(`${at}.id`, node.id, node.id);
    if (node.key.algorithm !== "ed25519") invalid(`${at}.key`, "expected an ed25519 key");
    requireKey(`${at}.key`, node.key);
    nodeKeys.add(`${at}.key`, publicKeyToText(node.key), "this key");
    if (node.tlsFingerprint.length !== HASH_BYTES) {
      invalid(`${at}.tlsFingerprint`, "expected 32 bytes");
    }
    fingerprints.add(`${at}.tlsFingerprint`, toHex(node.tlsFingerprint), "this fingerprint");
  }

  requireCount("accounts", genesis.accounts, 0, GENESIS_LIST_MAX);
  const accounts = new Unique();
  const accountKeys = new Unique();
  for (const [i, account] of genesis.accounts.entries()) {
    const at = `accounts[${i}]`;
    requireTitle(`${at}.name`, account.name, 100);
    requireOrg(`${at}.org`, account.org);
    accounts.add(
      `${at}.name`,
      `${account.org}/${account.name}`,
      `${account.name} of ${account.org}`,
    );
    requireKey(`${at}.key`, account.key);
    accountKeys.add(`${at}.key`, publicKeyToText(account.key), "this key");
    requireCount(`${at}.roles`, account.roles, 0, ROLES_MAX);
    const roles = new Unique();
    for (const [j, role] of account.roles.entries()) {
      requireName(`${at}.roles[${j}]`, role, ROLE);
      roles.add(`${at}.roles[${j}]`, role, role);
    }
  }

  const { quorum, members } = genesis.validators;
  if (quorum !== "byzantine" && quorum !== "crash") {
    invalid("validators.quorum", "expected byzantine or crash");
  }
  requireCount("validators.members", members, 1, VALIDATORS_MAX);
  const validators = new Unique();
  const requireWeight = (field: string, weight: number, least: number) => {
    if (!Number.isSafeInteger(weight) || weight < least || weight > VOTE_WEIGHT_MAX) {
      invalid(field, `expected an integer from ${least} to ${VOTE_WEIGHT_MAX}`);
    }
  };
  for (const [i, member] of members.entries()) {
    const at = `validators.members[${i}]`;
    if (!nodes.has(member.id)) {
      invalid(`${at}.id`, `there is no node ${JSON.stringify(member.id)}`);
    }
    validators.add(`${at}.id`, member.id, member.id);
    requireWeight(`${at}.vote`, member.vote, 1);
    requireWeight(`${at}.propose`, member.propose, 0);
  }
  if (members.every((member) => member.propose === 0)) {
    invalid("validators.members", "at least one member must have a propose weight above 0");
  }

  if (!GENESIS_ORDERINGS.includes(genesis.ordering)) {
    invalid("ordering", `expected ${GENESIS_ORDERINGS.join(" or ")}`);
  }
  if (genesis.ordering === "cometbft" && quorum !== "byzantine") {
    invalid("validators.quorum", "expected byzantine, the only rule that CometBFT has");
  }
  if (genesis.ordering === "etcd" && quorum !== "crash") {
    invalid("validators.quorum", "expected crash: whoever runs etcd is trusted to order");
  }
  if (!GENESIS_POLICIES.includes(genesis.policy)) {
    invalid("policy", `expected ${GENESIS_POLICIES.join(" or ")}`);
  }
  const policyParams = Object.entries(genesis.policyParams ?? {});
  requireCount("policyParams", policyParams, 0, POLICY_PARAMS_MAX);
  for (const [name, value] of policyParams) {
    if (!Number.isSafeInteger(value) || value < 0) {
      invalid(`policyParams.${name.slice(0, 64)}`, "expected an unsigned integer");
    }
  }
  requireCount("engines", genesis.engines, 1, 32);
  const engines = new Unique();
  for (const [i, engine] of genesis.engines.entries()) {
    requireName(`engines[${i}]`, engine, ENGINE);
    engines.add(`engines[${i}]`, engine, engine);
  }
  const breach = paramsFault(genesis.params);
  if (breach !== undefined) invalid(`params.${breach.name}`, breach.expected);
  if (genesis.governance !== undefined) {
    validateConstitution(genesis.governance, "genesis.governance");
  }
}

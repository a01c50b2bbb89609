/** What can be proposed: each kind of content, its form and its bounds. */
import { createPolicy, type EngineKind, type PolicyKind, type PolicyParams } from "@hanse/ordering";
import {
  type CborValue,
  CONSTITUTION_FIELDS,
  type Constitution,
  constitutionFromCbor,
  constitutionToCbor,
  DEFAULT_LEDGER_PARAMS,
  GENESIS_POLICIES,
  HanseError,
  type LedgerParams,
  nearestName,
  type PublicKey,
  paramsFault,
  publicKeyFromText,
  type QuorumRule,
  VOTE_WEIGHT_MAX,
} from "@hanse/protocol";

/** Members that one proposal may change. */
export const CHANGES_MAX = 64;
/** Above what any frame between nodes carries a ledger could not go on. */
export const BLOCK_BYTES_CEILING = 8 * 1024 * 1024;
const ENGINES: readonly EngineKind[] = ["builtin", "cometbft", "etcd"];

export interface MemberWeights {
  readonly id: string;
  readonly vote: number;
  readonly propose: number;
}

export type ProposalContent =
  | { readonly kind: "member.add"; readonly member: MemberWeights; readonly at?: number }
  | { readonly kind: "member.remove"; readonly ids: readonly string[]; readonly at?: number }
  | {
      readonly kind: "member.weights";
      readonly members: readonly MemberWeights[];
      readonly at?: number;
    }
  | { readonly kind: "member.keyRotate"; readonly id: string; readonly key: PublicKey }
  | { readonly kind: "emergency.remove"; readonly ids: readonly string[] }
  | { readonly kind: "params.change"; readonly params: Partial<LedgerParams> }
  | { readonly kind: "constitution.change"; readonly fields: Partial<Constitution> }
  | {
      readonly kind: "policy.change";
      readonly policy: PolicyKind;
      readonly params: PolicyParams;
      readonly at?: number;
    }
  | {
      readonly kind: "engine.switch";
      readonly engine: EngineKind;
      readonly quorum: QuorumRule;
      readonly policy: PolicyKind;
      readonly params: PolicyParams;
      readonly at?: number;
    };

export type ProposalKind = ProposalContent["kind"];

/** Fields of each kind's content; those with `?` may be absent. */
export const PROPOSAL_FIELDS: Readonly<Record<ProposalKind, readonly string[]>> = {
  "member.add": ["id", "vote", "propose", "at?"],
  "member.remove": ["ids", "at?"],
  "member.weights": ["members", "at?"],
  "member.keyRotate": ["id", "key"],
  "emergency.remove": ["ids"],
  "params.change": ["params"],
  "constitution.change": ["constitution"],
  "policy.change": ["policy", "params?", "at?"],
  "engine.switch": ["engine", "quorum", "policy", "params?", "at?"],
};

export const PROPOSAL_KINDS = Object.keys(PROPOSAL_FIELDS) as readonly ProposalKind[];

function invalid(field: string, expected: string): never {
  throw new HanseError(
    "GOVERNANCE_CONTENT",
    "malformed",
    `content.${field}: expected ${expected}`,
    {
      details: { field: `content.${field}`, expected },
    },
  );
}

type Json = Readonly<Record<string, unknown>>;

function readObject(value: unknown, field: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  return invalid(field, "an object");
}

function readUint(value: unknown, field: string, least: number, most: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) {
    return value as number;
  }
  return invalid(field, `an integer from ${least} to ${most}`);
}

function readId(value: unknown, field: string): string {
  if (typeof value === "string" && value.length > 0 && value.length <= 127) return value;
  return invalid(field, "the id of a node, organization/name");
}

function readChoice<T extends string>(value: unknown, field: string, known: readonly T[]): T {
  if (known.includes(value as T)) return value as T;
  const near = typeof value === "string" ? nearestName(value, known) : undefined;
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return invalid(field, `one of ${known.join(", ")}${hint}`);
}

function readIds(value: unknown, field: string): readonly string[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > CHANGES_MAX) {
    return invalid(field, `1 to ${CHANGES_MAX} ids of nodes`);
  }
  const ids = value.map((item, i) => readId(item, `${field}[${i}]`));
  if (new Set(ids).size !== ids.length) invalid(field, "each node once");
  return ids;
}

function readMember(value: Json, field: string): MemberWeights {
  return {
    id: readId(value.id, `${field}id`),
    vote: readUint(value.vote, `${field}vote`, 1, VOTE_WEIGHT_MAX),
    propose: readUint(value.propose, `${field}propose`, 0, VOTE_WEIGHT_MAX),
  };
}

function readMembers(value: unknown): readonly MemberWeights[] {
  if (!Array.isArray(value)) return invalid("members", "a list of {id, vote, propose}");
  const members = value.map((item, i) => {
    const member = readObject(item, `members[${i}]`);
    readFields(member, ["id", "vote", "propose"], `members[${i}].`);
    return readMember(member, `members[${i}].`);
  });
  readIds(
    members.map(({ id }) => id),
    "members",
  );
  return members;
}

function readFields(value: Json, fields: readonly string[], prefix = ""): void {
  const known = fields.map((name) => name.replace("?", ""));
  for (const name of Object.keys(value)) {
    if (known.includes(name)) continue;
    const near = nearestName(name, known);
    invalid(
      `${prefix}${name.slice(0, 64)}`,
      near === undefined ? `no such field; known: ${known.join(", ")}` : `the field ${near}`,
    );
  }
  for (const name of fields) {
    if (!name.endsWith("?") && value[name] === undefined) invalid(`${prefix}${name}`, "a value");
  }
}

/** Some of the ledger's limits, each in its bounds by itself. */
function readLimits(value: unknown): Partial<LedgerParams> {
  const given = readObject(value, "params");
  const known = Object.keys(DEFAULT_LEDGER_PARAMS);
  const limits: Record<string, number> = {};
  for (const [name, item] of Object.entries(given)) {
    if (!known.includes(name)) {
      invalid(
        `params.${name.slice(0, 64)}`,
        `the name of a limit: ${nearestName(name, known) ?? known.join(", ")}`,
      );
    }
    const most = name === "blockBytesMax" ? BLOCK_BYTES_CEILING : Number.MAX_SAFE_INTEGER;
    limits[name] = readUint(item, `params.${name}`, name === "blockIntervalMsMin" ? 0 : 1, most);
  }
  if (Object.keys(limits).length === 0) invalid("params", "one limit or more");
  return limits as Partial<LedgerParams>;
}

/** Whether changed limits fit one another. @throws HanseError `GOVERNANCE_CONTENT` */
export function mergeLimits(now: LedgerParams, change: Partial<LedgerParams>): LedgerParams {
  const params = { ...now, ...change };
  const fault = paramsFault(params);
  if (fault !== undefined) invalid(`params.${fault.name}`, fault.expected.replace("expected ", ""));
  return params;
}

function readConstitution(value: unknown): Partial<Constitution> {
  const fields = readObject(value, "constitution");
  readFields(
    fields,
    CONSTITUTION_FIELDS.map((name) => `${name}?`),
    "constitution.",
  );
  if (Object.keys(fields).length === 0) invalid("constitution", "one field or more");
  return fields as Partial<Constitution>;
}

/** @throws HanseError `CONSTITUTION_INVALID` or `FIELD_INVALID` naming the field. */
export function mergeConstitution(now: Constitution, change: Partial<Constitution>): Constitution {
  const fields = constitutionToCbor(now) as Map<string, CborValue>;
  for (const [name, value] of Object.entries(change)) fields.set(name, value as CborValue);
  return constitutionFromCbor(fields, "content.constitution");
}

function readPolicyParams(policy: PolicyKind, value: unknown): PolicyParams {
  const given = value === undefined ? {} : readObject(value, "params");
  const params: Record<string, number> = {};
  for (const [name, item] of Object.entries(given)) {
    params[name] = readUint(item, `params.${name.slice(0, 64)}`, 0, Number.MAX_SAFE_INTEGER);
  }
  // Names and bounds are the policy's own to check.
  createPolicy(policy, params);
  return params;
}

/**
 * Reads the content of a proposal, a plain JSON object.
 * @throws HanseError `GOVERNANCE_CONTENT`, `POLICY_PARAMS_INVALID`, `KEY_TEXT`,
 * `CONSTITUTION_INVALID` naming the field.
 */
export function readContent(kind: ProposalKind, value: unknown): ProposalContent {
  const content = readObject(value, "");
  readFields(content, PROPOSAL_FIELDS[kind]);
  const at =
    content.at === undefined ? {} : { at: readUint(content.at, "at", 1, Number.MAX_SAFE_INTEGER) };
  switch (kind) {
    case "member.add":
      return { kind, member: readMember(content, ""), ...at };
    case "member.remove":
      return { kind, ids: readIds(content.ids, "ids"), ...at };
    case "member.weights":
      return { kind, members: readMembers(content.members), ...at };
    case "member.keyRotate":
      return {
        kind,
        id: readId(content.id, "id"),
        key: publicKeyFromText(content.key, "content.key"),
      };
    case "emergency.remove":
      return { kind, ids: readIds(content.ids, "ids") };
    case "params.change":
      return { kind, params: readLimits(content.params) };
    case "constitution.change":
      return { kind, fields: readConstitution(content.constitution) };
    case "policy.change":
    case "engine.switch": {
      const policy = readChoice(content.policy, "policy", GENESIS_POLICIES);
      const params = readPolicyParams(policy, content.params);
      if (kind === "policy.change") return { kind, policy, params, ...at };
      return {
        kind,
        engine: readChoice(content.engine, "engine", ENGINES),
        quorum: readChoice(content.quorum, "quorum", ["byzantine", "crash"] as const),
        policy,
        params,
        ...at,
      };
    }
  }
}

/** Module `governance`: organizations decide together who validates, by which limits, and how. */
import { ADMIN_ROLE, requireNode } from "@hanse/identity";
import type { Sender } from "@hanse/ledger";
import {
  HanseError,
  publicKeyToText,
  SIGNATURE_BYTES,
  toHex,
  verifySignature,
} from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import { bytes, optional, publicKey, text, texts, uint } from "../engine/arguments.ts";
import { inputCount, inputText } from "../engine/inputs.ts";
import {
  type ActionContext,
  defineAction,
  type NativeModule,
  type PlainValue,
} from "../engine/native-engine.ts";
import { readQueue } from "./change-queue.ts";
import { carryOut, removedBy, requirePossible } from "./decisions.ts";
import { listEvidence } from "./evidence-record.ts";
import {
  PROPOSAL_KINDS,
  type ProposalContent,
  type ProposalKind,
  readContent,
} from "./proposal-content.ts";
import {
  addProposal,
  closeProposal,
  describeProposal,
  electorate,
  listProposals,
  type Proposal,
  type ProposalStatus,
  requireOpen,
  requireProposal,
  setApprovals,
  supportOf,
} from "./proposals.ts";
import { listReadiness, putReadiness, readinessMessage } from "./readiness.ts";
import { readRules } from "./rules.ts";
import { describeSet, listValidatorSets, newestSet, validatorSetAt } from "./validator-sets.ts";

const NODE_ID_MAX = 127;
const VERSION_MAX = 64;
/** Names of engines in a proof of readiness, and characters of each. */
const ENGINES_MAX = 8;
const ENGINE_NAME_MAX = 32;
const CONTENT_MAX = 16 * 1024;
const FUEL_DECIDE = 10_000;
const PAGE_MAX = 1_000;

/**
 * Who speaks for an organization that decides: its administrators.
 * @throws HanseError `GOVERNANCE_DENIED`
 */
function requireGovernor(sender: Sender, state: StateView): void {
  const reason = !sender.roles.includes(ADMIN_ROLE)
    ? `only an account with the role "${ADMIN_ROLE}" speaks for ${sender.org}`
    : electorate(newestSet(state).set).includes(sender.org)
      ? undefined
      : `${sender.org} has no validator, so it has no say: ask an organization that has one`;
  if (reason === undefined) return;
  throw new HanseError("GOVERNANCE_DENIED", "denied", reason, { details: { org: sender.org } });
}

function parseContent(kind: string, json: string): ProposalContent {
  if (!(PROPOSAL_KINDS as readonly string[]).includes(kind)) {
    throw new HanseError(
      "GOVERNANCE_CONTENT",
      "malformed",
      `kind: expected one of ${PROPOSAL_KINDS.join(", ")}`,
      { details: { field: "kind" } },
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new HanseError("GOVERNANCE_CONTENT", "malformed", "content: expected a JSON object", {
      cause,
      details: { field: "content" },
    });
  }
  return readContent(kind as ProposalKind, value);
}

/** Adds an organization's approval, and carries the proposal out if that is enough. */
function approve(proposal: Proposal, context: ActionContext): PlainValue {
  const { sender, state, emit, block } = context;
  const approved = setApprovals(state, proposal, [...proposal.approvals, sender.org]);
  const content = readContent(approved.kind, JSON.parse(approved.content));
  const { set } = newestSet(state);
  const { constitution } = readRules(state);
  const support = supportOf(approved, removedBy(content), set, constitution);
  emit("approved", { id: approved.id, org: sender.org, approvals: approved.approvals });
  if (!support.enough) return { ...describeProposal(approved, block.height), executed: false };
  carryOut(content, approved.id, state, block.height);
  const done = closeProposal(state, approved, "executed", block.height);
  const shown = describeProposal(done, block.height);
  emit("executed", shown);
  return { ...shown, executed: true };
}

const propose = defineAction({
  fields: { kind: text(64), content: text(CONTENT_MAX) },
  fuel: FUEL_DECIDE,
  check({ kind, content }, sender, state) {
    requireGovernor(sender, state);
    requirePossible(parseContent(kind, content), state);
  },
  run({ kind, content }, context) {
    const { sender, state, emit, block } = context;
    const proposal = addProposal(state, {
      kind: parseContent(kind, content).kind,
      content: JSON.parse(content),
      org: sender.org,
      account: sender.accountId,
      proposedAt: block.height,
      expiresAt: block.height + readRules(state).constitution.proposalBlocks,
    });
    emit("proposed", describeProposal(proposal, block.height));
    return approve(proposal, context);
  },
});

const approveAction = defineAction({
  fields: { proposal: uint() },
  fuel: FUEL_DECIDE,
  check({ proposal }, sender, state) {
    requireGovernor(sender, state);
    requireProposal(state, proposal);
  },
  run(args, context) {
    const { sender, state, block } = context;
    const proposal = requireProposal(state, args.proposal);
    requireOpen(proposal, block.height);
    if (proposal.approvals.includes(sender.org)) {
      throw new HanseError(
        "GOVERNANCE_APPROVED",
        "conflict",
        `proposal: ${sender.org} has approved ${proposal.id} already`,
      );
    }
    return approve(proposal, context);
  },
});

/** The proposing organization takes back the proposal, any other its approval. */
const withdraw = defineAction({
  fields: { proposal: uint() },
  fuel: FUEL_DECIDE,
  check({ proposal }, sender, state) {
    requireGovernor(sender, state);
    requireProposal(state, proposal);
  },
  run(args, { sender, state, emit, block }) {
    const proposal = requireProposal(state, args.proposal);
    requireOpen(proposal, block.height);
    if (proposal.org === sender.org) {
      const closed = closeProposal(state, proposal, "withdrawn", block.height);
      emit("withdrawn", { id: proposal.id, org: sender.org });
      return describeProposal(closed, block.height);
    }
    if (!proposal.approvals.includes(sender.org)) {
      throw new HanseError(
        "GOVERNANCE_NOT_APPROVED",
        "conflict",
        `proposal: ${sender.org} has not approved ${proposal.id}`,
      );
    }
    const rest = proposal.approvals.filter((org) => org !== sender.org);
    emit("withdrawn", { id: proposal.id, org: sender.org });
    return describeProposal(setApprovals(state, proposal, rest), block.height);
  },
});

const readiness = defineAction({
  fields: {
    node: text(NODE_ID_MAX),
    key: publicKey(),
    version: text(VERSION_MAX),
    height: uint(),
    engines: optional(texts(ENGINES_MAX, ENGINE_NAME_MAX)),
    signature: bytes(SIGNATURE_BYTES, SIGNATURE_BYTES),
  },
  fuel: FUEL_DECIDE,
  check({ node }, sender, state) {
    const { org } = requireNode(state, node);
    if (org === sender.org) return;
    throw new HanseError(
      "GOVERNANCE_DENIED",
      "denied",
      `node: ${node} belongs to ${org}: an account of ${org} must bring its proof`,
      { details: { org } },
    );
  },
  run(args, { sender, state, emit, block }) {
    const { node, key, version, height, engines = [] } = args;
    const subject = { node, key, version, height, engines };
    const { readinessBlocks } = readRules(state).constitution;
    if (args.height > block.height || args.height + readinessBlocks < block.height) {
      throw new HanseError(
        "GOVERNANCE_READINESS",
        "rejected",
        `height: ${args.height} is not among the last ${readinessBlocks} blocks before ${block.height}: sign anew`,
      );
    }
    if (!verifySignature(key, readinessMessage(block.ledgerId, subject), args.signature)) {
      throw new HanseError(
        "GOVERNANCE_READINESS",
        "rejected",
        "signature: it is not this key's over ledger, node, key, version, height and engines",
      );
    }
    putReadiness(state, { ...subject, account: sender.accountId });
    emit("ready", { node, key: publicKeyToText(key), version, height, engines });
    return null;
  },
});

const STATUSES: readonly string[] = ["open", "executed", "withdrawn"];

function showSet(from: number, set: Parameters<typeof describeSet>[0]) {
  return { from, hash: toHex(set.hash), ...describeSet(set) };
}

export function createGovernanceModule(): NativeModule {
  return {
    name: "governance",
    actions: { propose, approve: approveAction, withdraw, readiness },
    queries: {
      /** `{height?}`: the set in force at it, and the one decided last. */
      set(input, _caller, state, block) {
        const at = inputCount(input, "height", block.height + 1, Number.MAX_SAFE_INTEGER);
        const now = validatorSetAt(state, Math.max(1, at));
        const decided = newestSet(state);
        return { now: showSet(now.from, now.set), decided: showSet(decided.from, decided.set) };
      },
      /** `{limit?, offset?}`: every set, the newest first. */
      sets: (input, _caller, state) =>
        listValidatorSets(
          state,
          Math.max(1, inputCount(input, "limit", 20, PAGE_MAX)),
          inputCount(input, "offset", 0, 1_000_000),
        ).map(({ from, set }) => showSet(from, set)),
      /** Limits, constitution, and how the ledger is ordered; what is decided and still to come. */
      rules(_input, _caller, state) {
        const { params, constitution, barred, change, before: _, ...ordering } = readRules(state);
        return {
          params,
          constitution,
          barred,
          ordering,
          change: change ?? null,
          queue: readQueue(state).map(({ update, at, proposal }) => ({
            id: update.id,
            vote: update.vote,
            propose: update.propose,
            at,
            proposal,
          })),
        };
      },
      /** `{id}`, with the approvals that it needs. */
      proposal(input, _caller, state, block) {
        const proposal = requireProposal(
          state,
          inputCount(input, "id", 0, Number.MAX_SAFE_INTEGER),
        );
        const content = readContent(proposal.kind, JSON.parse(proposal.content));
        const { set } = newestSet(state);
        const { constitution } = readRules(state);
        const support = supportOf(proposal, removedBy(content), set, constitution);
        return { ...describeProposal(proposal, block.height), support };
      },
      /** `{status?, limit?, offset?}`, the newest first. */
      proposals(input, _caller, state, block) {
        const status = inputText(input, "status");
        if (status !== undefined && !STATUSES.includes(status)) {
          throw new HanseError(
            "MODULE_ARGUMENT",
            "malformed",
            `input.status: expected one of ${STATUSES.join(", ")}`,
            { details: { field: "status" } },
          );
        }
        const page = {
          limit: Math.max(1, inputCount(input, "limit", 50, PAGE_MAX)),
          offset: inputCount(input, "offset", 0, 1_000_000),
          ...(status === undefined ? {} : { status: status as ProposalStatus }),
        };
        return listProposals(state, page).map((item) => describeProposal(item, block.height));
      },
      /** The newest proof of each node. */
      readiness: (_input, _caller, state) =>
        listReadiness(state, PAGE_MAX).map(({ account: _, key, ...rest }) => ({
          ...rest,
          key: publicKeyToText(key),
        })),
      /** `{limit?, offset?}` */
      evidence: (input, _caller, state) =>
        listEvidence(
          state,
          Math.max(1, inputCount(input, "limit", 100, PAGE_MAX)),
          inputCount(input, "offset", 0, 1_000_000),
        ),
    },
  };
}

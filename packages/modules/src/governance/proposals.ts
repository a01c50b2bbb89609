/** Proposals as rows of the state, and when enough organizations stand behind one. */
import type { Height } from "@hanse/ordering";
import {
  type Constitution,
  type Fraction,
  HanseError,
  type Hash,
  isAbove,
  toHex,
  type ValidatorSet,
} from "@hanse/protocol";
import { canonicalJson, type Row, type StateOverlay, type StateView } from "@hanse/state";
import type { ProposalKind } from "./proposal-content.ts";
import { PROPOSALS } from "./tables.ts";

/** Open proposals of one organization at a time. */
export const OPEN_PER_ORGANIZATION_MAX = 16;

export type ProposalStatus = "open" | "executed" | "withdrawn";

export interface Proposal {
  readonly id: number;
  readonly kind: ProposalKind;
  /** JSON, canonical. */
  readonly content: string;
  readonly org: string;
  readonly account: Hash;
  /** Organizations, sorted. */
  readonly approvals: readonly string[];
  readonly status: ProposalStatus;
  readonly proposedAt: Height;
  readonly expiresAt: Height;
  readonly decidedAt: Height | undefined;
  readonly note: string;
}

function proposalFromRow(row: Row): Proposal {
  const [id, kind, content, org, account, approvals, status, proposed, expires, decided, note] =
    row.values;
  return {
    id: Number(id),
    kind: kind as ProposalKind,
    content: content as string,
    org: org as string,
    account: account as Hash,
    approvals: JSON.parse(approvals as string) as string[],
    status: status as ProposalStatus,
    proposedAt: Number(proposed),
    expiresAt: Number(expires),
    decidedAt: decided === null ? undefined : Number(decided),
    note: note as string,
  };
}

/** @throws HanseError `GOVERNANCE_NO_PROPOSAL` */
export function requireProposal(view: StateView, id: number): Proposal {
  const row = view.getRow(PROPOSALS, BigInt(id));
  if (row !== undefined) return proposalFromRow(row);
  throw new HanseError(
    "GOVERNANCE_NO_PROPOSAL",
    "notFound",
    `proposal: there is no proposal ${id}: list them with the query governance.proposals`,
  );
}

/** @throws HanseError `GOVERNANCE_CLOSED` when it is decided, withdrawn or expired. */
export function requireOpen(proposal: Proposal, height: Height): void {
  const { id, status, expiresAt } = proposal;
  if (status === "open" && height <= expiresAt) return;
  const what = status === "open" ? `expired after block ${expiresAt}` : `is ${status}`;
  throw new HanseError(
    "GOVERNANCE_CLOSED",
    "conflict",
    `proposal: ${id} ${what}: propose again what is still wanted`,
  );
}

export interface ProposalPage {
  readonly status?: ProposalStatus;
  readonly limit: number;
  readonly offset: number;
}

/** The newest first. */
export function listProposals(
  view: StateView,
  { status, limit, offset }: ProposalPage,
): Proposal[] {
  const where =
    status === undefined ? {} : { where: { op: "eq", column: "status", value: status } as const };
  const order = [{ column: "id", descending: true }];
  return view.find({ table: PROPOSALS, ...where, order, limit, offset }).map(proposalFromRow);
}

/** @throws HanseError `GOVERNANCE_TOO_MANY` when the organization has too many open ones. */
export function addProposal(
  overlay: StateOverlay,
  given: Pick<Proposal, "kind" | "org" | "account" | "proposedAt" | "expiresAt"> & {
    readonly content: unknown;
  },
): Proposal {
  const { kind, org, account, proposedAt, expiresAt } = given;
  const open = overlay.count({
    table: PROPOSALS,
    where: {
      op: "and",
      of: [
        { op: "eq", column: "org", value: org },
        { op: "eq", column: "status", value: "open" },
        { op: "ge", column: "expires_at", value: BigInt(proposedAt) },
      ],
    },
  });
  if (open >= OPEN_PER_ORGANIZATION_MAX) {
    throw new HanseError(
      "GOVERNANCE_TOO_MANY",
      "limit",
      `proposal: ${org} has ${open} open proposals, the most it may have: withdraw one first`,
    );
  }
  const id = overlay.nextId(PROPOSALS);
  const content = canonicalJson(JSON.stringify(given.content));
  overlay.insert(PROPOSALS, [
    id,
    kind,
    content,
    org,
    account,
    "[]",
    "open",
    BigInt(proposedAt),
    BigInt(expiresAt),
    null,
    "",
  ]);
  return requireProposal(overlay, Number(id));
}

export function setApprovals(
  overlay: StateOverlay,
  proposal: Proposal,
  orgs: readonly string[],
): Proposal {
  const approvals = [...new Set(orgs)].sort();
  overlay.update(PROPOSALS, BigInt(proposal.id), { approvals: JSON.stringify(approvals) });
  return { ...proposal, approvals };
}

export function closeProposal(
  overlay: StateOverlay,
  proposal: Proposal,
  status: Exclude<ProposalStatus, "open">,
  height: Height,
): Proposal {
  overlay.update(PROPOSALS, BigInt(proposal.id), { status, decided_at: BigInt(height) });
  return { ...proposal, status, decidedAt: height };
}

/** What became of a decision later on, in words. */
export function noteOnProposal(overlay: StateOverlay, id: number, note: string): void {
  overlay.update(PROPOSALS, BigInt(id), { note });
}

/** Those who decide: organizations with validators in the set that was decided last, sorted. */
export function electorate(set: ValidatorSet): readonly string[] {
  return [...new Set(set.members.map(({ org }) => org))].sort();
}

export interface Support {
  /** Organizations that may decide and have approved. */
  readonly approved: readonly string[];
  /** Organizations that may decide. */
  readonly of: readonly string[];
  readonly above: Fraction;
  readonly enough: boolean;
}

const SWITCHES: ReadonlySet<ProposalKind> = new Set([
  "policy.change",
  "engine.switch",
  "constitution.change",
]);

/**
 * Whether a proposal has the approvals that the constitution demands. An emergency removal is
 * decided by the others alone, who must still be more than `approveAbove` of all: else a few could
 * remove as many as they like.
 */
export function supportOf(
  proposal: Pick<Proposal, "kind" | "approvals">,
  removed: readonly string[],
  set: ValidatorSet,
  constitution: Constitution,
): Support {
  const all = electorate(set);
  const approving = all.filter((org) => proposal.approvals.includes(org));
  if (proposal.kind !== "emergency.remove") {
    const above = SWITCHES.has(proposal.kind)
      ? constitution.switchAbove
      : constitution.approveAbove;
    const enough = isAbove(approving.length, all.length, above);
    return { approved: approving, of: all, above, enough };
  }
  const accused = new Set(
    set.members.filter(({ id }) => removed.includes(id)).map(({ org }) => org),
  );
  const of = all.filter((org) => !accused.has(org));
  const approved = approving.filter((org) => !accused.has(org));
  const above = constitution.emergencyAbove;
  const enough =
    isAbove(approved.length, of.length, above) &&
    isAbove(approved.length, all.length, constitution.approveAbove);
  return { approved, of, above, enough };
}

/** As queries, results and events show it. */
export function describeProposal(proposal: Proposal, height: Height) {
  const { id, kind, content, org, account, approvals, status, note } = proposal;
  const { proposedAt, expiresAt, decidedAt } = proposal;
  const expired = status === "open" && height > expiresAt;
  return {
    id,
    kind,
    content: JSON.parse(content),
    org,
    account: toHex(account),
    approvals,
    status: expired ? "expired" : status,
    proposedAt,
    expiresAt,
    decidedAt: decidedAt ?? null,
    note,
  };
}

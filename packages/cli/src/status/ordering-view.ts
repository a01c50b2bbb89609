/** How a ledger is ordered at one moment: rules, members, the newest blocks and who signed them. */
import { createPolicy } from "@hanse/ordering";
import {
  type Bytes,
  bitmapToIndices,
  createValidatorSet,
  decodeBlock,
  decodeCertificate,
  HanseError,
  type KeyPair,
  publicKeyFromText,
  quorumWeight,
  totalWeight,
  type ValidatorSet,
} from "@hanse/protocol";
import {
  type ProposalView,
  type RulesView,
  readProposals,
  readRules,
  readSets,
  type SetView,
} from "../client/governance.ts";
import type { LedgerClient } from "../client/ledger-client.ts";
import { type Console, renderTable } from "../output/console.ts";

/** Newest blocks that are looked at. */
export const RECENT_BLOCKS = 8;
const PROPOSALS_SHOWN = 50;

export interface RecentBlock {
  readonly height: number;
  readonly proposer: string;
  readonly transactions: number;
  /** Attempts until it was final; unknown of engines other than the built-in one. */
  readonly views: number | undefined;
  readonly signers: number | undefined;
  /** Votes that the block above carries beyond those that made it final. */
  readonly lateVotes: number | undefined;
  readonly proofBytes: number;
}

export interface OrderingView {
  readonly rules: RulesView;
  readonly set: SetView;
  /** Decided and not in force yet. */
  readonly next: SetView | undefined;
  readonly votes: number;
  readonly quorum: number;
  /** Votes that may fail (crash) or lie (byzantine) without harm. */
  readonly tolerates: number;
  /** Height being decided, and the attempt. */
  readonly height: number;
  readonly view: number;
  readonly leader: string | undefined;
  readonly nextLeader: string | undefined;
  readonly stalledSince: number | undefined;
  readonly recent: readonly RecentBlock[];
  readonly proposals: readonly ProposalView[];
}

function setOf({ members, quorum }: SetView): ValidatorSet {
  const infos = members.map((member) => ({
    ...member,
    key: publicKeyFromText(member.key, `members.${member.id}.key`),
  }));
  return createValidatorSet(infos, quorum);
}

/** Undefined for the proof of another engine. */
function certificateFrom(bytes: Bytes) {
  try {
    const { view, signers } = decodeCertificate(bytes);
    return { views: view + 1, signers: bitmapToIndices(signers).length };
  } catch (error) {
    if (error instanceof HanseError) return undefined;
    throw error;
  }
}

async function readRecent(
  ledger: LedgerClient,
  caller: KeyPair,
  newest: number,
): Promise<RecentBlock[]> {
  const heights = Array.from({ length: Math.min(RECENT_BLOCKS, newest) }, (_, i) => newest - i);
  const blocks = await Promise.all(
    heights.map(async (height) => ({
      height,
      body: decodeBlock(await ledger.blockBody(height, caller)),
      proof: await ledger.blockProof(height),
    })),
  );
  return blocks.map(({ height, body, proof }, i) => {
    const certificate = certificateFrom(proof);
    const above = blocks[i - 1];
    const carried = above === undefined ? undefined : certificateFrom(above.body.lastCert);
    return {
      height,
      proposer: body.header.proposer,
      transactions: body.header.txCount,
      views: certificate?.views,
      signers: certificate?.signers,
      lateVotes:
        certificate === undefined || carried === undefined
          ? undefined
          : Math.max(0, carried.signers - certificate.signers),
      proofBytes: proof.length,
    };
  });
}

/** Who leads by the rota; time slots and other engines say it only afterwards. */
function leadersOf(rules: RulesView, set: ValidatorSet, height: number, view: number) {
  const { engine, policy: kind, policyParams } = rules.ordering;
  const policy = createPolicy(kind, policyParams);
  if (engine !== "builtin" || policy.turn !== undefined) return [undefined, undefined] as const;
  return [policy.leader(set, height, view), policy.leader(set, height + 1, 0)] as const;
}

export async function readOrdering(ledger: LedgerClient, caller: KeyPair): Promise<OrderingView> {
  const [rules, sets, proposals, status] = await Promise.all([
    readRules(ledger, caller),
    readSets(ledger, caller),
    readProposals(ledger, caller, { status: "open", limit: PROPOSALS_SHOWN }),
    ledger.status(),
  ]);
  const set = setOf(sets.now);
  const height = status.height + 1;
  const [leader, nextLeader] = leadersOf(rules, set, height, status.view);
  const votes = totalWeight(set);
  return {
    rules,
    set: sets.now,
    next: sets.decided.from > sets.now.from ? sets.decided : undefined,
    votes,
    quorum: quorumWeight(set),
    tolerates: votes - quorumWeight(set),
    height,
    view: status.view,
    leader,
    nextLeader,
    stalledSince: status.stalledSince,
    recent: await readRecent(ledger, caller, status.committedHeight),
    proposals: proposals.filter((proposal) => proposal.status === "open"),
  };
}

const text = (value: number | undefined) => (value === undefined ? "-" : String(value));

function ruleLines({ rules, set, votes, quorum, tolerates }: OrderingView): string[] {
  const { engine, engineEpoch, since, policy, policyParams } = rules.ordering;
  const params = Object.entries(policyParams).map(([name, value]) => `${name}=${value}`);
  const may = set.quorum === "byzantine" ? "lie or fail" : "fail, none may lie";
  const lines = [
    `engine      ${engine}, epoch ${engineEpoch}, since height ${since}`,
    `policy      ${policy}${params.length === 0 ? "" : ` (${params.join(", ")})`}`,
    `quorum      ${quorum} of ${votes} votes (${set.quorum}): ${tolerates} may ${may}`,
  ];
  const { change } = rules;
  if (change !== null && change.engineEpoch > engineEpoch) {
    const { engine: to, policy: by, quorum: rule, at } = change;
    lines.push(`change      after height ${at}: ${to}, policy ${by}, quorum ${rule}`);
  }
  return lines;
}

export function renderOrdering(view: OrderingView, paint: Console["paint"]): string {
  const { rules, set, next, height, leader, nextLeader, recent, proposals } = view;
  const attempt = view.view === 0 ? "" : `, attempt ${view.view + 1}`;
  const who = leader === undefined ? "known when it has proposed" : leader;
  const then = nextLeader === undefined ? "" : `, then ${nextLeader}`;
  const lines = [...ruleLines(view), `height      ${height}${attempt}; leader ${who}${then}`];
  if (view.stalledSince !== undefined) {
    lines.push(paint.red(`stalled     since ${new Date(view.stalledSince).toISOString()}`));
  }
  const members = set.members.map(({ id, vote, propose }) => [
    id,
    String(vote),
    `${propose}${rules.barred.includes(id) ? " (barred)" : ""}`,
    id === leader ? "leads" : "",
  ]);
  lines.push("", renderTable(["VALIDATOR", "VOTE", "PROPOSE", ""], members, paint));
  if (next !== undefined) {
    const ids = next.members.map(({ id, vote, propose }) => `${id} ${vote}/${propose}`);
    lines.push("", `from height ${next.from}: ${ids.join(", ")}`);
  }
  for (const { id, vote, propose, at } of rules.queue) {
    const what = vote === 0 ? "leaves" : `vote ${vote}, propose ${propose}`;
    lines.push(`on its way: ${id} ${what}${at > 0 ? `, not before height ${at}` : ""}`);
  }
  const rows = recent.map((block) => [
    String(block.height),
    block.proposer,
    String(block.transactions),
    text(block.views),
    text(block.signers),
    text(block.lateVotes),
    String(block.proofBytes),
  ]);
  const head = [
    "HEIGHT",
    "PROPOSER",
    "TRANSACTIONS",
    "VIEWS",
    "SIGNERS",
    "LATE VOTES",
    "PROOF BYTES",
  ];
  lines.push("", renderTable(head, rows, paint));
  if (proposals.length > 0) lines.push("", renderProposals(proposals, paint));
  return lines.join("\n");
}

export function renderProposals(list: readonly ProposalView[], paint: Console["paint"]): string {
  const rows = list.map(({ id, kind, content, org, approvals, status, expiresAt, note }) => [
    String(id),
    kind,
    JSON.stringify(content),
    org,
    approvals.join(", "),
    status === "open" ? `open until ${expiresAt}` : status,
    note,
  ]);
  const head = ["ID", "KIND", "CONTENT", "BY", "APPROVED BY", "STATUS", "NOTE"];
  return renderTable(head, rows, paint);
}

/** Which open proposals wait for a node's proof that it is ready. */
import { type PublicKey, publicKeyToText } from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import { readContent } from "./proposal-content.ts";
import { listProposals, type Proposal } from "./proposals.ts";
import { newestSet } from "./validator-sets.ts";

/** Open proposals looked at, the newest first. */
const PROPOSALS_MAX = 100;

/** Ids of the open proposals that cannot be carried out without a proof of this node with this key. */
export function proposalsWaitingFor(
  view: StateView,
  node: string,
  key: PublicKey,
  height: number,
): readonly number[] {
  const { members } = newestSet(view).set;
  const waits = (proposal: Proposal): boolean => {
    const content = readContent(proposal.kind, JSON.parse(proposal.content));
    if (content.kind === "member.add") return content.member.id === node;
    if (content.kind === "engine.switch") return members.some(({ id }) => id === node);
    if (content.kind !== "member.keyRotate" || content.id !== node) return false;
    return publicKeyToText(content.key) === publicKeyToText(key);
  };
  return listProposals(view, { status: "open", limit: PROPOSALS_MAX, offset: 0 })
    .filter((proposal) => proposal.expiresAt > height && waits(proposal))
    .map(({ id }) => id);
}

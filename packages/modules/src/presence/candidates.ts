/** Who may come in when the policy chooses: registered nodes that proved lately that they are ready. */
import { findNode } from "@hanse/identity";
import type { Height, PolicyFacts } from "@hanse/ordering";
import { publicKeyToText, type ValidatorSet } from "@hanse/protocol";
import type { StateView } from "@hanse/state";
import { listReadiness } from "../governance/readiness.ts";

/** Readiness proofs looked at. */
export const CANDIDATES_MAX = 1_000;

export function listCandidates(
  view: StateView,
  set: ValidatorSet,
  at: { readonly height: Height; readonly readinessBlocks: number },
): NonNullable<PolicyFacts["candidates"]> {
  const members = new Set(set.members.map(({ id }) => id));
  // The set refuses a key that stands twice.
  const keys = new Set(set.members.map(({ key }) => publicKeyToText(key)));
  const candidates = [];
  for (const { node: id, key, height } of listReadiness(view, CANDIDATES_MAX)) {
    if (members.has(id) || keys.has(publicKeyToText(key))) continue;
    if (height + at.readinessBlocks < at.height) continue;
    const node = findNode(view, id);
    if (node === undefined) continue;
    keys.add(publicKeyToText(key));
    candidates.push({ id, org: node.org, key });
  }
  return candidates;
}

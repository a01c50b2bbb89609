/** Relays change from term to term, by the height of the ledger: so all change alike. */
import { concatBytes, type Hash, sha256, utf8 } from "@hanse/protocol";
import { electRelays, type NodeFacts, nextTerms } from "./election.ts";
import { type LinkPlan, planLinks } from "./link-plan.ts";

/** Heights of one term. */
export const TERM_BLOCKS = 10_000;
/** Whoever computes a term begins at a multiple of so many: nobody needs the past for it. */
const WINDOW = 32;
const DOMAIN = utf8("hanse/relays/1\0");

export const termOf = (height: number) => Math.floor(height / TERM_BLOCKS);

function seedOf(ledgerId: Hash, term: number): Hash {
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, BigInt(term));
  return sha256(concatBytes(DOMAIN, ledgerId, number));
}

/** The plan of a term; undefined when too few nodes can be relays. */
export function planTerm(
  nodes: readonly Omit<NodeFacts, "terms">[],
  ledgerId: Hash,
  term: number,
): LinkPlan | undefined {
  let facts = nodes.map((node): NodeFacts => ({ ...node, terms: 0 }));
  for (let before = term - (term % WINDOW); before < term; before++) {
    const terms = nextTerms(facts, electRelays(facts, seedOf(ledgerId, before)));
    facts = facts.map((node) => ({ ...node, terms: terms.get(node.id)! }));
  }
  return planLinks(facts, seedOf(ledgerId, term));
}

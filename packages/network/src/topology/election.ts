/**
 * Who relays: elected from facts that all nodes hold alike, so without a word between them. A
 * relay gains nothing by it - no vote, no turn - it only passes on and balances.
 */
import { compareText, concatBytes, type Hash, sha256, toHex, utf8 } from "@hanse/protocol";

export interface NodeFacts {
  readonly id: string;
  readonly org: string;
  /** Health value, parts per million. */
  readonly healthPpm: number;
  /** Bandwidth to spare, kilobits per second. */
  readonly freeKilobits: number;
  /** Others can open a connection to it. */
  readonly dialable: boolean;
  /** Terms in a row in which it has been a relay until now. */
  readonly terms: number;
}

export const RELAYS_MIN = 3;
export const RELAYS_MAX = 16;
/** After so many terms in a row a relay rests for one. */
export const TERMS_MAX = 4;

/** How many relays so many nodes have: the root of their number, within bounds. */
export function relayCount(nodes: number): number {
  return Math.max(RELAYS_MIN, Math.min(RELAYS_MAX, Math.ceil(Math.sqrt(nodes))));
}

/** Health times the root of free bandwidth, squared to stay in whole numbers. */
function scoreOf({ healthPpm, freeKilobits }: NodeFacts): bigint {
  return BigInt(healthPpm) ** 2n * BigInt(freeKilobits);
}

/** Order by lot: the same for all who know the seed. */
export function lotOf(seed: Hash, ...names: readonly string[]): string {
  return toHex(sha256(concatBytes(seed, utf8(names.join("\n")))));
}

/**
 * The relays of a term, the best first: highest score, one for each organization, dialable, not
 * resting; equal ones by lot. Who would rest serves on where there are too few others.
 */
export function electRelays(nodes: readonly NodeFacts[], seed: Hash): readonly string[] {
  const ranked = nodes
    .filter((node) => node.dialable && node.healthPpm > 0 && node.freeKilobits > 0)
    .map((node) => ({ node, score: scoreOf(node), lot: lotOf(seed, node.id) }))
    .sort((a, b) => {
      if (a.score !== b.score) return a.score > b.score ? -1 : 1;
      return compareText(a.lot, b.lot);
    })
    .map(({ node }) => node);
  const rested = ranked.filter((node) => node.terms < TERMS_MAX);
  const resting = ranked.filter((node) => node.terms >= TERMS_MAX);
  const elected: NodeFacts[] = [];
  const orgs = new Set<string>();
  const take = (candidates: readonly NodeFacts[], countMax: number) => {
    for (const node of candidates) {
      if (elected.length >= countMax) return;
      if (orgs.has(node.org)) continue;
      orgs.add(node.org);
      elected.push(node);
    }
  };
  take(rested, relayCount(nodes.length));
  take(resting, RELAYS_MIN);
  return elected.map(({ id }) => id);
}

/** The terms in a row of each node after this election. */
export function nextTerms(
  nodes: readonly NodeFacts[],
  elected: readonly string[],
): ReadonlyMap<string, number> {
  const now = new Set(elected);
  return new Map(nodes.map(({ id, terms }) => [id, now.has(id) ? terms + 1 : 0]));
}

/**
 * Who has a link to whom: every child to three relays of different organizations and to two nodes
 * by lot, every relay to its children and to the other relays. All nodes compute the same.
 */
import { compareText, type Hash } from "@hanse/protocol";
import { electRelays, lotOf, type NodeFacts } from "./election.ts";

/** Relays of a child: the first is used, the second beside it, the third waits. */
export const PARENTS = 3;
/** Up to so many relays know all others; beyond, each knows six. */
export const FULL_MESH_MAX = 8;
const RING_STEPS = [1, 2, 3];

export interface LinkPlan {
  readonly relays: ReadonlySet<string>;
  /** Of each child, the most preferred first; relays have none. */
  readonly parents: ReadonlyMap<string, readonly string[]>;
  readonly links: ReadonlyMap<string, ReadonlySet<string>>;
}

function linkRelays(relays: readonly string[], link: (a: string, b: string) => void): void {
  for (const [i, relay] of relays.entries()) {
    if (relays.length <= FULL_MESH_MAX) {
      for (const other of relays.slice(i + 1)) link(relay, other);
    } else {
      for (const step of RING_STEPS) link(relay, relays[(i + step) % relays.length]!);
    }
  }
}

/** Gives each child its relays so that all carry alike. */
function assignParents(
  children: readonly NodeFacts[],
  relays: readonly NodeFacts[],
  seed: Hash,
): ReadonlyMap<string, readonly string[]> {
  // The load of a place counts by its rank: whoever is first carries a child's traffic.
  const load = relays.map(() => new Array<number>(PARENTS).fill(0));
  const parents = new Map<string, readonly string[]>();
  for (const child of children) {
    const chosen: number[] = [];
    for (let rank = 0; rank < Math.min(PARENTS, relays.length); rank++) {
      const best = relays
        .map((relay, i) => ({ i, load: load[i]![rank]!, lot: lotOf(seed, child.id, relay.id) }))
        .filter(({ i }) => !chosen.includes(i))
        .sort((a, b) => a.load - b.load || compareText(a.lot, b.lot))[0]!.i;
      chosen.push(best);
      load[best]![rank]!++;
    }
    parents.set(
      child.id,
      chosen.map((i) => relays[i]!.id),
    );
  }
  return parents;
}

/** Undefined when too few nodes can be relays: then everybody keeps links to everybody. */
export function planLinks(nodes: readonly NodeFacts[], seed: Hash): LinkPlan | undefined {
  const elected = electRelays(nodes, seed);
  if (elected.length < PARENTS) return undefined;
  const byLot = [...nodes].sort((a, b) => compareText(lotOf(seed, a.id), lotOf(seed, b.id)));
  const relays = new Set(elected);
  const children = byLot.filter(({ id }) => !relays.has(id));
  const relayFacts = elected.map((id) => nodes.find((node) => node.id === id)!);
  const parents = assignParents(children, relayFacts, seed);
  const links = new Map(nodes.map(({ id }) => [id, new Set<string>()]));
  const link = (a: string, b: string) => {
    if (a === b) return;
    links.get(a)!.add(b);
    links.get(b)!.add(a);
  };
  linkRelays(elected, link);
  for (const [child, of] of parents) for (const relay of of) link(child, relay);
  for (const [i, child] of children.entries()) {
    // Neighbours by lot in a ring: every child gets two, nobody more.
    const other = children[(i + 1) % children.length]!;
    if (child.dialable || other.dialable) link(child.id, other.id);
  }
  return { relays, parents, links };
}

/** What a node says of itself at one moment, and how the nodes of a network compare. */

export type NodeHealth =
  /** No process, or its door does not answer. */
  | "down"
  /** A process runs, its door does not answer yet. */
  | "starting"
  | "ready"
  /** Behind and catching up. */
  | "syncing"
  /** Work waits and nothing becomes final: too few validators are up or reachable. */
  | "stalled"
  /** Answers, and says why it is not well. */
  | "unhealthy";

export interface PeerLink {
  readonly id: string;
  readonly healthPpm: number;
  readonly roundTripMs: number | undefined;
}

export interface NodeSnapshot {
  readonly id: string;
  readonly apiUrl: string;
  readonly pid: number | undefined;
  readonly health: NodeHealth;
  readonly height: number | undefined;
  /** Hex of the state root after `height`. */
  readonly stateRoot: string | undefined;
  readonly peersConnected: number | undefined;
  readonly peersKnown: number | undefined;
  /** Its open links and how well the other ends serve, parts per million. */
  readonly links: readonly PeerLink[] | undefined;
  /** Transactions accepted and not yet final. */
  readonly waiting: number | undefined;
  /** Why it is not well, in words. */
  readonly reason: string | undefined;
}

export interface NetworkComparison {
  /** Highest height that all answering nodes have. */
  readonly heightMin: number | undefined;
  readonly heightMax: number | undefined;
  /** True when every answering node stands at one height with one state root. */
  readonly agree: boolean;
  /** Nodes at one height with different roots: never happens unless something is broken. */
  readonly forked: boolean;
  readonly answering: number;
  readonly total: number;
}

/** Roots are compared only between nodes at the same height: others differ by right. */
export function compareNodes(nodes: readonly NodeSnapshot[]): NetworkComparison {
  const answering = nodes.filter((node) => node.height !== undefined);
  const rootsByHeight = new Map<number, Set<string>>();
  for (const node of answering) {
    if (node.stateRoot === undefined) continue;
    const roots = rootsByHeight.get(node.height!) ?? new Set();
    roots.add(node.stateRoot);
    rootsByHeight.set(node.height!, roots);
  }
  const heights = answering.map((node) => node.height!);
  const forked = [...rootsByHeight.values()].some((roots) => roots.size > 1);
  return {
    heightMin: heights.length === 0 ? undefined : Math.min(...heights),
    heightMax: heights.length === 0 ? undefined : Math.max(...heights),
    agree: answering.length > 0 && !forked && new Set(heights).size === 1,
    forked,
    answering: answering.length,
    total: nodes.length,
  };
}

/** Bringing the nodes of a network folder up and down, in order and with reasons when they fail. */
import { HanseError } from "@hanse/protocol";
import { probeNode } from "../client/node-probe.ts";
import { isPortFree } from "../network-folder/free-ports.ts";
import type { NetworkFolder, NodeEntry } from "../network-folder/network-folder.ts";
import type { Progress } from "../output/progress.ts";
import type { NodeSnapshot } from "../status/node-snapshot.ts";
import { startEtcdMembers, stopEtcdMembers } from "./etcd-processes.ts";
import {
  describeEnd,
  findRunningProcess,
  type RunningProcess,
  type StopResult,
  startNodeProcess,
  stopNodeProcess,
  waitForEnd,
} from "./node-process.ts";

export const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const PORT_PATIENCE_MS = 2_000;

export interface UpOptions {
  readonly attached: boolean;
  readonly nodes?: readonly NodeEntry[];
  readonly timeoutMs?: number;
  readonly progress?: Progress;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Nodes left over from a command that was killed are ended and started anew. */
  readonly takeOver?: boolean;
}

/**
 * Starts the nodes that do not run yet and waits until all are ready.
 * @throws HanseError `CLI_NODE_START` with the node's own reason, `CLI_PORT_TAKEN`, `CLI_ETCD_*`,
 * `CLI_READY_TIMEOUT` naming who is missing.
 */
export async function upNetwork(
  network: NetworkFolder,
  options: UpOptions,
): Promise<readonly RunningProcess[]> {
  const nodes = options.nodes ?? network.nodes;
  if (options.takeOver === true) await takeOver(nodes);
  for (const node of nodes) if (findRunningProcess(node) === undefined) await checkPorts(node);
  await startEtcdMembers(network.etcd, options);
  const running = nodes.map((node) => startNodeProcess(node, options));
  try {
    await waitUntilReady(nodes, running, options);
  } catch (error) {
    // What this call started goes down again: a half-started network would only confuse.
    await Promise.all(
      nodes.filter((_, i) => running[i]!.fresh).map((node) => stopNodeProcess(node)),
    );
    throw error;
  }
  return running;
}

/** Nodes whose command was killed stop by themselves; those that linger are asked again. */
async function takeOver(nodes: readonly NodeEntry[]): Promise<void> {
  await Promise.all(
    nodes.map(async (node) => {
      const left = findRunningProcess(node);
      if (left === undefined) return;
      if (left.attached && (await waitForEnd(node, 3_000))) return;
      await stopNodeProcess(node);
    }),
  );
}

async function checkPorts(node: NodeEntry): Promise<void> {
  for (const [field, port] of [
    ["api.port", node.apiPort],
    ["network.port", node.networkPort],
  ] as const) {
    if (!(await becomesFree(port))) {
      throw new HanseError(
        "CLI_PORT_TAKEN",
        "conflict",
        `node ${node.id}: ${field} ${port} is used by another program; stop that program, or run \`hanse network ports\` to give this network other ports`,
        { details: { field, port } },
      );
    }
  }
}

/** A node that was just killed may hold its ports for a moment longer. */
async function becomesFree(port: number): Promise<boolean> {
  const until = performance.now() + PORT_PATIENCE_MS;
  while (!(await isPortFree(port))) {
    if (performance.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

async function waitUntilReady(
  nodes: readonly NodeEntry[],
  running: readonly RunningProcess[],
  options: UpOptions,
): Promise<void> {
  const until = performance.now() + (options.timeoutMs ?? READY_TIMEOUT_MS);
  const missing = new Map<string, string>(nodes.map((node) => [node.id, "not asked yet"]));
  options.progress?.(0, nodes.length, "nodes ready");
  while (missing.size > 0) {
    for (const [i, node] of nodes.entries()) {
      if (!missing.has(node.id)) continue;
      const child = running[i]!.child;
      const ended = child === undefined ? findRunningProcess(node) === undefined : hasEnded(child);
      if (ended) {
        throw new HanseError(
          "CLI_NODE_START",
          "unavailable",
          `node ${node.id} ended while it started: ${describeEnd(node)} (log: ${node.logFile})`,
          { details: { node: node.id } },
        );
      }
    }
    await Promise.all(
      nodes
        .filter((node) => missing.has(node.id))
        .map(async (node) => {
          const probe = await probeNode(node.apiUrl, 2_000);
          if (probe.ready) missing.delete(node.id);
          else missing.set(node.id, probe.reason ?? "no reason given");
        }),
    );
    options.progress?.(nodes.length - missing.size, nodes.length, "nodes ready");
    if (missing.size === 0) return;
    if (options.signal?.aborted === true) {
      throw new HanseError("CLI_INTERRUPTED", "unavailable", "interrupted while the nodes started");
    }
    if (performance.now() > until) {
      const who = [...missing].map(([id, why]) => `${id} (${why})`).join(", ");
      throw new HanseError(
        "CLI_READY_TIMEOUT",
        "unavailable",
        `not ready in time: ${who}; look at the logs with \`hanse network logs\``,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function hasEnded(child: NonNullable<RunningProcess["child"]>): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/**
 * Stops nodes side by side; each is asked first and forced only when it does not follow. An etcd of
 * the network's own goes with the last of its nodes.
 */
export async function downNetwork(
  network: NetworkFolder,
  options: { readonly nodes?: readonly NodeEntry[]; readonly timeoutMs?: number } = {},
): Promise<readonly StopResult[]> {
  const stopped = await Promise.all(
    (options.nodes ?? network.nodes).map((node) => stopNodeProcess(node, options.timeoutMs)),
  );
  const none = network.nodes.every((node) => findRunningProcess(node) === undefined);
  if (none) await stopEtcdMembers(network.etcd);
  return stopped;
}

/** What every node of the network says of itself now; a silent node is a row too. */
export async function readNetworkStatus(
  network: NetworkFolder,
  timeoutMs = 2_000,
): Promise<readonly NodeSnapshot[]> {
  return Promise.all(
    network.nodes.map(async (node) => {
      const pid = findRunningProcess(node)?.pid;
      const probe = await probeNode(node.apiUrl, timeoutMs);
      const { ready: _ready, answered, ...facts } = probe;
      const health =
        answered || pid === undefined
          ? facts.health
          : facts.health === "down"
            ? "starting"
            : facts.health;
      return { id: node.id, apiUrl: node.apiUrl, pid, ...facts, health };
    }),
  );
}

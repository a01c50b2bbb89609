/** The table of a network's nodes, and the lines that tell what changed. */
import { type Console, renderTable } from "../output/console.ts";
import { compareNodes, type NodeHealth, type NodeSnapshot } from "./node-snapshot.ts";

const ROOT_DIGITS = 12;

function paintHealth(health: NodeHealth, paint: Console["paint"]): string {
  switch (health) {
    case "ready":
      return paint.green(health);
    case "starting":
    case "syncing":
      return paint.yellow(health);
    default:
      return paint.red(health);
  }
}

/** The health of the worst open link, in percent. */
function renderLinks({ links }: NodeSnapshot): string {
  if (links === undefined || links.length === 0) return "-";
  const worst = Math.min(...links.map(({ healthPpm }) => healthPpm));
  return `${Math.floor(worst / 10_000)} %`;
}

export function renderStatusTable(nodes: readonly NodeSnapshot[], paint: Console["paint"]): string {
  const rows = nodes.map((node) => [
    node.id,
    paintHealth(node.health, paint),
    node.height?.toString() ?? "-",
    node.stateRoot === undefined ? "-" : `${node.stateRoot.slice(0, ROOT_DIGITS)}…`,
    node.peersConnected === undefined ? "-" : `${node.peersConnected}/${node.peersKnown ?? "?"}`,
    renderLinks(node),
    node.waiting?.toString() ?? "-",
    node.pid?.toString() ?? "-",
    node.apiUrl,
  ]);
  const head = [
    "NODE",
    "HEALTH",
    "HEIGHT",
    "STATE ROOT",
    "PEERS",
    "LINKS",
    "WAITING",
    "PID",
    "API",
  ];
  const lines = [renderTable(head, rows, paint)];
  for (const node of nodes) {
    if (node.reason !== undefined) lines.push(`  ${paint.yellow(node.id)}: ${node.reason}`);
  }
  lines.push(summarize(nodes, paint));
  return lines.join("\n");
}

/** One sentence on how the nodes stand to each other. */
export function summarize(nodes: readonly NodeSnapshot[], paint: Console["paint"]): string {
  const { agree, forked, answering, total, heightMin, heightMax } = compareNodes(nodes);
  if (answering === 0) return paint.red(`none of ${total} nodes answers`);
  const who = answering === total ? `all ${total} nodes` : `${answering} of ${total} nodes`;
  if (forked) {
    return paint.red(`nodes at one height hold different state roots: stop and investigate`);
  }
  if (agree) return paint.green(`${who} at height ${heightMax} with the same state root`);
  return `${who} answer, heights ${heightMin} to ${heightMax}`;
}

/** For output that is not a terminal: a line for each node whose health or reason changed. */
export function describeChanges(
  before: readonly NodeSnapshot[] | undefined,
  after: readonly NodeSnapshot[],
): string[] {
  const lines: string[] = [];
  for (const node of after) {
    const old = before?.find((one) => one.id === node.id);
    if (old !== undefined && old.health === node.health && old.reason === node.reason) continue;
    const height = node.height === undefined ? "" : ` at height ${node.height}`;
    const reason = node.reason === undefined ? "" : `: ${node.reason}`;
    lines.push(`${node.id} is ${node.health}${height}${reason}`);
  }
  return lines;
}

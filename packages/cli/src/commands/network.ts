/** `hanse network`: create a network's folder, bring its nodes up and down, look at them. */
import { readFileSync } from "node:fs";
import {
  GENESIS_ORDERINGS,
  GENESIS_POLICIES,
  type GenesisOrdering,
  type GenesisPolicy,
  genesisFromJson,
  genesisValidatorSet,
  type QuorumRule,
  quorumWeight,
} from "@hanse/protocol";
import type { Command } from "commander";
import {
  type CommandContext,
  networkDirOf,
  openNetwork,
  parseInteger,
  parseNumber,
  parseNumbers,
} from "../command-context.ts";
import { listAccountNames } from "../network-folder/account-key.ts";
import { createNetworkFolder } from "../network-folder/create-network.ts";
import { PORT_BASE } from "../network-folder/free-ports.ts";
import { type NetworkFolder, selectNodes } from "../network-folder/network-folder.ts";
import { renewPorts } from "../network-folder/renew-ports.ts";
import {
  countedTemplate,
  type NetworkTemplate,
  namedTemplate,
  soloTemplate,
} from "../network-folder/template.ts";
import { EXIT_CODES, type ExitCode } from "../output/exit-codes.ts";
import { createSteps, formatDuration } from "../output/progress.ts";
import { usageError } from "../output/report-error.ts";
import { downNetwork, readNetworkStatus, upNetwork } from "../processes/network-lifecycle.ts";
import { findRunningProcess } from "../processes/node-process.ts";
import type { Runner } from "../program.ts";
import { compareNodes } from "../status/node-snapshot.ts";
import { renderStatusTable } from "../status/render-status.ts";
import { watchStatus } from "../status/watch-status.ts";
import { addLogsCommand } from "./logs.ts";

interface CreateOptions {
  readonly orgs?: string;
  readonly solo?: boolean;
  readonly quorum?: QuorumRule;
  readonly etcd?: string;
  readonly ordering: GenesisOrdering;
  readonly policy: GenesisPolicy;
  readonly policyParam: readonly string[];
  readonly name: string;
  readonly portBase: number;
}

interface UpOptions {
  readonly attached?: boolean;
  readonly readyWithin: number;
}

export function addNetworkCommands(program: Command, run: Runner): void {
  const network = program
    .command("network")
    .description("Create a network on this machine, start, stop and watch its nodes.");
  network
    .command("create")
    .description("Write a folder with genesis, keys, accounts and one folder per node.")
    .option("--orgs <count|names>", "number of organizations, or their ids: harbour,court,notary")
    .option("--solo", "one organization with one node")
    .option(
      "--quorum <rule>",
      "byzantine: more than 2/3 of the votes, members may lie (default); crash: more than 1/2, they only fail (always with etcd)",
      parseQuorum,
    )
    .option(
      "--ordering <engine>",
      "who orders the blocks: builtin; cometbft, a process of its own beside each node; etcd",
      parseOrdering,
      "builtin",
    )
    .option(
      "--etcd <urls>",
      "with --ordering etcd: addresses of a running etcd, http://host:port,…; without, three members start with the network",
    )
    .option(
      "--policy <policy>",
      "who proposes: fixed, by weight; dpoa, in turns; posr, by proven presence",
      parsePolicy,
      "fixed",
    )
    .option(
      "--policy-param <name=value>",
      "parameter of the policy; may be repeated",
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .option("--name <name>", "name of the network", "hanse-local")
    .option(
      "--port-base <port>",
      "look for free ports from here up",
      (text: string) => parseInteger("--port-base", text, 1024, 65_000),
      PORT_BASE,
    )
    .addHelpText(
      "after",
      `
Examples:
  hanse network create --orgs 4
  hanse network create --orgs harbour,court,notary --dir ./trial
  hanse network create --orgs 3 --quorum crash
  hanse network create --orgs 4 --ordering cometbft
  hanse network create --orgs 3 --ordering etcd
  hanse network create --orgs 4 --policy dpoa --policy-param slotMs=4000
  hanse network create --solo
`,
    )
    .action(
      run(async (context: CommandContext, options: CreateOptions) => {
        const created = await createNetworkFolder({
          dir: networkDirOf(context),
          template: templateOf(options),
          portBase: options.portBase,
          ...(options.quorum === undefined ? {} : { quorum: options.quorum }),
          ordering: options.ordering,
          policy: options.policy,
          policyParams: parseNumbers("--policy-param", options.policyParam),
          ...etcdOf(options),
          now: Date.now(),
        });
        showCreated(context, created, options);
      }),
    );
  network
    .command("up [node]")
    .description("Start the nodes (all, or those named) and wait until they are ready.")
    .option("--attached", "stay in front; Ctrl-C stops the nodes again")
    .option(
      "--ready-within <seconds>",
      "longest wait for all to be ready",
      (text: string) => parseNumber("--ready-within", text, 1, 3600),
      60,
    )
    .action(
      run((context: CommandContext, node: string | undefined, options: UpOptions) =>
        runUp(context, node, options),
      ),
    );
  network
    .command("down [node]")
    .description("Stop the nodes (all, or those named) in order.")
    .action(
      run(async (context: CommandContext, wanted: string | undefined) => {
        const opened = openNetwork(context);
        const stopped = await downNetwork(opened, { nodes: selectNodes(opened, wanted) });
        context.console.result({ nodes: stopped }, () => {
          context.console.table(
            ["NODE", "RESULT", "TIME"],
            stopped.map((one) => [one.id, one.how, one.ms === 0 ? "-" : formatDuration(one.ms)]),
          );
        });
      }),
    );
  network
    .command("status")
    .description("Show heights, state roots, peers and health of all nodes.")
    .option("-w, --watch", "draw it again each second until Ctrl-C")
    .action(
      run((context: CommandContext, options: { watch?: boolean }) => runStatus(context, options)),
    );
  addLogsCommand(network, run);
  network
    .command("ports")
    .description("Give all nodes of a stopped network new free ports.")
    .option(
      "--port-base <port>",
      "look for free ports from here up",
      (text: string) => parseInteger("--port-base", text, 1024, 65_000),
      PORT_BASE,
    )
    .action(
      run(async (context: CommandContext, options: { portBase: number }) => {
        const renewed = await renewPorts(openNetwork(context), options.portBase);
        const nodes = renewed.nodes.map(({ id, apiPort, networkPort }) => ({
          id,
          apiPort,
          networkPort,
        }));
        context.console.result({ nodes }, () =>
          context.console.table(
            ["NODE", "API PORT", "NETWORK PORT"],
            nodes.map((one) => [one.id, String(one.apiPort), String(one.networkPort)]),
          ),
        );
      }),
    );
}

function templateOf(options: CreateOptions): NetworkTemplate {
  if (options.solo === true) {
    if (options.orgs !== undefined) usageError("--solo and --orgs: give one of them");
    return soloTemplate(options.name);
  }
  const orgs = options.orgs ?? "4";
  return /^\d+$/u.test(orgs)
    ? countedTemplate(options.name, Number(orgs))
    : namedTemplate(
        options.name,
        orgs.split(",").map((id) => id.trim()),
      );
}

function parseQuorum(text: string): QuorumRule {
  if (text === "byzantine" || text === "crash") return text;
  return usageError(`--quorum ${text}: expected byzantine or crash`);
}

function parseOrdering(text: string): GenesisOrdering {
  const found = GENESIS_ORDERINGS.find((name) => name === text);
  return found ?? usageError(`--ordering ${text}: expected ${GENESIS_ORDERINGS.join(" or ")}`);
}

function parsePolicy(text: string): GenesisPolicy {
  const found = GENESIS_POLICIES.find((name) => name === text);
  return found ?? usageError(`--policy ${text}: expected ${GENESIS_POLICIES.join(" or ")}`);
}

function etcdOf({ etcd, ordering }: CreateOptions): { readonly etcdUrls?: readonly string[] } {
  if (etcd === undefined) return {};
  if (ordering !== "etcd") usageError("--etcd: goes with --ordering etcd");
  return { etcdUrls: etcd.split(",").map((url) => url.trim()) };
}

/** What members of a ledger must know about who keeps its order; undefined = nobody but themselves. */
function orderTrust(network: NetworkFolder): string | undefined {
  if (network.manifest.etcd === undefined) return undefined;
  return "order kept by etcd: whoever runs it can stop or reorder; members detect a rewritten history, but cannot prevent it";
}

/** How many of so many validators with one vote each may be gone while the ledger goes on. */
function toleratedFailures(created: NetworkFolder): number {
  const text = readFileSync(created.genesisFile, "utf8");
  const set = genesisValidatorSet(genesisFromJson(JSON.parse(text)));
  return set.members.length - quorumWeight(set);
}

/** A set that stands still when one node is gone, and what would not; undefined = it tolerates one. */
function warningOf(count: number, tolerated: number, quorum: QuorumRule): string | undefined {
  if (tolerated > 0) return undefined;
  const least = quorum === "byzantine" ? 4 : 3;
  const other = quorum === "byzantine" && count === 3 ? ", or --quorum crash where none lies" : "";
  const who = count === 1 ? "1 validator tolerates" : `${count} validators tolerate`;
  return `warning: with --quorum ${quorum} ${who} no failure: the ledger stands still while one is down; use ${least} or more${other}`;
}

function showCreated(
  context: CommandContext,
  created: NetworkFolder,
  { ordering, quorum = ordering === "etcd" ? "crash" : "byzantine" }: CreateOptions,
): void {
  const accounts = listAccountNames(created.accountsFolder);
  const { ledgerId, network, nodes } = created.manifest;
  const tolerated = toleratedFailures(created);
  const warning = warningOf(nodes.length, tolerated, quorum);
  const trust = orderTrust(created);
  const facts = {
    quorum,
    toleratedFailures: tolerated,
    ...(warning && { warning }),
    ...(trust && { trust }),
  };
  const result = { folder: created.folder, network, ledgerId, ...facts, nodes, accounts };
  context.console.result(result, () => {
    const { console } = context;
    console.line(`network   ${network}`);
    console.line(`folder    ${created.folder}`);
    console.line(`ledger    ${ledgerId}`);
    console.line(`quorum    ${quorum}, ${tolerated} of ${nodes.length} nodes may fail`);
    console.line(`accounts  ${accounts.join(", ")}`);
    console.table(
      ["NODE", "API", "FOLDER"],
      created.nodes.map((node, i) => [node.id, node.apiUrl, nodes[i]!.folder]),
    );
    const dir = context.options.dir === undefined ? "" : ` --dir ${context.options.dir}`;
    if (warning !== undefined) console.line(console.paint.yellow(warning));
    if (trust !== undefined) console.line(console.paint.yellow(trust));
    console.line(`next: hanse network up${dir}`);
  });
}

async function runUp(
  context: CommandContext,
  wanted: string | undefined,
  options: UpOptions,
): Promise<ExitCode | undefined> {
  const network = openNetwork(context);
  const nodes = selectNodes(network, wanted);
  const attached = options.attached === true;
  const before = new Set(nodes.filter((node) => findRunningProcess(node) !== undefined));
  await createSteps(context.console).run(
    nodes.length === 1 ? `start ${nodes[0]!.id}` : `start ${nodes.length} nodes`,
    (progress) =>
      upNetwork(network, {
        attached,
        nodes,
        progress,
        timeoutMs: options.readyWithin * 1000,
      }),
    () => (before.size === 0 ? "" : `${before.size} ran already`),
  );
  if (!attached) {
    const snapshots = await readNetworkStatus(network);
    context.console.result({ nodes: snapshots }, () =>
      context.console.line(renderStatusTable(snapshots, context.console.paint)),
    );
    return EXIT_CODES.ok;
  }
  await watchStatus(context.console, () => readNetworkStatus(network), context.signal);
  const own = nodes.filter((node) => !before.has(node));
  context.console.line("stopping…");
  const stopped = await downNetwork(network, { nodes: own });
  context.console.result({ nodes: stopped }, () =>
    context.console.line(`${stopped.length} nodes stopped`),
  );
  return EXIT_CODES.ok;
}

async function runStatus(
  context: CommandContext,
  options: { readonly watch?: boolean },
): Promise<ExitCode | undefined> {
  const network = openNetwork(context);
  if (options.watch === true) {
    await watchStatus(context.console, () => readNetworkStatus(network), context.signal);
    return EXIT_CODES.ok;
  }
  const nodes = await readNetworkStatus(network);
  const comparison = compareNodes(nodes);
  const trust = orderTrust(network);
  context.console.result({ nodes, ...comparison, ...(trust && { trust }) }, () => {
    context.console.line(renderStatusTable(nodes, context.console.paint));
    if (trust !== undefined) context.console.line(trust);
  });
  if (comparison.answering === 0) return EXIT_CODES.unreachable;
  return comparison.forked ? EXIT_CODES.failed : EXIT_CODES.ok;
}

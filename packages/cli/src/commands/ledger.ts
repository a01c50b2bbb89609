/** `hanse ledger ordering`: how a ledger is ordered, and what its organizations decide of that. */
import { readFileSync } from "node:fs";
import { listRunnableEngines, loadConfig } from "@hanse/node";
import { decodeKeyFile, HanseError, type KeyPair, readyKeyBackends } from "@hanse/protocol";
import type { Command } from "commander";
import {
  decideOn,
  type ProposalView,
  propose,
  proveReadiness,
  readProposals,
} from "../client/governance.ts";
import { type LedgerClient, openLedger, type TransactionView } from "../client/ledger-client.ts";
import {
  type CommandContext,
  hasIdentity,
  nodeUrlOf,
  openNetwork,
  parseInteger,
  parseNumbers,
  signingAccount,
  timeoutMsOf,
} from "../command-context.ts";
import { listAccountNames, loadNamedAccount } from "../network-folder/account-key.ts";
import { EXIT_CODES, type ExitCode } from "../output/exit-codes.ts";
import { createLiveView } from "../output/live-view.ts";
import { usageError } from "../output/report-error.ts";
import type { Runner } from "../program.ts";
import { readOrdering, renderOrdering, renderProposals } from "../status/ordering-view.ts";
import { pause } from "../status/watch-status.ts";
import { VERSION } from "../version.ts";
import { showTransaction } from "./call.ts";
import { addPolicyCommands } from "./policy.ts";
import { addRecoveryCommands } from "./recovery.ts";

const WATCH_INTERVAL_MS = 1_000;

interface SwitchOptions {
  readonly engine?: string;
  readonly quorum?: string;
  readonly policy?: string;
  readonly param: readonly string[];
  readonly at?: number;
}

interface WeightOptions {
  readonly vote: number;
  readonly propose: number;
  readonly at?: number;
}

interface RemoveOptions {
  readonly emergency?: boolean;
  readonly at?: number;
}

const collect = (value: string, before: readonly string[]) => [...before, value];
const heightOf = (value: string) => parseInteger("--at", value, 1, Number.MAX_SAFE_INTEGER);
const weightOf = (option: string) => (value: string) => parseInteger(option, value, 0, 1_000_000);

export function addLedgerCommands(program: Command, run: Runner): void {
  const group = program.command("ledger").description("How a ledger is run.");
  addRecoveryCommands(group, run);
  const ordering = group
    .command("ordering")
    .description("Who validates and by which rules; what the organizations decide of it.")
    .addHelpText(
      "after",
      `
A change is proposed by an administrator of one organization and carried out when more than half of
the organizations with validators have approved it (another engine, quorum or policy: more than two
thirds). Changes of the set are in force two heights after the decision.

Examples:
  hanse ledger ordering show --watch
  hanse ledger ordering explain court/node-1
  hanse ledger ordering ready --config nodes/court-node-2/node.toml --as court-admin
  hanse ledger ordering add court/node-2 --as court-admin
  hanse ledger ordering approve 1 --as harbour-admin
`,
    );
  ordering
    .command("show")
    .description("Engine, policy, validators, quorum, leaders, the newest blocks, open proposals.")
    .option("--watch", "stay up and show changes until Ctrl-C")
    .action(run((context: CommandContext, options: { watch?: boolean }) => show(context, options)));
  addPolicyCommands(ordering, run, reader);
  ordering
    .command("proposals")
    .description("List what was proposed, the newest first.")
    .option("--status <status>", "open, executed or withdrawn")
    .action(
      run(async (context: CommandContext, options: { status?: string }) => {
        const { ledger, key } = await reader(context);
        const proposals = await readProposals(ledger, key, options);
        context.console.result({ proposals }, () =>
          context.console.line(renderProposals(proposals, context.console.paint)),
        );
      }),
    );
  ordering
    .command("add <node>")
    .description("Propose a registered node as validator.")
    .option("--vote <weight>", "vote weight", weightOf("--vote"), 1)
    .option("--propose <weight>", "propose weight; 0 = never leads", weightOf("--propose"), 1)
    .option("--at <height>", "not before this height", heightOf)
    .action(
      run((context: CommandContext, id: string, { vote, propose: weight, at }: WeightOptions) =>
        decide(context, "member.add", { id, vote, propose: weight, ...atOf(at) }),
      ),
    );
  ordering
    .command("weights <node>")
    .description("Propose other weights of a validator.")
    .requiredOption("--vote <weight>", "vote weight", weightOf("--vote"))
    .requiredOption("--propose <weight>", "propose weight; 0 = never leads", weightOf("--propose"))
    .option("--at <height>", "not before this height", heightOf)
    .action(
      run((context: CommandContext, id: string, { vote, propose: weight, at }: WeightOptions) =>
        decide(context, "member.weights", {
          members: [{ id, vote, propose: weight }],
          ...atOf(at),
        }),
      ),
    );
  ordering
    .command("remove <nodes...>")
    .description("Propose to take nodes out of the validators.")
    .option("--emergency", "decided by the other organizations alone, more than two thirds of them")
    .option("--at <height>", "not before this height", heightOf)
    .action(
      run((context: CommandContext, ids: string[], { emergency, at }: RemoveOptions) => {
        if (emergency !== true) return decide(context, "member.remove", { ids, ...atOf(at) });
        if (at !== undefined) usageError("--at: an emergency does not wait; leave it out");
        return decide(context, "emergency.remove", { ids });
      }),
    );
  ordering
    .command("rotate-key <node>")
    .description("Propose another consensus key for a validator whose own is lost or stolen.")
    .requiredOption("--consensus-key <key>", "the new public key, ed25519:hex")
    .action(
      run((context: CommandContext, id: string, options: { consensusKey: string }) =>
        decide(context, "member.keyRotate", { id, key: options.consensusKey }),
      ),
    );
  ordering
    .command("switch")
    .description("Propose another engine, quorum rule or policy from a height on.")
    .option("--engine <engine>", "builtin, cometbft or etcd")
    .option("--quorum <rule>", "byzantine or crash")
    .option("--policy <policy>", "fixed, dpoa or posr")
    .option("--param <name=value>", "parameter of the policy; may be repeated", collect, [])
    .option("--at <height>", "last height of the old rules", heightOf)
    .action(
      run((context: CommandContext, options: SwitchOptions) => proposeSwitch(context, options)),
    );
  ordering
    .command("params <limits...>")
    .description("Propose other limits of the ledger: name=value.")
    .action(
      run((context: CommandContext, limits: string[]) =>
        decide(context, "params.change", { params: parseNumbers("limit", limits) }),
      ),
    );
  for (const action of ["approve", "withdraw"] as const) {
    const about =
      action === "approve"
        ? "Approve a proposal for the organization of the signing administrator."
        : "Take back an approval, or one's own proposal.";
    ordering
      .command(`${action} <proposal>`)
      .description(about)
      .action(
        run(async (context: CommandContext, text: string): Promise<ExitCode> => {
          const proposal = parseInteger("proposal", text, 1, Number.MAX_SAFE_INTEGER);
          const admin = await signingAccount(context);
          const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
          const view = await decideOn(ledger, admin.keyPair, action, proposal);
          return showDecision(context, view);
        }),
      );
  }
  ordering
    .command("ready")
    .description(
      "Prove on the ledger that a node has its consensus key; asked for before it joins.",
    )
    .requiredOption("--config <file>", "configuration file of the node, on its machine")
    .action(
      run((context: CommandContext, options: { config: string }) =>
        makeReady(context, options.config),
      ),
    );
}

function atOf(at: number | undefined): { readonly at?: number } {
  return at === undefined ? {} : { at };
}

/** Any account may read; without `--as` the first one of the network folder does. */
async function reader(
  context: CommandContext,
): Promise<{ readonly ledger: LedgerClient; readonly key: KeyPair }> {
  await readyKeyBackends();
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  if (hasIdentity(context)) return { ledger, key: (await signingAccount(context)).keyPair };
  const { accountsFolder } = openNetwork(context);
  const [first] = listAccountNames(accountsFolder);
  if (first === undefined) usageError("--as: say who asks, with --as ACCOUNT or --key FILE");
  return { ledger, key: loadNamedAccount(accountsFolder, first).keyPair };
}

/** What became of the proposal, in the words of the people who decide. */
function showDecision({ console }: CommandContext, view: TransactionView): ExitCode {
  const result = JSON.parse(String(view.outcome?.result ?? "{}")) as ProposalView;
  console.result(view, () => {
    const { id, kind, content, approvals, status, expiresAt } = result;
    console.line(`proposal     ${id}: ${kind} ${JSON.stringify(content)}`);
    console.line(`approved by  ${approvals.join(", ")}`);
    const { green } = console.paint;
    if (status === "open") console.line(`state        open until block ${expiresAt}`);
    else console.line(`state        ${green(status)} in block ${view.height}`);
    console.line(console.paint.dim(`transaction  ${view.id}`));
  });
  return EXIT_CODES.ok;
}

async function decide(
  context: CommandContext,
  kind: string,
  content: Readonly<Record<string, unknown>>,
): Promise<ExitCode> {
  const admin = await signingAccount(context);
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  return showDecision(context, await propose(ledger, admin.keyPair, kind, content));
}

/** Policy alone: another policy under the engine and the quorum that are; otherwise all three. */
async function proposeSwitch(context: CommandContext, options: SwitchOptions): Promise<ExitCode> {
  const { engine, quorum, policy, param, at } = options;
  if (engine === undefined && quorum === undefined && policy === undefined) {
    usageError("--engine, --quorum, --policy: say what is to change");
  }
  const params = parseNumbers("--param", param);
  if (engine === undefined && quorum === undefined) {
    return decide(context, "policy.change", { policy, params, ...atOf(at) });
  }
  const { ledger, key } = await reader(context);
  const now = await readOrdering(ledger, key);
  return decide(context, "engine.switch", {
    engine: engine ?? now.rules.ordering.engine,
    quorum: quorum ?? now.set.quorum,
    policy: policy ?? now.rules.ordering.policy,
    params: policy === undefined && param.length === 0 ? now.rules.ordering.policyParams : params,
    ...atOf(at),
  });
}

async function makeReady(context: CommandContext, file: string): Promise<ExitCode> {
  const account = await signingAccount(context);
  const { config } = loadConfig({ file, environment: context.environment });
  let key: KeyPair;
  try {
    key = decodeKeyFile(readFileSync(config.keys.consensus, "utf8"));
  } catch (cause) {
    throw new HanseError(
      "CLI_NO_FILE",
      "notFound",
      `${config.keys.consensus}: the node's consensus key cannot be read: run this on the node's machine`,
      { cause },
    );
  }
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  const { engines, missing } = await listRunnableEngines(config);
  for (const reason of missing) context.console.note(reason);
  const node = { id: config.node.id, key, version: VERSION, engines };
  return showTransaction(context.console, await proveReadiness(ledger, account.keyPair, node));
}

async function show(context: CommandContext, options: { watch?: boolean }): Promise<void> {
  const { console, signal } = context;
  const { ledger, key } = await reader(context);
  if (options.watch !== true) {
    const view = await readOrdering(ledger, key);
    console.result(view, () => console.line(renderOrdering(view, console.paint)));
    return;
  }
  const live = console.interactive ? createLiveView(console.stdout) : undefined;
  let before = "";
  try {
    while (!signal.aborted) {
      const view = await readOrdering(ledger, key);
      if (signal.aborted) break;
      const picture = renderOrdering(view, console.paint);
      if (live !== undefined) live.draw(picture);
      else if (picture !== before) {
        // With --json one document per line on each change, else the whole picture again.
        if (console.json) console.stdout.write(`${JSON.stringify(view)}\n`);
        else console.line(`${picture}\n`);
      }
      before = picture;
      await pause(WATCH_INTERVAL_MS, signal);
    }
  } finally {
    live?.end();
  }
}

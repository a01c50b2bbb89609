/** `hanse node`: one node in the foreground, as a service manager runs it. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { checkRecord, loadConfig, prepareTlsKey } from "@hanse/node";
import { HanseError } from "@hanse/protocol";
import type { Command } from "commander";
import { setNodeTls } from "../client/accounts.ts";
import { registerNode } from "../client/governance.ts";
import { openLedger } from "../client/ledger-client.ts";
import {
  type CommandContext,
  nodeUrlOf,
  openNetwork,
  parseInteger,
  signingAccount,
  timeoutMsOf,
} from "../command-context.ts";
import { addNodeFolder, removeNodeFolder } from "../network-folder/add-node.ts";
import { EXIT_CODES, type ExitCode } from "../output/exit-codes.ts";
import { NODE_FLAGS, nodeProgramFile, sendSignal } from "../processes/node-process.ts";
import type { Runner } from "../program.ts";
import { showTransaction } from "./call.ts";

export function addNodeCommands(program: Command, run: Runner): void {
  const node = program.command("node").description("Run one node.");
  node
    .command("start")
    .description("Run a node in the foreground until Ctrl-C; its log goes to standard output.")
    .requiredOption("--config <file>", "configuration file of the node")
    .allowExcessArguments(true)
    .argument("[settings...]", "settings after --, such as -- --api.port=7070")
    .addHelpText(
      "after",
      "\nExample:\n  hanse node start --config .hanse/network/nodes/court-node-1/node.toml\n",
    )
    .action(
      run(
        async (
          context: CommandContext,
          settings: readonly string[],
          options: { config: string },
        ): Promise<ExitCode> => runNode(context, path.resolve(options.config), settings),
      ),
    );
  node
    .command("create <node>")
    .description("Make the folder of a further node of this network and register it.")
    .option("--port-base <port>", "look for free ports from here up", (text: string) =>
      parseInteger("--port-base", text, 1024, 65_000),
    )
    .addHelpText(
      "after",
      `
The node follows the ledger once it runs; it votes when the organizations have made it a validator:
  hanse node create court/node-2 --as court-admin
  hanse network up court/node-2
  hanse ledger ordering ready --config .hanse/network/nodes/court-node-2/node.toml --as court-admin
  hanse ledger ordering add court/node-2 --as court-admin
`,
    )
    .action(
      run((context: CommandContext, id: string, options: { portBase?: number }) =>
        createNode(context, id, options.portBase),
      ),
    );
  node
    .command("rotate-tls")
    .description("Give a node another TLS key; a running one changes over without a restart.")
    .requiredOption("--config <file>", "configuration file of the node, on its machine")
    .addHelpText(
      "after",
      "\nExample:\n  hanse node rotate-tls --config nodes/court-node-1/node.toml --as court-admin\n",
    )
    .action(
      run((context: CommandContext, options: { config: string }) =>
        rotateTls(context, path.resolve(options.config)),
      ),
    );
  node
    .command("check")
    .description(
      "Check the whole record of a stopped node: tables, state root, blocks, signatures.",
    )
    .requiredOption("--config <file>", "configuration file of the node")
    .addHelpText(
      "after",
      "\nExample:\n  hanse node check --config .hanse/network/nodes/court-node-1/node.toml\n",
    )
    .action(
      run(async (context: CommandContext, options: { config: string }) =>
        runCheck(context, path.resolve(options.config)),
      ),
    );
}

/** Keys and folder first, so that the ledger never names keys that nobody has. */
async function createNode(
  context: CommandContext,
  id: string,
  portBase: number | undefined,
): Promise<ExitCode> {
  const admin = await signingAccount(context);
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  const added = await addNodeFolder(openNetwork(context), id, portBase);
  const { consensusKey: key, tlsFingerprint, address } = added;
  try {
    const view = await registerNode(ledger, admin.keyPair, {
      id,
      key,
      tlsFingerprint,
      address,
    });
    return showTransaction(context.console, view);
  } catch (error) {
    removeNodeFolder(added);
    throw error;
  }
}

/** The new key first into a file, then its fingerprint into the registry; the node takes it from there. */
async function rotateTls(context: CommandContext, file: string): Promise<ExitCode> {
  const admin = await signingAccount(context);
  const { config } = loadConfig({ file, environment: context.environment });
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  const fingerprint = await prepareTlsKey(config);
  return showTransaction(
    context.console,
    await setNodeTls(ledger, admin.keyPair, config.node.id, fingerprint),
  );
}

async function runCheck(context: CommandContext, file: string): Promise<ExitCode> {
  const { console, environment } = context;
  const record = await checkRecord(loadConfig({ file, environment }).config);
  const isWhole = record.differences.length === 0;
  console.result({ file, ok: isWhole, ...record }, () => {
    console.line(`height      ${record.height}`);
    console.line(`state root  ${record.stateRoot}`);
    if (isWhole) {
      console.line(
        `record      whole: ${record.blocks} blocks, every row as the state root has it`,
      );
      return;
    }
    console.table(
      ["PLACE", "DIFFERENCE"],
      record.differences.map(({ place, what }) => [place, what]),
    );
    console.line("compare with another node, then rebuild this database");
  });
  return isWhole ? EXIT_CODES.ok : EXIT_CODES.failed;
}

async function runNode(
  context: CommandContext,
  config: string,
  settings: readonly string[],
): Promise<ExitCode> {
  if (!existsSync(config)) {
    throw new HanseError("CLI_NO_FILE", "notFound", `--config ${config}: no such file`);
  }
  const child = spawn(
    process.execPath,
    [...NODE_FLAGS, nodeProgramFile(), "--config", config, ...settings],
    {
      stdio: "inherit",
    },
  );
  const stop = () => {
    if (child.pid !== undefined) sendSignal(child.pid, "SIGTERM");
  };
  context.signal.addEventListener("abort", stop);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (exitCode) => resolve(exitCode));
  });
  context.signal.removeEventListener("abort", stop);
  return code === 0 ? EXIT_CODES.ok : EXIT_CODES.failed;
}

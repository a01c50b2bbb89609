/** The `hanse` command: its tree of commands, and one place where errors become exit codes. */
import { Command, CommanderError } from "commander";
import { type CommandContext, type GlobalOptions, parseNumber } from "./command-context.ts";
import { addAccountCommands } from "./commands/account.ts";
import { addAppCommands } from "./commands/app.ts";
import { addCallCommands } from "./commands/call.ts";
import { addChainCommands } from "./commands/chain.ts";
import { addCompletionCommand } from "./commands/completion.ts";
import { addConfigCommands } from "./commands/config.ts";
import { addKeyCommands } from "./commands/key.ts";
import { addLedgerCommands } from "./commands/ledger.ts";
import { addLightCommands } from "./commands/light.ts";
import { addNetworkCommands } from "./commands/network.ts";
import { addNodeCommands } from "./commands/node.ts";
import { addProofCommands } from "./commands/proof.ts";
import { addSimulateCommands } from "./commands/simulate.ts";
import { createConsole, type Sink } from "./output/console.ts";
import { EXIT_CODES, type ExitCode } from "./output/exit-codes.ts";
import { reportError, usageError } from "./output/report-error.ts";
import { VERSION } from "./version.ts";

export interface Surroundings {
  readonly stdout?: Sink;
  readonly stderr?: Sink;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
}

/** Wraps a command's work: gives it its context. */
export type Runner = <Args extends unknown[]>(
  work: (context: CommandContext, ...args: Args) => Promise<ExitCode | undefined> | Promise<void>,
) => (...args: [...Args, Command]) => Promise<void>;

function buildProgram(run: Runner): Command {
  const program = new Command("hanse");
  program
    .description("A ledger that several organizations keep together.")
    .version(VERSION, "--version", "print the version")
    .option("--json", "print one JSON document instead of text")
    .option(
      "--dir <folder>",
      "folder of the network (HANSE_DIR; else .hanse/network here or above)",
    )
    .option("--node <id|url>", "node to talk to: its id, organization or URL (HANSE_URL)")
    .option("--as <account>", "sign with this account of the network folder (HANSE_AS)")
    .option("--key <file>", "sign with this key file")
    .option("--timeout <seconds>", "longest wait for an answer", (text) =>
      parseNumber("--timeout", text, 0.1, 3600),
    )
    .helpOption("-h, --help", "show help")
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .addHelpText(
      "after",
      `
Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no node reachable, 4 not in time.

Examples:
  hanse network create --orgs 4          a network of four organizations in .hanse/network
  hanse network up                       start its nodes, wait until they are ready
  hanse network status --watch           heights, state roots, peers
  hanse app install examples/deeds --as adler-law-admin
  hanse call DepositDeed --as anna --file Hash=deed.pdf --param Title="Sale of a house" …
  hanse proof export <transaction> -o deed.receipt
  hanse verify --receipt deed.receipt --genesis genesis.json --file deed.pdf
`,
    );
  addNetworkCommands(program, run);
  addNodeCommands(program, run);
  addKeyCommands(program, run);
  addAccountCommands(program, run);
  addAppCommands(program, run);
  addCallCommands(program, run);
  addChainCommands(program, run);
  addLedgerCommands(program, run);
  addProofCommands(program, run);
  addLightCommands(program, run);
  addSimulateCommands(program, run);
  addConfigCommands(program, run);
  addCompletionCommand(program, run);
  return program;
}

/** The command tree without effects, for completion scripts and tests. */
export function describeProgram(): Command {
  return buildProgram(() => async () => {});
}

function forEachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const sub of command.commands) forEachCommand(sub, visit);
}

/** Runs one command line; resolves to its exit code and never throws. */
export async function runHanse(
  argv: readonly string[],
  surroundings: Surroundings = {},
): Promise<ExitCode> {
  const stdout = surroundings.stdout ?? process.stdout;
  const stderr = surroundings.stderr ?? process.stderr;
  const separator = argv.indexOf("--");
  const json = argv.slice(0, separator < 0 ? undefined : separator).includes("--json");
  const console = createConsole({ json, stdout, stderr });
  let exitCode: ExitCode = EXIT_CODES.ok;
  const run: Runner =
    (work) =>
    async (...args) => {
      const command = args.pop() as Command;
      const options: GlobalOptions = command.optsWithGlobals();
      const context: CommandContext = {
        console,
        options,
        environment: surroundings.environment ?? process.env,
        signal: surroundings.signal ?? new AbortController().signal,
      };
      // biome-ignore lint/suspicious/noExplicitAny: commander passes arguments in declared order
      exitCode = (await work(context, ...(args as any))) ?? EXIT_CODES.ok;
    };
  const program = buildProgram(run);
  forEachCommand(program, (command) => {
    command.exitOverride();
    command.configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void (json ? undefined : stderr.write(text)),
      outputError: () => {}, // Told below, once, in the form that was asked for.
    });
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(error, console);
    if (error.exitCode === 0) return EXIT_CODES.ok; // --help and --version
    if (error.code === "commander.help") return EXIT_CODES.usage; // A group without a command.
    try {
      usageError(`${error.message.replace(/^error: /u, "").trim()}${helpHint(program, argv)}`);
    } catch (usage) {
      return reportError(usage, console);
    }
  }
}

/** Names the help that fits: of the deepest command that the words reach. */
function helpHint(program: Command, argv: readonly string[]): string {
  let at = program;
  const path = [program.name()];
  for (const word of argv) {
    const next = at.commands.find((command) => command.name() === word);
    if (next === undefined) continue;
    at = next;
    path.push(word);
  }
  return `; see \`${path.join(" ")} --help\``;
}

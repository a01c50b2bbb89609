/** `hanse call` and `hanse query`: contracts that change the ledger, and reads that do not. */
import type { Command } from "commander";
import { parseCallParameters } from "../client/call-parameters.ts";
import { openLedger, type TransactionView } from "../client/ledger-client.ts";
import {
  type CommandContext,
  hasIdentity,
  nodeUrlOf,
  parseInteger,
  signingAccount,
  timeoutMsOf,
} from "../command-context.ts";
import { type Console, toJson } from "../output/console.ts";
import { EXIT_CODES, type ExitCode } from "../output/exit-codes.ts";
import type { Runner } from "../program.ts";

interface CallOptions {
  readonly param: readonly string[];
  readonly file: readonly string[];
  readonly wait: boolean;
  readonly ecosystem?: number;
}

const collect = (value: string, before: readonly string[]) => [...before, value];

function addParameters(command: Command): Command {
  return command
    .option("-p, --param <field=value>", "a field; Field:=JSON for other types", collect, [])
    .option("--file <field=path>", "a field that gets the SHA-256 of a file", collect, [])
    .option("--ecosystem <id>", "ecosystem of the contract (1 by default)", (text: string) =>
      parseInteger("--ecosystem", text, 1, Number.MAX_SAFE_INTEGER),
    );
}

export function addCallCommands(program: Command, run: Runner): void {
  addParameters(program.command("call <contract>"))
    .description("Call a contract in a signed transaction and wait until it is final.")
    .option("--no-wait", "print the transaction's id as soon as the node accepted it")
    .addHelpText(
      "after",
      `
Examples:
  hanse call DepositDeed --as anna --file Hash=deed.pdf -p Title="Sale of a house" \\
        -p Claimant=Miller -p Addressee=Smith
  hanse call AcceptDeed --as berta -p Id=1
`,
    )
    .action(
      run((context: CommandContext, contract: string, options: CallOptions) =>
        runCall(context, contract, options),
      ),
    );
  addParameters(program.command("query <name>"))
    .description("Run a contract that only reads, or a read of the engine such as app.list.")
    .addHelpText(
      "after",
      `
Examples:
  hanse query ShowDeed --as clara -p Id=1
  hanse query table.rows --as clara -p table=deeds
`,
    )
    .action(
      run((context: CommandContext, name: string, options: CallOptions) =>
        runQuery(context, name, options),
      ),
    );
}

async function runCall(
  context: CommandContext,
  contract: string,
  options: CallOptions,
): Promise<ExitCode> {
  const account = await signingAccount(context);
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  const ecosystem = options.ecosystem ?? 1;
  const fields = await ledger.contractFields(contract, ecosystem, account.keyPair);
  const params = parseCallParameters(
    { params: options.param, files: options.file },
    contract,
    fields,
  );
  const call = { contract, params, ecosystem };
  if (options.wait)
    return showTransaction(context.console, await ledger.run(account.keyPair, call));
  const id = await ledger.submitCall(account.keyPair, call);
  context.console.result({ id, state: "accepted" }, () =>
    context.console.line(`accepted  ${id}\nfollow it: hanse tx status ${id}`),
  );
  return EXIT_CODES.ok;
}

/** Prints a transaction; a failed one is exit code 1. */
export function showTransaction(console: Console, view: TransactionView): ExitCode {
  console.result(view, () => {
    console.line(`transaction  ${view.id}`);
    const { paint } = console;
    if (view.outcome === undefined) {
      console.line(`state        ${paint.yellow(view.state)}`);
      return;
    }
    const { code, result, error, events, fuelUsed } = view.outcome;
    const good = code === "ok";
    console.line(`state        ${good ? paint.green("final") : paint.red(`failed (${code})`)}`);
    console.line(`block        ${view.height}, place ${view.index}`);
    if (error !== "") console.line(`error        ${error}`);
    if (result !== "") console.line(`result       ${result}`);
    for (const { name, data } of events) {
      console.line(`event        ${name} ${typeof data === "string" ? data : toJson(data, 0)}`);
    }
    console.line(paint.dim(`fuel         ${fuelUsed}`));
  });
  return view.outcome === undefined || view.outcome.code === "ok"
    ? EXIT_CODES.ok
    : EXIT_CODES.failed;
}

async function runQuery(
  context: CommandContext,
  name: string,
  options: CallOptions,
): Promise<void> {
  const account = hasIdentity(context) ? await signingAccount(context) : undefined;
  const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
  const ecosystem = options.ecosystem ?? 1;
  const fields = name.includes(".")
    ? undefined
    : await ledger.contractFields(name, ecosystem, account?.keyPair);
  const params = parseCallParameters({ params: options.param, files: options.file }, name, fields);
  const answer = await ledger.query(name, params, { caller: account?.keyPair, ecosystem });
  context.console.result(answer, () => showAnswer(context.console, answer));
}

/** Lists of flat rows as a table, anything else as JSON. */
function showAnswer(console: Console, answer: unknown): void {
  const rows = Array.isArray(answer) ? answer : (answer as { rows?: unknown } | null)?.rows;
  if (Array.isArray(rows) && rows.length === 0) {
    console.line("no rows");
    return;
  }
  const isTable =
    Array.isArray(rows) &&
    rows.length > 0 &&
    rows.every((row) => typeof row === "object" && row !== null && !Array.isArray(row));
  if (!isTable) {
    console.line(typeof answer === "string" ? answer : toJson(answer));
    return;
  }
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row as object)))];
  console.table(
    columns,
    rows.map((row) => columns.map((column) => cell((row as Record<string, unknown>)[column]))),
  );
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? toJson(value, 0) : String(value);
}

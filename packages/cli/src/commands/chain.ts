/** `hanse tx` and `hanse block`: what the ledger holds. */
import type { Command } from "commander";
import { openLedger } from "../client/ledger-client.ts";
import { type CommandContext, nodeUrlOf, parseInteger, timeoutMsOf } from "../command-context.ts";
import type { ExitCode } from "../output/exit-codes.ts";
import { usageError } from "../output/report-error.ts";
import type { Runner } from "../program.ts";
import { showTransaction } from "./call.ts";

/** Lower-case hex of a transaction's id. @throws HanseError `CLI_USAGE` */
export function parseTransactionId(text: string): string {
  if (!/^[0-9a-f]{64}$/iu.test(text)) {
    usageError(`transaction "${text}": expected its id, 64 hexadecimal digits`);
  }
  return text.toLowerCase();
}

export function addChainCommands(program: Command, run: Runner): void {
  const tx = program.command("tx").description("Look at transactions.");
  tx.command("status <id>")
    .description("Show whether a transaction is waiting or final, and what came of it.")
    .option("--wait", "wait until it is final")
    .action(
      run(
        async (
          context: CommandContext,
          text: string,
          options: { wait?: boolean },
        ): Promise<ExitCode> => {
          const id = parseTransactionId(text);
          const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
          const view =
            options.wait === true ? await ledger.waitFinal(id) : await ledger.transaction(id);
          return showTransaction(context.console, view);
        },
      ),
    );
  const block = program.command("block").description("Look at blocks.");
  block
    .command("show [height]")
    .description("Show a block's header, its certificate and its transactions (the newest).")
    .action(
      run(async (context: CommandContext, text: string | undefined) => {
        const height =
          text === undefined ? undefined : parseInteger("height", text, 1, Number.MAX_SAFE_INTEGER);
        const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
        const view = await ledger.block(height);
        context.console.result(view, () => {
          const { console } = context;
          console.table(
            ["FIELD", "VALUE"],
            Object.entries(view)
              .filter(([, value]) => typeof value !== "object")
              .map(([field, value]) => [field, String(value)]),
          );
          for (const [i, id] of view.transactionIds.entries()) {
            console.line(`${String(i).padStart(5)}  ${id}`);
          }
        });
      }),
    );
}

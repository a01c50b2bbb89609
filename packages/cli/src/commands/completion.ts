/** `hanse completion`: a script for the shell. */
import type { Command } from "commander";
import type { CommandContext } from "../command-context.ts";
import { createCompletionScript, SHELLS, type Shell } from "../completion/completion-script.ts";
import { usageError } from "../output/report-error.ts";
import { describeProgram, type Runner } from "../program.ts";

export function addCompletionCommand(program: Command, run: Runner): void {
  program
    .command("completion <shell>")
    .description(`Print a completion script: ${SHELLS.join(", ")}.`)
    .addHelpText("after", "\nExample:\n  source <(hanse completion bash)\n")
    .action(
      run(async (context: CommandContext, shell: string) => {
        if (!SHELLS.includes(shell as Shell)) {
          usageError(`shell ${shell}: expected ${SHELLS.join(", ")}`);
        }
        const script = createCompletionScript(describeProgram(), shell as Shell);
        context.console.result({ shell, script }, () => context.console.stdout.write(script));
      }),
    );
}

/** `hanse config print`: every setting of a node with its value and where it came from. */
import { loadConfig, printConfig } from "@hanse/node";
import type { Command } from "commander";
import { type CommandContext, openNetwork } from "../command-context.ts";
import { selectNodes } from "../network-folder/network-folder.ts";
import type { Runner } from "../program.ts";

interface PrintOptions {
  readonly config?: string;
  readonly all?: boolean;
}

export function addConfigCommands(program: Command, run: Runner): void {
  const config = program.command("config").description("Look at the configuration of nodes.");
  config
    .command("print")
    .description("Show settings with values, origins and environment names; secrets are masked.")
    .option("--config <file>", "a node's configuration file (else that of --node, else the first)")
    .option("--all", "also settings that stand at their default")
    .action(
      run(async (context: CommandContext, options: PrintOptions) => {
        const file =
          options.config ?? selectNodes(openNetwork(context), context.options.node)[0]!.configFile;
        const settings = printConfig(loadConfig({ file, environment: context.environment }));
        context.console.result({ file, settings }, () => {
          const shown = settings.filter(
            (one) => options.all === true || (one.origin !== "default" && one.origin !== "unset"),
          );
          context.console.line(context.console.paint.dim(file));
          context.console.table(
            ["SETTING", "VALUE", "ORIGIN", "ENVIRONMENT"],
            shown.map((one) => [one.key, one.value, one.origin, one.environment]),
          );
          if (options.all !== true) {
            context.console.line(context.console.paint.dim("defaults are shown with --all"));
          }
        });
      }),
    );
}

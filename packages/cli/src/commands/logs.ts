/** `hanse network logs`. */
import type { Command } from "commander";
import { type CommandContext, openNetwork, parseInteger } from "../command-context.ts";
import { selectNodes } from "../network-folder/network-folder.ts";
import { followLines, humanizeLogLine, readLastLines } from "../processes/log-tail.ts";
import type { Runner } from "../program.ts";

interface LogsOptions {
  readonly lines: number;
  readonly follow?: boolean;
  readonly raw?: boolean;
}

export function addLogsCommand(network: Command, run: Runner): void {
  network
    .command("logs [node]")
    .description("Show the end of the nodes' logs (all, or those of the node named).")
    .option(
      "-n, --lines <count>",
      "lines per node",
      (text: string) => parseInteger("--lines", text, 0, 100_000),
      20,
    )
    .option("-f, --follow", "go on with new lines until Ctrl-C")
    .option("--raw", "log lines as the node wrote them (JSON)")
    .action(
      run(async (context: CommandContext, wanted: string | undefined, options: LogsOptions) => {
        const nodes = selectNodes(openNetwork(context), wanted);
        const raw = options.raw === true || context.console.json;
        const width = Math.max(...nodes.map((node) => node.id.length));
        const show = (id: string, line: string) => {
          const text = raw ? line : humanizeLogLine(line);
          const label = nodes.length === 1 || raw ? "" : `${id.padEnd(width)} `;
          context.console.stdout.write(`${context.console.paint.cyan(label)}${text}\n`);
        };
        for (const node of nodes) {
          for (const line of readLastLines(node.logFile, options.lines)) show(node.id, line);
        }
        if (options.follow !== true) return;
        await Promise.all(
          nodes.map((node) =>
            followLines(node.logFile, (line) => show(node.id, line), context.signal),
          ),
        );
      }),
    );
}

/** `hanse simulate`: what the rules of a ledger do over weeks, in seconds. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { type CommandContext, parseNumber } from "../command-context.ts";
import { EXIT_CODES } from "../output/exit-codes.ts";
import { createSteps } from "../output/progress.ts";
import { usageError } from "../output/report-error.ts";
import type { Runner } from "../program.ts";
import { renderPlot } from "../simulations/plots/render-plot.ts";
import type { Extent } from "../simulations/posr/claims.ts";
import { POSR_CLAIMS, renderReport, runClaim } from "../simulations/posr/posr-simulation.ts";

interface PosrOptions {
  readonly seed: number;
  readonly out: string;
  readonly only?: string;
  readonly short?: boolean;
}

export function addSimulateCommands(program: Command, run: Runner): void {
  const simulate = program
    .command("simulate")
    .description("Try out rules of a ledger over weeks of virtual time.");
  simulate
    .command("posr")
    .description("Show what validator policy posr claims: tables and plots from a seed.")
    .option(
      "--seed <number>",
      "same seed, same bytes",
      (text) => parseNumber("--seed", text, 0, 2 ** 32 - 1),
      1,
    )
    .option("--out <folder>", "folder for the report and the plots", "posr-simulation")
    .option("--only <claims>", "some claims, by name, with commas between")
    .option("--short", "smaller populations and fewer days; figures are rough")
    .addHelpText(
      "after",
      `
Writes posr.md (tables), posr.json and one SVG per plot. Claims: slander, availability, proposers,
concentration, partition, churn, reproducible. Exit code 1: a claim does not hold.

Examples:
  hanse simulate posr
  hanse simulate posr --seed 7 --only slander,churn --out /tmp/posr
`,
    )
    .action(
      run(async (context: CommandContext, options: PosrOptions) => {
        const names = options.only?.split(",").map((name) => name.trim());
        for (const name of names ?? []) {
          if (!POSR_CLAIMS.some((claim) => claim.name === name)) {
            const known = POSR_CLAIMS.map((claim) => claim.name).join(", ");
            usageError(`--only ${name}: no such claim; there are ${known}`);
          }
        }
        const { console } = context;
        const extent: Extent = options.short === true ? "short" : "whole";
        const steps = createSteps(console);
        const reports: ReturnType<typeof runClaim>[] = [];
        for (const claim of POSR_CLAIMS) {
          if (names !== undefined && !names.includes(claim.name)) continue;
          if (context.signal.aborted) return EXIT_CODES.failed;
          const report = await steps.run(
            claim.title,
            async () => runClaim(claim, options.seed, extent),
            ({ holds, shown }) => (holds ? shown : `DOES NOT HOLD: ${shown}`),
          );
          reports.push(report);
        }
        const files = await steps.run("Plots and tables", async () => {
          mkdirSync(options.out, { recursive: true });
          const write = (name: string, text: string) => {
            const file = path.join(options.out, name);
            writeFileSync(file, text);
            return file;
          };
          const json = `${JSON.stringify({ seed: options.seed, extent, claims: reports }, null, 2)}\n`;
          const written = [
            write("posr.md", renderReport(reports, options.seed)),
            write("posr.json", json),
          ];
          for (const { plots } of reports) {
            for (const [name, plot] of Object.entries(plots)) {
              written.push(write(`posr-${name}.svg`, await renderPlot(plot)));
            }
          }
          return written;
        });
        const failed = reports.filter((report) => !report.holds).map((report) => report.name);
        const claims = reports.map(({ name, title, holds, shown }) => ({
          name,
          title,
          holds,
          shown,
        }));
        console.result({ seed: options.seed, extent, claims, files }, () => {
          console.line(console.paint.dim(`written: ${files.join(", ")}`));
          if (failed.length > 0) {
            console.line(console.paint.red(`does not hold: ${failed.join(", ")}`));
          }
        });
        return failed.length === 0 ? EXIT_CODES.ok : EXIT_CODES.failed;
      }),
    );
}

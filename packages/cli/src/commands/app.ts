/** `hanse app`: applications as packages. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { checkApplication } from "@hanse/engine-needle";
import { HanseError, toHanseError } from "@hanse/protocol";
import type { Command } from "commander";
import { type LoadedPackage, loadPackage } from "../applications/load-package.ts";
import { openLedger } from "../client/ledger-client.ts";
import { type CommandContext, nodeUrlOf, signingAccount, timeoutMsOf } from "../command-context.ts";
import type { ExitCode } from "../output/exit-codes.ts";
import type { Runner } from "../program.ts";
import { showTransaction } from "./call.ts";

interface PackOptions {
  readonly output?: string;
  readonly allowMissing?: boolean;
}

/** @throws HanseError `NEEDLE_COMPILE` with file, line and column. */
function checkContracts({ app }: LoadedPackage, allowMissing: boolean): void {
  try {
    checkApplication(app, { allowMissing });
  } catch (thrown) {
    const error = toHanseError(thrown);
    if (error.details.reason !== "NEEDLE_UNKNOWN_FUNCTION") throw error;
    const remedy = "if another application brings it, pack with --allow-missing";
    throw new HanseError(error.code, error.kind, `${error.message}; ${remedy}`, {
      details: error.details,
    });
  }
}

export function addAppCommands(program: Command, run: Runner): void {
  const app = program.command("app").description("Install and look at applications.");
  app
    .command("pack <folder>")
    .description(
      "Write an application's folder into one package file; the same folder, the same bytes.",
    )
    .option("-o, --output <file>", "file to write (<name>-<version>.hanse-app)")
    .option("--allow-missing", "let contracts call what other applications bring")
    .action(
      run(async (context: CommandContext, folder: string, options: PackOptions) => {
        const packed = loadPackage(folder);
        checkContracts(packed, options.allowMissing === true);
        const file = options.output ?? `${packed.app.name}-${packed.app.version}.hanse-app`;
        writeFileSync(file, packed.bytes);
        const facts = {
          file: path.resolve(file),
          name: packed.app.name,
          version: packed.app.version,
          hash: packed.hash,
          sizeBytes: packed.bytes.length,
        };
        context.console.result(facts, () => {
          context.console.line(`${file}  ${packed.app.name} ${packed.app.version}`);
          context.console.line(`sha-256 ${packed.hash}, ${packed.bytes.length} bytes`);
        });
      }),
    );
  for (const [verb, about] of [
    ["install", "Install an application from its folder or package file."],
    ["upgrade", "Replace an installed application by a higher version; data stay."],
  ] as const) {
    app
      .command(`${verb} <source>`)
      .description(about)
      .addHelpText("after", `\nExample:\n  hanse app ${verb} examples/deeds --as admin\n`)
      .action(
        run(async (context: CommandContext, source: string): Promise<ExitCode> => {
          const packed = loadPackage(source);
          const account = await signingAccount(context);
          const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
          const view = await ledger.run(account.keyPair, {
            contract: `app.${verb}`,
            params: new Map([["package", packed.bytes]]),
          });
          return showTransaction(context.console, view);
        }),
      );
  }
  app
    .command("list")
    .description("List the installed applications.")
    .action(
      run(async (context: CommandContext) => {
        const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
        const account = await signingAccount(context);
        const apps = await ledger.applications(account.keyPair);
        context.console.result({ applications: apps }, () => {
          if (apps.length === 0) context.console.line("no application is installed");
          else
            context.console.table(
              ["NAME", "VERSION", "TITLE"],
              apps.map((one) => [one.name, one.version, one.title ?? ""]),
            );
        });
      }),
    );
}

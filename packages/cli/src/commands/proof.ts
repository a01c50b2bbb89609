/** `hanse proof export` and `hanse verify`: what an outsider needs, and what the outsider does. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { fromHex, HanseError } from "@hanse/protocol";
import { fileVerdictToJson, reportLines } from "@hanse/verifier";
import type { Command } from "commander";
import { hashFile } from "../client/call-parameters.ts";
import { openLedger } from "../client/ledger-client.ts";
import {
  type CommandContext,
  hasIdentity,
  nodeUrlOf,
  signingAccount,
  timeoutMsOf,
} from "../command-context.ts";
import { EXIT_CODES, type ExitCode } from "../output/exit-codes.ts";
import type { Runner } from "../program.ts";
import { addDocuments } from "../receipts/add-documents.ts";
import { judgeReceiptFiles } from "../receipts/verify-receipt-file.ts";
import { parseTransactionId } from "./chain.ts";

interface ExportOptions {
  readonly output?: string;
  readonly row: readonly string[];
  readonly file: readonly string[];
}

interface VerifyOptions {
  readonly receipt: string;
  readonly genesis?: string;
  readonly trust?: string;
  readonly file: readonly string[];
}

const collect = (value: string, before: readonly string[]) => [...before, value];

export function addProofCommands(program: Command, run: Runner): void {
  const proof = program.command("proof").description("Proofs for people without a node.");
  proof
    .command("export <transaction>")
    .description("Write a receipt: one file that proves a transaction and its outcome offline.")
    .option("-o, --output <file>", "file to write (<first digits of the id>.receipt)")
    .option("--row <table:key>", "also prove a row as it stands now", collect, [])
    .option(
      "--file <document>",
      "record which document the receipt is about (its hash)",
      collect,
      [],
    )
    .addHelpText(
      "after",
      "\nExample:\n  hanse proof export 3f…9a -o deed.receipt --file deed.pdf\n",
    )
    .action(
      run(async (context: CommandContext, text: string, options: ExportOptions) => {
        const id = parseTransactionId(text);
        const caller = hasIdentity(context) ? await signingAccount(context) : undefined;
        const ledger = await openLedger(nodeUrlOf(context), timeoutMsOf(context));
        const receipt = addDocuments(
          await ledger.receipt(id, options.row, caller?.keyPair),
          options.file.map((file) => fromHex(hashFile(file))),
        );
        const file = options.output ?? `${id.slice(0, 12)}.receipt`;
        writeFileSync(file, receipt);
        const facts = { file: path.resolve(file), transaction: id, sizeBytes: receipt.length };
        context.console.result(facts, () => {
          context.console.line(`${file}  ${receipt.length} bytes`);
          context.console.line(
            `check it anywhere: hanse verify --receipt ${file} --genesis genesis.json`,
          );
        });
      }),
    );
  program
    .command("verify")
    .description("Check a receipt with no node and no network.")
    .requiredOption("--receipt <file>", "the receipt")
    .option("--genesis <file>", "the ledger's genesis document that you trust (JSON or CBOR)")
    .option("--trust <file>", "instead of the genesis: a validator set that you trust (JSON)")
    .option("--file <document>", "a document that the receipt must name", collect, [])
    .addHelpText(
      "after",
      `
Exit code 0: everything in the receipt is proven, and every document given is named in it.
Exit code 1: refused, with the reason.

Example:
  hanse verify --receipt deed.receipt --genesis genesis.json --file deed.pdf
`,
    )
    .action(
      run(async (context: CommandContext, options: VerifyOptions): Promise<ExitCode> => {
        if ((options.genesis === undefined) === (options.trust === undefined)) {
          throw new HanseError(
            "CLI_USAGE",
            "malformed",
            "--genesis: say what you trust, with --genesis FILE or --trust FILE",
          );
        }
        const verdict = await judgeReceiptFiles({ ...options, documents: options.file });
        context.console.result(fileVerdictToJson(verdict), () => {
          for (const line of reportLines(verdict)) context.console.line(line);
        });
        return verdict.ok ? EXIT_CODES.ok : EXIT_CODES.failed;
      }),
    );
}

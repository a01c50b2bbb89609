/** `hanse proof export` and `hanse verify`: what an outsider needs, and what the outsider does. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fromHex } from "@hanse/protocol";
import {
  fileVerdictToJson,
  forkReportLines,
  forkVerdictToJson,
  judgeForkFile,
  reportLines,
} from "@hanse/verifier";
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
import { usageError } from "../output/report-error.ts";
import type { Runner } from "../program.ts";
import { addDocuments } from "../receipts/add-documents.ts";
import { judgeReceiptFiles, loadTrust } from "../receipts/verify-receipt-file.ts";
import { parseTransactionId } from "./chain.ts";

interface ExportOptions {
  readonly output?: string;
  readonly row: readonly string[];
  readonly file: readonly string[];
}

interface TrustOptions {
  readonly genesis?: string;
  readonly trust?: string;
}

interface VerifyOptions extends TrustOptions {
  readonly receipt?: string;
  readonly file: readonly string[];
}

function requireTrust({ genesis, trust }: TrustOptions): void {
  if ((genesis === undefined) === (trust === undefined)) {
    usageError("--genesis: say what you trust, with --genesis FILE or --trust FILE");
  }
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
  const verify = program
    .command("verify")
    .description("Check a receipt with no node and no network.")
    .option("--receipt <file>", "the receipt")
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
        const { receipt, file: documents, ...trust } = options;
        if (receipt === undefined) usageError("required option '--receipt <file>' not specified");
        requireTrust(trust);
        const verdict = await judgeReceiptFiles({ ...trust, receipt, documents });
        context.console.result(fileVerdictToJson(verdict), () => {
          for (const line of reportLines(verdict)) context.console.line(line);
        });
        return verdict.ok ? EXIT_CODES.ok : EXIT_CODES.failed;
      }),
    );
  verify
    .command("fork <file>")
    .description("Check a file that shows two final blocks of one height, and who signed both.")
    .addHelpText(
      "after",
      `
Takes --genesis or --trust as "hanse verify" does; a trusted block must lie below the fork.
Exit code 0: the fork is proven, and who lied is named or who has to be asked.
Exit code 1: refused, with the reason.

Example:
  hanse verify fork block-1834.fork --genesis genesis.json
`,
    )
    .action(
      run(async (context: CommandContext, file: string): Promise<ExitCode> => {
        // Commander gives an option that `verify` has to `verify`, wherever it stands.
        const options = context.options as TrustOptions;
        requireTrust(options);
        const trust = loadTrust(options);
        const verdict = await judgeForkFile(new Uint8Array(readFileSync(file)), trust);
        context.console.result(forkVerdictToJson(verdict), () => {
          for (const line of forkReportLines(verdict)) context.console.line(line);
        });
        return verdict.ok ? EXIT_CODES.ok : EXIT_CODES.failed;
      }),
    );
}

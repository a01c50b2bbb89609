/** `hanse light`: following a ledger by its headers, without a node of one's own. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import {
  FORK_FILE_EXTENSION,
  HanseError,
  type ReceiptTrust,
  toHex,
  trustedSetToJson,
} from "@hanse/protocol";
import {
  compareWitness,
  createLightClient,
  DAY_MS,
  type LightProgress,
  TRUSTING_MS,
} from "@hanse/verifier";
import type { Command } from "commander";
import { type LedgerClient, openLedger } from "../client/ledger-client.ts";
import { type CommandContext, nodeUrlOf, parseNumber, timeoutMsOf } from "../command-context.ts";
import type { Runner } from "../program.ts";
import { loadTrust } from "../receipts/verify-receipt-file.ts";

interface SyncOptions {
  readonly trust: string;
  readonly genesis?: string;
  readonly from?: string;
  readonly witness: readonly string[];
  readonly trustingDays: number;
}

const TRUSTING_DAYS_MAX = 36_500;

/** Replaces the file in one step: what was trusted is never lost to a torn write. */
function saveTrust(file: string, text: string): void {
  const beside = `${file}.new`;
  writeFileSync(beside, text, { mode: 0o644 });
  renameSync(beside, file);
}

const collect = (value: string, before: readonly string[]) => [...before, value];

interface Asked {
  readonly trust: ReceiptTrust;
  readonly progress: LightProgress;
  readonly ledger: LedgerClient;
}

/** @throws HanseError `CLI_FORK` when the witness has another final block. */
async function askWitness(context: CommandContext, url: string, asked: Asked): Promise<void> {
  const { trust, progress, ledger } = asked;
  const { height } = progress.trust;
  // What was trusted before is the newest there is: both would only repeat it.
  if (height === progress.from) return;
  const witness = await openLedger(url, timeoutMsOf(context));
  const result = await compareWitness(
    trust,
    height,
    (from, at) => ledger.lightPage(from, true, at),
    (from, at) => witness.lightPage(from, true, at),
  );
  if (result.agree) return;
  const file = path.resolve(`block-${height}${FORK_FILE_EXTENSION}`);
  writeFileSync(file, result.fork);
  throw new HanseError(
    "CLI_FORK",
    "conflict",
    `block ${height} was made final twice: ${ledger.url} and ${url} have different ones; ${file} proves it (hanse verify fork)`,
  );
}

export function addLightCommands(program: Command, run: Runner): void {
  const light = program
    .command("light")
    .description("Follow a ledger by its headers, trusting no node.");
  light
    .command("sync")
    .description(
      "Bring a trusted block up to date: check the newest header against it, and save it.",
    )
    .requiredOption(
      "--trust <file>",
      "the block and set that you trust (JSON); is brought up to date",
    )
    .option("--genesis <file>", "the genesis document that you trust, to begin from it")
    .option("--from <url>", "node that hands over the headers; need not be trusted (--node)")
    .option("--witness <url>", "another node that must have the same block", collect, [])
    .option(
      "--trusting-days <days>",
      "how old the trusted block may be, by its time",
      (text) => parseNumber("--trusting-days", text, 0, TRUSTING_DAYS_MAX),
      TRUSTING_MS / DAY_MS,
    )
    .addHelpText(
      "after",
      `
Headers are believed when a quorum of the trusted set, or of one that it handed over to, made them
final; set changes are skipped where enough of the trusted set signed on. A trusted block, or genesis,
older than --trusting-days is refused: members that left since could sign another history. Get a newer
file from an organization that you believe. The file then serves
\`hanse verify --trust\`. Exit code 1: refused, with the reason; the file stays as it was. When a witness
has another final block, a fork file is written instead that \`hanse verify fork\` checks.

Examples:
  hanse light sync --genesis genesis.json --trust trusted.json --from http://127.0.0.1:7400
  hanse light sync --trust trusted.json --from http://127.0.0.1:7410 --witness http://127.0.0.1:7420
`,
    )
    .action(
      run(async (context: CommandContext, options: SyncOptions) => {
        const { genesis, trust: file } = options;
        const begins = genesis !== undefined && !existsSync(file);
        if (!begins && !existsSync(file)) {
          throw new HanseError(
            "CLI_NO_FILE",
            "notFound",
            `--trust ${file}: there is no such file; begin with --genesis FILE`,
          );
        }
        const trust = loadTrust(begins ? { genesis } : { trust: file });
        const url = options.from ?? nodeUrlOf(context);
        const ledger = await openLedger(url, timeoutMsOf(context));
        const client = createLightClient({
          trust,
          fetch: ({ from, changes, at }) => ledger.lightPage(from, changes, at),
          now: () => Date.now(),
          trustingMs: options.trustingDays * DAY_MS,
        });
        const progress = await client.sync();
        for (const witness of options.witness) {
          await askWitness(context, witness, { trust, progress, ledger });
        }
        const text = `${JSON.stringify(trustedSetToJson(progress.trust), null, 2)}\n`;
        const before = begins ? undefined : readFileSync(file, "utf8");
        if (text !== before) saveTrust(file, text);
        const { height, headerHash, set } = progress.trust;
        const facts = {
          file: path.resolve(file),
          from: progress.from,
          height,
          headerHash: toHex(headerHash),
          validators: set.members.map(({ id }) => id),
          headers: progress.steps.length,
          skipped: progress.steps.filter(({ step }) => step === "skipped").length,
        };
        context.console.result(facts, () => {
          context.console.line(
            `block ${height} is trusted, from block ${progress.from} by ${facts.headers} header(s)`,
          );
          context.console.line(
            `${file}  ${toHex(headerHash).slice(0, 12)}…  ${set.members.length} validators`,
          );
        });
      }),
    );
}

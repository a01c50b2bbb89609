#!/usr/bin/env node
/** `hanse-verify`: checks a receipt or a fork file with no node and no network. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { forkReportLines, forkVerdictToJson, judgeForkFile } from "./fork/judge-fork.ts";
import { reportLines } from "./report.ts";
import {
  type CheckedFile,
  fileVerdictToJson,
  parseTrust,
  verifyReceiptFile,
} from "./verify-file.ts";

const USAGE = `Usage: hanse-verify --receipt FILE (--genesis FILE | --trust FILE) [--file DOCUMENT]... [--json]
       hanse-verify --fork FILE (--genesis FILE | --trust FILE) [--json]

Checks a receipt of a Hanse ledger, or a file that shows who forked one. Needs no node and no network.

  --receipt FILE    the receipt
  --fork FILE       the fork file, instead of a receipt
  --genesis FILE    the genesis document of the ledger, from a source that you trust
  --trust FILE      instead: a block and its validator set that you trust (JSON)
  --file DOCUMENT   a document that the receipt should name; may be given several times
  --json            the verdict as JSON
  --help            this text

Exit status: 0 the receipt or fork file holds, 1 it is refused, 2 the command or a file cannot be read.
`;

const EXIT_REFUSED = 1;
const EXIT_USAGE = 2;

class UsageError extends Error {}

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        receipt: { type: "string" },
        fork: { type: "string" },
        genesis: { type: "string" },
        trust: { type: "string" },
        file: { type: "string", multiple: true },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (thrown) {
    throw new UsageError((thrown as Error).message);
  }
}

function readInput(option: string, file: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(file));
  } catch (thrown) {
    throw new UsageError(`--${option}: ${file} cannot be read: ${(thrown as Error).message}`);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = readArguments(args);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if ((options.receipt === undefined) === (options.fork === undefined)) {
    throw new UsageError(
      options.fork === undefined ? "--receipt FILE is missing" : "give one of --receipt and --fork",
    );
  }
  if ((options.genesis === undefined) === (options.trust === undefined)) {
    throw new UsageError("give one of --genesis FILE and --trust FILE: what you trust");
  }
  const option = options.genesis === undefined ? "trust" : "genesis";
  const trustFile = options.genesis ?? options.trust!;
  const trustBytes = readInput(option, trustFile);
  let trust: ReturnType<typeof parseTrust>;
  try {
    trust = parseTrust(trustBytes);
  } catch (thrown) {
    throw new UsageError(`--${option}: ${trustFile}: ${(thrown as Error).message}`);
  }
  if ("genesis" in trust !== (option === "genesis")) {
    throw new UsageError(`--${option}: ${trustFile} is the other form of trust`);
  }
  const print = (json: object, lines: readonly string[]) =>
    process.stdout.write(`${options.json ? JSON.stringify(json, null, 2) : lines.join("\n")}\n`);
  if (options.fork !== undefined) {
    const verdict = await judgeForkFile(readInput("fork", options.fork), trust);
    print(forkVerdictToJson(verdict), forkReportLines(verdict));
    return verdict.ok ? 0 : EXIT_REFUSED;
  }
  const files = (options.file ?? []).map(
    (file): CheckedFile => ({ name: path.basename(file), bytes: readInput("file", file) }),
  );
  const verdict = await verifyReceiptFile(readInput("receipt", options.receipt!), trust, files);
  print(fileVerdictToJson(verdict), reportLines(verdict));
  return verdict.ok ? 0 : EXIT_REFUSED;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (thrown: unknown) => {
    const isUsage = thrown instanceof UsageError;
    process.stderr.write(`hanse-verify: ${thrown instanceof Error ? thrown.message : thrown}\n`);
    if (isUsage) process.stderr.write("hanse-verify --help tells how to call it.\n");
    process.exitCode = EXIT_USAGE;
  },
);

/**
 * Verifies with the verifier's own program in a process of its own that gets nothing but the files,
 * as an outsider does: it cannot lean on what the caller has in memory.
 */
import { execFile } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { HanseError, type ReceiptCheck } from "@hanse/protocol";
import type { ReceiptFiles } from "./verify-receipt-file.ts";

/** The part of the program's answer that callers here look at. */
export interface OfflineVerdict {
  readonly ok: boolean;
  readonly checks: readonly ReceiptCheck[];
  readonly reason?: string;
}

const EXIT_REFUSED = 1;
const TIMEOUT_MS = 30_000;
const run = promisify(execFile);

function verifierProgramFile(): string {
  return path.join(path.dirname(fileURLToPath(import.meta.resolve("@hanse/verifier"))), "main.ts");
}

/** @throws HanseError `CLI_VERIFIER` when the program gave no verdict. */
export async function verifyOffline(files: ReceiptFiles): Promise<OfflineVerdict> {
  const argv = [verifierProgramFile(), "--json", "--receipt", files.receipt];
  if (files.genesis !== undefined) argv.push("--genesis", files.genesis);
  if (files.trust !== undefined) argv.push("--trust", files.trust);
  for (const document of files.documents) argv.push("--file", document);
  let stdout: string;
  try {
    ({ stdout } = await run(process.execPath, argv, { timeout: TIMEOUT_MS }));
  } catch (error) {
    const failed = error as { readonly code?: number; readonly stdout?: string; stderr?: string };
    if (failed.code !== EXIT_REFUSED || failed.stdout === undefined || failed.stdout === "") {
      throw new HanseError(
        "CLI_VERIFIER",
        "unavailable",
        `the verifier gave no verdict: ${failed.stderr ?? String(error)}`,
        { cause: error },
      );
    }
    stdout = failed.stdout;
  }
  return JSON.parse(stdout) as OfflineVerdict;
}

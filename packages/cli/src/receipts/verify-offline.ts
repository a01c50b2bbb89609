/**
 * Verifies in a process of its own that gets nothing but the files, as an outsider does: it cannot
 * lean on what the caller has in memory.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { HanseError } from "@hanse/protocol";
import type { ReceiptFiles, ReceiptReport } from "./verify-receipt-file.ts";

const PROGRAM = fileURLToPath(new URL("../main.ts", import.meta.url));
const run = promisify(execFile);

export async function verifyOffline(files: ReceiptFiles): Promise<ReceiptReport> {
  const argv = ["verify", "--json", "--receipt", files.receipt];
  if (files.genesis !== undefined) argv.push("--genesis", files.genesis);
  if (files.trust !== undefined) argv.push("--trust", files.trust);
  for (const document of files.documents) argv.push("--file", document);
  let stdout: string;
  try {
    ({ stdout } = await run(process.execPath, [PROGRAM, ...argv], { timeout: 30_000 }));
  } catch (error) {
    // Exit code 1 is a verdict: the report says why.
    const failed = error as { readonly code?: number; readonly stdout?: string; stderr?: string };
    if (failed.code !== 1 || failed.stdout === undefined || failed.stdout === "") {
      throw new HanseError(
        "CLI_VERIFIER",
        "unavailable",
        `the verifier did not run: ${failed.stderr ?? String(error)}`,
        { cause: error },
      );
    }
    stdout = failed.stdout;
  }
  return JSON.parse(stdout) as ReceiptReport;
}

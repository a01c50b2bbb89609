/** Judges a receipt file against what the caller trusts, and documents against the receipt. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { HanseError, type ReceiptTrust } from "@hanse/protocol";
import { type FileVerdict, parseTrust, verifyReceiptFile } from "@hanse/verifier";

export interface ReceiptFiles {
  readonly receipt: string;
  readonly genesis?: string;
  /** JSON of a trusted validator set, instead of the genesis. */
  readonly trust?: string;
  /** Documents that the receipt must name. */
  readonly documents: readonly string[];
}

/** @throws HanseError `CLI_TRUST_FILE` naming the file when the trusted document is unreadable. */
export function loadTrust(files: Pick<ReceiptFiles, "genesis" | "trust">): ReceiptTrust {
  const file = files.genesis ?? files.trust!;
  const bytes = new Uint8Array(readFileSync(file));
  let trust: ReceiptTrust;
  try {
    trust = parseTrust(bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HanseError(
      "CLI_TRUST_FILE",
      "malformed",
      `${file}: ${reason}; get the document again from somebody you trust`,
      { cause },
    );
  }
  if ("genesis" in trust === (files.genesis !== undefined)) return trust;
  throw new HanseError(
    "CLI_USAGE_TRUST",
    "malformed",
    `${file}: holds ${"genesis" in trust ? "a genesis document; give it with --genesis" : "a trusted set; give it with --trust"}`,
  );
}

export function judgeReceiptFiles(files: ReceiptFiles): Promise<FileVerdict> {
  return verifyReceiptFile(
    new Uint8Array(readFileSync(files.receipt)),
    loadTrust(files),
    files.documents.map((file) => ({
      name: path.basename(file),
      bytes: new Uint8Array(readFileSync(file)),
    })),
  );
}

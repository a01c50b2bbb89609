/**
 * Checking a receipt, and documents against it, with no node and no network. Who may lie: whoever
 * handed the receipt or the document over; only the genesis or the trusted set is believed.
 */
import {
  type Bytes,
  createDigestSearch,
  decodeGenesis,
  fromUtf8,
  genesisFromJson,
  HanseError,
  type ReceiptCheck,
  type ReceiptTrust,
  type ReceiptVerdict,
  readyKeyBackends,
  receiptVerdictToJson,
  sha256,
  toHex,
  trustedSetFromJson,
  verifyReceipt,
} from "@hanse/protocol";

/** A document at hand, to be looked for in what the receipt proves. */
export interface CheckedFile {
  readonly name: string;
  readonly bytes: Bytes;
}

export interface FileFinding {
  readonly name: string;
  /** Hex. */
  readonly sha256: string;
  /** Where the receipt's facts name the digest; empty = nowhere. */
  readonly places: readonly string[];
}

export interface FileVerdict extends ReceiptVerdict {
  readonly files: readonly FileFinding[];
}

/** Files checked against one receipt. */
export const FILES_MAX = 1_000;

/**
 * What to trust, from a file: a genesis document as JSON or CBOR, or a trusted set as JSON.
 * @throws HanseError naming the field, or `TRUST_INVALID` when the file is neither.
 */
export function parseTrust(bytes: Bytes): ReceiptTrust {
  // JSON begins with a brace or white space, the CBOR form with a map's head (0xa0 to 0xbf).
  if (bytes[0] !== undefined && bytes[0] >= 0x80 && bytes[0] !== 0xef) {
    return { genesis: decodeGenesis(bytes) };
  }
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes).replace(/^\ufeff/, ""));
  } catch (cause) {
    const message = "the file is neither JSON nor an encoded genesis document";
    throw new HanseError("TRUST_INVALID", "malformed", message, { cause });
  }
  const isSet = typeof value === "object" && value !== null && "headerHash" in value;
  return isSet ? trustedSetFromJson(value) : { genesis: genesisFromJson(value) };
}

/**
 * Whether the receipt holds, and whether it names each of the files: by the SHA-256 that is
 * computed here from the file's bytes. A file that it does not name makes the verdict a refusal.
 * @throws HanseError `FILES_TOO_MANY`, or `GENESIS_INVALID` when the trusted genesis is none.
 */
export async function verifyReceiptFile(
  receipt: Bytes,
  trust: ReceiptTrust,
  files: readonly CheckedFile[] = [],
): Promise<FileVerdict> {
  if (files.length > FILES_MAX) {
    throw new HanseError("FILES_TOO_MANY", "tooLarge", `at most ${FILES_MAX} files at once`);
  }
  await readyKeyBackends();
  const verdict = verifyReceipt(receipt, trust);
  const { facts } = verdict;
  const find = facts === undefined ? () => [] : createDigestSearch(facts);
  const findings = files.map(({ name, bytes }): FileFinding => {
    const digest = sha256(bytes);
    return { name, sha256: toHex(digest), places: find(digest) };
  });
  if (!verdict.ok) return { ...verdict, files: findings };
  const checks: ReceiptCheck[] = [...verdict.checks];
  for (const { name, sha256: hex, places } of findings) {
    const ok = places.length > 0;
    const detail = ok
      ? `SHA-256 ${hex.slice(0, 16)}… is named in ${places.join(", ")}`
      : `its SHA-256 ${hex} is named nowhere: this is not the document that was recorded`;
    checks.push({ name: `file ${name}`, ok, detail });
  }
  const bad = checks.find((check) => !check.ok);
  if (bad === undefined) return { ...verdict, checks, files: findings };
  return { ok: false, checks, reason: `${bad.name}: ${bad.detail}`, files: findings };
}

/** A plain object for JSON.stringify. */
export function fileVerdictToJson(verdict: FileVerdict): Record<string, unknown> {
  return { ...receiptVerdictToJson(verdict), files: verdict.files };
}

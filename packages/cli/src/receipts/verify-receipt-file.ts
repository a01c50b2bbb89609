/** Judges a receipt file against what the caller trusts, and documents against the receipt. */
import { readFileSync } from "node:fs";
import {
  accountIdOf,
  createDigestSearch,
  decodeGenesis,
  describeStateKey,
  fromHex,
  genesisFromJson,
  HanseError,
  type ReceiptCheck,
  type ReceiptFacts,
  type ReceiptTrust,
  readyKeyBackends,
  toHex,
  trustedSetFromJson,
  verifyReceipt,
} from "@hanse/protocol";
import { hashFile } from "../client/call-parameters.ts";

export interface ReceiptFiles {
  readonly receipt: string;
  readonly genesis?: string;
  /** JSON of a trusted validator set, instead of the genesis. */
  readonly trust?: string;
  /** Documents that the receipt must name. */
  readonly documents: readonly string[];
}

export interface ReceiptReport {
  readonly ok: boolean;
  readonly reason: string | undefined;
  readonly checks: readonly ReceiptCheck[];
  /** What is proven, in words. */
  readonly statements: readonly string[];
}

/** @throws HanseError `CLI_TRUST_FILE` naming the file when the trusted document is unreadable. */
export function loadTrust(files: Pick<ReceiptFiles, "genesis" | "trust">): ReceiptTrust {
  const file = files.genesis ?? files.trust!;
  const bytes = readFileSync(file);
  try {
    if (files.genesis === undefined) return trustedSetFromJson(JSON.parse(bytes.toString("utf8")));
    // JSON begins with a brace; the binary form never does.
    const isJson = bytes.toString("latin1", 0, 64).trimStart().startsWith("{");
    return {
      genesis: isJson
        ? genesisFromJson(JSON.parse(bytes.toString("utf8")))
        : decodeGenesis(new Uint8Array(bytes)),
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HanseError(
      "CLI_TRUST_FILE",
      "malformed",
      `${file}: ${reason}; get the document again from somebody you trust`,
      { cause },
    );
  }
}

export async function verifyReceiptFile(files: ReceiptFiles): Promise<ReceiptReport> {
  await readyKeyBackends();
  const trust = loadTrust(files);
  const verdict = verifyReceipt(new Uint8Array(readFileSync(files.receipt)), trust);
  const checks = [...verdict.checks];
  if (!verdict.ok || verdict.facts === undefined) {
    return { ok: false, reason: verdict.reason, checks, statements: [] };
  }
  const findDigest = createDigestSearch(verdict.facts);
  for (const file of files.documents) {
    const digest = hashFile(file);
    const places = findDigest(fromHex(digest));
    const ok = places.length > 0;
    const detail = ok
      ? `${digest.slice(0, 12)}… named in ${places.join(", ")}`
      : `${digest.slice(0, 12)}… is named nowhere in what is proven: another file, or a changed one`;
    checks.push({ name: `document ${file}`, ok, detail });
    if (!ok) {
      return { ok, reason: `document ${file}: ${detail}`, checks, statements: [] };
    }
  }
  return { ok: true, reason: undefined, checks, statements: describeFacts(verdict.facts) };
}

function describeFacts(facts: ReceiptFacts): string[] {
  const { transaction } = facts;
  const lines = [
    `ledger       ${facts.ledger ?? ""} of ${facts.network ?? "the trusted set"} (${toHex(facts.ledgerId)})`,
  ];
  if (transaction !== undefined) {
    const { outcome, sender } = transaction;
    if (transaction.id !== undefined) lines.push(`transaction  ${toHex(transaction.id)}`);
    lines.push(`final in     block ${transaction.height}, place ${transaction.index}`);
    lines.push(`time         ${new Date(transaction.time).toISOString()}`);
    if (sender !== undefined) lines.push(`sender       account ${toHex(accountIdOf(sender))}`);
    lines.push(`outcome      ${outcome.code}${outcome.error === "" ? "" : `: ${outcome.error}`}`);
    if (outcome.result !== "") lines.push(`result       ${outcome.result}`);
    for (const event of outcome.events) lines.push(`event        ${event.name} ${event.data}`);
  }
  for (const fact of facts.state) {
    lines.push(
      `state        ${describeStateKey(fact.key)} ${fact.present ? "present" : "absent"} after block ${fact.height}`,
    );
    if (fact.row !== undefined) {
      const { columns, values } = fact.row;
      lines.push(`             ${columns.map((c, i) => `${c.name}=${show(values[i])}`).join(" ")}`);
    }
  }
  return lines;
}

function show(value: unknown): string {
  return value instanceof Uint8Array ? toHex(value) : String(value);
}

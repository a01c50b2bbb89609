/** A verdict as sentences, for terminals and the page. */
import {
  type CborValue,
  decodeCbor,
  describeStateKey,
  OUTCOME_OK,
  publicKeyToText,
  type StateColumnValue,
  type StateFacts,
  type TransactionFacts,
  toHex,
} from "@hanse/protocol";
import type { FileVerdict } from "./verify-file.ts";

/** One proven statement: a heading and pairs of label and text. */
export interface ProvenStatement {
  readonly title: string;
  readonly entries: readonly (readonly [label: string, text: string])[];
}

/** Characters of one value shown to people. */
const SHOWN_MAX = 400;

function shown(text: string): string {
  return text.length > SHOWN_MAX
    ? `${text.slice(0, SHOWN_MAX)}… (${text.length} characters)`
    : text;
}

/** UTC time of a number of milliseconds since 1970. */
export function formatTime(ms: number | bigint): string {
  const date = new Date(Number(ms));
  const isValid = !Number.isNaN(date.getTime());
  return isValid ? `${date.toISOString().slice(0, 19).replace("T", " ")} UTC` : `${ms} ms`;
}

function formatValue(value: StateColumnValue): string {
  if (value === null) return "(empty)";
  return shown(value instanceof Uint8Array ? toHex(value) : String(value));
}

/** JSON-like: byte strings as hex, integers beyond 2^53 in digits. */
function cborToText(value: CborValue): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (item instanceof Uint8Array) return toHex(item);
    if (item instanceof Map) return Object.fromEntries(item);
    return typeof item === "bigint" ? item.toString() : item;
  });
}

/** A contract call reads as what it says; only whole arrays and maps are taken for CBOR. */
export function formatPayload(payload: Uint8Array): string {
  try {
    const value = decodeCbor(payload);
    if (Array.isArray(value) || value instanceof Map) return shown(cborToText(value));
  } catch {
    // Not CBOR: a text or bytes.
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
    if (!/[\p{Cc}\p{Cf}]/u.test(text.replace(/[\n\t]/g, ""))) return shown(text);
  } catch {
    // Not a text: hex is what is left.
  }
  return shown(toHex(payload));
}

function transactionStatement(transaction: TransactionFacts): ProvenStatement {
  const { outcome, id, sender, engine, payload } = transaction;
  const entries: (readonly [string, string])[] = [];
  if (id !== undefined) entries.push(["id", toHex(id)]);
  entries.push(["block", `${transaction.height}, place ${transaction.index}`]);
  entries.push(["time", formatTime(transaction.time)]);
  if (sender !== undefined) entries.push(["sender", publicKeyToText(sender)]);
  if (engine !== undefined) entries.push(["engine", engine]);
  if (payload !== undefined) entries.push(["content", formatPayload(payload)]);
  const isOk = outcome.code === OUTCOME_OK;
  entries.push(["outcome", isOk ? "succeeded" : `failed: ${outcome.code}`]);
  if (outcome.result !== "") entries.push(["result", shown(outcome.result)]);
  if (outcome.error !== "") entries.push(["error", shown(outcome.error)]);
  for (const event of outcome.events) entries.push([`event ${event.name}`, shown(event.data)]);
  return { title: isOk ? "Transaction" : "Transaction that failed", entries };
}

function stateStatement(fact: StateFacts): ProvenStatement | undefined {
  const { row, entry } = fact;
  // A schema is there to read rows by; by itself it is of no interest to people.
  if (fact.key.kind === "schema" && fact.present) return undefined;
  const entries: (readonly [string, string])[] = [
    ["after block", `${fact.height}, certified ${formatTime(fact.certifiedAt)}`],
  ];
  if (row !== undefined) {
    entries.push(["last changed", `block ${row.height}`]);
    for (const [i, { name, type }] of row.columns.entries()) {
      const value = row.values[i] ?? null;
      entries.push([
        name,
        type === "time" && value !== null ? formatTime(value as bigint) : formatValue(value),
      ]);
    }
  }
  if (entry !== undefined) entries.push(["value", formatPayload(entry.value)]);
  if (fact.next !== undefined) entries.push(["next key", String(fact.next)]);
  return {
    title: `${describeStateKey(fact.key)} ${fact.present ? "" : "is absent"}`.trim(),
    entries,
  };
}

/** What a verdict that holds proves, for people. */
export function provenStatements(verdict: FileVerdict): ProvenStatement[] {
  const { facts } = verdict;
  if (!verdict.ok || facts === undefined) return [];
  const statements: (ProvenStatement | undefined)[] = [
    facts.transaction && transactionStatement(facts.transaction),
    ...facts.state.map(stateStatement),
  ];
  return statements.filter((statement) => statement !== undefined);
}

/** The sentence that stands above everything else. */
export function verdictSentence(verdict: FileVerdict): string {
  if (!verdict.ok) return `Refused. ${verdict.reason}`;
  const { facts, files } = verdict;
  const place =
    facts?.network === undefined ? "" : ` of network ${facts.network}, ledger ${facts.ledger}`;
  const named = files.length === 0 ? "" : ` It names ${files.map((file) => file.name).join(", ")}.`;
  return `Verified. The receipt${place} holds.${named}`;
}

/** Lines for a terminal: each check, what is proven, the verdict last. */
export function reportLines(verdict: FileVerdict): string[] {
  const width = Math.max(...verdict.checks.map((check) => check.name.length));
  const lines = verdict.checks.map(
    ({ name, ok, detail }) => `${ok ? "  ok  " : "FAILED"}  ${name.padEnd(width)}  ${detail}`,
  );
  for (const { title, entries } of provenStatements(verdict)) {
    lines.push("", title);
    const labels = Math.max(...entries.map(([label]) => label.length));
    for (const [label, text] of entries) {
      lines.push(
        `  ${label.padEnd(labels)}  ${text.replaceAll("\n", `\n${" ".repeat(labels + 4)}`)}`,
      );
    }
  }
  lines.push("", verdictSentence(verdict));
  return lines.map(withoutControls);
}

/** Texts of others could move the cursor or hide lines: no control character reaches a terminal. */
export function withoutControls(line: string): string {
  return line.replace(/[\p{Cc}\p{Cf}]/gu, (c) => (c === "\n" ? c : "\ufffd"));
}

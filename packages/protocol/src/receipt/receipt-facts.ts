/** What a verified receipt says, and where in it a document's hash stands. */
import { type Bytes, toHex } from "../encoding/bytes.ts";
import type { Hash } from "../hash/domain.ts";
import type { PublicKey } from "../keys/algorithms.ts";
import type { StateKey } from "../merkle/state-proof.ts";
import type { StateColumn, StateColumnValue } from "../merkle/state-value.ts";
import { OUTCOME_OK, type Outcome } from "../outcome/outcome.ts";

export interface TransactionFacts {
  /** Hash of the body; absent for a form that this program does not read. */
  readonly id?: Hash;
  readonly form: number;
  readonly bytes: Bytes;
  readonly height: number;
  readonly index: number;
  /** Time of its block, milliseconds since 1970. */
  readonly time: number;
  readonly sender?: PublicKey;
  readonly engine?: string;
  readonly payload?: Bytes;
  readonly outcome: Outcome;
}

export interface StateFacts {
  /** Height after whose execution it held. */
  readonly height: number;
  /** Time of the block of that certifies it (height + 1), milliseconds since 1970. */
  readonly certifiedAt: number;
  readonly key: StateKey;
  readonly present: boolean;
  /** Of a row: its columns, values and the height of its last change. */
  readonly row?: {
    readonly columns: readonly StateColumn[];
    readonly values: readonly StateColumnValue[];
    readonly height: number;
  };
  /** Of a key-value entry. */
  readonly entry?: {
    readonly value: Bytes;
    readonly version: { readonly height: number; readonly index: number };
  };
  /** Of a schema. */
  readonly columns?: readonly StateColumn[];
  /** Of a sequence: the next key. */
  readonly next?: bigint;
}

export interface ReceiptFacts {
  readonly ledgerId: Hash;
  /** Known when the genesis is what was trusted. */
  readonly network?: string;
  readonly ledger?: string;
  readonly transaction?: TransactionFacts;
  readonly state: readonly StateFacts[];
}

/** A short name of a state key for people: `row deeds[7]`. */
export function describeStateKey(key: StateKey): string {
  switch (key.kind) {
    case "row":
      return `row ${key.table}[${key.key instanceof Uint8Array ? toHex(key.key) : key.key}]`;
    case "kv":
      return `entry ${key.namespace}[${toHex(key.key)}]`;
    default:
      return `${key.kind} ${key.table}`;
  }
}

/** One place of the facts, made ready for searching. */
interface SearchedPlace {
  readonly name: string;
  /** Lower case. */
  readonly text: string;
  /** Hex of binary contents. */
  readonly hex?: string;
}

function searchedBytes(name: string, bytes: Bytes): SearchedPlace {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return { name, text: text.toLowerCase(), hex: toHex(bytes) };
}

function holds(place: SearchedPlace, digest: string): boolean {
  if (place.text.includes(digest)) return true;
  if (place.hex === undefined) return false;
  // At an odd digit the match would be of half bytes.
  let at = place.hex.indexOf(digest);
  while (at >= 0 && at % 2 === 1) at = place.hex.indexOf(digest, at + 1);
  return at >= 0;
}

/**
 * A search for the places of verified facts that name a SHA-256 digest, as raw bytes or hex: what a
 * transaction that succeeded submitted, returned or announced, and what rows and entries hold. A
 * transaction that failed names nothing: it left no trace in the record but its fee.
 */
export function createDigestSearch(facts: ReceiptFacts): (digest: Hash) => string[] {
  const places: SearchedPlace[] = [];
  const addText = (name: string, text: string) => places.push({ name, text: text.toLowerCase() });
  const { transaction } = facts;
  if (transaction !== undefined && transaction.outcome.code === OUTCOME_OK) {
    const { outcome } = transaction;
    places.push(searchedBytes("transaction", transaction.payload ?? transaction.bytes));
    addText("result", outcome.result);
    for (const [i, event] of outcome.events.entries()) {
      addText(`event ${i} ${event.name}`, event.data);
    }
  }
  for (const fact of facts.state) {
    const name = describeStateKey(fact.key);
    for (const [i, value] of fact.row?.values.entries() ?? []) {
      const column = `${name}.${fact.row!.columns[i]!.name}`;
      if (typeof value === "string") addText(column, value);
      else if (value instanceof Uint8Array) places.push(searchedBytes(column, value));
    }
    if (fact.entry !== undefined) places.push(searchedBytes(name, fact.entry.value));
  }
  return (digest) => {
    const hex = toHex(digest);
    return places.filter((place) => holds(place, hex)).map((place) => place.name);
  };
}

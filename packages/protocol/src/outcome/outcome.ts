/**
 * What a transaction did (spec/transactions.md, "Outcomes"): hashed in order into the results root
 * that the header above certifies.
 */
import type { Bytes } from "../encoding/bytes.ts";
import { decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asText, asUint64 } from "../encoding/fields.ts";
import { DOMAINS, type Hash, hashWithDomain } from "../hash/domain.ts";
import { hashLeaf, merkleRoot } from "../merkle/transaction-tree.ts";

export interface LedgerEvent {
  /** Dotted name, e.g. `deeds.served`. */
  readonly name: string;
  /** Canonical JSON text. */
  readonly data: string;
}

/** What a transaction did; hashed into the results root. */
export interface Outcome {
  /** `ok`, or a stable code such as `CONTRACT_ERROR`. */
  readonly code: string;
  /** Result as text; empty when it failed. */
  readonly result: string;
  /** For a failure: sentence for a person, with contract, line and column where known. */
  readonly error: string;
  readonly fuelUsed: bigint;
  readonly events: readonly LedgerEvent[];
}

/** A contract engine's foreign view of a block; its hash is part of the results root. */
export interface ForeignViewHash {
  /** Kind of the engine, e.g. `evm`. */
  readonly engine: string;
  readonly hash: Hash;
}

/** Code of an outcome that changed state. */
export const OUTCOME_OK = "ok";

/** The array `[code, result, error, fuelUsed, [[name, data], …]]`. */
export function encodeOutcome(outcome: Outcome): Bytes {
  return encodeCbor([
    outcome.code,
    outcome.result,
    outcome.error,
    outcome.fuelUsed,
    outcome.events.map((event) => [event.name, event.data]),
  ]);
}

/** @throws HanseError `CBOR_*` or `FIELD_INVALID` naming the field. */
export function decodeOutcome(bytes: Bytes): Outcome {
  const [code, result, error, fuelUsed, events] = asArray(decodeCbor(bytes), "outcome", 5);
  return {
    code: asText(code, "outcome.code"),
    result: asText(result, "outcome.result"),
    error: asText(error, "outcome.error"),
    fuelUsed: asUint64(fuelUsed, "outcome.fuelUsed"),
    events: asArray(events, "outcome.events").map((item, i) => {
      const [name, data] = asArray(item, `outcome.events[${i}]`, 2);
      return {
        name: asText(name, `outcome.events[${i}].name`),
        data: asText(data, `outcome.events[${i}].data`),
      };
    }),
  };
}

/** Leaf of an outcome in the results tree. */
export function hashOutcome(outcome: Outcome): Hash {
  return hashLeaf(encodeOutcome(outcome));
}

/** Leaves of a block's results tree: its outcomes in order. */
export function outcomeLeaves(outcomes: readonly Outcome[]): Hash[] {
  return outcomes.map(hashOutcome);
}

/**
 * Results root of a block from the root over its outcomes: the same, or with foreign views the hash
 * of `[root, [[engine, hash], …]]`. The tree itself has as many leaves as the block has
 * transactions, whatever views there are, so that its size never has to be told in a proof.
 */
export function resultsRoot(outcomesRoot: Hash, views: readonly ForeignViewHash[] = []): Hash {
  if (views.length === 0) return outcomesRoot;
  const list = views.map((view) => [view.engine, view.hash]);
  return hashWithDomain(DOMAINS.results, encodeCbor([outcomesRoot, list]));
}

/** Results root of a block: RFC 9162 tree over its outcomes, joined with its foreign views. */
export function outcomeRoot(
  outcomes: readonly Outcome[],
  views: readonly ForeignViewHash[] = [],
): Hash {
  return resultsRoot(merkleRoot(outcomeLeaves(outcomes)), views);
}

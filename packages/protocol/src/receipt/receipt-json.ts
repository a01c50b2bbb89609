/** Receipts and verdicts as plain objects for JSON.stringify, for people and other programs. */

import { hashHeader } from "../block/header.ts";
import { type Bytes, toHex } from "../encoding/bytes.ts";
import type { FinalityProof } from "../finality/finality-proof.ts";
import { publicKeyToText } from "../keys/key-text.ts";
import type { StateKey } from "../merkle/state-proof.ts";
import type { StateColumnValue } from "../merkle/state-value.ts";
import type { Outcome } from "../outcome/outcome.ts";
import type { Receipt } from "./receipt.ts";
import type { ReceiptFacts, StateFacts } from "./receipt-facts.ts";
import type { ReceiptVerdict } from "./receipt-verdict.ts";

type JsonObject = Record<string, unknown>;

/** Integers as text, so that no reader rounds them; bytes as hex; a float that JSON lacks as text. */
function cellToJson(value: StateColumnValue): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return toHex(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value;
}

function keyToJson(key: StateKey): JsonObject {
  switch (key.kind) {
    case "row":
      return { kind: key.kind, table: key.table, key: cellToJson(key.key) };
    case "kv":
      return { kind: key.kind, namespace: key.namespace, key: toHex(key.key) };
    default:
      return { kind: key.kind, table: key.table };
  }
}

function outcomeToJson(outcome: Outcome): JsonObject {
  const { code, result, error, fuelUsed, events } = outcome;
  return { code, result, error, fuelUsed: String(fuelUsed), events };
}

const allHex = (list: readonly Bytes[]) => list.map(toHex);

function proofToJson(proof: FinalityProof): JsonObject {
  switch (proof.kind) {
    case "qc": {
      const { view, signers, signatures } = proof.certificate;
      return { certificate: { view, signers: toHex(signers), signatures: allHex(signatures) } };
    }
    case "comet": {
      const { signedHeader, path } = proof;
      return { comet: { signedHeader: toHex(signedHeader), path: allHex(path) } };
    }
    case "attested": {
      const attestations = proof.attestations.map(({ member, signature }) => ({
        member,
        signature: toHex(signature),
      }));
      return { attested: { stateRoot: toHex(proof.stateRoot), attestations } };
    }
  }
}

/** A header and its proof. Reading it proves nothing. */
export function finalityProofToJson(proof: FinalityProof): JsonObject {
  const { header } = proof;
  return {
    height: header.height,
    hash: toHex(hashHeader(header)),
    time: header.time,
    proposer: header.proposer,
    txCount: header.txCount,
    prevStateRoot: toHex(header.prevStateRoot),
    prevResultsRoot: toHex(header.prevResultsRoot),
    validatorsHash: toHex(header.validatorsHash),
    nextValidatorsHash: toHex(header.nextValidatorsHash),
    ...proofToJson(proof),
  };
}

/** Everything that a receipt holds. Reading it proves nothing. */
export function receiptToJson(receipt: Receipt): JsonObject {
  const { transaction: t } = receipt;
  return {
    ledgerId: toHex(receipt.ledgerId),
    sets: receipt.sets.map((set) => ({
      hash: toHex(set.hash),
      quorum: set.quorum,
      members: set.members.map(({ key, ...member }) => ({ ...member, key: publicKeyToText(key) })),
    })),
    blocks: receipt.blocks.map(finalityProofToJson),
    transaction:
      t === undefined
        ? null
        : {
            bytes: toHex(t.bytes),
            height: t.height,
            index: t.index,
            path: allHex(t.path),
            outcome: outcomeToJson(t.outcome),
            outcomePath: allHex(t.outcomePath),
            views: t.views.map(({ engine, hash }) => ({ engine, hash: toHex(hash) })),
          },
    facts: receipt.facts.map((fact) => ({
      height: fact.height,
      key: keyToJson(fact.key),
      value: fact.value === undefined ? null : toHex(fact.value),
      siblings: allHex(fact.siblings),
    })),
    documents: allHex(receipt.documents),
  };
}

function stateFactsToJson(fact: StateFacts): JsonObject {
  const { row, entry } = fact;
  return {
    height: fact.height,
    certifiedAt: fact.certifiedAt,
    key: keyToJson(fact.key),
    present: fact.present,
    ...(row === undefined
      ? {}
      : {
          changedAt: row.height,
          values: Object.fromEntries(
            row.columns.map(({ name }, i) => [name, cellToJson(row.values[i] ?? null)]),
          ),
        }),
    ...(entry === undefined ? {} : { value: toHex(entry.value), version: entry.version }),
    ...(fact.columns === undefined ? {} : { columns: fact.columns }),
    ...(fact.next === undefined ? {} : { next: String(fact.next) }),
  };
}

function factsToJson(facts: ReceiptFacts): JsonObject {
  const { transaction: t } = facts;
  return {
    ledgerId: toHex(facts.ledgerId),
    ...(facts.network === undefined ? {} : { network: facts.network, ledger: facts.ledger }),
    ...(t === undefined
      ? {}
      : {
          transaction: {
            ...(t.id === undefined ? {} : { id: toHex(t.id) }),
            form: t.form,
            height: t.height,
            index: t.index,
            time: t.time,
            ...(t.sender === undefined ? {} : { sender: publicKeyToText(t.sender) }),
            ...(t.engine === undefined ? {} : { engine: t.engine }),
            ...(t.payload === undefined ? {} : { payload: toHex(t.payload) }),
            outcome: outcomeToJson(t.outcome),
          },
        }),
    state: facts.state.map(stateFactsToJson),
  };
}

/** A verdict with its checks and, when it holds, what is proven. */
export function receiptVerdictToJson(verdict: ReceiptVerdict): JsonObject {
  return {
    ok: verdict.ok,
    ...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
    checks: verdict.checks.map(({ name, ok, detail }) => ({ name, ok, detail })),
    ...(verdict.facts === undefined ? {} : { facts: factsToJson(verdict.facts) }),
  };
}

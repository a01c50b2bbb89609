/** A block to be committed as the database worker writes it. */
import type { BlockCommit } from "@hanse/ledger";
import { encodeBlock, encodeFinalityProof, encodeOutcome, utf8 } from "@hanse/protocol";
import { packList } from "../changes/byte-writer.ts";
import type { BlockRow } from "../worker/block-writer.ts";

export function blockRowOf({ decided, executed, result, views }: BlockCommit): BlockRow {
  const { block, proof } = decided;
  const { transactions, outcomes } = executed;
  const ids = new Uint8Array(transactions.length * 32);
  const senders = new Uint8Array(transactions.length * 32);
  const validUntil = new Uint8Array(transactions.length * 8);
  const times = new DataView(validUntil.buffer);
  let validUntilMax = 0;
  for (const [i, transaction] of transactions.entries()) {
    ids.set(transaction.id, i * 32);
    senders.set(transaction.sender, i * 32);
    times.setBigInt64(i * 8, BigInt(transaction.validUntil));
    if (transaction.validUntil > validUntilMax) validUntilMax = transaction.validUntil;
  }
  return {
    height: block.header.height,
    hash: decided.hash,
    time: block.header.time,
    validUntilMax,
    transactions: transactions.length,
    ids,
    senders,
    validUntil,
    block: encodeBlock(block),
    certificate: proof === undefined ? new Uint8Array(0) : encodeFinalityProof(proof),
    outcomes: packList(outcomes.map(encodeOutcome)),
    views: packList(views.flatMap((view) => [utf8(view.engine), view.hash, view.bytes])),
    stateRoot: result.stateRoot,
    resultsRoot: result.resultsRoot,
  };
}

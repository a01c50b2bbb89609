/**
 * Body of a batch submit: transactions one after another, each behind its length as an unsigned
 * 32-bit big-endian number. Nothing in front, nothing behind.
 */
import { type Bytes, HanseError } from "@hanse/protocol";

export const BATCH_CONTENT_TYPE = "application/octet-stream";

export function encodeBatch(transactions: readonly Bytes[]): Bytes {
  let length = 0;
  for (const transaction of transactions) length += 4 + transaction.length;
  const batch = new Uint8Array(length);
  const view = new DataView(batch.buffer);
  let at = 0;
  for (const transaction of transactions) {
    view.setUint32(at, transaction.length);
    batch.set(transaction, at + 4);
    at += 4 + transaction.length;
  }
  return batch;
}

/**
 * Views into `batch`, in order.
 * @throws HanseError `API_BATCH` when lengths do not add up or it is empty, `API_BATCH_SIZE` above
 * `transactionsMax`.
 */
export function decodeBatch(batch: Bytes, transactionsMax: number): Bytes[] {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const transactions: Bytes[] = [];
  let at = 0;
  while (at < batch.length) {
    const length = at + 4 <= batch.length ? view.getUint32(at) : 0;
    const end = at + 4 + length;
    if (length === 0 || end > batch.length) {
      throw new HanseError(
        "API_BATCH",
        "malformed",
        `batch: transaction ${transactions.length} at byte ${at} has no valid length; each one stands behind its length in 4 bytes, big-endian`,
        { details: { field: "body", index: transactions.length } },
      );
    }
    if (transactions.length === transactionsMax) {
      throw new HanseError(
        "API_BATCH_SIZE",
        "tooLarge",
        `batch: more than ${transactionsMax} transactions; send it in parts`,
        { details: { field: "body", transactionsMax } },
      );
    }
    transactions.push(batch.subarray(at + 4, end));
    at = end;
  }
  if (transactions.length === 0) {
    throw new HanseError("API_BATCH", "malformed", "batch: no transaction in it");
  }
  return transactions;
}

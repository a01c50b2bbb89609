/** Batches of transactions on the way between nodes, and in the journal: `[1, [bytes, …]]`. */
import {
  asArray,
  asBytes,
  asUint,
  type Bytes,
  decodeCbor,
  encodeCbor,
  HanseError,
} from "@hanse/protocol";

const BATCH_VERSION = 1;

/** Transactions in one batch. */
export const BATCH_COUNT_MAX = 1_000;
/** A batch is closed when its transactions reach this many bytes; one large one may exceed it. */
export const BATCH_BYTES_TARGET = 256 * 1024;

export function encodeTransactionBatch(transactions: readonly Bytes[]): Bytes {
  return encodeCbor([BATCH_VERSION, transactions as Bytes[]]);
}

/**
 * Transactions of a batch as views into it.
 * @throws HanseError `CBOR_*`, `FIELD_INVALID`, `LEDGER_BATCH_VERSION` or `LEDGER_BATCH_TOO_LARGE`.
 */
export function decodeTransactionBatch(
  bytes: Bytes,
  bytesMax: number,
  countMax: number = BATCH_COUNT_MAX,
): Bytes[] {
  if (bytes.length > bytesMax) {
    throw new HanseError("LEDGER_BATCH_TOO_LARGE", "tooLarge", `batch: at most ${bytesMax} bytes`);
  }
  const [version, list] = asArray(decodeCbor(bytes), "batch", 2);
  if (asUint(version, "batch.version") !== BATCH_VERSION) {
    throw new HanseError("LEDGER_BATCH_VERSION", "malformed", "batch.version: only 1 is known");
  }
  const items = asArray(list, "batch.transactions");
  if (items.length > countMax) {
    throw new HanseError(
      "LEDGER_BATCH_TOO_LARGE",
      "tooLarge",
      `batch.transactions: at most ${countMax}`,
    );
  }
  return items.map((item, i) => asBytes(item, `batch.transactions[${i}]`));
}

/** Cuts a list into batches within the bounds. */
export function* toBatches(transactions: Iterable<Bytes>): Generator<Bytes[]> {
  let batch: Bytes[] = [];
  let size = 0;
  for (const bytes of transactions) {
    if (
      batch.length > 0 &&
      (batch.length >= BATCH_COUNT_MAX || size + bytes.length > BATCH_BYTES_TARGET)
    ) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(bytes);
    size += bytes.length;
  }
  if (batch.length > 0) yield batch;
}

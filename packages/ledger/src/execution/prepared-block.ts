/** A block with its transactions read, the work shared by validation and execution. */
import {
  type Block,
  type Bytes,
  HanseError,
  type Hash,
  hashLeaf,
  merkleRoot,
  toHanseError,
} from "@hanse/protocol";
import type { VerdictCache } from "../admission/verdict-cache.ts";
import { hashKey } from "../mempool/hash-key.ts";
import type { Mempool } from "../mempool/mempool.ts";
import type { DecodedTransaction, TransactionCodec } from "../pipeline/interfaces.ts";

export interface PreparedTransaction {
  readonly transaction: DecodedTransaction;
  /** `hashKey` of the id. */
  readonly key: string;
  readonly leaf: Hash;
  /** Its signatures held when this node looked. */
  readonly verified: boolean;
  /** It waits in our mempool, so no block below holds it. */
  readonly pending: boolean;
}

export interface PreparedBlock {
  readonly block: Block;
  readonly hash: Hash;
  readonly transactions: readonly PreparedTransaction[];
  readonly txRoot: Hash;
}

/** Prepared blocks kept: proposals of one height, in several views. */
const PREPARED_MAX = 8;

/** Bytes that a header and the frame of a block may take, beside its contents. */
const FRAME_BYTES = 2_048;
/** Length prefix of a transaction in a block. */
export const TRANSACTION_FRAME_BYTES = 5;

/** Size of a block as `blockBytesMax` counts it: the same for everybody, whatever the encoding. */
export function blockSizeWithout(lastCert: Bytes, evidence: readonly Bytes[]): number {
  let size = FRAME_BYTES + lastCert.length;
  for (const item of evidence) size += item.length + TRANSACTION_FRAME_BYTES;
  return size;
}

export function blockSize(block: Block): number {
  let size = blockSizeWithout(block.lastCert, block.evidence);
  for (const bytes of block.transactions) size += bytes.length + TRANSACTION_FRAME_BYTES;
  return size;
}

export type CodecTable = ReadonlyMap<number, TransactionCodec>;

/**
 * Reads one transaction by the codec of its form byte.
 * @throws HanseError with kind `malformed`.
 */
export function decodeTransaction(codecs: CodecTable, bytes: Bytes): DecodedTransaction {
  const codec = codecs.get(bytes[0] ?? -1);
  if (codec === undefined) {
    throw new HanseError(
      "LEDGER_TX_FORM",
      "malformed",
      `transaction: this ledger knows no form ${bytes[0] ?? "of no bytes"}; forms: ${[...codecs.keys()].join(", ")}`,
    );
  }
  return codec.decode(bytes);
}

export interface BlockPreparer {
  /** @throws HanseError with kind `malformed`, naming the transaction's place. */
  prepare(block: Block, hash: Hash): PreparedBlock;
  /** A block of our own making, whose transactions need no reading. */
  remember(prepared: PreparedBlock): void;
  forget(): void;
}

export function createBlockPreparer(
  codecs: CodecTable,
  mempool: Mempool,
  verdicts: VerdictCache,
): BlockPreparer {
  const known = new Map<string, PreparedBlock>();

  function remember(prepared: PreparedBlock): void {
    known.set(hashKey(prepared.hash), prepared);
    if (known.size > PREPARED_MAX) known.delete(known.keys().next().value!);
  }

  function prepareTransaction(bytes: Bytes, leaf: Hash, index: number): PreparedTransaction {
    const pending = mempool.byLeaf(leaf);
    if (pending !== undefined) {
      return {
        transaction: pending.transaction,
        key: pending.key,
        leaf,
        verified: true,
        pending: true,
      };
    }
    try {
      const transaction = decodeTransaction(codecs, bytes);
      const verified = verdicts.has(leaf);
      return { transaction, key: hashKey(transaction.id), leaf, verified, pending: false };
    } catch (thrown) {
      const { code, message } = toHanseError(thrown);
      throw new HanseError(code, "malformed", `block.transactions[${index}]: ${message}`, {
        cause: thrown,
      });
    }
  }

  return {
    prepare(block, hash) {
      const again = known.get(hashKey(hash));
      // The hash covers the header only: the same body has to come with it.
      if (again !== undefined && again.block === block) return again;
      const leaves = block.transactions.map(hashLeaf);
      const prepared = {
        block,
        hash,
        transactions: block.transactions.map((bytes, i) =>
          prepareTransaction(bytes, leaves[i]!, i),
        ),
        txRoot: merkleRoot(leaves),
      };
      remember(prepared);
      return prepared;
    },
    remember,
    forget: () => known.clear(),
  };
}

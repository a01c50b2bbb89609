/** A block: header, the certificate of the height below, evidence and transactions. */
import type { Bytes } from "../encoding/bytes.ts";
import { type CborValue, decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes } from "../encoding/fields.ts";
import { DOMAINS, type Hash, hashWithDomain } from "../hash/domain.ts";
import { hashLeaf, merkleRoot } from "../merkle/transaction-tree.ts";
import { type BlockHeader, decodeHeader, encodeHeader } from "./header.ts";

export interface Block {
  readonly header: BlockHeader;
  /** Encoded finality certificate of height-1; empty at height 1. */
  readonly lastCert: Bytes;
  /** Encoded evidence of misbehaviour, each one a system fact of this block. */
  readonly evidence: readonly Bytes[];
  /** Transactions as submitted, form byte in front. */
  readonly transactions: readonly Bytes[];
}

export function encodeBlock(block: Block): Bytes {
  return encodeCbor([
    encodeHeader(block.header),
    block.lastCert,
    block.evidence as Bytes[],
    block.transactions as Bytes[],
  ]);
}

/** Structure only: roots and counts are the caller's to check. @throws HanseError naming the field. */
export function decodeBlock(bytes: Bytes): Block {
  const [header, lastCert, evidence, transactions] = asArray(decodeCbor(bytes), "block", 4);
  const list = (value: CborValue | undefined, field: string) =>
    asArray(value, field).map((item, i) => asBytes(item, `${field}[${i}]`));
  return {
    header: decodeHeader(asBytes(header, "block.header")),
    lastCert: asBytes(lastCert, "block.lastCert"),
    evidence: list(evidence, "block.evidence"),
    transactions: list(transactions, "block.transactions"),
  };
}

export function transactionRoot(transactions: readonly Bytes[]): Hash {
  return merkleRoot(transactions.map(hashLeaf));
}

export function evidenceRoot(evidence: readonly Bytes[]): Hash {
  return hashWithDomain(DOMAINS.evidence, encodeCbor(evidence as Bytes[]));
}

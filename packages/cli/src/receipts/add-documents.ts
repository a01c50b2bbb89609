/** A receipt says which documents it is about; a verifier then insists that they are named in it. */
import { type Bytes, decodeReceipt, encodeReceipt, type Hash } from "@hanse/protocol";

/** The receipt with the SHA-256 of further documents. */
export function addDocuments(receipt: Bytes, digests: readonly Hash[]): Bytes {
  if (digests.length === 0) return receipt;
  const decoded = decodeReceipt(receipt);
  return encodeReceipt({ ...decoded, documents: [...decoded.documents, ...digests] });
}

/** Builds and signs native transactions (spec/transactions.md). */
import {
  type Bytes,
  encodeNativeBody,
  encodeNativeTransaction,
  type Hash,
  type KeyPair,
  nativeSignedMessage,
  nativeTransactionId,
  signMessage,
} from "@hanse/protocol";

export interface TransactionDraft {
  readonly ledgerId: Hash;
  /** Contract engine: `needle`, `native`… */
  readonly engine: string;
  /** The engine's own message. */
  readonly payload: Bytes;
  /** Milliseconds since 1970; ten minutes from now unless said. */
  readonly validUntil?: number;
  /** Any unsigned 64-bit number; random unless said. */
  readonly nonce?: bigint;
}

export interface SignedTransaction {
  readonly id: Hash;
  /** What is submitted. */
  readonly bytes: Bytes;
}

const VALID_MS = 600_000;

/** Needs `readyKeyBackends` before. */
export function signTransaction(key: KeyPair, draft: TransactionDraft): SignedTransaction {
  const body = encodeNativeBody({
    ledgerId: draft.ledgerId,
    sender: key.publicKey,
    nonce: draft.nonce ?? crypto.getRandomValues(new BigUint64Array(1))[0]!,
    validUntil: draft.validUntil ?? Date.now() + VALID_MS,
    engine: draft.engine,
    payload: draft.payload,
  });
  const signature = signMessage(key, nativeSignedMessage(body));
  return { id: nativeTransactionId(body), bytes: encodeNativeTransaction(body, signature) };
}

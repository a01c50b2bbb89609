/**
 * The native transaction form (spec/transactions.md): a signed CBOR envelope
 * `[body, signature]`, body = `[version, ledgerId, sender, nonce, validUntil, engine, payload]`.
 * The id is the hash of the body, so that no other signature of the same body is another
 * transaction.
 */
import type { Bytes } from "../encoding/bytes.ts";
import { decodeCbor, encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes, asText, asUint, asUint64 } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import {
  DOMAINS,
  HASH_BYTES,
  type Hash,
  hashWithDomain,
  sha256,
  withDomain,
} from "../hash/domain.ts";
import {
  type PublicKey,
  publicKeyFromCbor,
  publicKeyToCbor,
  SIGNATURE_BYTES,
} from "../keys/algorithms.ts";

export const NATIVE_TRANSACTION_VERSION = 1;

/** First byte of every transaction in a block or on a wire: which codec reads the rest. */
export const TRANSACTION_FORMS = { native: 1 } as const;

export interface NativeTransactionBody {
  /** The ledger it is meant for: hash of that ledger's genesis, 32 bytes. */
  readonly ledgerId: Hash;
  readonly sender: PublicKey;
  /** Any unsigned 64-bit number; makes two otherwise equal transactions differ. */
  readonly nonce: bigint;
  /** Last block time, milliseconds since 1970, at which the transaction may be in a block. */
  readonly validUntil: number;
  /** The contract engine that runs it: `native`, `needle`, … at most 32 characters. */
  readonly engine: string;
  /** The engine's own message. */
  readonly payload: Bytes;
}

export interface NativeTransaction {
  /** Hash of the body: the transaction's id everywhere. */
  readonly id: Hash;
  readonly body: NativeTransactionBody;
  readonly signature: Bytes;
  /** What the signature covers. */
  readonly signedMessage: Bytes;
}

export function encodeNativeBody(body: NativeTransactionBody): Bytes {
  return encodeCbor([
    NATIVE_TRANSACTION_VERSION,
    body.ledgerId,
    publicKeyToCbor(body.sender),
    body.nonce,
    body.validUntil,
    body.engine,
    body.payload,
  ]);
}

export function nativeTransactionId(bodyBytes: Bytes): Hash {
  return hashWithDomain(DOMAINS.transaction, bodyBytes);
}

/** The bytes a signer signs for a body. */
export function nativeSignedMessage(bodyBytes: Bytes): Bytes {
  return withDomain(DOMAINS.transaction, bodyBytes);
}

/** Envelope with its form byte in front: what is submitted, ordered and hashed into the block. */
export function encodeNativeTransaction(bodyBytes: Bytes, signature: Bytes): Bytes {
  const envelope = encodeCbor([bodyBytes, signature]);
  const wire = new Uint8Array(envelope.length + 1);
  wire[0] = TRANSACTION_FORMS.native;
  wire.set(envelope, 1);
  return wire;
}

/**
 * Reads a native transaction (form byte included). The signature is not verified here.
 * @throws HanseError `TX_FORM`, `TX_VERSION`, `CBOR_*` or `FIELD_INVALID` naming the field.
 */
export function decodeNativeTransaction(wire: Bytes): NativeTransaction {
  if (wire[0] !== TRANSACTION_FORMS.native) {
    throw new HanseError("TX_FORM", "malformed", "not a native transaction (form byte is not 1)");
  }
  const [bodyValue, signatureValue] = asArray(decodeCbor(wire.subarray(1)), "transaction", 2);
  const bodyBytes = asBytes(bodyValue, "transaction.body");
  const signature = asBytes(signatureValue, "transaction.signature", SIGNATURE_BYTES);
  const fields = asArray(decodeCbor(bodyBytes), "transaction.body", 7);
  if (asUint(fields[0], "version") !== NATIVE_TRANSACTION_VERSION) {
    throw new HanseError("TX_VERSION", "malformed", "version: this node reads version 1 only");
  }
  const engine = asText(fields[5], "engine");
  if (engine.length === 0 || engine.length > 32) {
    throw new HanseError("FIELD_INVALID", "malformed", "engine: expected 1 to 32 characters");
  }
  const signedMessage = nativeSignedMessage(bodyBytes);
  return {
    // The same bytes as nativeTransactionId hashes, not put together twice.
    id: sha256(signedMessage),
    body: {
      ledgerId: asBytes(fields[1], "ledgerId", HASH_BYTES),
      sender: publicKeyFromCbor(fields[2], "sender"),
      nonce: asUint64(fields[3], "nonce"),
      validUntil: asUint(fields[4], "validUntil"),
      engine,
      payload: asBytes(fields[6], "payload"),
    },
    signature,
    signedMessage,
  };
}

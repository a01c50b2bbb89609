import type { Bytes } from "../encoding/bytes.ts";
import type { CborValue } from "../encoding/cbor.ts";
import { encodeCbor } from "../encoding/cbor.ts";
import { asArray, asBytes, asUint } from "../encoding/fields.ts";
import { HanseError } from "../errors/hanse-error.ts";
import { DOMAINS, type Hash, hashWithDomain } from "../hash/domain.ts";

/** Algorithm identifiers travel with every key; a number is never reused. */
export const KEY_ALGORITHMS = {
  /** Ed25519, verdicts by libsodium's rule. Public key 32 bytes, signature 64. */
  ed25519: 1,
  /** ECDSA P-256 with SHA-256. Public key 33 bytes (compressed), signature r||s, low S only. */
  p256: 2,
  /** ECDSA secp256k1 with SHA-256. Public key 33 bytes (compressed), signature r||s, low S only. */
  secp256k1: 3,
} as const;

export type KeyAlgorithm = keyof typeof KEY_ALGORITHMS;

export const PUBLIC_KEY_BYTES: Readonly<Record<KeyAlgorithm, number>> = {
  ed25519: 32,
  p256: 33,
  secp256k1: 33,
};

export const SIGNATURE_BYTES = 64;

export interface PublicKey {
  readonly algorithm: KeyAlgorithm;
  readonly bytes: Bytes;
}

const byNumber = new Map<number, KeyAlgorithm>(
  Object.entries(KEY_ALGORITHMS).map(([name, number]) => [number, name as KeyAlgorithm]),
);

export function publicKeyToCbor(key: PublicKey): CborValue {
  return [KEY_ALGORITHMS[key.algorithm], key.bytes];
}

/** @throws HanseError `KEY_ALGORITHM` or `FIELD_INVALID` naming the field. */
export function publicKeyFromCbor(value: CborValue | undefined, field: string): PublicKey {
  const [number, bytes] = asArray(value, field, 2);
  const algorithm = byNumber.get(asUint(number, `${field}.algorithm`));
  if (algorithm === undefined) {
    throw new HanseError("KEY_ALGORITHM", "malformed", `${field}: unknown key algorithm`, {
      details: { field },
    });
  }
  return { algorithm, bytes: asBytes(bytes, `${field}.bytes`, PUBLIC_KEY_BYTES[algorithm]) };
}

/** The 32-byte account id that a public key stands for. */
export function accountIdOf(key: PublicKey): Hash {
  return hashWithDomain(DOMAINS.account, encodeCbor(publicKeyToCbor(key)));
}

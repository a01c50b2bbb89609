/**
 * Keys and signatures of all algorithms behind one door. One verdict per algorithm whatever library
 * computes it: the shape rules stand here, before any library is asked (spec/encoding.md, "Keys").
 */
import { signatureBackends } from "#key-backend";
import { type Bytes, compareBytes, fromHex } from "../encoding/bytes.ts";
import { HanseError } from "../errors/hanse-error.ts";
import {
  KEY_ALGORITHMS,
  type KeyAlgorithm,
  PUBLIC_KEY_BYTES,
  type PublicKey,
  SIGNATURE_BYTES,
} from "./algorithms.ts";
import {
  SECRET_KEY_BYTES,
  type SignatureBackend,
  type SignatureBackends,
} from "./signature-backend.ts";

export { SECRET_KEY_BYTES } from "./signature-backend.ts";

/**
 * A key pair made by `createKeyPair` or `keyPairFromJson`, which make sure that both halves belong
 * together: an Ed25519 signature made with a foreign public key gives the secret away.
 */
export interface KeyPair {
  readonly publicKey: PublicKey;
  /** 32 bytes: the Ed25519 seed (RFC 8032), or the big-endian scalar of an ECDSA key. */
  readonly secretKey: Bytes;
}

/** n, the order of the group, and floor(n/2): SEC 2, sections 2.4.1 and 2.4.2. */
const ECDSA_ORDERS = {
  p256: {
    n: fromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    half: fromHex("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8"),
  },
  secp256k1: {
    n: fromHex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
    half: fromHex("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0"),
  },
} as const;

function isZero(bytes: Bytes): boolean {
  return bytes.every((byte) => byte === 0);
}

function hasShape(algorithm: KeyAlgorithm, publicKey: Bytes, signature: Bytes): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES[algorithm]) return false;
  if (signature.length !== SIGNATURE_BYTES) return false;
  if (algorithm === "ed25519") return true;
  const { n, half } = ECDSA_ORDERS[algorithm];
  if (publicKey[0] !== 2 && publicKey[0] !== 3) return false;
  const r = signature.subarray(0, 32);
  const s = signature.subarray(32);
  if (compareBytes(r, n) >= 0 || compareBytes(s, half) > 0) return false;
  return !isZero(r) && !isZero(s);
}

/** n - s, both big-endian. */
function negate(s: Bytes, n: Bytes): Bytes {
  const negated = new Uint8Array(32);
  let borrow = 0;
  for (let i = 31; i >= 0; i--) {
    const difference = n[i]! - s[i]! - borrow;
    negated[i] = difference & 0xff;
    borrow = difference < 0 ? 1 : 0;
  }
  return negated;
}

/** The functions of this file over given backends; tests run them over each one. */
export function createSignatures(backends: SignatureBackends) {
  function createKeyPair(algorithm: KeyAlgorithm, seed?: Bytes): KeyPair {
    const backend: SignatureBackend = backends.get(algorithm);
    if (seed !== undefined && seed.length !== SECRET_KEY_BYTES) {
      throw new HanseError("KEY_SEED", "malformed", `seed: expected ${SECRET_KEY_BYTES} bytes`);
    }
    if (seed !== undefined && algorithm !== "ed25519") {
      if (isZero(seed) || compareBytes(seed, ECDSA_ORDERS[algorithm].n) >= 0) {
        const message = `seed: not a secret key of ${algorithm}; take another one`;
        throw new HanseError("KEY_SEED", "malformed", message);
      }
    }
    const secretKey = seed === undefined ? backend.createSecret() : seed.slice();
    const bytes = new Uint8Array(backend.publicKeyOf(secretKey));
    return { publicKey: { algorithm, bytes }, secretKey };
  }

  function signMessage(keyPair: KeyPair, message: Bytes): Bytes {
    const { algorithm, bytes } = keyPair.publicKey;
    const signature = backends.get(algorithm).sign(keyPair.secretKey, bytes, message);
    if (algorithm === "ed25519") return signature;
    const { n, half } = ECDSA_ORDERS[algorithm];
    const s = signature.subarray(32);
    if (compareBytes(s, half) > 0) signature.set(negate(s, n), 32);
    return signature;
  }

  function verifySignature(publicKey: PublicKey, message: Bytes, signature: Bytes): boolean {
    const backend = backends.get(publicKey.algorithm);
    if (!hasShape(publicKey.algorithm, publicKey.bytes, signature)) return false;
    try {
      return backend.verify(publicKey.bytes, message, signature);
    } catch {
      return false;
    }
  }

  return { createKeyPair, signMessage, verifySignature };
}

const signatures = createSignatures(signatureBackends);

/** Loads the signature libraries. Await it once at start; later calls return at once. */
export async function readyKeyBackends(): Promise<void> {
  await signatureBackends.ready();
}

/**
 * A key pair: from a 32-byte seed (which is the secret key), otherwise from the library's own
 * randomness.
 * @throws HanseError `KEY_SEED` on a seed of another length or outside the curve's range,
 * `KEYS_NOT_READY`.
 */
export function createKeyPair(algorithm: KeyAlgorithm, seed?: Bytes): KeyPair {
  return signatures.createKeyPair(algorithm, seed);
}

/** 64 bytes: Ed25519 (RFC 8032), or ECDSA over SHA-256 as r || s with the lower S. */
export function signMessage(keyPair: KeyPair, message: Bytes): Bytes {
  return signatures.signMessage(keyPair, message);
}

/**
 * Verdict on a signature; never throws on bad bytes. Ed25519 by libsodium's rule (S < L, no
 * small-order key or R, canonical key, no cofactor); ECDSA over SHA-256 with 0 < r < n,
 * 0 < s <= n/2 and a compressed key on the curve.
 * @throws HanseError `KEYS_NOT_READY` alone.
 */
export function verifySignature(publicKey: PublicKey, message: Bytes, signature: Bytes): boolean {
  return signatures.verifySignature(publicKey, message, signature);
}

export interface KeyBackendInfo {
  readonly name: string;
  /** False when this process computes with slow code; a node says so loudly. */
  readonly fast: boolean;
}

/** Which library computes each algorithm here; final once `readyKeyBackends` has resolved. */
export const KEY_BACKENDS: Readonly<Record<KeyAlgorithm, KeyBackendInfo>> = Object.defineProperties(
  {} as Record<KeyAlgorithm, KeyBackendInfo>,
  Object.fromEntries(
    (Object.keys(KEY_ALGORITHMS) as KeyAlgorithm[]).map((algorithm) => [
      algorithm,
      {
        enumerable: true,
        get: (): KeyBackendInfo => {
          const { name, fast } = signatureBackends.describe(algorithm);
          return { name, fast };
        },
      },
    ]),
  ),
);

/** What a signature library must offer; one object per algorithm, chosen by `#key-backend`. */
import type { Bytes } from "../encoding/bytes.ts";
import { HanseError } from "../errors/hanse-error.ts";
import type { KeyAlgorithm } from "./algorithms.ts";

export const SECRET_KEY_BYTES = 32;

/**
 * One algorithm of one library. Inputs have passed the shape checks of `signatures.ts`: lengths,
 * compressed form, and for ECDSA 0 < r < n and 0 < s <= n/2.
 */
export interface SignatureBackend {
  /** The library's name, for the node's start-up log. */
  readonly name: string;
  /** False for code an order of magnitude slower than the best one. */
  readonly fast: boolean;
  /** A fresh secret of 32 bytes from the library's own randomness. */
  createSecret(): Bytes;
  /** Public key of a secret. @throws anything when the secret is outside the curve's range. */
  publicKeyOf(secret: Bytes): Bytes;
  /** 64 bytes; ECDSA with whatever S, the caller makes it low. */
  sign(secret: Bytes, publicKey: Bytes, message: Bytes): Bytes;
  /** May throw on bytes that are no key or signature; the caller reads that as false. */
  verify(publicKey: Bytes, message: Bytes, signature: Bytes): boolean;
}

export interface SignatureBackends {
  /** Loads what must be loaded asynchronously; later calls return at once. */
  ready(): Promise<void>;
  /** @throws HanseError `KEYS_NOT_READY` before `ready` where the library loads asynchronously. */
  get(algorithm: KeyAlgorithm): SignatureBackend;
  /** Name and speed per algorithm, known at once, final after `ready`. */
  describe(algorithm: KeyAlgorithm): { readonly name: string; readonly fast: boolean };
}

export function notReady(algorithm: KeyAlgorithm): HanseError {
  return new HanseError(
    "KEYS_NOT_READY",
    "unavailable",
    `${algorithm}: await readyKeyBackends() once before signing or verifying`,
  );
}

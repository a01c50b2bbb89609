/**
 * Signatures of the simulation: a keyed hash. Only who holds the secret can sign; the verifier is
 * an oracle that knows all secrets, so that a forged signature can never pass by accident.
 */

import type { SignatureCheck } from "@hanse/ordering";
import { type PublicKey, sha256, toHex, utf8 } from "@hanse/protocol";

export interface SimulatedKey {
  readonly publicKey: PublicKey;
  sign(message: Uint8Array): Uint8Array;
}

export class KeyRing {
  readonly #secrets = new Map<string, Uint8Array>();

  create(name: string): SimulatedKey {
    const secret = sha256(utf8(`secret of ${name}`));
    const bytes = sha256(utf8(`public key of ${name}`));
    this.#secrets.set(toHex(bytes), secret);
    return {
      publicKey: { algorithm: "ed25519", bytes },
      sign: (message) => mac(secret, message),
    };
  }

  verify(check: SignatureCheck): boolean {
    const secret = this.#secrets.get(toHex(check.key.bytes));
    if (secret === undefined) return false;
    const expected = mac(secret, check.message);
    return Buffer.compare(expected, check.signature) === 0;
  }
}

function mac(secret: Uint8Array, message: Uint8Array): Uint8Array {
  const keyed = new Uint8Array(secret.length + message.length);
  keyed.set(secret);
  keyed.set(message, secret.length);
  const half = sha256(keyed);
  const signature = new Uint8Array(64);
  signature.set(half);
  signature.set(half, 32);
  return signature;
}

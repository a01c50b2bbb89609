/**
 * Signatures without native code, for browsers and as the fallback of nodes: libsodium compiled to
 * WebAssembly gives the same Ed25519 verdicts as the native library (measured on all 914 edge
 * vectors of C2SP/CCTV; noble and OpenSSL differ); @noble/curves for both ECDSA curves.
 */
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import sodium from "libsodium-wrappers";
import { concatBytes } from "../encoding/bytes.ts";
import type { KeyAlgorithm } from "./algorithms.ts";
import { notReady, type SignatureBackend, type SignatureBackends } from "./signature-backend.ts";

const ed25519: SignatureBackend = {
  name: "libsodium-wrappers",
  fast: false,
  createSecret: () => sodium.crypto_sign_keypair().privateKey.slice(0, 32),
  publicKeyOf: (secret) => sodium.crypto_sign_seed_keypair(secret).publicKey,
  sign: (secret, publicKey, message) =>
    sodium.crypto_sign_detached(message, concatBytes(secret, publicKey)),
  verify: (publicKey, message, signature) =>
    sodium.crypto_sign_verify_detached(signature, message, publicKey),
};

function nobleBackend(curve: typeof p256): SignatureBackend {
  return {
    name: "@noble/curves",
    fast: false,
    createSecret: () => curve.utils.randomSecretKey(),
    publicKeyOf: (secret) => curve.getPublicKey(secret, true),
    sign: (secret, _publicKey, message) => curve.sign(message, secret, { lowS: true }),
    verify: (publicKey, message, signature) =>
      curve.verify(signature, message, publicKey, { lowS: true }),
  };
}

const backends: Readonly<Record<KeyAlgorithm, SignatureBackend>> = {
  ed25519,
  p256: nobleBackend(p256),
  secp256k1: nobleBackend(secp256k1),
};

let sodiumReady = false;

export const signatureBackends: SignatureBackends = {
  async ready() {
    if (sodiumReady) return;
    await sodium.ready;
    sodiumReady = true;
  },
  get(algorithm) {
    if (algorithm === "ed25519" && !sodiumReady) throw notReady(algorithm);
    return backends[algorithm];
  },
  describe: (algorithm) => backends[algorithm],
};

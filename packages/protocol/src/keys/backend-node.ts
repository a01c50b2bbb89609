/**
 * Signatures in Node: libsodium and libsecp256k1 as native addons, OpenSSL for P-256. An addon that
 * cannot load on this machine is replaced by the portable code, which gives the same verdicts about
 * ten times slower; `KEY_BACKENDS` tells, so that the node can say it loudly at start.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign as signWithNode,
  verify as verifyWithNode,
} from "node:crypto";
import { createRequire } from "node:module";
import { sha256 } from "#hash-backend";
import { type Bytes, concatBytes, fromHex, toHex } from "../encoding/bytes.ts";
import type { KeyAlgorithm } from "./algorithms.ts";
import { notReady, type SignatureBackend, type SignatureBackends } from "./signature-backend.ts";

const require = createRequire(import.meta.url);

interface SodiumNative {
  crypto_sign_keypair(publicKey: Bytes, secretKey: Bytes): void;
  crypto_sign_seed_keypair(publicKey: Bytes, secretKey: Bytes, seed: Bytes): void;
  crypto_sign_detached(signature: Bytes, message: Bytes, secretKey: Bytes): void;
  crypto_sign_verify_detached(signature: Bytes, message: Bytes, publicKey: Bytes): boolean;
}

interface Secp256k1Native {
  privateKeyVerify(secret: Bytes): boolean;
  publicKeyCreate(secret: Bytes, compressed: boolean): Bytes;
  ecdsaSign(hash: Bytes, secret: Bytes): { readonly signature: Bytes };
  ecdsaVerify(signature: Bytes, hash: Bytes, publicKey: Bytes): boolean;
}

function loadAddon<Addon>(name: string): Addon | undefined {
  try {
    return require(name) as Addon;
  } catch {
    return undefined;
  }
}

function sodiumBackend(sodium: SodiumNative): SignatureBackend {
  const pair = (fill: (publicKey: Bytes, secretKey: Bytes) => void) => {
    const publicKey = new Uint8Array(32);
    const secretKey = new Uint8Array(64);
    fill(publicKey, secretKey);
    return { publicKey, secret: secretKey.slice(0, 32) };
  };
  return {
    name: "sodium-native",
    fast: true,
    createSecret: () => pair((pk, sk) => sodium.crypto_sign_keypair(pk, sk)).secret,
    publicKeyOf: (secret) =>
      pair((pk, sk) => sodium.crypto_sign_seed_keypair(pk, sk, secret)).publicKey,
    sign(secret, publicKey, message) {
      const signature = new Uint8Array(64);
      sodium.crypto_sign_detached(signature, message, concatBytes(secret, publicKey));
      return signature;
    },
    verify: (publicKey, message, signature) =>
      sodium.crypto_sign_verify_detached(signature, message, publicKey),
  };
}

function secp256k1Backend(native: Secp256k1Native): SignatureBackend {
  return {
    name: "secp256k1",
    fast: true,
    createSecret() {
      let secret: Bytes;
      do secret = new Uint8Array(randomBytes(32));
      while (!native.privateKeyVerify(secret));
      return secret;
    },
    publicKeyOf: (secret) => native.publicKeyCreate(secret, true),
    sign: (secret, _publicKey, message) => native.ecdsaSign(sha256(message), secret).signature,
    verify: (publicKey, message, signature) =>
      native.ecdsaVerify(signature, sha256(message), publicKey),
  };
}

/** Parsed P-256 keys kept; parsing one costs as much as verifying with it. */
const P256_KEYS_MAX = 4096;
/** DER in front of a compressed P-256 point in a SubjectPublicKeyInfo (RFC 5480). */
const P256_SPKI_PREFIX = fromHex("3039301306072a8648ce3d020106082a8648ce3d030107032200");
/** DER in front of the 32-byte secret in a PKCS #8 key without its public part (RFC 5915). */
const P256_PKCS8_PREFIX = fromHex(
  "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420",
);

/** A Map that forgets what was used longest ago. */
class KeyCache {
  readonly #entries = new Map<string, KeyObject>();

  get(bytes: Bytes, parse: (bytes: Bytes) => KeyObject): KeyObject {
    const name = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    let key = this.#entries.get(name);
    if (key === undefined) {
      key = parse(bytes);
      if (this.#entries.size >= P256_KEYS_MAX) {
        this.#entries.delete(this.#entries.keys().next().value!);
      }
    } else {
      this.#entries.delete(name);
    }
    this.#entries.set(name, key);
    return key;
  }
}

const p256PublicKeys = new KeyCache();

function p256PublicKey(bytes: Bytes): KeyObject {
  const der = Buffer.from(concatBytes(P256_SPKI_PREFIX, bytes));
  return createPublicKey({ key: der, format: "der", type: "spki" });
}

function p256SecretKey(secret: Bytes): KeyObject {
  const der = Buffer.from(concatBytes(P256_PKCS8_PREFIX, secret));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
}

const p256: SignatureBackend = {
  name: "node:crypto",
  fast: true,
  createSecret() {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { d } = privateKey.export({ format: "jwk" });
    return new Uint8Array(Buffer.from(d!, "base64url"));
  },
  publicKeyOf(secret) {
    // OpenSSL takes any 32 bytes as a scalar here; the range check is the caller's.
    const { x, y } = createPublicKey(p256SecretKey(secret)).export({ format: "jwk" });
    const odd = Buffer.from(y!, "base64url").at(-1)! & 1;
    return concatBytes(Uint8Array.of(2 + odd), Buffer.from(x!, "base64url"));
  },
  sign: (secret, _publicKey, message) =>
    new Uint8Array(
      signWithNode("sha256", message, { key: p256SecretKey(secret), dsaEncoding: "ieee-p1363" }),
    ),
  verify: (publicKey, message, signature) =>
    verifyWithNode(
      "sha256",
      message,
      { key: p256PublicKeys.get(publicKey, p256PublicKey), dsaEncoding: "ieee-p1363" },
      signature,
    ),
};

/** Whether an addon signs and verifies at all on this machine: loading alone does not show it. */
function works(backend: SignatureBackend): boolean {
  try {
    const secret = fromHex("11".repeat(32));
    const publicKey = backend.publicKeyOf(secret);
    const message = fromHex(toHex(secret));
    return backend.verify(publicKey, message, backend.sign(secret, publicKey, message));
  } catch {
    return false;
  }
}

/** Builds the backends with a loader of addons, so that a missing addon can be tried out. */
export function createNodeBackends(
  load: <Addon>(name: string) => Addon | undefined = loadAddon,
): SignatureBackends {
  const backends: Partial<Record<KeyAlgorithm, SignatureBackend>> = { p256 };
  const sodium = load<SodiumNative>("sodium-native");
  if (sodium !== undefined) backends.ed25519 = sodiumBackend(sodium);
  // The package's main file falls back to slow code in silence; its `bindings` file does not.
  const secp = load<Secp256k1Native>("secp256k1/bindings");
  if (secp !== undefined) backends.secp256k1 = secp256k1Backend(secp);
  const missing: KeyAlgorithm[] = [];
  for (const algorithm of ["ed25519", "secp256k1"] as const) {
    const backend = backends[algorithm];
    if (backend === undefined || !works(backend)) {
      delete backends[algorithm];
      missing.push(algorithm);
    }
  }
  let loading: Promise<void> | undefined;
  const fallBack = async () => {
    const { signatureBackends: portable } = await import("./backend-portable.ts");
    await portable.ready();
    for (const algorithm of missing) backends[algorithm] = portable.get(algorithm);
  };
  return {
    async ready() {
      if (missing.length === 0) return;
      loading ??= fallBack();
      await loading;
    },
    get(algorithm) {
      const backend = backends[algorithm];
      if (backend === undefined) throw notReady(algorithm);
      return backend;
    },
    describe: (algorithm) => backends[algorithm] ?? { name: "portable", fast: false },
  };
}

export const signatureBackends: SignatureBackends = createNodeBackends();

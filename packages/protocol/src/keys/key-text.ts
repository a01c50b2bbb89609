/** Keys as text and as key files, for people, configuration and JSON. */
import { equalBytes, fromHex, toHex } from "../encoding/bytes.ts";
import { HanseError } from "../errors/hanse-error.ts";
import {
  KEY_ALGORITHMS,
  type KeyAlgorithm,
  PUBLIC_KEY_BYTES,
  type PublicKey,
} from "./algorithms.ts";
import { createKeyPair, type KeyPair, SECRET_KEY_BYTES } from "./signatures.ts";

const NAMES = Object.keys(KEY_ALGORITHMS) as KeyAlgorithm[];

function malformed(field: string, expected: string): never {
  throw new HanseError("KEY_TEXT", "malformed", `${field}: expected ${expected}`, {
    details: { field },
  });
}

export function isKeyAlgorithm(name: unknown): name is KeyAlgorithm {
  return typeof name === "string" && NAMES.includes(name as KeyAlgorithm);
}

/** `ed25519:` and the key in lower-case hex. */
export function publicKeyToText(key: PublicKey): string {
  return `${key.algorithm}:${toHex(key.bytes)}`;
}

/** @throws HanseError `KEY_TEXT` naming the field. */
export function publicKeyFromText(text: unknown, field: string): PublicKey {
  if (typeof text !== "string") malformed(field, "a text such as ed25519:<hex>");
  const [algorithm, hex, ...rest] = text.split(":");
  if (!isKeyAlgorithm(algorithm) || hex === undefined || rest.length > 0) {
    malformed(field, `${NAMES.join(", ")} followed by : and the key in hex`);
  }
  const length = PUBLIC_KEY_BYTES[algorithm];
  if (hex.length !== 2 * length || !/^[0-9a-f]*$/.test(hex)) {
    malformed(field, `${2 * length} lower-case hex digits after ${algorithm}:`);
  }
  return { algorithm, bytes: fromHex(hex) };
}

/** A key file's content; `secretKey` is as secret as the key itself. */
export interface KeyFile {
  readonly algorithm: KeyAlgorithm;
  /** Hex. */
  readonly publicKey: string;
  /** Hex, 32 bytes. */
  readonly secretKey: string;
}

export function keyPairToJson(pair: KeyPair): KeyFile {
  return {
    algorithm: pair.publicKey.algorithm,
    publicKey: toHex(pair.publicKey.bytes),
    secretKey: toHex(pair.secretKey),
  };
}

/** JSON text of a key file, with a final line break. */
export function encodeKeyFile(pair: KeyPair): string {
  return `${JSON.stringify(keyPairToJson(pair), null, 2)}\n`;
}

/**
 * The key pair of a key file; recomputes the public key, so that a damaged file is noticed.
 * @throws HanseError `KEY_TEXT` naming the field; messages never quote the secret.
 */
export function keyPairFromJson(value: unknown): KeyPair {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    malformed("key file", "a JSON object");
  }
  const { algorithm, publicKey, secretKey, ...rest } = value as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) malformed(unknown, "no such field in a key file");
  if (!isKeyAlgorithm(algorithm)) malformed("algorithm", NAMES.join(", "));
  const expected = publicKeyFromText(`${algorithm}:${publicKey}`, "publicKey");
  if (
    typeof secretKey !== "string" ||
    secretKey.length !== 2 * SECRET_KEY_BYTES ||
    !/^[0-9a-f]*$/.test(secretKey)
  ) {
    malformed("secretKey", `${2 * SECRET_KEY_BYTES} lower-case hex digits`);
  }
  const pair = createKeyPair(algorithm, fromHex(secretKey));
  if (!equalBytes(pair.publicKey.bytes, expected.bytes)) {
    malformed("publicKey", "the public key of this secretKey; the file is damaged");
  }
  return pair;
}

/** @throws HanseError `KEY_TEXT` naming the field. */
export function decodeKeyFile(text: string): KeyPair {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    malformed("key file", "JSON");
  }
  return keyPairFromJson(value);
}

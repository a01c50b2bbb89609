import { hash } from "node:crypto";

/**
 * SHA-256 of the bytes (FIPS 180-4), in an array of its own memory.
 *
 * Asked for as a one-character-per-byte text: a Buffer of a digest costs an allocation outside the
 * heap, three to six times the hash of a short message (0.34 us against 1.1 to 2.1 us for 65 bytes).
 */
export function sha256(bytes: Uint8Array): Uint8Array {
  const text = hash("sha256", bytes, "binary");
  const digest = new Uint8Array(32);
  for (let i = 0; i < 32; i++) digest[i] = text.charCodeAt(i);
  return digest;
}

/** Name of the implementation in use, for the node's start-up log. */
export const HASH_BACKEND = "node:crypto";

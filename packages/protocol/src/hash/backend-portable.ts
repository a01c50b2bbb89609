import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";

/** SHA-256 of the bytes (FIPS 180-4). */
export function sha256(bytes: Uint8Array): Uint8Array {
  return nobleSha256(bytes);
}

/** Name of the implementation in use, for the node's start-up log. */
export const HASH_BACKEND = "@noble/hashes";

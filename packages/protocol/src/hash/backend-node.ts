import { hash } from "node:crypto";

/** SHA-256 of the bytes (FIPS 180-4). */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash("sha256", bytes, "buffer");
}

/** Name of the implementation in use, for the node's start-up log. */
export const HASH_BACKEND = "node:crypto";

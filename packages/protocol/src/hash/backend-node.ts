import { hash } from "node:crypto";

/** SHA-256 of the bytes (FIPS 180-4). */
export function sha256(bytes: Uint8Array): Uint8Array {
  // A plain Uint8Array: Buffer's own `slice` and equality would let code behave otherwise in
  // browsers. The view costs nothing measurable.
  const digest = hash("sha256", bytes, "buffer");
  return new Uint8Array(digest.buffer, digest.byteOffset, digest.length);
}

/** Name of the implementation in use, for the node's start-up log. */
export const HASH_BACKEND = "node:crypto";

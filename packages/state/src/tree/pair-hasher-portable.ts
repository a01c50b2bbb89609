import { HASH_BACKEND, sha256 } from "@hanse/protocol";

/** SHA-256 of each 64-byte piece of `input` into the same place, 32 bytes wide, of `output`. */
export function hashPairs(input: Uint8Array, output: Uint8Array): void {
  for (let at = 0; at < input.length; at += 64) {
    output.set(sha256(input.subarray(at, at + 64)), at >> 1);
  }
}

/** Name of the implementation in use, for the node's start-up log. */
export const PAIR_HASHER = HASH_BACKEND;

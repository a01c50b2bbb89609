/**
 * Native batch hashing (hashtree, SIMD or SHA extensions); where its prebuilt addon does not load,
 * the portable code gives the same hashes more slowly and `PAIR_HASHER` tells.
 */
import { createRequire } from "node:module";
import * as portable from "./pair-hasher-portable.ts";

function loadNative(): ((input: Uint8Array, output: Uint8Array) => void) | undefined {
  try {
    const addon = createRequire(import.meta.url)("@chainsafe/hashtree") as {
      hashInto(input: Uint8Array, output: Uint8Array): void;
    };
    return addon.hashInto;
  } catch {
    return undefined;
  }
}

const native = loadNative();

/** SHA-256 of each 64-byte piece of `input` into the same place, 32 bytes wide, of `output`. */
export const hashPairs = native ?? portable.hashPairs;

/** Name of the implementation in use, for the node's start-up log. */
export const PAIR_HASHER = native === undefined ? portable.PAIR_HASHER : "@chainsafe/hashtree";

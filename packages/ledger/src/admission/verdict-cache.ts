/**
 * Transactions whose signatures held, by the hash of their bytes (signature included: another
 * signature over the same body is another question). Only good verdicts are kept, two generations
 * of at most `size` each.
 */
import type { Hash } from "@hanse/protocol";
import { hashKey } from "../mempool/hash-key.ts";

export interface VerdictCache {
  has(leaf: Hash): boolean;
  add(leaf: Hash): void;
}

export function createVerdictCache(size: number): VerdictCache {
  let young = new Set<string>();
  let old = new Set<string>();
  return {
    has(leaf) {
      const key = hashKey(leaf);
      return young.has(key) || old.has(key);
    },
    add(leaf) {
      young.add(hashKey(leaf));
      if (young.size < size) return;
      old = young;
      young = new Set();
    },
  };
}

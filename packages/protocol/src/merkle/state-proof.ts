/**
 * Proofs against the authenticated state tree (spec/state.md): a compact sparse Merkle tree over
 * SHA-256 keyed by hash. A leaf is H(0x00 || keyHash || valueHash) (65 bytes in, so never mistaken
 * for a node), a node is H(left || right), an empty subtree is 32 zero bytes, and a subtree that
 * holds exactly one leaf is that leaf's hash (as in the Jellyfish Merkle tree, Diem 2021).
 */
import type { Bytes } from "../encoding/bytes.ts";
import type { Hash } from "../hash/domain.ts";

export interface StateProof {
  /** Hash of the key asked for. */
  readonly keyHash: Hash;
  /** The leaf where the path ends; undefined = an empty subtree. Another key's leaf proves absence. */
  readonly leaf: { readonly keyHash: Hash; readonly valueHash: Hash } | undefined;
  /** Siblings from the leaf's level up to just below the root. */
  readonly siblings: readonly Bytes[];
}

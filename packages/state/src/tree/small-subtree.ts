/** Leaves and small subtrees by the definition, one hash at a time. */
import {
  HASH_BYTES,
  type Hash,
  hashStateLeaf,
  hashStateNode,
  sha256,
  ZERO_HASH,
} from "@hanse/protocol";
import { bytesToWords } from "./hash-words.ts";

const leafBytes = new Uint8Array(1 + 2 * HASH_BYTES);

/** Hash of the leaf whose key and value hash stand at `from`, into `to`. */
export function hashLeafWords(chunk: Uint32Array, from: number, to: Uint32Array, at: number): void {
  leafBytes.set(new Uint8Array(chunk.buffer, chunk.byteOffset + from * 4, 2 * HASH_BYTES), 1);
  bytesToWords(sha256(leafBytes), to, at);
}

export function bitOf(hash: Hash, depth: number): number {
  return (hash[depth >> 3]! >> (7 - (depth & 7))) & 1;
}

/** Hash of a small subtree, by the definition. */
export function subtreeHash(
  leaves: readonly { readonly keyHash: Hash; readonly valueHash: Hash }[],
  depth: number,
): Hash {
  if (leaves.length === 0) return ZERO_HASH;
  if (leaves.length === 1) return hashStateLeaf(leaves[0]!.keyHash, leaves[0]!.valueHash);
  return hashStateNode(
    subtreeHash(
      leaves.filter((leaf) => bitOf(leaf.keyHash, depth) === 0),
      depth + 1,
    ),
    subtreeHash(
      leaves.filter((leaf) => bitOf(leaf.keyHash, depth) === 1),
      depth + 1,
    ),
  );
}

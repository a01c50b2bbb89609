/**
 * The ordered Merkle tree of RFC 9162, section 2.1, with SHA-256: leaf = H(0x00 || entry),
 * node = H(0x01 || left || right), the root of no entries = H(""). Used for the transactions and
 * the outcomes of a block.
 */
import type { Bytes } from "../encoding/bytes.ts";
import { concatBytes, equalBytes } from "../encoding/bytes.ts";
import { assert } from "../errors/hanse-error.ts";
import { type Hash, sha256 } from "../hash/domain.ts";

const LEAF = Uint8Array.of(0);
const nodeBuffer = new Uint8Array(65);

function hashNode(left: Hash, right: Hash): Hash {
  nodeBuffer[0] = 1;
  nodeBuffer.set(left, 1);
  nodeBuffer.set(right, 33);
  return sha256(nodeBuffer);
}

export function hashLeaf(entry: Bytes): Hash {
  return sha256(concatBytes(LEAF, entry));
}

/** Root over leaf hashes (`hashLeaf` of each entry, in order). */
export function merkleRoot(leaves: readonly Hash[]): Hash {
  if (leaves.length === 0) return sha256(new Uint8Array(0));
  let level: readonly Hash[] = leaves;
  // Pairing level by level and promoting a lone last node gives the same tree as the recursive
  // definition, whose split is the largest power of two below the size.
  while (level.length > 1) {
    const next: Hash[] = [];
    for (let i = 0; i + 1 < level.length; i += 2) next.push(hashNode(level[i]!, level[i + 1]!));
    if (level.length % 2 === 1) next.push(level[level.length - 1]!);
    level = next;
  }
  return level[0]!;
}

/** Inclusion path of the leaf at `index`, nearest sibling first. */
export function merklePath(leaves: readonly Hash[], index: number): Hash[] {
  assert(index >= 0 && index < leaves.length, "leaf index inside the tree");
  const path: Hash[] = [];
  let level: readonly Hash[] = leaves;
  let at = index;
  while (level.length > 1) {
    const sibling = at ^ 1;
    if (sibling < level.length) path.push(level[sibling]!);
    const next: Hash[] = [];
    for (let i = 0; i + 1 < level.length; i += 2) next.push(hashNode(level[i]!, level[i + 1]!));
    if (level.length % 2 === 1) next.push(level[level.length - 1]!);
    level = next;
    at >>= 1;
  }
  return path;
}

/**
 * The root that a path leads to from `leaf` at `index` of `size` entries (RFC 9162, section
 * 2.1.3.2); undefined when the path cannot belong to that place.
 */
export function rootOfMerklePath(
  leaf: Hash,
  at: { readonly index: number; readonly size: number },
  path: readonly Hash[],
): Hash | undefined {
  if (!Number.isSafeInteger(at.index) || !Number.isSafeInteger(at.size)) return undefined;
  if (at.index < 0 || at.index >= at.size || path.length > 53) return undefined;
  let index = at.index;
  let last = at.size - 1;
  let hash = leaf;
  for (const sibling of path) {
    if (last === 0 || sibling.length !== 32) return undefined;
    if (index % 2 === 1 || index === last) {
      hash = hashNode(sibling, hash);
      while (index % 2 === 0 && index !== 0) {
        index = Math.floor(index / 2);
        last = Math.floor(last / 2);
      }
    } else {
      hash = hashNode(hash, sibling);
    }
    index = Math.floor(index / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? hash : undefined;
}

/** Whether `leaf` stands at `index` of `size` entries under `root`. */
export function verifyMerklePath(
  leaf: Hash,
  at: { readonly index: number; readonly size: number },
  path: readonly Hash[],
  root: Hash,
): boolean {
  const reached = rootOfMerklePath(leaf, at, path);
  return reached !== undefined && equalBytes(reached, root);
}

/**
 * Leaves and proofs of the authenticated state tree (spec/state.md): a compact sparse Merkle tree
 * over SHA-256 keyed by hash. A leaf is H(0x00 || keyHash || valueHash) (65 bytes in, so never
 * mistaken for a node), a node is H(left || right), an empty subtree is 32 zero bytes, and a subtree
 * that holds exactly one leaf is that leaf's hash (as in the Jellyfish Merkle tree, Diem 2021). The
 * bits of keyHash choose the way down, most significant bit of the first byte first, 0 = left.
 */
import { type Bytes, equalBytes } from "../encoding/bytes.ts";
import { encodeCbor } from "../encoding/cbor.ts";
import {
  DOMAINS,
  HASH_BYTES,
  type Hash,
  hashWithDomain,
  sha256,
  ZERO_HASH,
} from "../hash/domain.ts";

/** What a leaf is about. */
export type StateKey =
  | { readonly kind: "row"; readonly table: string; readonly key: bigint | string | Bytes }
  | { readonly kind: "kv"; readonly namespace: string; readonly key: Bytes }
  | { readonly kind: "schema"; readonly table: string }
  /** The next integer key of a table. */
  | { readonly kind: "sequence"; readonly table: string };

/** `["row", table, key]`, `["kv", namespace, key]`, `["schema", table]` or `["sequence", table]`. */
export function encodeStateKey(key: StateKey): Bytes {
  switch (key.kind) {
    case "row":
      return encodeCbor(["row", key.table, key.key]);
    case "kv":
      return encodeCbor(["kv", key.namespace, key.key]);
    default:
      return encodeCbor([key.kind, key.table]);
  }
}

/** Where in the tree the leaf of a key stands. */
export function stateKeyHash(key: StateKey): Hash {
  return hashWithDomain(DOMAINS.stateKey, encodeStateKey(key));
}

/** Hash of a leaf's value as `encodeRowValue`, `encodeKvValue` or `encodeSchemaValue` wrote it. */
export function stateValueHash(value: Bytes): Hash {
  return hashWithDomain(DOMAINS.stateValue, value);
}

/** No path is longer than a key hash has bits. */
export const STATE_PROOF_DEPTH_MAX = 256;

export interface StateProof {
  /** Hash of the key asked for. */
  readonly keyHash: Hash;
  /** The leaf where the path ends; undefined = an empty subtree. Another key's leaf proves absence. */
  readonly leaf: { readonly keyHash: Hash; readonly valueHash: Hash } | undefined;
  /** Siblings from the leaf's level up to just below the root. */
  readonly siblings: readonly Bytes[];
}

export type StateVerdict =
  | { readonly kind: "membership"; readonly valueHash: Hash }
  | { readonly kind: "absence" }
  | { readonly kind: "invalid"; readonly reason: string };

const leafBuffer = new Uint8Array(1 + 2 * HASH_BYTES);
const nodeBuffer = new Uint8Array(2 * HASH_BYTES);

export function hashStateLeaf(keyHash: Hash, valueHash: Hash): Hash {
  leafBuffer.set(keyHash, 1);
  leafBuffer.set(valueHash, 1 + HASH_BYTES);
  return sha256(leafBuffer);
}

export function hashStateNode(left: Hash, right: Hash): Hash {
  nodeBuffer.set(left, 0);
  nodeBuffer.set(right, HASH_BYTES);
  return sha256(nodeBuffer);
}

function bitAt(hash: Hash, level: number): number {
  return (hash[level >> 3]! >> (7 - (level & 7))) & 1;
}

function sharesPath(a: Hash, b: Hash, depth: number): boolean {
  for (let level = 0; level < depth; level++) if (bitAt(a, level) !== bitAt(b, level)) return false;
  return true;
}

/**
 * What a proof shows under a root: the key's value hash, its absence, or nothing. Never throws. The
 * caller compares `proof.keyHash` with the hash of the key it means, and the value hash with the
 * hash of the value it holds.
 */
export function verifyStateProof(proof: StateProof, root: Hash): StateVerdict {
  const invalid = (reason: string): StateVerdict => ({ kind: "invalid", reason });
  const { keyHash, leaf, siblings } = proof;
  const depth = siblings.length;
  if (depth > STATE_PROOF_DEPTH_MAX) return invalid("the path is longer than 256 steps");
  if (keyHash.length !== HASH_BYTES || siblings.some((sibling) => sibling.length !== HASH_BYTES)) {
    return invalid("a hash in it is not 32 bytes");
  }
  let hash: Hash = ZERO_HASH;
  if (leaf !== undefined) {
    if (leaf.keyHash.length !== HASH_BYTES || leaf.valueHash.length !== HASH_BYTES) {
      return invalid("a hash in it is not 32 bytes");
    }
    if (!sharesPath(keyHash, leaf.keyHash, depth)) {
      return invalid("its leaf does not stand on the path of the key");
    }
    hash = hashStateLeaf(leaf.keyHash, leaf.valueHash);
  }
  for (let i = 0; i < depth; i++) {
    const sibling = siblings[i]!;
    hash =
      bitAt(keyHash, depth - 1 - i) === 0
        ? hashStateNode(hash, sibling)
        : hashStateNode(sibling, hash);
  }
  if (!equalBytes(hash, root)) return invalid("it does not lead to the state root");
  if (leaf !== undefined && equalBytes(leaf.keyHash, keyHash)) {
    return { kind: "membership", valueHash: leaf.valueHash };
  }
  return { kind: "absence" };
}

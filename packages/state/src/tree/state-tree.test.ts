/**
 * Goal: one root for one set of leaves, whatever the order of changes; proofs that verify.
 * Method: against the recursive definition of the tree, with keys that collide in long prefixes.
 */
import assert from "node:assert/strict";
import test from "node:test";
import {
  concatBytes,
  hashStateLeaf,
  hashStateNode,
  sha256,
  toHex,
  utf8,
  verifyStateProof,
  ZERO_HASH,
} from "@hanse/protocol";
import fc from "fast-check";
import { hashPairs as nodeHashPairs } from "./pair-hasher-node.ts";
import { hashPairs as portableHashPairs } from "./pair-hasher-portable.ts";
import { StateTree } from "./state-tree.ts";

type Leaf = readonly [Uint8Array, Uint8Array];

function naiveRoot(leaves: readonly Leaf[], depth = 0): Uint8Array {
  if (leaves.length === 0) return ZERO_HASH;
  if (leaves.length === 1) return hashStateLeaf(leaves[0]![0], leaves[0]![1]);
  const side = (bit: number) =>
    leaves.filter(([key]) => ((key[depth >> 3]! >> (7 - (depth & 7))) & 1) === bit);
  return hashStateNode(naiveRoot(side(0), depth + 1), naiveRoot(side(1), depth + 1));
}

function update(
  tree: StateTree,
  changes: readonly (readonly [Uint8Array, Uint8Array | undefined])[],
) {
  return tree.update({
    keyHashes: concatBytes(...changes.map(([key]) => key)),
    valueHashes: concatBytes(...changes.map(([, value]) => value ?? new Uint8Array(32))),
  });
}

// Few distinct first bytes and many zeros: deep shared prefixes, splits and joins.
const key = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }),
  fc
    .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1))
    .map(([first, last, middle]) => {
      const bytes = new Uint8Array(32);
      bytes[0] = first;
      bytes[15] = middle;
      bytes[31] = last;
      return bytes;
    }),
);
const change = fc.record({
  key,
  value: fc.option(fc.integer({ min: 0, max: 999 }), { nil: undefined }),
});

test("property: the root is the definition's, batch after batch, and all proofs verify", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(change, { maxLength: 40, size: "max" }), { maxLength: 6, size: "max" }),
      key,
      (batches, stranger) => {
        const tree = new StateTree();
        const model = new Map<string, Leaf>();
        for (const batch of batches) {
          const last = new Map(
            batch.map((one) => [
              toHex(one.key),
              [
                one.key,
                one.value === undefined ? undefined : sha256(utf8(`${one.value}`)),
              ] as const,
            ]),
          );
          for (const [hex, [bytes, value]] of last) {
            if (value === undefined) model.delete(hex);
            else model.set(hex, [bytes, value]);
          }
          const root = update(tree, [...last.values()]);
          assert.equal(toHex(root), toHex(naiveRoot([...model.values()])));
          assert.equal(tree.size, model.size);
        }
        for (const [bytes, value] of model.values()) {
          assert.equal(toHex(tree.get(bytes)!), toHex(value));
          assert.deepEqual(verifyStateProof(tree.prove(bytes), tree.root), {
            kind: "membership",
            valueHash: Uint8Array.from(value),
          });
        }
        if (!model.has(toHex(stranger))) {
          assert.equal(tree.get(stranger), undefined);
          assert.equal(verifyStateProof(tree.prove(stranger), tree.root).kind, "absence");
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("many leaves at once, one by one, and back to nothing: the same roots", () => {
  const leaves: Leaf[] = Array.from({ length: 3_000 }, (_, i) => [
    sha256(utf8(`key ${i}`)),
    sha256(utf8(`value ${i}`)),
  ]);
  const whole = new StateTree();
  update(whole, leaves);
  assert.equal(toHex(whole.root), toHex(naiveRoot(leaves)));
  const pieces = new StateTree();
  for (let i = leaves.length - 1; i >= 0; i -= 7) {
    update(pieces, leaves.slice(Math.max(0, i - 6), i + 1));
  }
  assert.equal(toHex(pieces.root), toHex(whole.root));
  for (let i = 0; i < leaves.length; i += 100) {
    update(
      pieces,
      leaves.slice(i, i + 100).map(([one]) => [one, undefined] as const),
    );
  }
  assert.equal(toHex(pieces.root), toHex(ZERO_HASH));
  assert.equal(pieces.size, 0);
});

test("exported leaves of all prefixes rebuild the tree", () => {
  const tree = new StateTree();
  const leaves = Array.from(
    { length: 500 },
    (_, i) => [sha256(utf8(`k${i}`)), sha256(utf8(`v${i}`))] as const,
  );
  update(tree, leaves);
  for (const depth of [0, 1, 5, 12]) {
    const parts = Array.from({ length: 2 ** depth }, (_, prefix) =>
      tree.exportLeaves(prefix, depth),
    );
    const all = concatBytes(...parts);
    assert.equal(all.length, 64 * 500);
    const copy = new StateTree();
    const pairs = Array.from(
      { length: 500 },
      (_, i) => [all.slice(i * 64, i * 64 + 32), all.slice(i * 64 + 32, i * 64 + 64)] as const,
    );
    assert.equal(toHex(update(copy, pairs)), toHex(tree.root));
  }
});

test("a key twice in one update is refused", () => {
  const one = sha256(utf8("k"));
  assert.throws(
    () =>
      update(new StateTree(), [
        [one, one],
        [one, one],
      ]),
    /twice/,
  );
});

test("the batch hasher and the portable one agree", () => {
  const input = new Uint8Array(64 * 33).map((_, i) => i * 7);
  const a = new Uint8Array(32 * 33);
  const b = new Uint8Array(32 * 33);
  nodeHashPairs(input, a);
  portableHashPairs(input, b);
  assert.deepEqual(a, b);
});

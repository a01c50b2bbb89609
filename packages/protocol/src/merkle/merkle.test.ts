import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { proveSampleState, type SampleLeaf, sampleStateRoot } from "../../scripts/sample-ledger.ts";
import { concatBytes, equalBytes, toHex, utf8 } from "../encoding/bytes.ts";
import { sha256, ZERO_HASH } from "../hash/domain.ts";
import {
  hashStateLeaf,
  hashStateNode,
  type StateKey,
  stateKeyHash,
  stateValueHash,
  verifyStateProof,
} from "./state-proof.ts";
import {
  decodeRowValue,
  decodeSchemaValue,
  encodeKvValue,
  encodeRowValue,
  encodeSchemaValue,
  type StateColumn,
  type StateColumnValue,
} from "./state-value.ts";
import { hashLeaf, merklePath, merkleRoot, verifyMerklePath } from "./transaction-tree.ts";

/** The recursive definition of RFC 9162, section 2.1.1. */
function treeHash(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256(new Uint8Array());
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha256(
    concatBytes(Uint8Array.of(1), treeHash(leaves.slice(0, split)), treeHash(leaves.slice(split))),
  );
}

const leavesOf = (count: number) =>
  Array.from({ length: count }, (_, i) => hashLeaf(utf8(`entry ${i}`)));

test("transaction tree: the root of RFC 9162's definition, at every size", () => {
  for (let count = 0; count <= 40; count++) {
    assert.equal(toHex(merkleRoot(leavesOf(count))), toHex(treeHash(leavesOf(count))));
  }
});

test("transaction tree: every path verifies in its place and nowhere else", () => {
  for (let size = 1; size <= 17; size++) {
    const leaves = leavesOf(size);
    const root = merkleRoot(leaves);
    for (let index = 0; index < size; index++) {
      const path = merklePath(leaves, index);
      for (let other = 0; other <= size; other++) {
        const holds = verifyMerklePath(leaves[index]!, { index: other, size }, path, root);
        assert.equal(holds, other === index, `${index} of ${size} at ${other}`);
      }
      assert.equal(verifyMerklePath(leaves[index]!, { index, size }, [...path, root], root), false);
      if (path.length > 0) {
        const short = path.slice(1);
        assert.equal(verifyMerklePath(leaves[index]!, { index, size }, short, root), false);
        const bent = [Uint8Array.from(path[0]!, (byte, i) => (i === 31 ? byte ^ 1 : byte))];
        const changed = [...bent, ...short];
        assert.equal(verifyMerklePath(leaves[index]!, { index, size }, changed, root), false);
      }
    }
  }
  const [leaf] = leavesOf(1);
  for (const index of [-1, 0.5, Number.NaN]) {
    assert.equal(verifyMerklePath(leaf!, { index, size: 1 }, [], leaf!), false);
  }
});

const keys: fc.Arbitrary<StateKey> = fc.oneof(
  fc.record({
    kind: fc.constant("row" as const),
    table: fc.constantFrom("a", "b"),
    key: fc.oneof(fc.bigInt({ min: -5n, max: 30n }), fc.string({ maxLength: 2 })),
  }),
  fc.record({
    kind: fc.constant("kv" as const),
    namespace: fc.constantFrom("a", "b"),
    key: fc.uint8Array({ maxLength: 1 }),
  }),
);
const leafSet = fc
  .uniqueArray(keys, { selector: (key) => toHex(stateKeyHash(key)), maxLength: 40 })
  .map((list) =>
    list.map(
      (key, i): SampleLeaf => ({
        key,
        value: encodeKvValue({ value: utf8(`${i}`), version: { height: 1, index: i } }),
      }),
    ),
  );

test("state tree: proofs of what is there and of what is not", () => {
  fc.assert(
    fc.property(leafSet, keys, (leaves, asked) => {
      const root = sampleStateRoot(leaves);
      for (const { key, value } of leaves) {
        assert.deepEqual(verifyStateProof(proveSampleState(leaves, key), root), {
          kind: "membership",
          valueHash: stateValueHash(value),
        });
      }
      const there = leaves.some(({ key }) => equalBytes(stateKeyHash(key), stateKeyHash(asked)));
      const { kind } = verifyStateProof(proveSampleState(leaves, asked), root);
      assert.equal(kind, there ? "membership" : "absence");
    }),
    { numRuns: 60 },
  );
});

test("state tree: a changed proof shows nothing", () => {
  fc.assert(
    fc.property(leafSet, keys, fc.nat(), fc.nat(31), (leaves, asked, pick, byte) => {
      const root = sampleStateRoot(leaves);
      const proof = proveSampleState(leaves, asked);
      const bent = (hash: Uint8Array) => hash.map((b, i) => (i === byte ? b ^ 4 : b));
      const { siblings, leaf } = proof;
      const at = pick % (siblings.length + 1);
      const changed = [
        { ...proof, siblings: siblings.map((s, i) => (i === at ? bent(s) : s)) },
        { ...proof, siblings: siblings.toSpliced(at, 0, ZERO_HASH) },
        { ...proof, siblings: siblings.toSpliced(at, 1) },
        ...(leaf === undefined
          ? [{ ...proof, leaf: { keyHash: proof.keyHash, valueHash: root } }]
          : [
              { ...proof, leaf: undefined },
              { ...proof, leaf: { ...leaf, valueHash: bent(leaf.valueHash) } },
              { ...proof, leaf: { ...leaf, keyHash: bent(leaf.keyHash) } },
            ]),
      ];
      for (const [i, wrong] of changed.entries()) {
        if ((i === 0 || i === 2) && at >= siblings.length) continue;
        assert.equal(verifyStateProof(wrong, root).kind, "invalid", `change ${i}`);
      }
    }),
    { numRuns: 150 },
  );
});

test("state tree: another key's proof never stands for a key on another path", () => {
  const leaves = Array.from({ length: 40 }, (_, i): SampleLeaf => {
    return {
      key: { kind: "row", table: "t", key: BigInt(i) },
      value: encodeRowValue({ height: 1, values: [BigInt(i)] }),
    };
  });
  const root = sampleStateRoot(leaves);
  for (let i = 0; i < 40; i++) {
    const proof = proveSampleState(leaves, leaves[i]!.key);
    for (let j = 0; j < 40; j++) {
      if (i === j) continue;
      // The proof of leaf i told as "j is absent".
      const keyHash = stateKeyHash(leaves[j]!.key);
      assert.equal(verifyStateProof({ ...proof, keyHash }, root).kind, "invalid");
    }
  }
});

test("state tree: empty, one leaf, and paths of any length", () => {
  const key: StateKey = { kind: "kv", namespace: "n", key: new Uint8Array() };
  const keyHash = stateKeyHash(key);
  const valueHash = stateValueHash(new Uint8Array());
  const empty = { keyHash, leaf: undefined, siblings: [] };
  assert.equal(verifyStateProof(empty, ZERO_HASH).kind, "absence");
  const root = hashStateLeaf(keyHash, valueHash);
  const single = { keyHash, leaf: { keyHash, valueHash }, siblings: [] };
  assert.equal(verifyStateProof(single, root).kind, "membership");
  // A leaf that stands where its own bits do not lead proves nothing, whatever the root.
  const elsewhere = keyHash.map((byte) => byte ^ 0x80);
  const stray = { keyHash: elsewhere, leaf: single.leaf, siblings: [ZERO_HASH] };
  const leafHash = hashStateLeaf(keyHash, valueHash);
  const isLeft = elsewhere[0]! < 0x80;
  const strayRoot = isLeft
    ? hashStateNode(leafHash, ZERO_HASH)
    : hashStateNode(ZERO_HASH, leafHash);
  assert.match((verifyStateProof(stray, strayRoot) as { reason: string }).reason, /on the path/);
  const long = { ...single, siblings: new Array(257).fill(ZERO_HASH) };
  assert.match((verifyStateProof(long, root) as { reason: string }).reason, /longer than 256/);
  const thin = { ...single, siblings: [new Uint8Array(31)] };
  assert.match((verifyStateProof(thin, root) as { reason: string }).reason, /not 32 bytes/);
});

const COLUMNS: readonly StateColumn[] = [
  { name: "id", type: "int" },
  { name: "title", type: "text" },
  { name: "digest", type: "bytes" },
  { name: "sealed", type: "bool" },
  { name: "score", type: "float" },
];

test("row values: every value comes back by the schema, nulls at the end unwritten", () => {
  const cells = fc.tuple(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.option(fc.string()),
    fc.option(fc.uint8Array()),
    fc.option(fc.boolean()),
    fc.option(fc.double()),
  );
  fc.assert(
    fc.property(cells, fc.nat(), (values: StateColumnValue[], height) => {
      const bytes = encodeRowValue({ height, values });
      assert.deepEqual(decodeRowValue(COLUMNS, bytes), { height, values });
      // A column added later, null in this row, changes no byte.
      assert.deepEqual(encodeRowValue({ height, values: [...values, null] }), bytes);
      const wider = [...COLUMNS, { name: "later", type: "text" as const }];
      assert.deepEqual(decodeRowValue(wider, bytes).values, [...values, null]);
    }),
  );
});

test("row values: a leaf that does not fit its schema is refused", () => {
  const bytes = encodeRowValue({ height: 1, values: [1n, "a", null, true, 0.5] });
  const withType = (at: number, type: StateColumn["type"]) =>
    COLUMNS.map((column, i) => (i === at ? { ...column, type } : column));
  assert.throws(() => decodeRowValue(COLUMNS.slice(0, 4), bytes), { code: "STATE_VALUE" });
  assert.throws(() => decodeRowValue(withType(0, "bool"), bytes), { code: "STATE_VALUE" });
  assert.throws(() => decodeRowValue(withType(1, "int"), bytes), { code: "STATE_VALUE" });
  assert.throws(() => decodeRowValue(withType(1, "bytes"), bytes), { code: "FIELD_INVALID" });
  assert.throws(() => decodeRowValue(withType(4, "text"), bytes), { code: "FIELD_INVALID" });
});

test("schemas come back; the order of indexes does not matter", () => {
  const schema = { columns: COLUMNS, indexes: ["title", "id"] };
  const bytes = encodeSchemaValue(schema);
  assert.deepEqual(decodeSchemaValue(bytes), { columns: COLUMNS, indexes: ["id", "title"] });
  assert.deepEqual(encodeSchemaValue({ ...schema, indexes: ["id", "title"] }), bytes);
});

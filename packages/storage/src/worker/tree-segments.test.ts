/**
 * Goal: at every height, what is stored plus the changes since `from` is the whole tree. Method:
 * random blocks over a tree that grows through several depths; a stored copy is kept as the database
 * would, and a reader starts from it after every few blocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { concatBytes, sha256, toHex, utf8 } from "@hanse/protocol";
import { TreeSegments } from "./tree-segments.ts";

interface Leaves {
  readonly keyHashes: Uint8Array;
  readonly valueHashes: Uint8Array;
}

function leaves(pairs: readonly (readonly [string, string | undefined])[]): Leaves {
  const unique = new Map(pairs);
  return {
    keyHashes: concatBytes(...[...unique.keys()].map((key) => sha256(utf8(key)))),
    valueHashes: concatBytes(
      ...[...unique.values()].map((value) =>
        value === undefined ? new Uint8Array(32) : sha256(utf8(value)),
      ),
    ),
  };
}

function reopen(stored: ReadonlyMap<number, Uint8Array>, depth: number): TreeSegments {
  const segments = new TreeSegments(LAG);
  segments.load(depth, new Uint8Array(0));
  for (const [segment, bytes] of [...stored].sort(([a], [b]) => a - b)) {
    segments.load(depth, bytes);
    segments.loadedAt(segment);
  }
  return segments;
}

const LAG = 400;

test("stored segments and the blocks since are the tree, through growth and restarts", () => {
  let segments = new TreeSegments(LAG);
  const stored = new Map<number, Uint8Array>();
  const blocks: Leaves[] = [];
  let depth = 0;
  let from = 0;
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  let written = 0;
  const store = (height: number, all: boolean) => {
    const writes = segments.due(height, all);
    // The first segment of all may be let go without ever having been written.
    for (const segment of writes.remove) stored.delete(segment);
    for (const { segment, leaves: bytes } of writes.put) stored.set(segment, bytes);
    written += writes.put.length;
    depth = writes.depth;
    from = writes.from;
  };
  for (let height = 0; height < 120; height++) {
    const pairs = Array.from({ length: 150 }, (): [string, string | undefined] => {
      const key = `key ${random(300 + height * 60)}`;
      return [key, random(9) === 0 ? undefined : `value ${random(1_000)}`];
    });
    const block = leaves(pairs);
    blocks.push(block);
    const root = segments.update(height, block);
    store(height, false);
    if (height % 7 !== 3) continue;
    // A restart: the stored leaves, then what came since.
    const next = reopen(stored, depth);
    assert.ok(from <= height + 1);
    for (let at = from; at <= height; at++) next.update(at, blocks[at]!);
    assert.equal(toHex(next.tree.root), toHex(root), `height ${height}`);
    if (height % 14 === 3) segments = next;
    if (height === 101) {
      store(height, true);
      assert.equal(from, height + 1);
      assert.equal(toHex(reopen(stored, depth).tree.root), toHex(root));
    }
  }
  assert.ok(depth >= 4, `depth ${depth}`);
  assert.ok(written > 100, `${written} segments`);
  // All leaves are stored under their own prefix, none twice.
  const total = [...stored.values()].reduce((sum, bytes) => sum + bytes.length / 64, 0);
  assert.ok(total <= segments.tree.size * 1.2);
});

test("a stop writes what was changed widely, not a large tree for a few changes", () => {
  const many = leaves(Array.from({ length: 4_000 }, (_, i) => [`key ${i}`, "a"]));
  const segments = new TreeSegments(LAG);
  assert.equal(segments.isWorthWriting, false);
  segments.update(0, many);
  assert.equal(segments.isWorthWriting, true);
  segments.due(0, true);
  assert.equal(segments.isWorthWriting, false);
  segments.update(1, leaves(Array.from({ length: 100 }, (_, i) => [`key ${i * 40}`, "b"])));
  assert.equal(segments.isWorthWriting, false);
  segments.update(2, leaves(Array.from({ length: 1_000 }, (_, i) => [`key ${i * 4}`, "c"])));
  assert.equal(segments.isWorthWriting, true);
});

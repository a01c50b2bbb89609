/** Goal: only the node that a box is for opens it, only as it was sealed, only from who sealed it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@hanse/protocol";
import fc from "fast-check";
import { SealedBoxes } from "./sealed-box.ts";

const ledgerId = new Uint8Array(32).fill(1);
const make = (self: string, ledger = ledgerId) => new SealedBoxes({ self, ledgerId: ledger });

function acquaint(...all: readonly [string, SealedBoxes][]): void {
  for (const [, boxes] of all) for (const [id, other] of all) boxes.learn(id, other.publicKey);
}

test("property: what was sealed opens; any change, place or person makes it nothing", () => {
  const [a, b, c] = [make("a"), make("b"), make("c")];
  acquaint(["a", a], ["b", b], ["c", c]);
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(), fc.nat(), (message, sequence, at) => {
      const box = a.seal("b", sequence, message)!;
      assert.deepEqual(b.open("a", sequence, box), message);
      assert.equal(c.open("a", sequence, box), undefined);
      assert.equal(b.open("c", sequence, box), undefined);
      assert.equal(b.open("a", sequence + 1, box), undefined);
      assert.equal(a.open("b", sequence, box), undefined, "not a mirror");
      const changed = box.slice();
      changed[at % box.length]! ^= 1;
      assert.equal(b.open("a", sequence, changed), undefined);
    }),
  );
});

test("unknown keys, keys that are none, other ledgers and nodes that left", () => {
  const [a, b] = [make("a"), make("b")];
  assert.equal(a.seal("b", 1, utf8("m")), undefined);
  for (const none of [new Uint8Array(0), new Uint8Array(31), new Uint8Array(32)]) {
    a.learn("b", none);
    assert.equal(a.seal("b", 1, utf8("m")), undefined, "no key, or one that hides nothing");
  }
  acquaint(["a", a], ["b", b]);
  const elsewhere = make("b", new Uint8Array(32).fill(2));
  elsewhere.learn("a", a.publicKey);
  a.learn("b", elsewhere.publicKey);
  assert.equal(elsewhere.open("a", 1, a.seal("b", 1, utf8("m"))!), undefined);
  a.keepOnly(new Set());
  assert.equal(a.seal("b", 1, utf8("m")), undefined);
});

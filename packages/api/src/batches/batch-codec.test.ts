/** Goal: batches read back, and any damage is named instead of guessed at. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import fc from "fast-check";
import { decodeBatch, encodeBatch } from "./batch-codec.ts";

const transactions = fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), {
  minLength: 1,
  maxLength: 20,
});
const code = (expected: string) => (error: unknown) =>
  error instanceof HanseError && error.code === expected;

test("round trip, also inside a larger buffer", () => {
  fc.assert(
    fc.property(transactions, fc.nat({ max: 9 }), (list, shift) => {
      const batch = encodeBatch(list);
      const larger = new Uint8Array(batch.length + shift + 3);
      larger.set(batch, shift);
      const read = decodeBatch(larger.subarray(shift, shift + batch.length), 20);
      assert.deepEqual(
        read.map((t) => [...t]),
        list.map((t) => [...t]),
      );
    }),
  );
});

test("a cut anywhere but between transactions is refused", () => {
  fc.assert(
    fc.property(transactions, fc.nat(), (list, at) => {
      const batch = encodeBatch(list);
      const cut = at % batch.length;
      const ends = new Set<number>();
      let end = 0;
      for (const t of list) {
        end += 4 + t.length;
        ends.add(end);
      }
      if (ends.has(cut)) assert.ok(decodeBatch(batch.subarray(0, cut), 20).length < list.length);
      else assert.throws(() => decodeBatch(batch.subarray(0, cut), 20), code("API_BATCH"));
    }),
  );
});

test("empty batches, empty transactions and too many are refused", () => {
  assert.throws(() => decodeBatch(new Uint8Array(0), 5), code("API_BATCH"));
  assert.throws(() => decodeBatch(new Uint8Array(4), 5), code("API_BATCH"));
  const six = encodeBatch(Array.from({ length: 6 }, () => Uint8Array.of(1)));
  assert.throws(() => decodeBatch(six, 5), code("API_BATCH_SIZE"));
  assert.equal(decodeBatch(six, 6).length, 6);
});

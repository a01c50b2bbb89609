/** Goal: the client writes the very bytes that the contract engine's own encoder writes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeCall, encodeCall } from "@hanse/engine-needle";
import { HanseError, toHex } from "@hanse/protocol";
import fc from "fast-check";
import { type CallValue, encodeNeedleCall } from "./needle-call.ts";

const { value } = fc.letrec<{ value: CallValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.string({ unit: "grapheme" }),
    fc.uint8Array({ maxLength: 20 }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), tie("value"), { maxKeys: 4 }),
  ),
}));
const params = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), value, {
  maxKeys: 5,
  noNullPrototype: true,
});

test("same bytes as the engine's encoder, read back by its decoder", () => {
  fc.assert(
    fc.property(params, fc.constantFrom(1, 2, 77), (record, ecosystem) => {
      const own = encodeNeedleCall("Transfer", record, ecosystem);
      assert.equal(toHex(own), toHex(encodeCall("Transfer", record, ecosystem)));
      const read = decodeCall(own);
      assert.equal(read.name, "Transfer");
      assert.equal(read.ecosystem, ecosystem);
    }),
  );
});

test("what no contract can take is named", () => {
  assert.throws(
    () => encodeNeedleCall("Transfer", { list: [1, { amount: Number.NaN }] }),
    (error) => error instanceof HanseError && /params\.list\[1\]\.amount/.test(error.message),
  );
});

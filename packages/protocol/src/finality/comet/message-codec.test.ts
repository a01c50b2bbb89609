/** Goal: messages come back from their bytes, strangers' fields are skipped, bad bytes are named. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../encoding/bytes.ts";
import {
  bool,
  bytes,
  int32,
  int64,
  message,
  optional,
  repeated,
  sfixed64,
  single,
  text,
  uint32,
  uint64,
} from "./message-codec.ts";

const INNER = message({ height: single(1, int64), fixed: single(9, sfixed64) });
const OUTER = message({
  list: repeated(1, bytes),
  inner: single(2, INNER),
  maybe: optional(3, INNER),
  all: repeated(4, INNER),
  flag: single(5, bool),
  name: single(6, text),
  small: single(7, int32),
  plain: single(8, uint32),
  wide: single(200, uint64),
});

const safe = fc.maxSafeInteger();
const inner = fc.record({ height: safe, fixed: safe }, { noNullPrototype: true });
const outer = fc.record(
  {
    list: fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 4 }),
    inner,
    maybe: fc.option(inner, { nil: undefined }),
    all: fc.array(inner, { maxLength: 3 }),
    flag: fc.boolean(),
    name: fc.string({ unit: "grapheme" }),
    small: fc.integer(),
    plain: fc.nat(),
    wide: fc.maxSafeNat(),
  },
  { noNullPrototype: true },
);

test("property: what was written is read", () => {
  fc.assert(
    fc.property(outer, (value) => {
      assert.deepEqual(OUTER.decode(OUTER.encode(value)), value);
    }),
  );
});

test("zero values are left out, embedded messages are not, negative integers take ten bytes", () => {
  assert.equal(toHex(OUTER.encode({})), "1200");
  assert.equal(toHex(INNER.encode({ height: -1 })), "08ffffffffffffffffff01");
  assert.equal(toHex(INNER.encode({ height: 300, fixed: 1 })), "08ac02490100000000000000");
});

test("property: fields that nobody here knows are skipped", () => {
  const STRANGER = message({ a: single(90, text), b: single(91, sfixed64), c: single(92, INNER) });
  fc.assert(
    fc.property(outer, fc.string(), safe, (value, a, b) => {
      const strange = STRANGER.encode({ a, b });
      assert.deepEqual(OUTER.decode(concatBytes(strange, OUTER.encode(value), strange)), value);
    }),
  );
});

test("property: bytes that are no message are refused by code, never otherwise", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (input) => {
      try {
        OUTER.decode(input);
      } catch (thrown) {
        assert.equal((thrown as { code?: string }).code, "COMET_MESSAGE");
      }
    }),
    { numRuns: 1000 },
  );
  const bad = { code: "COMET_MESSAGE" };
  assert.throws(() => OUTER.decode(fromHex("0aff01")), bad, "longer than what is there");
  assert.throws(() => OUTER.decode(fromHex("0801")), bad, "a number where bytes belong");
  assert.throws(() => INNER.decode(fromHex("08ffffffffffffffff7f")), bad, "beyond 2^53");
});

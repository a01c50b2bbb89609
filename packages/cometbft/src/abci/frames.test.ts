/** Goal: messages come out as they went in, however they are cut; lengths that lie are refused. */
import assert from "node:assert/strict";
import test from "node:test";
import { concatBytes } from "@hanse/protocol";
import fc from "fast-check";
import { createFrameReader, encodeFrame } from "./frames.ts";

test("property: any cutting of the stream gives the same messages", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 6 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 90 })), (sent, cuts) => {
      const stream = concatBytes(...sent.map(encodeFrame));
      const reader = createFrameReader(400);
      const got: Uint8Array[] = [];
      let at = 0;
      for (const cut of [...cuts, stream.length]) {
        got.push(...reader.push(stream.subarray(at, at + cut)));
        at += cut;
      }
      assert.deepEqual(got, sent);
      assert.equal(reader.waiting, 0);
    }),
  );
});

test("a message over the bound is refused by its length alone, one at the bound is not", () => {
  assert.equal(createFrameReader(300).push(encodeFrame(new Uint8Array(300))).length, 1);
  const length = encodeFrame(new Uint8Array(301)).subarray(0, 2);
  assert.throws(() => createFrameReader(300).push(length), { code: "COMET_FRAME_TOO_LARGE" });
});

test("a length without end is refused", () => {
  const reader = createFrameReader(300);
  assert.deepEqual(reader.push(new Uint8Array(4).fill(0xff)), []);
  assert.throws(() => reader.push(Uint8Array.of(0xff)), { code: "COMET_FRAME" });
});

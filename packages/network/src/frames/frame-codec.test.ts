/** Goal: any cutting of the stream gives the same frames; bounds hold before anything is buffered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import fc from "fast-check";
import {
  decodeHello,
  encodeFrameHead,
  encodeHello,
  FRAME_TYPES,
  FrameReader,
  type FrameType,
} from "./frame-codec.ts";

const frame = fc
  .tuple(fc.constantFrom(...Object.values(FRAME_TYPES)), fc.uint8Array({ maxLength: 300 }))
  .map(([type, payload]) => ({ type, payload }));

test("frames come out as they went in, however the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1, maxLength: 40 }),
      (frames, cuts) => {
        const stream = Buffer.concat(
          frames.flatMap((f) => [encodeFrameHead(f.type, f.payload.length), f.payload]),
        );
        const seen: { type: number; payload: Uint8Array }[] = [];
        const reader = new FrameReader(300, (type, payload) =>
          seen.push({ type, payload: Uint8Array.from(payload) }),
        );
        for (let at = 0, i = 0; at < stream.length; i++) {
          const end = Math.min(stream.length, at + cuts[i % cuts.length]!);
          reader.push(stream.subarray(at, end));
          at = end;
        }
        assert.deepEqual(seen, frames);
      },
    ),
  );
});

test("too long and unknown frames are refused from the head alone, nothing follows", () => {
  const cases: [number, number, string][] = [
    [FRAME_TYPES.consensus, 1001, "NETWORK_FRAME_SIZE"],
    [FRAME_TYPES.sync, 0xffff_ffff, "NETWORK_FRAME_SIZE"],
    [10, 0, "NETWORK_FRAME_TYPE"],
    [255, 1, "NETWORK_FRAME_TYPE"],
  ];
  for (const [type, length, code] of cases) {
    let frames = 0;
    const reader = new FrameReader(1000, () => frames++);
    assert.throws(
      () => reader.push(encodeFrameHead(type as FrameType, length)),
      (error) => error instanceof HanseError && error.code === code,
    );
    reader.push(encodeFrameHead(FRAME_TYPES.ping, 0));
    assert.equal(frames, 0);
  }
});

test("a hello of another version is named before its shape is looked at", () => {
  const hello = { version: 1, ledgerId: new Uint8Array(32).fill(7), id: "court/node-1" };
  assert.deepEqual(decodeHello(encodeHello(hello)), hello);
  assert.throws(
    () => decodeHello(encodeHello({ ...hello, version: 2 })),
    (error) => error instanceof HanseError && error.code === "NETWORK_VERSION",
  );
});

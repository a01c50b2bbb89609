import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeCbor, HanseError } from "@hanse/protocol";
import fc from "fast-check";
import {
  CERTIFICATES_PER_MESSAGE_MAX,
  decodeMessage,
  encodeMessage,
  RANGE_BLOCKS_MAX,
  type WireMessage,
} from "./messages.ts";

const uint = fc.nat();
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const signature = fc.uint8Array({ minLength: 64, maxLength: 64 });
const bytes = fc.uint8Array({ maxLength: 300 });
const place = { engineEpoch: uint, height: uint, view: uint };

const message: fc.Arbitrary<WireMessage> = fc.oneof(
  fc.record({
    t: fc.constant("vote" as const),
    kind: fc.constant("nullify" as const),
    ...place,
    signature,
  }),
  fc.record({
    t: fc.constant("vote" as const),
    kind: fc.constant("finalize" as const),
    ...place,
    blockHash: hash,
    signature,
  }),
  fc.record({
    t: fc.constant("vote" as const),
    kind: fc.constant("notarize" as const),
    ...place,
    blockHash: hash,
    parentView: fc.integer({ min: -1, max: 1000 }),
    signature,
  }),
  fc.record({
    t: fc.constant("propose" as const),
    ...place,
    parentView: fc.integer({ min: -1, max: 1000 }),
    block: bytes,
    justification: fc.array(bytes, { maxLength: 5 }),
    signature,
  }),
  fc.record({ t: fc.constant("certificate" as const), certificate: bytes }),
  fc.record({
    t: fc.constant("certificates" as const),
    certificates: fc.array(bytes, { maxLength: 5 }),
  }),
  fc.record({ t: fc.constant("need" as const), height: uint, view: uint }),
  fc.record({ t: fc.constant("getBlock" as const), height: uint, hash }),
  fc.record({ t: fc.constant("block" as const), block: bytes }),
  fc.record({
    t: fc.constant("status" as const),
    height: uint,
    lowest: uint,
    nonce: uint,
    ask: fc.boolean(),
  }),
  fc.record({ t: fc.constant("getRange" as const), from: uint, to: uint }),
  fc.record({
    t: fc.constant("range" as const),
    from: uint,
    blocks: fc.array(bytes, { maxLength: 5 }),
    certificate: bytes,
  }),
  fc.record({ t: fc.constant("final" as const), block: bytes, certificate: bytes }),
  fc.record({ t: fc.constant("evidence" as const), evidence: bytes }),
);

function decodes(input: Uint8Array): void {
  try {
    decodeMessage(input);
  } catch (error) {
    assert.ok(error instanceof HanseError, String(error));
  }
}

describe("messages", () => {
  it("read back as they were written, in one encoding only", () => {
    fc.assert(
      fc.property(message, (m) => {
        const encoded = encodeMessage(m);
        assert.deepEqual(decodeMessage(encoded), { ...m });
        assert.deepEqual(encodeMessage(decodeMessage(encoded)), encoded);
      }),
      { numRuns: 300 },
    );
  });

  it("refuse random bytes with a HanseError and nothing else", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), decodes), { numRuns: 1000 });
  });

  it("refuse bent and cut messages with a HanseError and nothing else", () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), (m, at, flip) => {
        const encoded = encodeMessage(m);
        decodes(encoded.subarray(0, at % encoded.length));
        const bent = encoded.slice();
        bent[at % bent.length]! ^= flip;
        decodes(bent);
      }),
      { numRuns: 500 },
    );
  });

  it("name an unknown type, fields of another kind and exceeded bounds", () => {
    const refused = (value: Parameters<typeof encodeCbor>[0], code: string) =>
      assert.throws(() => decodeMessage(encodeCbor(value)), { code });
    refused([99], "ORDERING_MESSAGE");
    refused([1, 1, 0, 1, 0, new Uint8Array(32), null, new Uint8Array(64)], "ORDERING_MESSAGE");
    refused([1, 3, 0, 1, 0, null, null, new Uint8Array(64)], "ORDERING_MESSAGE");
    refused([1, 0, 0, 1, 0, new Uint8Array(32), -2, new Uint8Array(64)], "ORDERING_MESSAGE");
    refused([4, 1], "FIELD_INVALID");
    const many = (count: number) => Array.from({ length: count }, () => new Uint8Array(0));
    refused([5, many(CERTIFICATES_PER_MESSAGE_MAX + 1)], "ORDERING_MESSAGE");
    refused([10, 1, many(RANGE_BLOCKS_MAX + 1), new Uint8Array(0)], "ORDERING_MESSAGE");
    refused([3, new Uint8Array(80 * 1024 + 1)], "ORDERING_MESSAGE");
  });
});

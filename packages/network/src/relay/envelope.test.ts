/** Goal: an envelope reads back as it was sealed; broken ones are refused by field; nothing comes twice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import fc from "fast-check";
import { CHANNELS } from "../frames/frame-codec.ts";
import { decodeEnvelope, encodeEnvelope, encodeEnvelopeBody } from "./envelope.ts";
import { SEEN_MAX, SeenEnvelopes } from "./seen-envelopes.ts";

const body = fc.record({
  origin: fc.string({ unit: "grapheme", maxLength: 30 }),
  sequence: fc.nat(),
  channel: fc.constantFrom(...CHANNELS),
  to: fc.option(fc.string({ maxLength: 30 }), { nil: undefined }),
  message: fc.option(fc.uint8Array(), { nil: undefined }),
  boxKey: fc.option(fc.uint8Array(), { nil: undefined }),
});

test("property: encode and decode are each other's inverse", () => {
  fc.assert(
    fc.property(body, fc.nat(9), fc.uint8Array(), (given, hops, seal) => {
      const sealed = encodeEnvelopeBody(given);
      const read = decodeEnvelope(encodeEnvelope(hops, sealed, seal));
      assert.deepEqual(
        { ...read, message: read.message && Buffer.from(read.message) },
        {
          ...given,
          message: given.message && Buffer.from(given.message),
          hops,
          sealed,
          seal,
        },
      );
    }),
  );
});

test("property: any bytes are an envelope or a coded refusal", () => {
  fc.assert(
    fc.property(body, fc.nat(), fc.nat(255), (given, at, value) => {
      const bytes = encodeEnvelope(0, encodeEnvelopeBody(given), new Uint8Array(64));
      bytes[at % bytes.length] = value;
      try {
        decodeEnvelope(bytes);
      } catch (error) {
        assert.ok(error instanceof HanseError, String(error));
      }
    }),
  );
});

test("property: an envelope is new once, however many come between", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3 * SEEN_MAX), { maxLength: 50 }), (sequences) => {
      const seen = new SeenEnvelopes();
      const taken = new Set<number>();
      for (const sequence of sequences) {
        assert.equal(seen.isNew("a", sequence), !taken.has(sequence));
        if (seen.isNew("a", sequence)) seen.add("a", sequence);
        taken.add(sequence);
      }
      assert.ok(seen.isNew("b", sequences[0] ?? 0), "origins have nothing to do with each other");
      for (let i = 0; i <= SEEN_MAX; i++) seen.add("a", 4 * SEEN_MAX + i);
      for (const sequence of sequences) assert.ok(!seen.isNew("a", sequence), "too old by now");
    }),
    { numRuns: 20 },
  );
});

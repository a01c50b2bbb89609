/** Goal: messages and records come back as they went, and nothing else is read. */
import assert from "node:assert/strict";
import test from "node:test";
import { type BlockHeader, encodeCbor, HanseError, hashHeader, ZERO_HASH } from "@hanse/protocol";
import fc from "fast-check";
import { decodeRecord, encodeRecord } from "../order/ordering-record.ts";
import { decodeMessage, encodeMessage, type WireMessage } from "./messages.ts";

const bytes = (min: number, max = min) => fc.uint8Array({ minLength: min, maxLength: max });
const height = fc.integer({ min: 1, max: 2 ** 40 });
const plain = { noNullPrototype: true } as const;
const span = fc.tuple(height, fc.nat(63)).map(([from, more]) => ({ from, to: from + more }));

const messages: fc.Arbitrary<WireMessage> = fc.oneof(
  fc.record(
    { t: fc.constant("offer" as const), term: height, block: bytes(0, 50), signature: bytes(64) },
    plain,
  ),
  fc.record(
    { t: fc.constantFrom("stored" as const, "getBlock" as const), height, hash: bytes(32) },
    plain,
  ),
  fc.record({ t: fc.constant("block" as const), block: bytes(0, 50) }, plain),
  fc
    .tuple(fc.constantFrom("getRange" as const, "getAttestations" as const), span)
    .map(([t, range]) => ({ t, ...range })),
  fc.record(
    {
      t: fc.constant("range" as const),
      from: height,
      blocks: fc.array(fc.record({ block: bytes(0, 20), proof: bytes(0, 20) }, plain), {
        maxLength: 4,
      }),
    },
    plain,
  ),
  fc.record(
    {
      t: fc.constant("attest" as const),
      height,
      blockHash: bytes(32),
      stateRoot: bytes(32),
      signature: bytes(64),
    },
    plain,
  ),
  fc.record({ t: fc.constant("status" as const), height }, plain),
);

test("a message comes back; of another epoch or engine there is none", () => {
  fc.assert(
    fc.property(messages, fc.nat(1000), (message, epoch) => {
      const encoded = encodeMessage(epoch, message);
      assert.deepEqual(decodeMessage(epoch, encoded), message);
      assert.equal(decodeMessage(epoch + 1, encoded), undefined);
    }),
  );
  assert.equal(decodeMessage(0, encodeCbor([8, 1, 1, 0, false])), undefined);
});

test("whatever else arrives is refused as malformed", () => {
  const refused = (given: Uint8Array) => {
    try {
      decodeMessage(0, given);
    } catch (error) {
      assert.ok(error instanceof HanseError && error.kind === "malformed", String(error));
    }
  };
  fc.assert(fc.property(bytes(0, 80), refused));
  fc.assert(
    fc.property(messages, fc.nat(), fc.nat(255), (message, at, value) => {
      const encoded = encodeMessage(0, message);
      encoded[at % encoded.length] = value;
      refused(encoded);
    }),
  );
  const wide = encodeMessage(0, { t: "getRange", from: 1, to: 100_000 });
  assert.throws(() => decodeMessage(0, wide), /1 to 64 heights/);
});

test("an ordering record comes back and stays small", () => {
  const header: BlockHeader = {
    ledgerId: ZERO_HASH,
    engineEpoch: 1,
    height: 5,
    time: 1_700_000_000_000,
    proposer: "harbour/node-1",
    parentHash: ZERO_HASH,
    txRoot: ZERO_HASH,
    txCount: 3,
    lastCertHash: ZERO_HASH,
    prevStateRoot: ZERO_HASH,
    prevResultsRoot: ZERO_HASH,
    validatorsHash: ZERO_HASH,
    nextValidatorsHash: ZERO_HASH,
    paramsHash: ZERO_HASH,
    evidenceHash: ZERO_HASH,
    lastSetChangeHeight: 1,
    policyExtra: new Uint8Array(64),
  };
  const record = { header, hash: hashHeader(header), term: 77, signature: new Uint8Array(64) };
  const encoded = encodeRecord(record);
  assert.deepEqual(decodeRecord(encoded), record);
  assert.ok(encoded.length < 1024, `${encoded.length} bytes`);
  assert.throws(() => decodeRecord(encoded.subarray(1)));
  assert.throws(() => decodeRecord(new Uint8Array(5000)), /at most 4096/);
  const long = { ...record, header: { ...header, proposer: "x".repeat(4096) } };
  assert.throws(() => encodeRecord(long), /at most 4096/);
});

/** Goal: every engine's proof comes back from its stored form, and no two forms mean the same. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { BlockHeader } from "../block/header.ts";
import { HASH_BYTES } from "../hash/domain.ts";
import {
  certificateOf,
  decodeFinalityProof,
  encodeFinalityProof,
  type FinalityProof,
} from "./finality-proof.ts";

const header = { height: 7 } as BlockHeader;
const bytes = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });
const hash = bytes(HASH_BYTES);
const count = fc.nat(1_000_000);

const plain = { noNullPrototype: true } as const;
const proofs: fc.Arbitrary<FinalityProof> = fc.oneof(
  fc.record(
    {
      kind: fc.constant("qc" as const),
      header: fc.constant(header),
      certificate: fc.record(
        {
          kind: fc.constant("finalize" as const),
          engineEpoch: count,
          height: count,
          view: count,
          validatorsHash: hash,
          blockHash: hash,
          signers: bytes(1, 4),
          signatures: fc.array(bytes(64), { maxLength: 4 }),
        },
        plain,
      ),
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant("comet" as const),
      header: fc.constant(header),
      signedHeader: bytes(0, 40),
      path: fc.array(hash, { maxLength: 4 }),
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant("attested" as const),
      header: fc.constant(header),
      stateRoot: hash,
      attestations: fc.array(fc.record({ member: fc.string(), signature: bytes(64) }, plain), {
        maxLength: 4,
      }),
    },
    plain,
  ),
);

test("proofs come back", () => {
  fc.assert(
    fc.property(proofs, (proof) => {
      assert.deepEqual(decodeFinalityProof(encodeFinalityProof(proof), header), proof);
    }),
    { numRuns: 300 },
  );
});

test("property: a changed byte is refused or is another proof", () => {
  fc.assert(
    fc.property(proofs, fc.nat(), fc.integer({ min: 1, max: 255 }), (proof, at, flip) => {
      const stored = encodeFinalityProof(proof);
      stored[at % stored.length]! ^= flip;
      let other: FinalityProof;
      try {
        other = decodeFinalityProof(stored, header);
      } catch (thrown) {
        assert.equal((thrown as Error).name, "HanseError");
        return;
      }
      assert.deepEqual(encodeFinalityProof(other), stored);
      assert.notDeepEqual(other, proof);
    }),
    { numRuns: 500 },
  );
});

test("a certificate is asked of the built-in engine only", () => {
  assert.throws(() => certificateOf(undefined), { code: "FINALITY_KIND", message: /not none/ });
  const attested = { kind: "attested", header, stateRoot: new Uint8Array(32), attestations: [] };
  assert.throws(() => certificateOf(attested as FinalityProof), /not attested/);
});

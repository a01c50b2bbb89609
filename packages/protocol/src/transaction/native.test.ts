import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toHex } from "../encoding/bytes.ts";
import { encodeCbor } from "../encoding/cbor.ts";
import type { KeyAlgorithm } from "../keys/algorithms.ts";
import {
  createKeyPair,
  readyKeyBackends,
  signMessage,
  verifySignature,
} from "../keys/signatures.ts";
import { merkleRoot } from "../merkle/transaction-tree.ts";
import { decodeOutcome, encodeOutcome, outcomeLeaves, outcomeRoot } from "../outcome/outcome.ts";
import {
  decodeNativeTransaction,
  encodeNativeBody,
  encodeNativeTransaction,
  nativeSignedMessage,
  nativeTransactionId,
} from "./native.ts";

await readyKeyBackends();

const body = fc.record({
  ledgerId: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  algorithm: fc.constantFrom<KeyAlgorithm>("ed25519", "p256", "secp256k1"),
  nonce: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  validUntil: fc.maxSafeNat(),
  engine: fc.stringMatching(/^[a-z]{1,32}$/),
  payload: fc.uint8Array({ maxLength: 300 }),
});

test("native transactions come back, signed; the id is the body's alone", () => {
  fc.assert(
    fc.property(body, ({ algorithm, ...rest }) => {
      const pair = createKeyPair(algorithm, new Uint8Array(32).fill(4));
      const fields = { ...rest, sender: pair.publicKey };
      const bytes = encodeNativeBody(fields);
      const signature = signMessage(pair, nativeSignedMessage(bytes));
      const decoded = decodeNativeTransaction(encodeNativeTransaction(bytes, signature));
      assert.deepEqual(decoded.body, fields);
      assert.equal(toHex(decoded.id), toHex(nativeTransactionId(bytes)));
      assert.ok(verifySignature(pair.publicKey, decoded.signedMessage, decoded.signature));
      const other = decodeNativeTransaction(encodeNativeTransaction(bytes, new Uint8Array(64)));
      assert.deepEqual(other.id, decoded.id);
    }),
    { numRuns: 60 },
  );
});

test("native transactions: refusals name the field", () => {
  const sender = [1, new Uint8Array(32)] as const;
  const good = [1, new Uint8Array(32), sender, 7, 1000, "needle", new Uint8Array()];
  const wire = (changes: Record<number, unknown>, signature = new Uint8Array(64)) => {
    const items = good.map((item, i) => (i in changes ? changes[i] : item));
    return encodeNativeTransaction(encodeCbor(items as never), signature);
  };
  assert.equal(decodeNativeTransaction(wire({})).body.engine, "needle");
  const refused: readonly [Record<number, unknown>, RegExp][] = [
    [{ 0: 2 }, /version/],
    [{ 1: new Uint8Array(31) }, /ledgerId: expected 32 bytes/],
    [{ 2: [9, new Uint8Array(32)] }, /sender: unknown key algorithm/],
    [{ 2: [2, new Uint8Array(32)] }, /sender.bytes: expected 33/],
    [{ 3: -1 }, /nonce/],
    [{ 4: 2n ** 60n }, /validUntil/],
    [{ 5: "" }, /engine/],
    [{ 5: "x".repeat(33) }, /engine/],
    [{ 6: "text" }, /payload/],
  ];
  for (const [changes, reason] of refused) {
    assert.throws(() => decodeNativeTransaction(wire(changes)), reason);
  }
  assert.throws(() => decodeNativeTransaction(wire({}, new Uint8Array(63))), /signature/);
  assert.throws(() => decodeNativeTransaction(wire({}).with(0, 2)), { code: "TX_FORM" });
  assert.throws(() => decodeNativeTransaction(new Uint8Array()), { code: "TX_FORM" });
  assert.throws(() => decodeNativeTransaction(Uint8Array.of(...wire({}), 0)), /after the value/);
});

test("outcomes come back, and their root covers every field and the foreign views", () => {
  const event = fc.record({ name: fc.string(), data: fc.json() }, { noNullPrototype: true });
  const outcome = fc.record(
    {
      code: fc.string(),
      result: fc.string(),
      error: fc.string(),
      fuelUsed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      events: fc.array(event, { maxLength: 3 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(outcome, { minLength: 1, maxLength: 5 }), (outcomes) => {
      for (const one of outcomes) assert.deepEqual(decodeOutcome(encodeOutcome(one)), one);
      const root = toHex(outcomeRoot(outcomes));
      assert.equal(root, toHex(merkleRoot(outcomeLeaves(outcomes))));
      const [first, ...rest] = outcomes;
      for (const changed of [
        { ...first!, code: `${first!.code}x` },
        { ...first!, result: `${first!.result}x` },
        { ...first!, error: `${first!.error}x` },
        { ...first!, fuelUsed: first!.fuelUsed ^ 1n },
        { ...first!, events: [...first!.events, { name: "", data: "" }] },
      ]) {
        assert.notEqual(toHex(outcomeRoot([changed, ...rest])), root);
      }
      const view = { engine: "evm", hash: new Uint8Array(32) };
      const seen = new Set([
        root,
        toHex(outcomeRoot(outcomes, [view])),
        toHex(outcomeRoot(outcomes, [view, view])),
        toHex(outcomeRoot(outcomes, [{ ...view, engine: "other" }])),
        toHex(outcomeRoot(outcomes, [{ ...view, hash: new Uint8Array(32).fill(1) }])),
      ]);
      assert.equal(seen.size, 5);
    }),
  );
});

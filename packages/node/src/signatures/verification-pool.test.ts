/** Goal: threads give the same verdicts as the library, in order, for any mixture of claims. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { SignatureClaim } from "@hanse/ledger";
import {
  createKeyPair,
  type KeyAlgorithm,
  readyKeyBackends,
  signMessage,
  utf8,
  verifySignature,
} from "@hanse/protocol";
import { packClaims, unpackClaims } from "./claim-packing.ts";
import { createVerificationPool, type VerificationPool } from "./verification-pool.ts";

let pool: VerificationPool;
before(async () => {
  await readyKeyBackends();
  pool = createVerificationPool(2, (error) => assert.fail(error));
});
after(() => pool.close());

function makeClaims(count: number): SignatureClaim[] {
  const pairs = (["ed25519", "p256", "secp256k1"] as KeyAlgorithm[]).map((a) => createKeyPair(a));
  return Array.from({ length: count }, (_, i) => {
    const pair = pairs[i % 3]!;
    const message = utf8("m".repeat((i * 37) % 500) + i);
    const signature = Uint8Array.from(signMessage(pair, message));
    if (i % 5 === 1) signature[i % 64]! ^= 1;
    const cut = i % 11 === 3 ? signature.subarray(0, 63) : signature;
    return { key: pair.publicKey, message, signature: cut };
  });
}

test("claims survive packing", () => {
  const claims = makeClaims(20).filter((claim) => claim.signature.length === 64);
  const read = [...unpackClaims(packClaims(claims))];
  assert.deepEqual(
    read.map((c) => [c.key.algorithm, ...[c.key.bytes, c.message, c.signature].map((b) => [...b])]),
    claims.map((c) => [
      c.key.algorithm,
      ...[c.key.bytes, c.message, c.signature].map((b) => [...b]),
    ]),
  );
});

test("verdicts in order, however many claims and calls at once", async () => {
  const claims = makeClaims(400);
  const expected = claims.map((c) => verifySignature(c.key, c.message, c.signature));
  assert.ok(expected.includes(true) && expected.includes(false));
  const calls = [0, 1, 2, 3, 17, 150, 400].map(async (count, i) => {
    const some = claims.slice(0, count);
    const verdicts = await (i % 2 === 0 ? pool.verify(some) : pool.verifyUrgent(some));
    assert.deepEqual(verdicts, expected.slice(0, count));
  });
  await Promise.all(calls);
  assert.equal(pool.pending, 0);
});

test("a closed pool refuses instead of guessing", async () => {
  const short = createVerificationPool(1, () => assert.fail("no alarm on a wanted end"));
  const running = short.verify(makeClaims(200));
  const rejected = assert.rejects(running, { code: "NODE_VERIFIERS_STOPPED" });
  await short.close();
  await rejected;
  await assert.rejects(short.verify(makeClaims(1)), { code: "NODE_VERIFIERS_STOPPED" });
});

/** Goal: account numbers as existing clients compute them. Method: published vectors, round trips. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyPair, fromHex, readyKeyBackends, sha256, utf8 } from "@hanse/protocol";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import fc from "fast-check";
import {
  accountText,
  crc64,
  keyIdOf,
  keyIdOfHash,
  parseAccountText,
  rawKeyBytes,
} from "./key-id.ts";

test("CRC-64/XZ gives its check value", () => {
  assert.equal(crc64(utf8("123456789")), 0x995dc9bbdf1939fan);
});

test("the guest account of IBAX has its published number and text", () => {
  const key = fromHex(
    "ef0ab117793962b7b3ee8d2ae94b58bbd7db1aa856a7dc623fdb28ad530090b0" +
      "bcf5cb81b4d6912a249f1ab30921f414ad88383208cd8ba26ae2a9c3eb543772",
  );
  const id = keyIdOfHash(keccak_256(key));
  assert.equal(id, -110277540701013350n);
  assert.equal(accountText(id), "1833-6466-5330-0853-8266");
});

test("compressed keys are hashed as X and Y", async () => {
  await readyKeyBackends();
  for (const [algorithm, curve] of [
    ["p256", p256],
    ["secp256k1", secp256k1],
  ] as const) {
    const { publicKey } = createKeyPair(algorithm, sha256(utf8(algorithm)));
    const raw = rawKeyBytes(publicKey);
    assert.equal(raw.length, 64);
    const point = curve.Point.fromBytes(publicKey.bytes).toAffine();
    const x = BigInt(`0x${Buffer.from(raw.subarray(0, 32)).toString("hex")}`);
    const y = BigInt(`0x${Buffer.from(raw.subarray(32)).toString("hex")}`);
    assert.deepEqual([x, y], [point.x, point.y]);
    assert.equal(keyIdOf(publicKey), keyIdOfHash(sha256(raw)));
  }
  const { publicKey } = createKeyPair("ed25519", sha256(utf8("ed25519")));
  assert.equal(keyIdOf(publicKey), keyIdOfHash(sha256(publicKey.bytes)));
  const bad = { algorithm: "p256", bytes: new Uint8Array(33).fill(2) } as const;
  assert.throws(() => keyIdOf({ ...bad, bytes: new Uint8Array(33) }), { code: "IDENTITY_KEY" });
});

test("every number reads back from its three texts, and a changed digit is noticed", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.nat(18),
      fc.integer({ min: 1, max: 9 }),
      (hash, place, by) => {
        const id = keyIdOfHash(hash);
        const text = accountText(id);
        assert.match(text, /^\d{4}(-\d{4}){4}$/);
        assert.equal(parseAccountText(text), id);
        assert.equal(parseAccountText(id.toString()), id);
        assert.equal(parseAccountText(BigInt.asUintN(64, id).toString()), id);
        const digits = [...text.replaceAll("-", "")];
        digits[place] = String((Number(digits[place]) + by) % 10);
        const changed = digits.join("").replace(/(\d{4})(?=\d)/g, "$1-");
        assert.throws(() => parseAccountText(changed), { code: "IDENTITY_ACCOUNT_TEXT" });
      },
    ),
  );
});

test("other texts are refused", () => {
  for (const text of ["", "x", "-0", "1e5", "0x10", "99999999999999999999", "1234-5678", " 5555"]) {
    assert.throws(() => parseAccountText(text), { code: "IDENTITY_ACCOUNT_TEXT" }, text);
  }
  assert.equal(parseAccountText("0000-0000-0000-0000-5555"), 5555n);
});

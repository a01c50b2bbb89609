import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { compareBytes, fromHex, toHex, utf8 } from "../encoding/bytes.ts";
import type { KeyAlgorithm, PublicKey } from "./algorithms.ts";
import { createNodeBackends, signatureBackends as nodeBackends } from "./backend-node.ts";
import { signatureBackends as portableBackends } from "./backend-portable.ts";
import { decodeKeyFile, encodeKeyFile, publicKeyFromText, publicKeyToText } from "./key-text.ts";
import { createKeyPair, createSignatures, KEY_BACKENDS, readyKeyBackends } from "./signatures.ts";

await readyKeyBackends();
await portableBackends.ready();

const ALGORITHMS: readonly KeyAlgorithm[] = ["ed25519", "p256", "secp256k1"];
const BACKENDS = {
  node: createSignatures(nodeBackends),
  portable: createSignatures(portableBackends),
};
const PAIRS = Object.entries(BACKENDS);

function readVectors(path: string) {
  return JSON.parse(readFileSync(new URL(`../../test/vectors/${path}`, import.meta.url), "utf8"));
}

interface EdgeCase {
  readonly number: number;
  readonly key: string;
  readonly sig: string;
  readonly msg: string;
}

const edgeCases: readonly EdgeCase[] = readVectors("cctv-ed25519/ed25519vectors.json");

test("node has fast libraries for every algorithm, and says so", () => {
  assert.deepEqual(
    ALGORITHMS.map((algorithm) => ({ ...KEY_BACKENDS[algorithm] })),
    [
      { name: "sodium-native", fast: true },
      { name: "node:crypto", fast: true },
      { name: "secp256k1", fast: true },
    ],
  );
});

for (const [name, { verifySignature }] of PAIRS) {
  test(`${name}: accepts exactly the 43 of 914 Ed25519 edge cases that libsodium accepts`, () => {
    assert.equal(edgeCases.length, 914);
    const accepted = edgeCases.filter((edge) =>
      verifySignature(
        { algorithm: "ed25519", bytes: fromHex(edge.key) },
        utf8(edge.msg),
        fromHex(edge.sig),
      ),
    );
    assert.equal(accepted.length, 43);
    const list = readVectors("cctv-ed25519/accepted.json");
    assert.deepEqual(
      accepted.map((edge) => edge.number),
      list,
    );
  });

  for (const [algorithm, curve, halfOrder] of [
    ["p256", "secp256r1", "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8"],
    ["secp256k1", "secp256k1", "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0"],
  ] as const) {
    test(`${name}: Wycheproof verdicts on ${curve}, and no high S`, () => {
      const { testGroups } = readVectors(`wycheproof/ecdsa_${curve}_sha256_p1363_test.json`);
      let accepted = 0;
      let refusedForHighS = 0;
      for (const group of testGroups) {
        const point = fromHex(group.publicKey);
        const bytes = point.slice(0, 33);
        bytes[0] = 2 + (point[64]! & 1);
        for (const vector of group.tests) {
          const signature = fromHex(vector.sig);
          const isLow = compareBytes(signature.subarray(32), fromHex(halfOrder)) <= 0;
          const isValid = vector.result === "valid";
          const verdict = verifySignature({ algorithm, bytes }, fromHex(vector.msg), signature);
          assert.equal(verdict, isValid && isLow, `${vector.tcId}: ${vector.comment}`);
          if (verdict) accepted++;
          if (isValid && !isLow) refusedForHighS++;
        }
      }
      assert.ok(accepted > 80, `${accepted} accepted`);
      assert.ok(refusedForHighS > 50, `${refusedForHighS} refused`);
    });
  }

  for (const algorithm of ALGORITHMS) {
    test(`${name}: bad bytes under ${algorithm} are false, never an exception`, () => {
      const { createKeyPair, signMessage } = BACKENDS.node;
      const pair = createKeyPair(algorithm, fromHex("21".repeat(32)));
      const message = utf8("a message");
      const signature = signMessage(pair, message);
      const { bytes } = pair.publicKey;
      assert.equal(verifySignature(pair.publicKey, message, signature), true);
      assert.equal(verifySignature(pair.publicKey, utf8("another"), signature), false);
      for (const length of [0, 1, 31, 34, 65]) {
        const key: PublicKey = { algorithm, bytes: new Uint8Array(length).fill(3) };
        assert.equal(verifySignature(key, message, signature), false);
      }
      for (const length of [0, 63, 65, 72]) {
        assert.equal(verifySignature(pair.publicKey, message, new Uint8Array(length)), false);
      }
      for (const fill of [0, 0xff]) {
        const halves = new Uint8Array(64).fill(fill);
        assert.equal(verifySignature(pair.publicKey, message, halves), false);
        const key: PublicKey = { algorithm, bytes: new Uint8Array(bytes.length).fill(fill) };
        assert.equal(verifySignature(key, message, signature), false);
      }
      if (algorithm !== "ed25519") {
        for (const prefix of [0, 4, 5, 6, 7]) {
          const key: PublicKey = { algorithm, bytes: Uint8Array.of(prefix, ...bytes.subarray(1)) };
          assert.equal(verifySignature(key, message, signature), false);
        }
        // x above the field prime is no canonical coordinate.
        const beyond = Uint8Array.of(2, ...new Uint8Array(32).fill(0xff));
        assert.equal(verifySignature({ algorithm, bytes: beyond }, message, signature), false);
      }
      for (let bit = 0; bit < 512; bit += 7) {
        const flipped = signature.slice();
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        assert.equal(verifySignature(pair.publicKey, message, flipped), false, `bit ${bit}`);
      }
    });

    test(`${name}: ${algorithm} keys and signatures are the other backend's too`, () => {
      for (const [otherName, other] of PAIRS) {
        for (const seed of [undefined, fromHex("0a".repeat(32))]) {
          const pair = BACKENDS[name as "node"].createKeyPair(algorithm, seed);
          const again = other.createKeyPair(algorithm, pair.secretKey);
          assert.equal(toHex(again.publicKey.bytes), toHex(pair.publicKey.bytes), otherName);
          for (const length of [0, 1, 300]) {
            const message = new Uint8Array(length).fill(9);
            const signature = other.signMessage(again, message);
            assert.ok(verifySignature(pair.publicKey, message, signature));
          }
        }
      }
    });
  }

  test(`${name}: seeds outside the curve are refused`, () => {
    const { createKeyPair } = BACKENDS[name as "node"];
    for (const algorithm of ["p256", "secp256k1"] as const) {
      for (const byte of ["00", "ff"]) {
        assert.throws(() => createKeyPair(algorithm, fromHex(byte.repeat(32))), {
          code: "KEY_SEED",
        });
      }
    }
    assert.throws(() => createKeyPair("ed25519", new Uint8Array(31)), { code: "KEY_SEED" });
  });
}

test("signing ECDSA always gives the lower S", () => {
  for (const [, { createKeyPair, signMessage, verifySignature }] of PAIRS) {
    for (const algorithm of ["p256", "secp256k1"] as const) {
      const pair = createKeyPair(algorithm);
      for (let i = 0; i < 12; i++) {
        const message = Uint8Array.of(i);
        assert.ok(verifySignature(pair.publicKey, message, signMessage(pair, message)));
      }
    }
  }
});

test("a node without its addons falls back to slow code with the same verdicts", async () => {
  const backends = createNodeBackends(() => undefined);
  assert.throws(() => backends.get("ed25519"), { code: "KEYS_NOT_READY" });
  assert.equal(backends.describe("ed25519").fast, false);
  await backends.ready();
  assert.deepEqual(
    ALGORITHMS.map((algorithm) => backends.get(algorithm).name),
    ["libsodium-wrappers", "node:crypto", "@noble/curves"],
  );
  const { createKeyPair, signMessage } = createSignatures(backends);
  for (const algorithm of ALGORITHMS) {
    const pair = createKeyPair(algorithm);
    const message = utf8("slow");
    const signature = signMessage(pair, message);
    assert.ok(BACKENDS.node.verifySignature(pair.publicKey, message, signature));
  }
});

test("key texts and key files", () => {
  for (const algorithm of ALGORITHMS) {
    const pair = createKeyPair(algorithm, fromHex("33".repeat(32)));
    const text = publicKeyToText(pair.publicKey);
    assert.deepEqual(publicKeyFromText(text, "key"), pair.publicKey);
    const file = encodeKeyFile(pair);
    assert.deepEqual(decodeKeyFile(file), pair);
    const damaged = file.replace(/"secretKey": "33/, '"secretKey": "34');
    assert.throws(() => decodeKeyFile(damaged), { code: "KEY_TEXT", message: /^publicKey/ });
    assert.throws(() => decodeKeyFile(file.slice(1)), { code: "KEY_TEXT" });
    assert.throws(() => decodeKeyFile(file.replace("{", '{"extra":1,')), /extra/);
    assert.throws(() => publicKeyFromText(`${text}00`, "key"), { code: "KEY_TEXT" });
    assert.throws(() => publicKeyFromText(text.toUpperCase(), "key"), { code: "KEY_TEXT" });
  }
  assert.throws(() => publicKeyFromText("rsa:00", "nodes[0].key"), /^HanseError: nodes\[0\]\.key/);
});

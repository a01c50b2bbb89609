/** Goal: a signed request binds ledger, method, path, body and time; its header reads back. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  createKeyPair,
  readyKeyBackends,
  signMessage,
  toHex,
  verifySignature,
} from "@hanse/protocol";
import {
  encodeAuthorization,
  parseAuthorization,
  type RequestFacts,
  requestMessage,
} from "./request-signature.ts";

before(() => readyKeyBackends());

const facts: RequestFacts = {
  ledgerId: new Uint8Array(32).fill(1),
  method: "POST",
  path: "/v1/queries?x=1",
  body: Uint8Array.of(1, 2, 3),
  time: 1_700_000_000_000,
};

test("a signature holds for exactly one request", () => {
  for (const algorithm of ["ed25519", "p256", "secp256k1"] as const) {
    const pair = createKeyPair(algorithm);
    const signature = signMessage(pair, requestMessage(facts));
    const header = encodeAuthorization({ key: pair.publicKey, time: facts.time, signature });
    const parsed = parseAuthorization(header);
    assert.ok(parsed.scheme === "key");
    assert.deepEqual(parsed.key, pair.publicKey);
    assert.ok(verifySignature(parsed.key, requestMessage(facts), parsed.signature));
    const others: Partial<RequestFacts>[] = [
      { ledgerId: new Uint8Array(32) },
      { method: "GET" },
      { path: "/v1/queries?x=2" },
      { body: Uint8Array.of(1, 2) },
      { time: facts.time + 1 },
    ];
    for (const other of others) {
      const message = requestMessage({ ...facts, ...other });
      assert.ok(!verifySignature(parsed.key, message, parsed.signature));
    }
  }
});

test("headers of any other shape are refused with the expected one", () => {
  const key = `ed25519:${"ab".repeat(32)}`;
  const bad = [
    "",
    "Basic dXNlcg==",
    "Bearer short",
    `Hanse-Key ${key};12;${"00".repeat(63)}`,
    `Hanse-Key ${key};-1;${"00".repeat(64)}`,
    `Hanse-Key ${key};1;${"00".repeat(64)};more`,
    `Hanse-Key ed448:00;1;${"00".repeat(64)}`,
  ];
  for (const header of bad) {
    assert.throws(() => parseAuthorization(header), { name: "HanseError", kind: "malformed" });
  }
  const token = toHex(new Uint8Array(32).fill(5));
  assert.deepEqual(parseAuthorization(`Bearer ${token}`), { scheme: "token", token });
});

/** Goal: sessions end in time, and the time an account's queries take is bounded. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { encodeAuthorization, requestMessage } from "@hanse/api";
import {
  accountIdOf,
  createKeyPair,
  type KeyPair,
  readyKeyBackends,
  signMessage,
} from "@hanse/protocol";
import { Callers } from "./callers.ts";

const ledgerId = new Uint8Array(32).fill(3);
let pair: KeyPair;
before(async () => {
  await readyKeyBackends();
  pair = createKeyPair("ed25519");
});

function make(readsPerSecond = 100) {
  const time = { now: 1_000_000 };
  const callers = new Callers({
    ledgerId,
    sessionMs: 5000,
    readsPerSecond,
    now: () => time.now,
    resolveSender: (key) => ({
      accountId: accountIdOf(key),
      keyId: 1n,
      name: "ada",
      org: "court",
      roles: [],
    }),
  });
  const signed = () => {
    const facts = { ledgerId, method: "POST", path: "/v1/sessions", body: new Uint8Array(0) };
    const signature = signMessage(pair, requestMessage({ ...facts, time: time.now }));
    return encodeAuthorization({ key: pair.publicKey, time: time.now, signature });
  };
  const call = (authorization: string) =>
    callers.identify({
      method: "POST",
      path: "/v1/sessions",
      body: new Uint8Array(0),
      authorization,
    });
  return { callers, time, signed, call };
}

test("a token holds for its time and not a moment longer", () => {
  const { callers, time, signed, call } = make();
  const authorization = signed();
  const { token, expiresAt } = callers.open(call(authorization), authorization);
  assert.equal(expiresAt, time.now + 5000);
  time.now += 4999;
  assert.equal(call(`Bearer ${token}`).sender.name, "ada");
  time.now += 1;
  assert.throws(() => call(`Bearer ${token}`), { code: "API_SESSION" });
  assert.equal(callers.sessions, 0);
});

test("time that a query took is paid back: a tenth of the thread at most", () => {
  const { callers, time, signed, call } = make();
  const caller = call(signed());
  callers.chargeTime(caller, 1000);
  time.now += 8000;
  assert.throws(() => call(signed()), { code: "API_READ_QUOTA" });
  time.now += 2000;
  assert.equal(call(signed()).sender.name, "ada");
});

test("a signature of the past or the future is no signature", () => {
  const { time, signed, call } = make();
  const authorization = signed();
  time.now += 60_001;
  assert.throws(() => call(authorization), { code: "API_SIGNATURE_TIME" });
  time.now -= 120_002;
  assert.throws(() => call(authorization), { code: "API_SIGNATURE_TIME" });
  time.now += 1;
  assert.equal(call(authorization).sender.name, "ada");
});

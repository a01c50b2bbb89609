/** Goal: a fresh identity reads back, its fingerprint is the pinned key's, a mixed pair is refused. */
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { HanseError } from "@hanse/protocol";
import { createTlsIdentity, encodeTlsIdentity, readTlsIdentity } from "./tls-identity.ts";

test("an identity survives its file, and its fingerprint is SHA-256 of the SPKI", async () => {
  const identity = await createTlsIdentity({ name: "harbour/node-1" });
  const read = readTlsIdentity(encodeTlsIdentity(identity));
  assert.deepEqual(read.fingerprint, identity.fingerprint);
  const certificate = new X509Certificate(read.certificatePem);
  assert.equal(certificate.subject, "CN=harbour/node-1");
  assert.ok(certificate.verify(certificate.publicKey), "self-signed");
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  assert.deepEqual(
    Buffer.from(read.fingerprint).toString("hex"),
    createHash("sha256").update(spki).digest("hex"),
  );
});

test("a certificate of another key, or a missing part, is refused", async () => {
  const [a, b] = [
    await createTlsIdentity({ name: "a/1" }),
    await createTlsIdentity({ name: "b/1" }),
  ];
  const broken = [
    encodeTlsIdentity({ ...a, certificatePem: b.certificatePem }),
    a.certificatePem,
    a.privateKeyPem,
    encodeTlsIdentity(a).replace(/^M/gm, "!"),
  ];
  for (const pem of broken) {
    assert.throws(
      () => readTlsIdentity(pem),
      (error) => error instanceof HanseError && error.code === "NETWORK_IDENTITY",
    );
  }
});

/**
 * A node's identity towards other nodes: a P-256 key and a self-signed X.509 certificate. Nobody
 * signs it: the genesis registry pins the SHA-256 of its public key (SubjectPublicKeyInfo, as in
 * RFC 7469), so a renewed certificate over the same key stays the same identity.
 */
import { createHash, createPrivateKey, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { HanseError, type Hash } from "@hanse/protocol";

export interface TlsIdentity {
  /** PKCS #8. Secret. */
  readonly privateKeyPem: string;
  readonly certificatePem: string;
  /** SHA-256 of the certificate's SubjectPublicKeyInfo, 32 bytes. */
  readonly fingerprint: Hash;
}

const DAY_MS = 86_400_000;
/** Identity comes from the pinned key, so the dates only keep tools content. */
const VALID_DAYS = 3650;

/** SHA-256 over the DER form of a certificate's public key. */
export function tlsFingerprintOf(certificate: X509Certificate): Hash {
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  return new Uint8Array(createHash("sha256").update(spki).digest());
}

/** A fresh identity; `name` (a node id) becomes the certificate's common name. */
export async function createTlsIdentity(options: { readonly name: string }): Promise<TlsIdentity> {
  // Loaded here alone: only key creation needs the ASN.1 library, never a running node.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
    "sign",
    "verify",
  ])) as webcrypto.CryptoKeyPair;
  const now = Date.now();
  const serial = randomBytes(16);
  serial[0]! &= 0x7f;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial.toString("hex"),
      name: [{ CN: [options.name] }],
      notBefore: new Date(now - DAY_MS),
      notAfter: new Date(now + VALID_DAYS * DAY_MS),
      signingAlgorithm: algorithm,
      keys: keys as never,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ],
    },
    webcrypto as never,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const privateKeyPem = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
    .export({ type: "pkcs8", format: "pem" })
    .toString();
  return readTlsIdentity(`${privateKeyPem}${certificate.toString("pem")}\n`);
}

/** One PEM text with private key and certificate: what a key file holds. */
export function encodeTlsIdentity(identity: TlsIdentity): string {
  return `${identity.privateKeyPem.trim()}\n${identity.certificatePem.trim()}\n`;
}

function pemBlock(pem: string, label: string): string {
  const block = new RegExp(`-----BEGIN ${label}-----[\\s\\S]*?-----END ${label}-----`).exec(pem);
  if (block === null) {
    throw new HanseError("NETWORK_IDENTITY", "malformed", `TLS key file: no ${label} block in it`);
  }
  return `${block[0]}\n`;
}

/**
 * Reads what `encodeTlsIdentity` wrote.
 * @throws HanseError `NETWORK_IDENTITY` when a part is missing, unreadable or the two do not match.
 */
export function readTlsIdentity(pem: string): TlsIdentity {
  const privateKeyPem = pemBlock(pem, "PRIVATE KEY");
  const certificatePem = pemBlock(pem, "CERTIFICATE");
  let matches: boolean;
  let fingerprint: Hash;
  try {
    const certificate = new X509Certificate(certificatePem);
    matches = certificate.checkPrivateKey(createPrivateKey(privateKeyPem));
    fingerprint = tlsFingerprintOf(certificate);
  } catch (cause) {
    throw new HanseError("NETWORK_IDENTITY", "malformed", "TLS key file: cannot be read", {
      cause,
    });
  }
  if (!matches) {
    throw new HanseError(
      "NETWORK_IDENTITY",
      "malformed",
      "TLS key file: the certificate is not of this private key; create both anew together",
    );
  }
  return { privateKeyPem, certificatePem, fingerprint };
}

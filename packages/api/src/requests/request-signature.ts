/**
 * Signed requests: who reads proves to hold an account's key, without a password or a cookie.
 *
 *     Authorization: Hanse-Key <publicKey>;<milliseconds since 1970>;<signature in hex>
 *
 * The signature covers the domain, the ledger, method, path with query, the body's hash and the
 * time; a node takes it within REQUEST_WINDOW_MS of its own clock. A session token, got by one
 * signed `POST /v1/sessions`, spares the signature on what follows:
 *
 *     Authorization: Bearer <token>
 */
import {
  type Bytes,
  concatBytes,
  encodeCbor,
  fromHex,
  HanseError,
  type Hash,
  type PublicKey,
  publicKeyFromText,
  publicKeyToText,
  SIGNATURE_BYTES,
  sha256,
  toHex,
  utf8,
} from "@hanse/protocol";

/** How far a signed request's time may be from the node's clock, either way. */
export const REQUEST_WINDOW_MS = 60_000;
export const KEY_SCHEME = "Hanse-Key";
export const TOKEN_SCHEME = "Bearer";

const REQUEST_DOMAIN = utf8("hanse/request/1\0");

export interface RequestFacts {
  readonly ledgerId: Hash;
  /** Upper case. */
  readonly method: string;
  /** Path and query, as sent. */
  readonly path: string;
  /** Empty without a body. */
  readonly body: Bytes;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** The bytes a caller signs. */
export function requestMessage(facts: RequestFacts): Bytes {
  return concatBytes(
    REQUEST_DOMAIN,
    encodeCbor([facts.ledgerId, facts.method, facts.path, sha256(facts.body), facts.time]),
  );
}

export interface RequestSignature {
  readonly key: PublicKey;
  readonly time: number;
  readonly signature: Bytes;
}

export function encodeAuthorization(signed: RequestSignature): string {
  return `${KEY_SCHEME} ${publicKeyToText(signed.key)};${signed.time};${toHex(signed.signature)}`;
}

export type Authorization =
  | ({ readonly scheme: "key" } & RequestSignature)
  | { readonly scheme: "token"; readonly token: string };

/** @throws HanseError `API_AUTHORIZATION` naming what is expected. */
export function parseAuthorization(header: string): Authorization {
  const space = header.indexOf(" ");
  const scheme = header.slice(0, space).toLowerCase();
  const value = header.slice(space + 1).trim();
  if (scheme === TOKEN_SCHEME.toLowerCase() && /^[0-9a-f]{64}$/.test(value)) {
    return { scheme: "token", token: value };
  }
  const [key, time, signature, ...rest] = value.split(";");
  if (
    scheme !== KEY_SCHEME.toLowerCase() ||
    rest.length > 0 ||
    time === undefined ||
    !/^[0-9]{1,15}$/.test(time) ||
    signature === undefined ||
    !/^[0-9a-f]+$/.test(signature) ||
    signature.length !== 2 * SIGNATURE_BYTES
  ) {
    throw new HanseError(
      "API_AUTHORIZATION",
      "malformed",
      `Authorization: expected "${KEY_SCHEME} <public key>;<milliseconds>;<signature>" or "${TOKEN_SCHEME} <token>"`,
      { details: { field: "Authorization" } },
    );
  }
  return {
    scheme: "key",
    key: publicKeyFromText(key, "Authorization"),
    time: Number(time),
    signature: fromHex(signature),
  };
}

import { sha256 } from "#hash-backend";
import { type Bytes, concatBytes, utf8 } from "../encoding/bytes.ts";

export { HASH_BACKEND, sha256 } from "#hash-backend";

/** 32 bytes. */
export type Hash = Bytes;

export const HASH_BYTES = 32;
export const ZERO_HASH: Hash = new Uint8Array(HASH_BYTES);

/**
 * What separates every hashed or signed message of ours from every other (spec/encoding.md):
 * the domain's text and a zero byte stand before the message.
 */
export const DOMAINS = {
  transaction: "hanse/transaction/1",
  header: "hanse/header/1",
  validatorSet: "hanse/validator-set/1",
  certificate: "hanse/certificate/1",
  notarize: "hanse/notarize/1",
  nullify: "hanse/nullify/1",
  finalize: "hanse/finalize/1",
  propose: "hanse/propose/1",
  genesis: "hanse/genesis/1",
  parameters: "hanse/parameters/1",
  account: "hanse/account/1",
  stateKey: "hanse/state-key/1",
  stateValue: "hanse/state-value/1",
  attestation: "hanse/attestation/1",
  ordered: "hanse/ordered/1",
  readiness: "hanse/readiness/1",
  evidence: "hanse/evidence/1",
  recovery: "hanse/recovery/1",
  results: "hanse/results/1",
  probeMoment: "hanse/probe-moment/1",
  probeAnswer: "hanse/probe-answer/1",
} as const;

export type Domain = (typeof DOMAINS)[keyof typeof DOMAINS];

const prefixes = new Map<Domain, Bytes>(
  Object.values(DOMAINS).map((domain) => [domain, utf8(`${domain}\0`)]),
);

/** The bytes that are signed or hashed for a message of this domain. */
export function withDomain(domain: Domain, message: Bytes): Bytes {
  return concatBytes(prefixes.get(domain)!, message);
}

export function hashWithDomain(domain: Domain, message: Bytes): Hash {
  return sha256(withDomain(domain, message));
}

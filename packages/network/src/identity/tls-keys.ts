/**
 * The TLS keys that a node holds at one time: the one in use, and around a change of keys also the
 * one before and the one to come. Each connection shows the key that the other side expects: a
 * dialer names it (as server name), and a dialer that is refused tries its other keys in turn. So
 * nodes that have and have not heard of the change yet are reached alike.
 */
import { createSecureContext, type SecureContext } from "node:tls";
import { type Hash, toHex } from "@hanse/protocol";
import { readTlsIdentity, type TlsIdentity } from "./tls-identity.ts";

export type TlsKeyPem = Pick<TlsIdentity, "privateKeyPem" | "certificatePem">;

/** At most: in use, before, to come. */
export const TLS_KEYS_MAX = 3;

/** What a dialer asks for; half the fingerprint, since a host name's label is bounded. */
export function serverNameOf(fingerprint: Hash): string {
  return `${toHex(fingerprint).slice(0, 32)}.hanse`;
}

interface Key {
  readonly identity: TlsIdentity;
  readonly context: SecureContext;
}

const PROTOCOL = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3" } as const;

export class TlsKeys {
  readonly #keys: readonly Key[];

  /** The first is the one in use. @throws HanseError `NETWORK_IDENTITY` */
  constructor(keys: readonly TlsKeyPem[]) {
    this.#keys = keys.slice(0, TLS_KEYS_MAX).map((key) => {
      const identity = readTlsIdentity(`${key.privateKeyPem}\n${key.certificatePem}`);
      const { privateKeyPem, certificatePem } = identity;
      const context = createSecureContext({
        key: privateKeyPem,
        cert: certificatePem,
        ...PROTOCOL,
      });
      return { identity, context };
    });
  }

  get inUse(): TlsIdentity {
    return this.#keys[0]!.identity;
  }

  has(fingerprint: Hash): boolean {
    const hex = toHex(fingerprint);
    return this.#keys.some(({ identity }) => toHex(identity.fingerprint) === hex);
  }

  /** The context options of the key in use. */
  get options() {
    const { privateKeyPem, certificatePem } = this.inUse;
    return { key: privateKeyPem, cert: certificatePem, ...PROTOCOL };
  }

  /** For the n-th attempt in a row, from 0. */
  contextFor(attempt: number): SecureContext {
    return this.#keys[attempt % this.#keys.length]!.context;
  }

  /** By what a dialer asked for. */
  contextOf(serverName: string): SecureContext {
    const key = this.#keys.find(
      ({ identity }) => serverNameOf(identity.fingerprint) === serverName,
    );
    return (key ?? this.#keys[0]!).context;
  }
}

/**
 * Messages for one node, which relays carry and shall not read: X25519 (RFC 7748) between keys that
 * live as long as the process, HKDF-SHA-256 (RFC 5869), AES-256-GCM. Who a key belongs to follows
 * from the signed sign of life that tells it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import type { Bytes, Hash, ValidatorId } from "@hanse/protocol";

export const BOX_KEY_BYTES = 32;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const CIPHER = "aes-256-gcm";

export interface BoxesOptions {
  readonly self: ValidatorId;
  readonly ledgerId: Hash;
}

export class SealedBoxes {
  readonly #options: BoxesOptions;
  readonly #secret: KeyObject;
  /** What others need to seal for this node. */
  readonly publicKey: Bytes;
  /** Newest key of each node, with the two keys made of it: from us, to us. */
  readonly #known = new Map<ValidatorId, { text: string; out: Buffer; in: Buffer }>();

  constructor(options: BoxesOptions) {
    this.#options = options;
    const { publicKey, privateKey } = generateKeyPairSync("x25519");
    this.#secret = privateKey;
    this.publicKey = new Uint8Array(
      Buffer.from(publicKey.export({ format: "jwk" }).x!, "base64url"),
    );
  }

  /** A node told its key, over its own signature. Keys that are none are passed over. */
  learn(id: ValidatorId, key: Bytes): void {
    const text = Buffer.from(key).toString("base64url");
    if (key.length !== BOX_KEY_BYTES || this.#known.get(id)?.text === text) return;
    const { self, ledgerId } = this.#options;
    let shared: Buffer;
    try {
      const publicKey = createPublicKey({
        format: "jwk",
        key: { kty: "OKP", crv: "X25519", x: text },
      });
      shared = diffieHellman({ privateKey: this.#secret, publicKey });
    } catch {
      return; // A point of low order.
    }
    const derive = (from: string, to: string) =>
      Buffer.from(hkdfSync("sha256", shared, ledgerId, `hanse/relay-box/1\0${from}\0${to}`, 32));
    this.#known.set(id, { text, out: derive(self, id), in: derive(id, self) });
  }

  /** Forgets who is no node any more. */
  keepOnly(ids: { has(id: ValidatorId): boolean }): void {
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
  }

  /** Undefined when the node's key is not known. A sequence must never be used twice. */
  seal(to: ValidatorId, sequence: number, message: Bytes): Bytes | undefined {
    const key = this.#known.get(to)?.out;
    if (key === undefined) return undefined;
    const cipher = createCipheriv(CIPHER, key, nonceOf(sequence));
    return new Uint8Array(
      Buffer.concat([cipher.update(message), cipher.final(), cipher.getAuthTag()]),
    );
  }

  /** Undefined when it was not sealed for this node with its key of today. */
  open(from: ValidatorId, sequence: number, box: Bytes): Bytes | undefined {
    const key = this.#known.get(from)?.in;
    if (key === undefined || box.length < TAG_BYTES) return undefined;
    const decipher = createDecipheriv(CIPHER, key, nonceOf(sequence));
    decipher.setAuthTag(box.subarray(box.length - TAG_BYTES));
    try {
      const message = decipher.update(box.subarray(0, box.length - TAG_BYTES));
      return new Uint8Array(Buffer.concat([message, decipher.final()]));
    } catch {
      return undefined;
    }
  }
}

function nonceOf(sequence: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeBigUInt64BE(BigInt(sequence), NONCE_BYTES - 8);
  return nonce;
}

/**
 * Signature claims packed into one buffer that moves to a worker without a copy: per claim the
 * algorithm number (1 byte), key length (1), message length (4, big-endian), key, signature
 * (64), message.
 */
import type { SignatureClaim } from "@hanse/ledger";
import { KEY_ALGORITHMS, type KeyAlgorithm, SIGNATURE_BYTES } from "@hanse/protocol";

const HEAD_BYTES = 6;

const algorithmOf = new Map<number, KeyAlgorithm>(
  Object.entries(KEY_ALGORITHMS).map(([name, number]) => [number, name as KeyAlgorithm]),
);

/** Claims whose signature has another length than 64 bytes are false without asking; leave them out. */
export function packClaims(claims: readonly SignatureClaim[]): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const { key, message } of claims) {
    size += HEAD_BYTES + key.bytes.length + SIGNATURE_BYTES + message.length;
  }
  const packed = new Uint8Array(size);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const { key, message, signature } of claims) {
    packed[at] = KEY_ALGORITHMS[key.algorithm];
    packed[at + 1] = key.bytes.length;
    view.setUint32(at + 2, message.length);
    at += HEAD_BYTES;
    packed.set(key.bytes, at);
    at += key.bytes.length;
    packed.set(signature, at);
    at += SIGNATURE_BYTES;
    packed.set(message, at);
    at += message.length;
  }
  return packed;
}

/** Claims as views into `packed`. */
export function* unpackClaims(packed: Uint8Array): Generator<SignatureClaim> {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  let at = 0;
  const take = (length: number) => {
    at += length;
    return packed.subarray(at - length, at);
  };
  while (at < packed.length) {
    const algorithm = algorithmOf.get(packed[at]!)!;
    const keyLength = packed[at + 1]!;
    const messageLength = view.getUint32(at + 2);
    at += HEAD_BYTES;
    const bytes = take(keyLength);
    const signature = take(SIGNATURE_BYTES);
    yield { key: { algorithm, bytes }, signature, message: take(messageLength) };
  }
}

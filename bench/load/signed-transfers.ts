/** Transfers, signed before the clock starts. */
import { encodeCall } from "@hanse/engine-needle";
import {
  type Bytes,
  encodeNativeBody,
  encodeNativeTransaction,
  fromHex,
  type KeyPair,
  nativeSignedMessage,
  nativeTransactionId,
  signMessage,
  toHex,
} from "@hanse/protocol";

export interface SignedTransfer {
  readonly id: string;
  readonly bytes: Bytes;
}

export interface TransferSource {
  readonly ledgerId: string;
  readonly senders: readonly KeyPair[];
  readonly accountIds: readonly string[];
  readonly accountIdMax: number;
  /** Senders' accounts follow their first at this distance; absent = one account each. */
  readonly accountStride?: number;
  readonly contract: string;
  /** Of the first transfer, milliseconds since 1970; each later one ends a millisecond after. */
  readonly validUntil: number;
}

/** A small multiplicative generator (Lehmer, 48271 mod 2^31-1): spread, not secrecy. */
function createSpread(seed: number): (below: number) => number {
  let state = (seed % 2147483646) + 1;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

/**
 * `count` transfers, senders in turn, receivers spread over all accounts; what a sender owns more
 * than one account of is spread as well.
 */
export function signTransfers(
  source: TransferSource,
  count: number,
  seed: number,
): SignedTransfer[] {
  const spread = createSpread(seed);
  const ledgerId = fromHex(source.ledgerId);
  const { accountIdMax, accountStride: stride } = source;
  const transfers: SignedTransfer[] = new Array(count);
  for (let i = 0; i < count; i++) {
    const at = i % source.senders.length;
    const sender = source.senders[at]!;
    const first = Number(source.accountIds[at]!);
    const more =
      stride === undefined ? 0 : stride * spread(Math.floor((accountIdMax - first) / stride) + 1);
    const from = BigInt(first + more);
    let to = BigInt(1 + spread(accountIdMax));
    if (to === from) to = to === BigInt(accountIdMax) ? 1n : to + 1n;
    const body = encodeNativeBody({
      ledgerId,
      sender: sender.publicKey,
      nonce: (BigInt(seed) << 32n) + BigInt(i),
      // As clocks of real senders differ: thousands that end in one millisecond are nobody's load.
      validUntil: source.validUntil + i,
      engine: "needle",
      payload: encodeCall(source.contract, { From: from, To: to, Amount: 1 }),
    });
    transfers[i] = {
      id: toHex(nativeTransactionId(body)),
      bytes: encodeNativeTransaction(body, signMessage(sender, nativeSignedMessage(body))),
    };
  }
  return transfers;
}

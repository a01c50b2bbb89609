/**
 * A message that others carry: sealed by its origin, so that a relay can drop it and nothing
 * else. The count of hops is outside of the seal; whoever raises or lowers it only shortens or
 * prolongs the way within bounds.
 */
import type { Channel } from "@hanse/ordering";
import {
  asArray,
  asBytes,
  asText,
  asUint,
  type Bytes,
  concatBytes,
  decodeCbor,
  encodeCbor,
  HanseError,
  type Hash,
  utf8,
} from "@hanse/protocol";
import { CHANNELS } from "../frames/frame-codec.ts";

/** Hops after which nobody passes an envelope on. */
export const HOPS_MAX = 4;
const DOMAIN = utf8("hanse/relay/1\0");

export interface EnvelopeBody {
  readonly origin: string;
  /** Rises with every envelope of the origin, also over restarts. */
  readonly sequence: number;
  readonly channel: Channel;
  /** Undefined = for all. */
  readonly to: string | undefined;
  /** A sealed box when it is for one node. Undefined = only a sign of life. */
  readonly message: Bytes | undefined;
  /** With a sign of life: the key to seal boxes for the origin. */
  readonly boxKey: Bytes | undefined;
}

export interface Envelope extends EnvelopeBody {
  readonly hops: number;
  /** The encoded body, as it was sealed. */
  readonly sealed: Bytes;
  readonly seal: Bytes;
}

export function encodeEnvelopeBody(body: EnvelopeBody): Bytes {
  const { origin, sequence, channel, to = null, message = null, boxKey = null } = body;
  return encodeCbor([origin, sequence, CHANNELS.indexOf(channel), to, message, boxKey]);
}

/** What the origin signs: bound to one ledger. */
export function sealedMessage(ledgerId: Hash, sealed: Bytes): Bytes {
  return concatBytes(DOMAIN, ledgerId, sealed);
}

export function encodeEnvelope(hops: number, sealed: Bytes, seal: Bytes): Bytes {
  return encodeCbor([hops, sealed, seal]);
}

/** @throws HanseError naming the field. */
export function decodeEnvelope(bytes: Bytes): Envelope {
  const [hops, sealed, seal] = asArray(decodeCbor(bytes), "envelope", 3);
  const body = asBytes(sealed, "envelope.sealed");
  const fields = asArray(decodeCbor(body), "envelope.body", 6);
  const [origin, sequence, channel, to, message, boxKey] = fields;
  const named = CHANNELS[asUint(channel, "envelope.channel")];
  if (named === undefined) {
    throw new HanseError("NETWORK_ENVELOPE", "malformed", "envelope.channel: no such channel");
  }
  return {
    hops: asUint(hops, "envelope.hops"),
    sealed: body,
    seal: asBytes(seal, "envelope.seal"),
    origin: asText(origin, "envelope.origin"),
    sequence: asUint(sequence, "envelope.sequence"),
    channel: named,
    to: to === null ? undefined : asText(to, "envelope.to"),
    message: message === null ? undefined : asBytes(message, "envelope.message"),
    boxKey: boxKey === null ? undefined : asBytes(boxKey, "envelope.boxKey"),
  };
}

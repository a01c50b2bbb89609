/**
 * The wire between two nodes (spec/network.md): frames of a 5-byte head - payload length as an
 * unsigned 32-bit big-endian number, then a type byte - and the payload. Length and type are
 * checked from the head, before anything is buffered.
 */
import type { Channel } from "@hanse/ordering";
import {
  asArray,
  asBytes,
  asText,
  asUint,
  type Bytes,
  decodeCbor,
  encodeCbor,
  HanseError,
  type Hash,
} from "@hanse/protocol";

export const FRAME_HEAD_BYTES = 5;
/** Before the hello is accepted nobody may send more. */
export const HELLO_BYTES_MAX = 1024;
export const NETWORK_PROTOCOL_VERSION = 1;
export const BYE_BYTES_MAX = 200;

export const FRAME_TYPES = {
  hello: 0,
  consensus: 1,
  sync: 2,
  transactions: 3,
  ping: 4,
  pong: 5,
  /** A reason in words, then the sender closes. */
  bye: 6,
  /** Signed envelopes of other nodes, passed on by a relay; one type per channel. */
  relayedConsensus: 7,
  relayedSync: 8,
  relayedTransactions: 9,
} as const;

export type FrameType = (typeof FRAME_TYPES)[keyof typeof FRAME_TYPES];

/** Most urgent first. */
export const CHANNELS: readonly Channel[] = ["consensus", "sync", "transactions"];

/** What a frame carries: a message of its sender, or an envelope that it only passes on. */
export interface FrameKind {
  readonly channel: Channel;
  readonly relayed: boolean;
}

const RELAYED_TYPES = {
  consensus: FRAME_TYPES.relayedConsensus,
  sync: FRAME_TYPES.relayedSync,
  transactions: FRAME_TYPES.relayedTransactions,
} as const;

const kindOfType = new Map<number, FrameKind>(
  CHANNELS.flatMap((channel) => [
    [FRAME_TYPES[channel], { channel, relayed: false }],
    [RELAYED_TYPES[channel], { channel, relayed: true }],
  ]),
);
const TYPE_MAX = Math.max(...Object.values(FRAME_TYPES));

/** Undefined for frames of the link itself. */
export function frameKindOf(type: number): FrameKind | undefined {
  return kindOfType.get(type);
}

export function frameTypeOf({ channel, relayed }: FrameKind): FrameType {
  return relayed ? RELAYED_TYPES[channel] : FRAME_TYPES[channel];
}

export function encodeFrameHead(type: FrameType, payloadBytes: number): Bytes {
  const head = new Uint8Array(FRAME_HEAD_BYTES);
  new DataView(head.buffer).setUint32(0, payloadBytes);
  head[4] = type;
  return head;
}

export interface Hello {
  readonly version: number;
  readonly ledgerId: Hash;
  readonly id: string;
}

export function encodeHello(hello: Hello): Bytes {
  return encodeCbor([hello.version, hello.ledgerId, hello.id]);
}

/** @throws HanseError naming the field. */
export function decodeHello(bytes: Bytes): Hello {
  const fields = asArray(decodeCbor(bytes), "hello");
  // The version first: what follows may look different in another one.
  const version = asUint(fields[0], "hello.version");
  if (version !== NETWORK_PROTOCOL_VERSION) {
    throw new HanseError(
      "NETWORK_VERSION",
      "rejected",
      `peer speaks network protocol ${version}, this node ${NETWORK_PROTOCOL_VERSION}`,
    );
  }
  asArray(fields, "hello", 3);
  return {
    version,
    ledgerId: asBytes(fields[1], "hello.ledgerId", 32),
    id: asText(fields[2], "hello.id"),
  };
}

/** Cuts a byte stream into frames. Payloads may be views into the chunks given. */
export class FrameReader {
  readonly #onFrame: (type: number, payload: Bytes) => void;
  #bytesMax: number;
  #stopped = false;
  readonly #head = new Uint8Array(FRAME_HEAD_BYTES);
  #headFilled = 0;
  #type = 0;
  #payload: Bytes | undefined;
  #payloadFilled = 0;

  constructor(bytesMax: number, onFrame: (type: number, payload: Bytes) => void) {
    this.#bytesMax = bytesMax;
    this.#onFrame = onFrame;
  }

  /** Holds from the next head on. */
  setBytesMax(bytesMax: number): void {
    this.#bytesMax = bytesMax;
  }

  /** Nothing more is delivered, not even from the chunk at hand. */
  stop(): void {
    this.#stopped = true;
    this.#payload = undefined;
  }

  /** @throws HanseError `NETWORK_FRAME_SIZE`, `NETWORK_FRAME_TYPE`; the stream is unusable then. */
  push(chunk: Bytes): void {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      if (this.#payload !== undefined) {
        const take = Math.min(this.#payload.length - this.#payloadFilled, chunk.length - at);
        this.#payload.set(chunk.subarray(at, at + take), this.#payloadFilled);
        this.#payloadFilled += take;
        at += take;
        if (this.#payloadFilled === this.#payload.length) {
          const payload = this.#payload;
          this.#payload = undefined;
          this.#onFrame(this.#type, payload);
        }
        continue;
      }
      const take = Math.min(FRAME_HEAD_BYTES - this.#headFilled, chunk.length - at);
      this.#head.set(chunk.subarray(at, at + take), this.#headFilled);
      this.#headFilled += take;
      at += take;
      if (this.#headFilled < FRAME_HEAD_BYTES) continue;
      this.#headFilled = 0;
      const length = this.#readHead();
      if (chunk.length - at >= length) {
        this.#onFrame(this.#type, chunk.subarray(at, at + length));
        at += length;
      } else {
        this.#payload = new Uint8Array(length);
        this.#payloadFilled = 0;
      }
    }
  }

  #readHead(): number {
    const head = this.#head;
    const length = head[0]! * 0x100_0000 + ((head[1]! << 16) | (head[2]! << 8) | head[3]!);
    this.#type = head[4]!;
    if (this.#type > TYPE_MAX) {
      this.stop();
      throw new HanseError("NETWORK_FRAME_TYPE", "malformed", `unknown frame type ${this.#type}`);
    }
    if (length > this.#bytesMax) {
      this.stop();
      throw new HanseError(
        "NETWORK_FRAME_SIZE",
        "tooLarge",
        `frame of ${length} bytes, at most ${this.#bytesMax} are taken`,
      );
    }
    return length;
  }
}

/** Frames of the ABCI socket: an unsigned varint with the length, then a protobuf message. */
import { type Bytes, concatBytes, HanseError, joinBytes } from "@hanse/protocol";

/** Lengths above 2^35 are not read further; each bound is far below. */
const LENGTH_BYTES_MAX = 5;

export function encodeFrame(message: Bytes): Bytes {
  const length: number[] = [];
  let rest = message.length;
  while (rest > 127) {
    length.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  length.push(rest);
  return concatBytes(Uint8Array.from(length), message);
}

export interface FrameReader {
  /**
   * The messages that are complete now, in order.
   * @throws HanseError `COMET_FRAME` on a length of more than 5 bytes, `COMET_FRAME_TOO_LARGE`
   * before anything of such a message is kept. Nothing can be read after either.
   */
  push(chunk: Bytes): Bytes[];
  /** Bytes of a message that is not complete yet. */
  readonly waiting: number;
}

/** Keeps at most one incomplete message of `frameBytesMax`. */
export function createFrameReader(frameBytesMax: number): FrameReader {
  let chunks: Bytes[] = [];
  let held = 0;
  /** Of the running message; undefined while its length is being read. */
  let length: number | undefined;
  let value = 0;
  let valueBytes = 0;

  function readLength(byte: number): void {
    value += (byte & 0x7f) * 2 ** (7 * valueBytes);
    valueBytes++;
    if (byte >= 0x80) {
      if (valueBytes === LENGTH_BYTES_MAX) {
        throw new HanseError("COMET_FRAME", "malformed", "frame: a length of more than 5 bytes");
      }
      return;
    }
    if (value > frameBytesMax) {
      throw new HanseError(
        "COMET_FRAME_TOO_LARGE",
        "tooLarge",
        `frame: ${value} bytes, ${frameBytesMax} are allowed; lower block.max_bytes in CometBFT's genesis`,
      );
    }
    length = value;
    value = 0;
    valueBytes = 0;
  }

  return {
    get waiting() {
      return held;
    },
    push(received) {
      // Slices of a Buffer share its memory, those of plain bytes do not; others count on that.
      const chunk = new Uint8Array(received.buffer, received.byteOffset, received.length);
      const messages: Bytes[] = [];
      let at = 0;
      while (at < chunk.length || length === 0) {
        if (length === undefined) {
          readLength(chunk[at++]!);
          continue;
        }
        const piece = chunk.subarray(at, at + length - held);
        at += piece.length;
        if (held === 0 && piece.length === length) {
          messages.push(piece);
        } else {
          chunks.push(piece);
          held += piece.length;
          if (held < length) break;
          messages.push(joinBytes(chunks));
          chunks = [];
          held = 0;
        }
        length = undefined;
      }
      return messages;
    },
  };
}

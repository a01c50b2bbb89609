/**
 * One TLS connection to another node: first the greeting, then frames both ways. Outgoing frames
 * of one step of the program leave in one write; never more than one write is under way, so that
 * a vote waits behind at most WRITE_BYTES of a large transfer.
 */
import type { TLSSocket } from "node:tls";
import type { Channel } from "@hanse/ordering";
import { type Bytes, HanseError, toHanseError, utf8 } from "@hanse/protocol";
import {
  BYE_BYTES_MAX,
  decodeHello,
  encodeFrameHead,
  encodeHello,
  FRAME_HEAD_BYTES,
  FRAME_TYPES,
  FrameReader,
  frameKindOf,
  frameTypeOf,
  HELLO_BYTES_MAX,
  type Hello,
} from "../frames/frame-codec.ts";
import type { NetworkCounters } from "../transport/counters.ts";
import type { OutboundBudget } from "./outbound-budget.ts";
import { SendQueue } from "./send-queue.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Bytes gathered into one write, unless a single frame is larger. */
export const WRITE_BYTES = 256 * 1024;
/** Frames at least this large are handed over as they are instead of being copied together. */
const COPY_BYTES_MAX = 16 * 1024;
/** Pause between a last word and cutting the connection. */
const LINGER_MS = 500;

export interface LinkLimits {
  readonly frameBytesMax: number;
  readonly queueBytesMax: number;
  readonly bytesPerSecond: number;
  readonly framesPerSecond: number;
  readonly keepaliveMs: number;
}

export interface ConnectionOptions {
  readonly socket: TLSSocket;
  readonly hello: Hello;
  readonly limits: LinkLimits;
  readonly counters: NetworkCounters;
  /** Of all links of the node together. */
  readonly budget: OutboundBudget;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Judges the peer's hello. @throws HanseError to refuse it. */
  readonly accept: (hello: Hello) => void;
  readonly onOpen: () => void;
  readonly onMessage: (channel: Channel, message: Bytes, relayed: boolean) => void;
  /** A probe was answered after so many milliseconds, or (undefined) not in time. */
  readonly onProbe: (roundTripMs: number | undefined) => void;
  /** What had to wait for the line left it: so many bytes after so long. */
  readonly onBurst: (bytes: number, ms: number) => void;
  /** Once, with the reason; `violation` when the peer broke the protocol. */
  readonly onClose: (reason: HanseError, violation: boolean) => void;
}

type Phase = "greeting" | "open" | "closed";

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #socket: TLSSocket;
  readonly #reader: FrameReader;
  readonly #queue: SendQueue;
  readonly #byteBucket: TokenBucket;
  readonly #frameBucket: TokenBucket;
  readonly #resume = () => this.#flush();
  #phase: Phase = "greeting";
  #blocked = false;
  #burst: { readonly bytes: number; readonly since: number } | undefined;
  #flushing = false;
  #frames = 0;
  #heardAt: number;
  #pingAt: number | undefined;
  #pause: NodeJS.Timeout | undefined;
  /** It was a link once. */
  opened = false;
  /** Round trip of the last ping. */
  roundTripMs: number | undefined;

  constructor(options: ConnectionOptions) {
    const { socket, limits, counters, now } = options;
    this.#options = options;
    this.#socket = socket;
    this.#heardAt = now();
    this.#byteBucket = new TokenBucket(limits.bytesPerSecond, now);
    this.#frameBucket = new TokenBucket(limits.framesPerSecond, now);
    this.#reader = new FrameReader(HELLO_BYTES_MAX, (type, payload) => this.#take(type, payload));
    this.#queue = new SendQueue(limits.queueBytesMax, (channel) => {
      counters.channels[channel].dropped++;
    });
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("drain", () => {
      this.#blocked = false;
      if (this.#burst !== undefined) {
        options.onBurst(this.#burst.bytes, now() - this.#burst.since);
        this.#burst = undefined;
      }
      this.#flush();
    });
    socket.on("error", (cause) => this.#closed("NETWORK_LINK", cause.message));
    socket.on("close", () => this.#closed("NETWORK_LINK", "connection closed"));
    socket.on("end", () => this.#closed("NETWORK_LINK", "connection closed by the peer"));
    this.#writeFrame("hello", encodeHello(options.hello));
  }

  get isOpen(): boolean {
    return this.#phase === "open";
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** Bytes received and sent, heads included. */
  readonly bytes = { in: 0, out: 0 };

  /** @throws HanseError `NETWORK_FRAME_SIZE` */
  send(channel: Channel, message: Bytes, relayed = false): void {
    if (message.length > this.#options.limits.frameBytesMax) {
      throw new HanseError(
        "NETWORK_FRAME_SIZE",
        "tooLarge",
        `message of ${message.length} bytes on ${channel}; at most ${this.#options.limits.frameBytesMax} may be sent`,
      );
    }
    this.#queue.push(channel, message, relayed);
    if (this.#flushing || this.#blocked) return;
    this.#flushing = true;
    process.nextTick(() => this.#flush());
  }

  /**
   * Probes the peer, which measures the round trip on a busy link too, and gives a silent one
   * up. Call it every `keepaliveMs`.
   */
  keepAlive(): void {
    const silentMs = this.#options.now() - this.#heardAt;
    if (silentMs > 3 * this.#options.limits.keepaliveMs) {
      this.#closed("NETWORK_TIMEOUT", `nothing heard for ${Math.round(silentMs)} ms`);
    } else if (this.#phase === "open") {
      if (this.#pingAt !== undefined) {
        this.#options.onProbe(undefined);
        return;
      }
      this.#pingAt = this.#options.now();
      this.#writeFrame("ping", new Uint8Array(0));
    }
  }

  /** Says why and closes. */
  close(reason: string, code = "NETWORK_CLOSED"): void {
    this.#fail(new HanseError(code, "unavailable", reason), false);
  }

  #read(chunk: Buffer): void {
    if (this.#phase === "closed") return;
    this.#heardAt = this.#options.now();
    this.bytes.in += chunk.length;
    this.#frames = 0;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#fail(toHanseError(error), true);
      return;
    }
    const pauseMs = Math.max(
      this.#byteBucket.take(chunk.length),
      this.#frameBucket.take(this.#frames),
    );
    if (pauseMs > 0 && this.#pause === undefined) {
      this.#options.counters.throttled++;
      this.#socket.pause();
      this.#pause = setTimeout(
        () => {
          this.#pause = undefined;
          this.#heardAt = this.#options.now();
          this.#socket.resume();
        },
        Math.min(pauseMs, 1000),
      );
    }
  }

  #take(type: number, payload: Bytes): void {
    this.#frames++;
    if (type === FRAME_TYPES.bye) {
      // Leniently: the text may have been cut in the middle of a character.
      const reason = new TextDecoder().decode(payload.subarray(0, BYE_BYTES_MAX));
      this.#closed("NETWORK_REFUSED_BY_PEER", `the peer said: ${reason}`);
      return;
    }
    if (this.#phase === "greeting") {
      if (type !== FRAME_TYPES.hello) {
        throw new HanseError("NETWORK_HELLO", "malformed", "the first frame must be a hello");
      }
      this.#options.accept(decodeHello(payload));
      this.#phase = "open";
      this.opened = true;
      this.#reader.setBytesMax(this.#options.limits.frameBytesMax);
      this.#options.onOpen();
      return;
    }
    const kind = frameKindOf(type);
    if (kind !== undefined) {
      const counters = this.#options.counters.channels[kind.channel];
      counters.framesIn++;
      counters.bytesIn += payload.length;
      this.#options.onMessage(kind.channel, payload, kind.relayed);
    } else if (type === FRAME_TYPES.ping && payload.length === 0) {
      this.#writeFrame("pong", payload);
    } else if (type === FRAME_TYPES.pong && payload.length === 0) {
      if (this.#pingAt === undefined) return;
      this.roundTripMs = this.#options.now() - this.#pingAt;
      this.#pingAt = undefined;
      this.#options.onProbe(this.roundTripMs);
    } else {
      throw new HanseError("NETWORK_FRAME_TYPE", "malformed", `frame type ${type} out of place`);
    }
  }

  #writeFrame(type: keyof typeof FRAME_TYPES, payload: Bytes): void {
    if (this.#phase === "closed" || this.#socket.destroyed) return;
    const head = encodeFrameHead(FRAME_TYPES[type], payload.length);
    if (!this.#socket.write(Buffer.concat([head, payload]))) this.#blocked = true;
    this.#options.counters.writes++;
  }

  #flush(): void {
    this.#flushing = false;
    const socket = this.#socket;
    if (this.#phase !== "open" || this.#blocked || socket.destroyed) return;
    const { budget } = this.#options;
    let parts: Bytes[] = [];
    let gathered = 0;
    socket.cork();
    const writeParts = () => {
      if (parts.length > 0 && !socket.write(Buffer.concat(parts))) this.#blocked = true;
      parts = [];
    };
    while (gathered < WRITE_BYTES) {
      const next = this.#queue.shift(budget.left < 1);
      if (next === undefined) break;
      const { channel, message } = next;
      const counters = this.#options.counters.channels[channel];
      const size = message.length + FRAME_HEAD_BYTES;
      counters.framesOut++;
      counters.bytesOut += message.length;
      this.bytes.out += size;
      budget.take(size);
      parts.push(encodeFrameHead(frameTypeOf(next), message.length));
      gathered += size;
      if (message.length < COPY_BYTES_MAX) {
        parts.push(message);
      } else {
        writeParts();
        if (!socket.write(message)) this.#blocked = true;
      }
    }
    writeParts();
    socket.uncork();
    if (gathered > 0) this.#options.counters.writes++;
    if (this.#blocked) {
      this.#burst ??= { bytes: socket.writableLength, since: this.#options.now() };
    }
    // Without back-pressure nobody calls again.
    if (this.#blocked || this.#queue.bytes === 0) return;
    if (budget.left < 1) {
      budget.wait(this.#resume);
    } else {
      this.#flushing = true;
      process.nextTick(this.#resume);
    }
  }

  #fail(error: HanseError, violation: boolean): void {
    if (this.#phase === "closed") return;
    if (!this.#socket.destroyed) {
      const text = utf8(`${error.code}: ${error.message}`).subarray(0, BYE_BYTES_MAX);
      this.#writeFrame("bye", text);
      this.#socket.end();
    }
    this.#finish(error, violation);
  }

  #closed(code: string, message: string): void {
    if (this.#phase === "closed") return;
    this.#socket.destroy();
    this.#finish(new HanseError(code, "unavailable", message), false);
  }

  #finish(error: HanseError, violation: boolean): void {
    this.#phase = "closed";
    this.#reader.stop();
    clearTimeout(this.#pause);
    this.#options.budget.forget(this.#resume);
    if (!this.#socket.destroyed) {
      setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
      this.#socket.resume();
    }
    this.#options.onClose(error, violation);
  }
}

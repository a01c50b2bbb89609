/** A stream of libp2p as a Duplex of Node, also while it is still being opened. */
import { Duplex } from "node:stream";
import type { Stream } from "@libp2p/interface";

export class StreamDuplex extends Duplex {
  #stream: Stream | undefined;
  readonly #opening: Promise<void>;
  /** How to go on writing once the stream has room again. */
  #drained: (() => void) | undefined;

  constructor(stream: Stream | Promise<Stream>) {
    super();
    if (stream instanceof Promise) {
      this.#opening = stream.then(
        (opened) => {
          if (this.destroyed) opened.abort(new Error("closed"));
          else this.#attach(opened);
        },
        (error: Error) => void this.destroy(error),
      );
    } else {
      this.#opening = Promise.resolve();
      this.#attach(stream);
    }
  }

  #attach(stream: Stream): void {
    this.#stream = stream;
    stream.addEventListener("message", ({ data }) => {
      if (!this.push(data.subarray())) stream.pause();
    });
    stream.addEventListener("drain", () => {
      const drained = this.#drained;
      this.#drained = undefined;
      drained?.();
    });
    stream.addEventListener("remoteCloseWrite", () => void this.push(null));
    stream.addEventListener("close", ({ error }) => {
      if (error === undefined) this.push(null);
      this.destroy(error);
    });
  }

  override _read(): void {
    const stream = this.#stream;
    if (stream?.readStatus === "paused") stream.resume();
  }

  override _write(
    chunk: Uint8Array,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    void this.#opening.then(() => {
      const stream = this.#stream;
      if (stream === undefined || this.destroyed) {
        done(new Error("closed"));
        return;
      }
      try {
        if (stream.send(chunk)) done();
        else this.#drained = () => done();
      } catch (error) {
        done(error as Error);
      }
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    void this.#opening
      .then(() => this.#stream?.close())
      .then(
        () => done(),
        (error: Error) => done(error),
      );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const stream = this.#stream;
    if (stream !== undefined && stream.status === "open") {
      stream.abort(error ?? new Error("closed"));
    }
    done(error);
  }
}

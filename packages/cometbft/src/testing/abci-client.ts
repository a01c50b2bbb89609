/** One connection as CometBFT opens it: requests are sent without waiting, replies come in order. */
import { connect, type Socket } from "node:net";
import type { Bytes } from "@hanse/protocol";
import { createFrameReader, encodeFrame } from "../abci/frames.ts";
import { type AbciRequest, REQUEST, RESPONSE } from "../abci/messages.ts";

type Answer = ReturnType<typeof RESPONSE.decode>;

/** A test that waits longer for one reply has found a hang. */
const PATIENCE_MS = 10_000;

export class AbciClient {
  readonly #socket: Socket;
  #waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = [];
  /** The last thing that was said without being asked for: an exception of a bad connection. */
  unasked: Answer | undefined;
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const reader = createFrameReader(256 * 1024 * 1024);
    socket.on("data", (chunk) => {
      for (const frame of reader.push(chunk)) {
        const answer = RESPONSE.decode(frame);
        const first = this.#waiting.shift();
        if (first === undefined) this.unasked = answer;
        else if (answer.exception !== undefined) first.reject(new Error(answer.exception.error));
        else first.resolve(answer);
      }
    });
    socket.on("error", () => {});
    this.closed = new Promise((resolve) =>
      socket.on("close", () => {
        for (const { reject } of this.#waiting.splice(0)) reject(new Error("connection closed"));
        resolve();
      }),
    );
  }

  static async open(url: string): Promise<AbciClient> {
    const path = url.startsWith("unix://") ? url.slice("unix://".length) : undefined;
    const { hostname, port } = new URL(url.replace("tcp:", "http:"));
    const socket = path === undefined ? connect(Number(port), hostname) : connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new AbciClient(socket);
  }

  call(request: Partial<AbciRequest>): Promise<Answer> {
    const answer = this.next();
    this.send(encodeFrame(REQUEST.encode(request)));
    return answer;
  }

  /** The next reply that nobody waits for yet. */
  next(): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no reply")), PATIENCE_MS);
      const done = <T>(settle: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(timer);
          settle(value);
        };
      };
      this.#waiting.push({ resolve: done(resolve), reject: done(reject) });
    });
  }

  /** Bytes as they are. */
  send(bytes: Bytes): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }
}

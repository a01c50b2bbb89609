/**
 * A lean HTTP/1.1 client over one kept-alive connection with pipelining (RFC 9112, section 9.3.2):
 * many requests may be under way, answers come back in order. Cheap enough that the load process
 * does not become what is measured. Bodies by Content-Length or chunked.
 */
import { connect, type Socket } from "node:net";

export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
}

interface Waiting {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

const HEAD_END = Buffer.from("\r\n\r\n");

export class HttpConnection {
  readonly #socket: Socket;
  readonly #host: string;
  readonly #waiting: Waiting[] = [];
  #received: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#host = `${hostname}:${port}`;
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket.on("data", (chunk) => this.#onData(chunk));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("the node closed the connection")));
  }

  /** Requests whose answer is outstanding. */
  get depth(): number {
    return this.#waiting.length;
  }

  post(path: string, contentType: string, body: Uint8Array): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#waiting.push({ resolve, reject });
      const head = `POST ${path} HTTP/1.1\r\nHost: ${this.#host}\r\nContent-Type: ${contentType}\r\nContent-Length: ${body.length}\r\n\r\n`;
      // One write for head and body: one packet and one system call for small requests.
      const request = Buffer.allocUnsafe(head.length + body.length);
      request.write(head, 0, "latin1");
      request.set(body, head.length);
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure);
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (;;) {
      const headEnd = this.#received.indexOf(HEAD_END);
      if (headEnd < 0) return;
      const head = this.#received.toString("latin1", 0, headEnd);
      const bodyStart = headEnd + HEAD_END.length;
      const status = Number(head.slice(9, 12));
      const length = /^content-length:\s*(\d+)/imu.exec(head)?.[1];
      let body: Buffer;
      let end: number;
      if (length !== undefined) {
        end = bodyStart + Number(length);
        if (this.#received.length < end) return;
        body = this.#received.subarray(bodyStart, end);
      } else if (/^transfer-encoding:\s*chunked/imu.test(head)) {
        const chunked = readChunks(this.#received, bodyStart);
        if (chunked === undefined) return;
        ({ body, end } = chunked);
      } else {
        end = bodyStart;
        body = Buffer.alloc(0);
      }
      this.#received = this.#received.subarray(end);
      this.#waiting.shift()?.resolve({ status, body });
    }
  }
}

/** Body of a chunked answer and where it ends, or undefined while it is incomplete. */
export function readChunks(
  bytes: Buffer,
  start: number,
): { readonly body: Buffer; readonly end: number } | undefined {
  const parts: Buffer[] = [];
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    const chunkEnd = lineEnd + 2 + size + 2;
    if (bytes.length < chunkEnd) return undefined;
    if (size === 0) return { body: Buffer.concat(parts), end: chunkEnd };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = chunkEnd;
  }
}

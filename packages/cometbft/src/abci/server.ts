/**
 * The application's side of the ABCI socket: CometBFT opens four connections, sends requests on each
 * one without waiting, and expects the replies of a connection in the order of its requests.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { HanseError, toHanseError } from "@hanse/protocol";
import { createFrameReader, encodeFrame } from "./frames.ts";
import { type AbciRequest, type AbciResponse, REQUEST, RESPONSE } from "./messages.ts";

/** CometBFT opens four; more come from tools that look at it. */
export const CONNECTIONS_MAX = 16;
/** Requests of one connection that wait for their turn; above, its socket is not read. */
export const REQUESTS_WAITING_MAX = 1024;

export type AbciAddress =
  | { readonly path: string }
  /** A loopback host: the socket carries no credentials. */
  | { readonly host: string; readonly port: number };

export interface AbciServerOptions {
  /** Port 0 takes any free one. A path is removed first and is for the owner alone. */
  readonly address: AbciAddress;
  readonly frameBytesMax: number;
  /** Its rejection is answered as an exception, which stops CometBFT. */
  readonly handle: (request: AbciRequest) => Promise<AbciResponse>;
  /** A connection was ended for what it sent or for what could not be answered. */
  readonly onBadConnection: (error: HanseError) => void;
}

export interface AbciServer {
  /** As CometBFT's `proxy_app` wants it. */
  readonly url: string;
  readonly connections: number;
  /** Ends all connections; with `drain` it resolves when no request is being handled any more. */
  close(how: "drain" | "now"): Promise<void>;
}

/** The name of the call that a request is. @throws HanseError `COMET_REQUEST` */
export function requestName(request: AbciRequest): keyof AbciRequest {
  for (const [name, value] of Object.entries(request)) {
    if (value !== undefined) return name as keyof AbciRequest;
  }
  throw new HanseError(
    "COMET_REQUEST",
    "rejected",
    "request: a call that ABCI 2.0 does not have; use CometBFT 0.38 to 0.40 with its own mempool",
  );
}

class Connection {
  readonly #socket: Socket;
  readonly #options: AbciServerOptions;
  #queue: AbciRequest[] = [];
  #running: Promise<void> | undefined;
  #ended = false;

  constructor(socket: Socket, options: AbciServerOptions) {
    this.#socket = socket;
    this.#options = options;
    const reader = createFrameReader(options.frameBytesMax);
    socket.on("data", (chunk) => {
      if (this.#ended) return;
      try {
        for (const frame of reader.push(chunk)) this.#queue.push(REQUEST.decode(frame));
      } catch (thrown) {
        this.#fail(toHanseError(thrown));
        return;
      }
      if (this.#queue.length > REQUESTS_WAITING_MAX) socket.pause();
      this.#start();
    });
    socket.on("error", () => this.end());
  }

  get idle(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  end(): void {
    this.#ended = true;
    this.#queue = [];
    this.#socket.destroy();
  }

  #fail(error: HanseError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue = [];
    this.#options.onBadConnection(error);
    const exception = RESPONSE.encode({ exception: { error: `${error.code}: ${error.message}` } });
    this.#socket.end(encodeFrame(exception));
    // Whoever does not read its answer must not keep the connection.
    this.#socket.setTimeout(1_000, () => this.#socket.destroy());
  }

  #start(): void {
    if (this.#running !== undefined || this.#queue.length === 0) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      this.#start();
    });
  }

  async #run(): Promise<void> {
    for (;;) {
      const request = this.#queue.shift();
      if (request === undefined) return;
      if (this.#socket.isPaused() && this.#queue.length < REQUESTS_WAITING_MAX / 2) {
        this.#socket.resume();
      }
      try {
        requestName(request);
        const response = await this.#options.handle(request);
        if (this.#ended) return;
        this.#socket.write(encodeFrame(RESPONSE.encode(response)));
      } catch (thrown) {
        this.#fail(toHanseError(thrown));
        return;
      }
    }
  }
}

/** @throws HanseError `COMET_LISTEN` when the address cannot be had. */
export async function openAbciServer(options: AbciServerOptions): Promise<AbciServer> {
  const { address } = options;
  const connections = new Set<Connection>();
  const server = createServer({ noDelay: true }, (socket) => {
    if (connections.size >= CONNECTIONS_MAX) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, options);
    connections.add(connection);
    socket.on("close", () => {
      connection.end();
      connections.delete(connection);
    });
  });
  if ("path" in address) rmSync(address.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new HanseError("COMET_LISTEN", "conflict", `ABCI socket: ${cause.message}`, { cause }),
      ),
    );
    server.listen(address, resolve);
  });
  if ("path" in address) chmodSync(address.path, 0o600);
  const bound = server.address();
  const url =
    "path" in address || bound === null || typeof bound === "string"
      ? `unix://${"path" in address ? address.path : bound}`
      : `tcp://${address.host.includes(":") ? `[${address.host}]` : address.host}:${bound.port}`;
  return {
    url,
    get connections() {
      return connections.size;
    },
    async close(how) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const running = [...connections].map((connection) => {
        connection.end();
        return connection.idle;
      });
      if (how === "drain") await Promise.all(running);
      await closed;
    },
  };
}

/** JSON over HTTP to one of several endpoints, bounded in time and size. */
import http from "node:http";
import https from "node:https";
import { HanseError } from "@hanse/protocol";

export interface HttpCallerOptions {
  /** `http://host:port` or `https://host:port`. */
  readonly endpoints: readonly string[];
  /** Longest wait for an answer. */
  readonly timeoutMs: number;
  /** For https: PEM of the authority, and of our own certificate and key where etcd asks for one. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

/** Bytes of an answer, and of one line of a stream. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
export const ENDPOINTS_MAX = 16;
const CONNECTIONS_MAX = 8;

/** What gRPC calls `Unavailable` and `DeadlineExceeded`: worth asking another endpoint. */
const PASSING_CODES: ReadonlySet<unknown> = new Set([4, 14]);

export interface LineStream {
  cancel(): void;
}

export class HttpCaller {
  readonly endpoints: readonly URL[];
  readonly #options: HttpCallerOptions;
  readonly #agents: { readonly http: http.Agent; readonly https: https.Agent };
  /** Endpoint that answered last. */
  #current = 0;
  #closed = false;

  /** @throws HanseError `ETCD_ENDPOINTS` naming the place of the endpoint in the list. */
  constructor(options: HttpCallerOptions) {
    const { endpoints } = options;
    if (endpoints.length === 0 || endpoints.length > ENDPOINTS_MAX) {
      throw new HanseError(
        "ETCD_ENDPOINTS",
        "malformed",
        `etcd: name 1 to ${ENDPOINTS_MAX} endpoints`,
      );
    }
    this.endpoints = endpoints.map((text, i) => {
      const url = URL.parse(text);
      const isPlain = url?.username === "" && url.password === "" && url.pathname === "/";
      if (url === null || !isPlain || !/^https?:$/.test(url.protocol)) {
        // By its place, since a mistyped one may hold a password; etcd is told who we are by TLS.
        const message = `etcd: endpoint ${i + 1}: expected http://host:port or https://host:port, without user and password`;
        throw new HanseError("ETCD_ENDPOINTS", "malformed", message);
      }
      return url;
    });
    this.#options = options;
    const settings = { keepAlive: true, maxSockets: CONNECTIONS_MAX };
    this.#agents = {
      http: new http.Agent(settings),
      https: new https.Agent({ ...settings, ...options.tls }),
    };
  }

  /**
   * One answer. What was certainly not sent is tried at the next endpoint; `repeatable` calls are
   * also tried there when the outcome is unknown.
   */
  async call(path: string, body: unknown, repeatable: boolean): Promise<Record<string, unknown>> {
    let last: unknown;
    for (let attempt = 0; attempt < this.endpoints.length; attempt++) {
      const at = this.#current;
      try {
        return await this.callAt(this.endpoints[at]!, path, body, this.#options.timeoutMs);
      } catch (error) {
        last = error;
        if (!(error instanceof HanseError) || error.kind !== "unavailable") throw error;
        if (this.#current === at) this.#current = (at + 1) % this.endpoints.length;
        if (!repeatable && error.code !== "ETCD_UNREACHABLE") throw error;
      }
    }
    throw last;
  }

  async callAt(
    endpoint: URL,
    path: string,
    body: unknown,
    timeoutMs: number,
  ): Promise<Record<string, unknown>> {
    const text = await new Promise<{ status: number; body: string }>((resolve, reject) => {
      const request = this.#request(endpoint, path, body, AbortSignal.timeout(timeoutMs), reject);
      request.on("response", (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size > ANSWER_BYTES_MAX) request.destroy(tooLarge());
        });
        response.on("error", (error) => reject(toEtcdError(error, endpoint, true)));
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(chunks).toString("utf8"),
          }),
        );
      });
    });
    return readAnswer(text.body, text.status, endpoint);
  }

  /** An endless answer of one JSON object per line; `onEnd` is told once, also after a failure. */
  stream(
    path: string,
    body: unknown,
    onLine: (value: Record<string, unknown>) => void,
    onEnd: () => void,
  ): LineStream {
    const endpoint = this.endpoints[this.#current]!;
    const abort = new AbortController();
    let ended = false;
    const end = (failed: boolean) => {
      if (ended) return;
      ended = true;
      clearTimeout(patience);
      if (failed) this.#current = (this.#current + 1) % this.endpoints.length;
      abort.abort();
      onEnd();
    };
    // Ends a stream whose headers never come; afterwards silence is normal.
    const patience = setTimeout(() => end(true), this.#options.timeoutMs);
    const request = this.#request(endpoint, path, body, abort.signal, () => end(true));
    request.on("response", (response) => {
      clearTimeout(patience);
      response.setEncoding("utf8");
      let rest = "";
      response.on("data", (chunk: string) => {
        rest += chunk;
        if (rest.length > ANSWER_BYTES_MAX) return end(true);
        const lines = rest.split("\n");
        rest = lines.pop()!;
        for (const line of lines) {
          if (ended) return;
          if (line.trim() === "") continue;
          try {
            onLine(readAnswer(line, response.statusCode ?? 0, endpoint));
          } catch {
            return end(true);
          }
        }
      });
      response.on("error", () => end(true));
      response.on("end", () => end(false));
      response.on("close", () => end(false));
    });
    return {
      cancel() {
        ended = true;
        clearTimeout(patience);
        abort.abort();
      },
    };
  }

  close(): void {
    this.#closed = true;
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  #request(
    endpoint: URL,
    path: string,
    body: unknown,
    signal: AbortSignal,
    onError: (error: HanseError) => void,
  ): http.ClientRequest {
    const text = JSON.stringify(body);
    const options = {
      method: "POST",
      signal,
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
      },
    };
    const url = new URL(path, endpoint);
    const secure = endpoint.protocol === "https:";
    const request = secure
      ? https.request(url, { ...options, agent: this.#agents.https })
      : http.request(url, { ...options, agent: this.#agents.http });
    let connected = false;
    request.on("socket", (socket) => {
      if (!socket.connecting) connected = true;
      else socket.once(secure ? "secureConnect" : "connect", () => (connected = true));
    });
    request.on("error", (error) =>
      onError(toEtcdError(error, endpoint, connected && !this.#closed)),
    );
    // The gateway answers a watch only when the request has ended.
    request.end(text);
    return request;
  }
}

function tooLarge(): HanseError {
  return new HanseError(
    "ETCD_ANSWER",
    "malformed",
    `etcd: an answer above ${ANSWER_BYTES_MAX} bytes`,
  );
}

function toEtcdError(error: Error, endpoint: URL, sent: boolean): HanseError {
  if (error instanceof HanseError) return error;
  const isTimeout = error.name === "AbortError" || error.name === "TimeoutError";
  const what = isTimeout ? "no answer in time" : error.message || error.name;
  return new HanseError(
    sent ? "ETCD_TIMEOUT" : "ETCD_UNREACHABLE",
    "unavailable",
    sent
      ? `etcd at ${endpoint.host}: ${what}; whether the request took effect is not known`
      : `etcd at ${endpoint.host}: ${what}; is it running, and reachable from here?`,
    { cause: error },
  );
}

/** @throws HanseError for an error of etcd's, and for what is no JSON object. */
function readAnswer(text: string, status: number, endpoint: URL): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const message = `etcd at ${endpoint.host}: status ${status} and no JSON object; is this etcd 3.4 or newer, with enable-grpc-gateway?`;
    throw new HanseError("ETCD_ANSWER", "malformed", message);
  }
  const answer = value as Record<string, unknown>;
  const inner = answer.error;
  if (inner === undefined && status < 400) return answer;
  // Streams wrap the error once more.
  const fields =
    typeof inner === "object" && inner !== null ? (inner as Record<string, unknown>) : answer;
  const reason = String(fields.message ?? fields.error ?? `status ${status}`).slice(0, 300);
  const code = fields.code ?? fields.grpc_code;
  const message = `etcd at ${endpoint.host}: ${reason}`;
  const details = { details: { code: Number(code) } };
  if (/space exceeded/.test(reason)) {
    const advice = `${message}; raise --quota-backend-bytes, or let the leader reclaim space`;
    throw new HanseError("ETCD_NO_SPACE", "limit", advice, details);
  }
  if (/compacted/.test(reason))
    throw new HanseError("ETCD_COMPACTED", "conflict", message, details);
  if (/lease not found/.test(reason))
    throw new HanseError("ETCD_LEASE", "notFound", message, details);
  if (PASSING_CODES.has(code) || status === 503) {
    const unknown = `${message}; whether the request took effect is not known`;
    throw new HanseError("ETCD_TIMEOUT", "unavailable", unknown, details);
  }
  throw new HanseError("ETCD_REFUSED", "rejected", message, details);
}

/** One request by a route's description: signing, sessions, refusals as HanseError, retries. */
import {
  type AnswerOf,
  buildPath,
  encodeAuthorization,
  fromProblem,
  ROUTES,
  type RouteSpec,
  requestMessage,
} from "@hanse/api";
import {
  type Bytes,
  decodeKeyFile,
  fromHex,
  HanseError,
  type Hash,
  type KeyPair,
  readyKeyBackends,
  signMessage,
  utf8,
} from "@hanse/protocol";

export interface RequesterOptions {
  /** Address of a node's API, e.g. `http://127.0.0.1:7070`. */
  readonly url: string;
  /** The account's key, or the text of its key file; without it only public routes answer. */
  readonly key?: KeyPair | string;
  /** Patience with one answer, milliseconds; 30 000 unless said. */
  readonly timeoutMs?: number;
  /** Repetitions after a 429 or 503, each after the time the node names; 3 unless said. */
  readonly retries?: number;
  readonly fetch?: typeof fetch;
}

export interface RequestParts {
  readonly params?: Readonly<Record<string, string | number>> | undefined;
  readonly query?:
    | Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>
    | undefined;
  readonly json?: unknown;
  readonly bytes?: Bytes;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Overrides the client's. */
  readonly timeoutMs?: number;
  /** Sends the account's session even where the route asks for none. */
  readonly asAccount?: boolean;
}

const TIMEOUT_MS = 30_000;
const RETRIES = 3;
const RETRY_SECONDS_MAX = 60;
/** A session is renewed when it has less left than this. */
const SESSION_MARGIN_MS = 10_000;

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

function unreachable(url: string, cause: unknown, timeoutMs: number | undefined): HanseError {
  if (cause instanceof DOMException && cause.name === "TimeoutError") {
    return new HanseError(
      "SDK_TIMEOUT",
      "unavailable",
      `${url}: no answer within ${timeoutMs} ms; what was sent may still have arrived`,
      { cause },
    );
  }
  return new HanseError("SDK_UNREACHABLE", "unavailable", `${url}: no node answers there`, {
    cause,
  });
}

export class Requester {
  readonly url: string;
  readonly #options: RequesterOptions;
  readonly #fetch: typeof fetch;
  #ledgerId: Promise<Hash> | undefined;
  #keyPair: KeyPair | undefined;
  #session: { readonly token: string; readonly expiresAt: number } | undefined;
  #opening: Promise<string> | undefined;

  constructor(options: RequesterOptions) {
    this.url = options.url.replace(/\/+$/, "");
    this.#options = options;
    // Called unbound: a browser's fetch refuses any other `this` than the window.
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
  }

  /** The key to sign with, ready for use. @throws HanseError `KEY_TEXT` naming the key file's field. */
  async keyPair(): Promise<KeyPair | undefined> {
    await readyKeyBackends();
    const { key } = this.#options;
    this.#keyPair ??= typeof key === "string" ? decodeKeyFile(key) : key;
    return this.#keyPair;
  }

  /** The ledger that the node serves, asked once. */
  ledgerId(): Promise<Hash> {
    this.#ledgerId ??= this.json(ROUTES.getNode).then(
      ({ ledgerId }) => fromHex(ledgerId),
      (error: unknown) => {
        this.#ledgerId = undefined;
        throw error;
      },
    );
    return this.#ledgerId;
  }

  /** @throws HanseError with the node's code, or `SDK_UNREACHABLE`, `SDK_TIMEOUT`. */
  async json<R extends RouteSpec>(route: R, parts: RequestParts = {}): Promise<AnswerOf<R>> {
    const response = await this.raw(route, parts);
    return (response.status === 204 ? undefined : await response.json()) as AnswerOf<R>;
  }

  async bytes(route: RouteSpec, parts: RequestParts = {}): Promise<Bytes> {
    const response = await this.raw(route, {
      ...parts,
      headers: { accept: "application/octet-stream", ...parts.headers },
    });
    return new Uint8Array(await response.arrayBuffer());
  }

  /** The answer, when it is a good one. */
  async raw(route: RouteSpec, parts: RequestParts = {}): Promise<Response> {
    const retries = this.#options.retries ?? RETRIES;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#once(route, parts);
      } catch (error) {
        if (!(error instanceof HanseError) || attempt >= retries) throw error;
        if (error.code === "API_SESSION" && this.#session !== undefined) {
          this.#session = undefined;
          continue;
        }
        const { retryAfterSeconds } = error.details;
        if (typeof retryAfterSeconds !== "number") throw error;
        await pause(1000 * Math.min(retryAfterSeconds, RETRY_SECONDS_MAX), parts.signal);
      }
    }
  }

  async #once(route: RouteSpec, parts: RequestParts): Promise<Response> {
    const path = buildPath(route, parts.params, parts.query);
    const body =
      parts.bytes ?? (parts.json === undefined ? undefined : utf8(JSON.stringify(parts.json)));
    const headers: Record<string, string> = { ...parts.headers };
    if (parts.bytes !== undefined) headers["content-type"] = "application/octet-stream";
    else if (body !== undefined) headers["content-type"] = "application/json";
    const known = route.access === "account" || parts.asAccount === true;
    if (known && this.#options.key !== undefined && headers.authorization === undefined) {
      headers.authorization = `Bearer ${await this.#token()}`;
    }
    const timeoutMs = parts.timeoutMs ?? this.#options.timeoutMs ?? TIMEOUT_MS;
    // A stream lives on after its beginning; its reader has a signal of its own.
    const limit = route.stream === true ? undefined : AbortSignal.timeout(timeoutMs);
    const signals = [limit, parts.signal].filter((signal) => signal !== undefined);
    let response: Response;
    try {
      response = await this.#fetch(`${this.url}${path}`, {
        method: route.method,
        headers,
        ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
        ...(signals.length === 0 ? {} : { signal: AbortSignal.any(signals) }),
      });
    } catch (cause) {
      if (parts.signal?.aborted === true) throw parts.signal.reason;
      throw unreachable(this.url, cause, timeoutMs);
    }
    if (response.ok) return response;
    const problem: unknown = await response.json().catch(() => undefined);
    throw fromProblem(problem, response.status);
  }

  /** A session token; opened by one signature, used until shortly before its end. */
  async #token(): Promise<string> {
    const session = this.#session;
    if (session !== undefined && session.expiresAt - SESSION_MARGIN_MS > Date.now()) {
      return session.token;
    }
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<string> {
    const key = await this.keyPair();
    const { method, path } = ROUTES.createSession;
    const time = Date.now();
    const ledgerId = await this.ledgerId();
    const message = requestMessage({ ledgerId, method, path, body: new Uint8Array(0), time });
    const authorization = encodeAuthorization({
      key: key!.publicKey,
      time,
      signature: signMessage(key!, message),
    });
    this.#session = await this.json(ROUTES.createSession, { headers: { authorization } });
    return this.#session.token;
  }
}

/** One request to a node by its route's description; failures carry code and remedy. */
import {
  type AnswerOf,
  buildPath,
  encodeAuthorization,
  fromProblem,
  type RouteSpec,
  requestMessage,
} from "@hanse/api";
import {
  type Bytes,
  HanseError,
  type Hash,
  type KeyPair,
  signMessage,
  utf8,
} from "@hanse/protocol";

export interface RequestOptions {
  readonly params?: Readonly<Record<string, string | number>>;
  readonly query?: Readonly<
    Record<string, string | number | boolean | readonly string[] | undefined>
  >;
  readonly json?: unknown;
  readonly bytes?: Bytes;
  /** Signs the request: for reads that ask who one is. */
  readonly caller?: { readonly keyPair: KeyPair; readonly ledgerId: Hash } | undefined;
  readonly timeoutMs: number;
}

/** @throws HanseError `CLI_NODE_UNREACHABLE`, `CLI_NODE_TIMEOUT`, or the node's own refusal. */
export async function requestRaw(
  url: string,
  route: RouteSpec,
  options: RequestOptions,
): Promise<Response> {
  const path = buildPath(route, options.params, options.query);
  const body =
    options.bytes ?? (options.json === undefined ? undefined : utf8(JSON.stringify(options.json)));
  const headers: Record<string, string> = {};
  if (options.bytes !== undefined) headers["content-type"] = "application/octet-stream";
  else if (body !== undefined) headers["content-type"] = "application/json";
  if (options.caller !== undefined) {
    const { keyPair, ledgerId } = options.caller;
    const time = Date.now();
    const facts = { ledgerId, method: route.method, path, body: body ?? new Uint8Array(0), time };
    headers.authorization = encodeAuthorization({
      key: keyPair.publicKey,
      time,
      signature: signMessage(keyPair, requestMessage(facts)),
    });
  }
  let response: Response;
  try {
    response = await fetch(`${url}${path}`, {
      method: route.method,
      headers,
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
      signal: AbortSignal.timeout(options.timeoutMs),
    });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "TimeoutError") {
      throw new HanseError(
        "CLI_NODE_TIMEOUT",
        "unavailable",
        `${url}: no answer within ${options.timeoutMs / 1000} s; allow more with --timeout`,
        { cause },
      );
    }
    throw new HanseError(
      "CLI_NODE_UNREACHABLE",
      "unavailable",
      `${url}: no node answers there; start it with \`hanse network up\`, or name another with --node`,
      { cause },
    );
  }
  if (response.ok) return response;
  let problem: unknown;
  try {
    problem = await response.json();
  } catch {
    problem = undefined;
  }
  throw fromProblem(problem, response.status);
}

export async function requestJson<R extends RouteSpec>(
  url: string,
  route: R,
  options: RequestOptions,
): Promise<AnswerOf<R>> {
  const response = await requestRaw(url, route, options);
  return (await response.json()) as AnswerOf<R>;
}

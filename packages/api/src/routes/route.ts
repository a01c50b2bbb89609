/** How one route is described: everything that server, client and OpenAPI document need. */
import type { Static, TObject, TSchema } from "@sinclair/typebox";

/**
 * Who may call: `public` anyone; `account` a registered account by signed request or session
 * token; `sender` nobody proves anything beyond the transactions sent, which are signed themselves.
 */
export type Access = "public" | "account" | "sender";

export type RouteMethod = "GET" | "POST" | "DELETE";

export interface ResponseSpec {
  readonly description: string;
  /** JSON body; absent for binary and text answers. */
  readonly json?: TSchema;
  /** Content type of an answer that is not JSON. */
  readonly other?: string;
}

export interface RouteSpec {
  /** Name in client and document. */
  readonly id: string;
  readonly group: string;
  readonly method: RouteMethod;
  /** Parameters in braces: `/v1/blocks/{height}`. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
  readonly params?: TObject;
  readonly query?: TObject;
  /** JSON body. */
  readonly body?: TSchema;
  /** Also, or only, a body of bytes. */
  readonly binaryBody?: string;
  /** By status. */
  readonly responses: Readonly<Record<number, ResponseSpec>>;
  /** Statuses of problems beside the ones every route may give. */
  readonly problems?: readonly number[];
  /** The 200 answer is an event stream. */
  readonly stream?: true;
}

export function defineRoute<const R extends RouteSpec>(route: R): R {
  return route;
}

type Parsed<S> = S extends TSchema ? Static<S> : undefined;

export type ParamsOf<R extends RouteSpec> = Parsed<R["params"]>;
export type QueryOf<R extends RouteSpec> = Parsed<R["query"]>;
export type BodyOf<R extends RouteSpec> = Parsed<R["body"]>;

type JsonOf<S> = S extends { readonly json: infer J } ? Parsed<J> : never;
/** What the JSON answers of a route may be. */
export type AnswerOf<R extends RouteSpec> = {
  [Status in keyof R["responses"]]: JsonOf<R["responses"][Status]>;
}[keyof R["responses"]];

/** The path with its parameters filled in and a query string behind it. */
export function buildPath(
  route: Pick<RouteSpec, "path">,
  params: Readonly<Record<string, string | number>> = {},
  query: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>> = {},
): string {
  const path = route.path.replace(/\{([a-zA-Z]+)\}/g, (_, name: string) =>
    encodeURIComponent(String(params[name] ?? "")),
  );
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? (value as readonly string[]) : [value]) {
      pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(String(one))}`);
    }
  }
  return pairs.length === 0 ? path : `${path}?${pairs.join("&")}`;
}

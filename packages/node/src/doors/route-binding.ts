/** Binds described routes to Fastify: validation, callers, answers, problems. */
import {
  type BodyOf,
  type ParamsOf,
  PROBLEM_CONTENT_TYPE,
  type Problem,
  type QueryOf,
  ROUTES,
  type RouteName,
  type RouteSpec,
  toProblem,
} from "@hanse/api";
import { HanseError, toHanseError } from "@hanse/protocol";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Allowance } from "./allowance.ts";
import type { Caller, Callers } from "./callers.ts";
import type { DoorLog } from "./services.ts";

export interface Call<R extends RouteSpec> {
  readonly params: ParamsOf<R>;
  readonly query: QueryOf<R>;
  /** The JSON body; undefined when bytes came. */
  readonly body: BodyOf<R> | undefined;
  readonly bytes: Buffer | undefined;
  /** Always there on routes of access `account`. */
  readonly caller: Caller | undefined;
  /** For routes that ask for an account only sometimes. @throws HanseError */
  identify(): Caller;
  header(name: string): string | undefined;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** JSON with its status, bytes or text with their type, or nothing because the handler answered. */
export type Answer =
  | { readonly status?: number; readonly json: unknown }
  | { readonly status?: number; readonly jsonText: string }
  | { readonly bytes: Uint8Array; readonly contentType: string }
  | { readonly status: 204 }
  | "answered";

export type Handlers = {
  readonly [Name in RouteName]: (call: Call<(typeof ROUTES)[Name]>) => Answer | Promise<Answer>;
};

const EMPTY = Buffer.alloc(0);
const JSON_TYPE = "application/json; charset=utf-8";

declare module "fastify" {
  interface FastifyRequest {
    /** Body as it came, for signatures over it. */
    rawBody: Buffer | null;
  }
}

/** Statuses and codes of what Fastify itself refuses, before a handler runs. */
function fromFastify(error: FastifyError, request: FastifyRequest): HanseError {
  if (error.validation !== undefined) {
    const first = error.validation[0];
    const place = first?.instancePath.slice(1).replaceAll("/", ".") ?? "";
    const missing = first?.params.missingProperty;
    const name = [place, typeof missing === "string" ? missing : ""].filter(Boolean).join(".");
    const field = name === "" ? (error.validationContext ?? "request") : name;
    return new HanseError("API_VALIDATION", "malformed", `${field}: ${first?.message ?? ""}`, {
      details: { field },
    });
  }
  switch (error.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new HanseError(
        "API_BODY_SIZE",
        "tooLarge",
        `body: at most ${request.routeOptions.bodyLimit} bytes are taken; send it in parts`,
      );
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new HanseError(
        "API_CONTENT_TYPE",
        "malformed",
        `Content-Type: ${String(request.headers["content-type"]).slice(0, 100)} is not taken here; use application/octet-stream or application/json`,
        { details: { field: "Content-Type" } },
      );
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
    case "FST_ERR_CTP_INVALID_JSON_BODY":
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return new HanseError("API_BODY", "malformed", `body: ${error.message}`);
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new HanseError("API_REQUEST", "malformed", error.message);
  }
  return toHanseError(error);
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.retryAfter !== undefined) {
    reply.header("retry-after", String(Math.ceil(problem.retryAfter)));
  }
  return reply
    .code(problem.status)
    .header("content-type", PROBLEM_CONTENT_TYPE)
    .send(JSON.stringify(problem));
}

/** Error handling, body parsing, and the answer to unknown paths. */
export function prepareServer(app: FastifyInstance, log: DoorLog): void {
  app.decorateRequest("rawBody", null);
  app.removeAllContentTypeParsers();
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser(
    "application/json",
    { parseAs: "buffer" },
    (request, body: Buffer, done) => {
      request.rawBody = body;
      if (body.length === 0) done(null, undefined);
      else void parseJson(request, body.toString("utf8"), done);
    },
  );
  app.addContentTypeParser(
    "application/octet-stream",
    { parseAs: "buffer" },
    (request, body, done) => {
      request.rawBody = body as Buffer;
      done(null, body);
    },
  );
  app.setErrorHandler((thrown: FastifyError, request, reply) => {
    const error = thrown instanceof HanseError ? thrown : fromFastify(thrown, request);
    if (error.kind === "corrupt") {
      log.error(
        { method: request.method, route: request.routeOptions.url, code: error.code, err: error },
        "a request failed inside the node",
      );
    }
    return sendProblem(reply, toProblem(error));
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      reply,
      toProblem(
        new HanseError(
          "API_ROUTE",
          "notFound",
          `no route ${request.method} ${request.url.slice(0, 200)}; see /docs`,
        ),
      ),
    ),
  );
}

function schemaOf(route: RouteSpec): object {
  return {
    ...(route.params === undefined ? {} : { params: route.params }),
    ...(route.query === undefined ? {} : { querystring: route.query }),
    ...(route.body === undefined
      ? {}
      : { body: { content: { "application/json": { schema: route.body } } } }),
  };
}

function send(reply: FastifyReply, answer: Answer): FastifyReply {
  if (answer === "answered") return reply;
  if ("jsonText" in answer) {
    return reply
      .code(answer.status ?? 200)
      .header("content-type", JSON_TYPE)
      .send(answer.jsonText);
  }
  if ("json" in answer) {
    return reply
      .code(answer.status ?? 200)
      .header("content-type", JSON_TYPE)
      .send(JSON.stringify(answer.json));
  }
  if ("bytes" in answer) {
    return reply.header("content-type", answer.contentType).send(Buffer.from(answer.bytes));
  }
  return reply.code(answer.status).send();
}

/**
 * What a public read costs of its address's allowance, where it is more than 1: reading and hashing
 * a whole block takes milliseconds. Nothing for what operators ask all the time.
 */
const READ_COSTS: Readonly<Partial<Record<RouteName, number>>> = {
  getHealth: 0,
  getReady: 0,
  getMetrics: 0,
  getGenesis: 5,
  getBlock: 10,
  listBlocks: 20,
  getLightPage: 20,
  getReceipt: 20,
  streamEvents: 20,
};

export interface BindingOptions {
  readonly callers: Callers;
  /** Of anybody, by address. */
  readonly publicReads: Allowance;
  readonly now: () => number;
}

/** Serves every route. */
export function bindRoutes(
  app: FastifyInstance,
  handlers: Handlers,
  { callers, publicReads, now }: BindingOptions,
): void {
  for (const [name, route] of Object.entries(ROUTES) as [RouteName, RouteSpec][]) {
    const handler = handlers[name] as (call: Call<RouteSpec>) => Answer | Promise<Answer>;
    const cost = route.access === "public" ? (READ_COSTS[name] ?? 1) : 0;
    app.route({
      method: route.method,
      url: route.path.replace(/\{([a-zA-Z]+)\}/g, ":$1"),
      schema: schemaOf(route),
      handler: async (request, reply) => {
        if (cost > 0) publicReads.spend(request.ip, cost, now());
        const identify = () =>
          callers.identify({
            method: request.method,
            path: request.url,
            body: request.rawBody ?? EMPTY,
            authorization: request.headers.authorization,
          });
        const { body } = request;
        const answer = await handler({
          params: request.params as never,
          query: request.query as never,
          body: body instanceof Uint8Array ? undefined : (body as never),
          bytes: body instanceof Uint8Array ? (body as Buffer) : undefined,
          caller: route.access === "account" ? identify() : undefined,
          identify,
          header: (header) => {
            const value = request.headers[header];
            return Array.isArray(value) ? value[0] : value;
          },
          request,
          reply,
        });
        return send(reply, answer);
      },
    });
  }
}

/** The HTTP doors of a node. */

import fastifySwagger from "@fastify/swagger";
import fastifySwaggerUi from "@fastify/swagger-ui";
import { createOpenApi } from "@hanse/api";
import { resolveSender } from "@hanse/identity";
import { HanseError } from "@hanse/protocol";
import fastify, { type FastifyInstance } from "fastify";
import { Allowance } from "./allowance.ts";
import { Callers } from "./callers.ts";
import { createEventStreams } from "./event-stream.ts";
import { createLedgerHandlers } from "./ledger-handlers.ts";
import { bindRoutes, prepareServer } from "./route-binding.ts";
import type { NodeServices } from "./services.ts";
import { bindStartPage } from "./start-page.ts";
import { createTableHandlers } from "./table-handlers.ts";
import { createTransactionHandlers } from "./transaction-handlers.ts";

export interface HttpDoors {
  readonly app: FastifyInstance;
  /** @throws HanseError `NODE_API_LISTEN` when the port is taken. */
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  /** Ends streams, finishes what is under way, closes. */
  close(): Promise<void>;
  readonly streams: number;
}

const REQUEST_MS_MAX = 60_000;
const PREFLIGHT_SECONDS = 600;

function allowOrigin(app: FastifyInstance, origin: string): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.header("access-control-allow-origin", origin);
    if (origin !== "*") reply.header("vary", "origin");
    if (request.method !== "OPTIONS") return;
    reply
      .header("access-control-allow-methods", "GET, POST, DELETE")
      .header("access-control-allow-headers", "authorization, content-type, last-event-id")
      .header("access-control-max-age", String(PREFLIGHT_SECONDS));
    await reply.code(204).send();
  });
}

/** `onRequest` counts answers by route and status. */
export async function createHttpDoors(
  services: NodeServices,
  onRequest: (route: string, status: number) => void = () => {},
): Promise<HttpDoors> {
  const { config, facts } = services;
  const app = fastify({
    // One line per request would cost a third of the throughput; metrics count instead.
    logger: false,
    bodyLimit: config.api.bodyBytesMax,
    requestTimeout: REQUEST_MS_MAX,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 1024 },
  });
  app.server.maxConnections = config.api.connectionsMax;
  prepareServer(app, services.log);
  app.addHook("onResponse", (request, reply, done) => {
    onRequest(request.routeOptions.url ?? "unknown", reply.statusCode);
    done();
  });
  if (config.api.corsOrigin !== undefined) allowOrigin(app, config.api.corsOrigin);
  const callers = new Callers({
    ledgerId: services.ledgerId,
    sessionMs: config.api.sessionMs,
    readsPerSecond: config.api.readsPerSecond,
    now: services.now,
    resolveSender: (key) => resolveSender(services.state, key),
  });
  const streams = createEventStreams(services);
  const document = createOpenApi({ version: facts.version });
  const documentText = JSON.stringify(document);
  await app.register(fastifySwagger, {
    mode: "static",
    specification: { document: document as never },
  });
  await app.register(fastifySwaggerUi, { routePrefix: "/docs" });
  app.get("/v1/openapi.json", (_, reply) => reply.type("application/json").send(documentText));
  bindStartPage(app);
  bindRoutes(
    app,
    {
      ...createLedgerHandlers(services, callers),
      ...createTransactionHandlers(services),
      ...createTableHandlers(services, callers),
      streamEvents: streams.handler,
    },
    {
      callers,
      publicReads: new Allowance(config.api.publicReadsPerSecond),
      now: services.now,
    },
  );
  return {
    app,
    get streams() {
      return streams.count;
    },
    async listen() {
      const { host, port } = config.api;
      try {
        await app.listen({ host, port });
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new HanseError(
          "NODE_API_LISTEN",
          "unavailable",
          `api.port: cannot listen on ${host}:${port} (${reason}); choose another port`,
          { cause, details: { field: "api.port" } },
        );
      }
      const bound = app.server.address();
      if (bound === null || typeof bound === "string") return { host, port };
      return { host: bound.address, port: bound.port };
    },
    async close() {
      streams.closeAll();
      await app.close();
    },
  };
}

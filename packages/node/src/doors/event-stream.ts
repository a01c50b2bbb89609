/**
 * Server-sent events (WHATWG HTML, section 9.2): one message per final block, its id the height,
 * so that a client that reconnects with Last-Event-ID misses and repeats nothing.
 */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { toProblem } from "@hanse/api";
import type { PublishedBlock, Subscription } from "@hanse/ledger";
import { HanseError, toHex } from "@hanse/protocol";
import { eventDataToJson } from "./json-forms.ts";
import type { Answer, Handlers } from "./route-binding.ts";
import type { NodeServices } from "./services.ts";

/** Silence after which a comment keeps proxies from cutting the stream. */
const HEARTBEAT_MS = 10_000;
/** Skipped blocks after which the position is told all the same. */
const SKIPPED_MAX = 100;

interface Wanted {
  readonly blocks: boolean;
  readonly transactions: boolean;
  readonly events: boolean;
  readonly isWanted: (name: string) => boolean;
}

function nameFilter(name: string | undefined, application: string | undefined) {
  const exact = name?.endsWith("*") === true ? undefined : name;
  const prefix = exact === undefined ? name?.slice(0, -1) : undefined;
  return (event: string) =>
    (exact === undefined || event === exact) &&
    (prefix === undefined || event.startsWith(prefix)) &&
    (application === undefined || event.startsWith(`${application}.`));
}

/** The data of one message; undefined when the block has nothing that is wanted. */
export function blockMessage(block: PublishedBlock, wanted: Wanted): object | undefined {
  const events = wanted.events
    ? block.transactions.flatMap(({ id, outcome }) =>
        outcome.events
          .filter((event) => wanted.isWanted(event.name))
          .map(({ name, data }) => ({
            transactionId: toHex(id),
            name,
            data: eventDataToJson(data),
          })),
      )
    : [];
  if (!wanted.blocks && !wanted.transactions && events.length === 0) return undefined;
  return {
    height: block.height,
    hash: toHex(block.hash),
    time: block.time,
    transactionCount: block.transactions.length,
    ...(wanted.transactions
      ? {
          transactions: block.transactions.map(({ id, outcome }) => ({
            id: toHex(id),
            code: outcome.code,
          })),
        }
      : {}),
    ...(wanted.events ? { events } : {}),
  };
}

async function write(response: ServerResponse, text: string): Promise<void> {
  if (response.write(text) || response.destroyed) return;
  // A slow reader holds its own cursor back, nobody else's.
  const ended = new AbortController();
  try {
    await Promise.race([
      once(response, "drain", { signal: ended.signal }),
      once(response, "close", { signal: ended.signal }),
    ]);
  } finally {
    ended.abort();
  }
}

async function pump(
  response: ServerResponse,
  subscription: Subscription,
  wanted: Wanted,
): Promise<void> {
  let skipped = 0;
  for await (const block of subscription) {
    if (response.destroyed) return;
    const message = blockMessage(block, wanted);
    if (message !== undefined) {
      skipped = 0;
      await write(
        response,
        `event: block\nid: ${block.height}\ndata: ${JSON.stringify(message)}\n\n`,
      );
    } else if (++skipped >= SKIPPED_MAX) {
      skipped = 0;
      // An id without data moves the client's position and wakes nobody.
      await write(response, `id: ${block.height}\n\n`);
    }
  }
}

export interface EventStreams {
  readonly handler: Handlers["streamEvents"];
  /** Open streams. */
  readonly count: number;
  closeAll(): void;
}

export function createEventStreams(services: NodeServices): EventStreams {
  const open = new Map<ServerResponse, Subscription>();
  const { subscribersMax } = services.config.api;

  function firstHeight(from: number | undefined, lastEventId: string | undefined, next: number) {
    if (lastEventId !== undefined && lastEventId !== "") {
      if (!/^[0-9]{1,15}$/.test(lastEventId)) {
        throw new HanseError("API_LAST_EVENT_ID", "malformed", "Last-Event-ID: expected a height", {
          details: { field: "Last-Event-ID" },
        });
      }
      return Number(lastEventId) + 1;
    }
    return from ?? next;
  }

  return {
    get count() {
      return open.size;
    },
    closeAll() {
      for (const [response, subscription] of open) {
        subscription.close();
        response.end();
      }
    },
    async handler({ query, header, identify, reply }): Promise<Answer> {
      const include = new Set((query.include ?? "blocks").split(","));
      if (include.has("events")) identify();
      if (open.size >= subscribersMax) {
        throw new HanseError(
          "API_STREAMS",
          "limit",
          `at most ${subscribersMax} event streams are open at once`,
          { details: { retryAfterSeconds: 10 } },
        );
      }
      const { height } = await services.info();
      const from = firstHeight(query.from, header("last-event-id"), height + 1);
      if (from > height + 1) {
        throw new HanseError(
          "API_HEIGHT_AHEAD",
          "rejected",
          `from: height ${from} does not follow on ${height}, the newest here`,
          { details: { field: "from", height } },
        );
      }
      const wanted: Wanted = {
        blocks: include.has("blocks"),
        transactions: include.has("transactions"),
        events: include.has("events"),
        isWanted: nameFilter(query.name, query.application),
      };
      const subscription = services.ledger.subscribe(from);
      const response = reply.hijack().raw;
      open.set(response, subscription);
      response.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      response.write(": height is the event id\n\n");
      const heartbeat = setInterval(() => response.write(":\n\n"), HEARTBEAT_MS);
      response.once("close", () => subscription.close());
      response.on("error", () => subscription.close());
      void pump(response, subscription, wanted)
        .catch((error: unknown) => {
          const problem = toProblem(error);
          services.log.warn({ code: problem.code }, "an event stream ended early");
          response.write(`event: problem\ndata: ${JSON.stringify(problem)}\n\n`);
        })
        .finally(() => {
          clearInterval(heartbeat);
          subscription.close();
          open.delete(response);
          response.end();
        });
      return "answered";
    },
  };
}

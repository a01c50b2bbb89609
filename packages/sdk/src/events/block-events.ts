/** The event stream as an async iterator that survives lost connections. */
import { type BlockEventJson, fromProblem, ROUTES } from "@hanse/api";
import { HanseError } from "@hanse/protocol";
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { Requester } from "../requests/requester.ts";

/** A final block as the stream tells it. */
export type BlockEvent = (typeof BlockEventJson)["static"];

export interface EventOptions {
  /** First height wanted; the next one unless said. */
  readonly from?: number;
  /** `blocks` unless said; `events` needs an account. */
  readonly include?: readonly ("blocks" | "transactions" | "events")[];
  /** Event name, or a prefix that ends in `*`. */
  readonly name?: string;
  readonly application?: string;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
  /** Longest pause between attempts to connect again, milliseconds; 5 000 unless said. */
  readonly reconnectMsMax?: number;
}

const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 5000;

/** A lost connection is mended by coming back; a refusal is not. */
function isPassing(error: unknown): boolean {
  return !(error instanceof HanseError) || error.kind === "unavailable" || error.kind === "limit";
}

async function* readOnce(
  requester: Requester,
  options: EventOptions,
  lastHeight: number | undefined,
  connected: () => void,
): AsyncGenerator<{ readonly height: number; readonly event: BlockEvent | undefined }> {
  const { from, include, name, application, signal } = options;
  const response = await requester.raw(ROUTES.streamEvents, {
    query: {
      // After a break the stream goes on behind the last height seen, not where it began.
      from: lastHeight === undefined ? from : undefined,
      include: include?.join(","),
      name,
      application,
    },
    headers: lastHeight === undefined ? {} : { "last-event-id": String(lastHeight) },
    asAccount: include?.includes("events") === true,
    ...(signal === undefined ? {} : { signal }),
  });
  connected();
  const messages = response
    .body!.pipeThrough(
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>,
    )
    .pipeThrough(new EventSourceParserStream());
  for await (const message of messages) {
    if (message.event === "problem") throw fromProblem(JSON.parse(message.data), 503);
    const height = Number(message.id);
    if (!Number.isSafeInteger(height)) continue;
    const event = message.event === "block" ? (JSON.parse(message.data) as BlockEvent) : undefined;
    yield { height, event };
  }
}

/**
 * Blocks in order, each once, across lost connections and restarts of the node. Ends when the
 * signal aborts or the caller leaves the loop.
 * @throws HanseError when the node refuses the stream.
 */
export async function* streamBlockEvents(
  requester: Requester,
  options: EventOptions = {},
): AsyncGenerator<BlockEvent, void, undefined> {
  const { signal, reconnectMsMax = RECONNECT_MS_MAX } = options;
  const left = new AbortController();
  const inner = signal === undefined ? left.signal : AbortSignal.any([left.signal, signal]);
  let last: number | undefined;
  let attempts = 0;
  try {
    while (!inner.aborted) {
      try {
        const stream = readOnce(requester, { ...options, signal: inner }, last, () => {
          attempts = 0;
        });
        for await (const { height, event } of stream) {
          last = height;
          if (event !== undefined) yield event;
        }
      } catch (error) {
        if (inner.aborted) return;
        if (!isPassing(error)) throw error;
      }
      if (inner.aborted) return;
      // Without a position a stream that breaks before its first block would skip what came since.
      if (last === undefined && options.from === undefined) {
        last = await currentHeight(requester).catch(() => undefined);
      }
      const ms = Math.min(reconnectMsMax, RECONNECT_MS_MIN * 2 ** attempts++);
      await new Promise((resolve) => setTimeout(resolve, ms * (0.5 + Math.random() / 2)));
    }
  } finally {
    left.abort();
  }
}

async function currentHeight(requester: Requester): Promise<number> {
  return (await requester.json(ROUTES.getNode)).height;
}

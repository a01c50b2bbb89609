/** The stream of what becomes final. */
import { Type } from "@sinclair/typebox";
import { HashText, HeightNumber, TimeNumber } from "./forms.ts";
import { defineRoute } from "./route.ts";

/** One server-sent event per block; its SSE id is the height, so that a stream resumes exactly. */
export const BlockEventJson = Type.Object({
  height: HeightNumber,
  hash: HashText,
  time: TimeNumber,
  transactionCount: Type.Integer(),
  transactions: Type.Optional(Type.Array(Type.Object({ id: HashText, code: Type.String() }))),
  events: Type.Optional(
    Type.Array(
      Type.Object({
        transactionId: HashText,
        name: Type.String(),
        data: Type.Unknown(),
      }),
    ),
  ),
});

export const streamEvents = defineRoute({
  id: "streamEvents",
  group: "events",
  method: "GET",
  path: "/v1/events",
  summary: "Server-sent events: every final block, in order, from any height",
  description:
    "Each message is of type `block`, its id the height. Last-Event-ID or `from` resumes. include=transactions adds ids and codes, include=events adds contract events (needs an account; `name` keeps those of one name, or of a prefix when it ends in `*`; `application` those under its name). With include=events alone, blocks without a matching event are skipped.",
  access: "public",
  query: Type.Object({
    from: Type.Optional(
      Type.Integer({ minimum: 1, description: "First height wanted; default: the next one." }),
    ),
    include: Type.Optional(
      Type.String({
        pattern: "^(blocks|transactions|events)(,(blocks|transactions|events))*$",
        default: "blocks",
      }),
    ),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    application: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  }),
  responses: {
    200: { description: "The stream", other: "text/event-stream", json: BlockEventJson },
  },
  problems: [403, 429, 503],
  stream: true,
});

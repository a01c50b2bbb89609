/** What a node says about itself. */
import { Type } from "@sinclair/typebox";
import { HashText, HeightNumber, KeyText, TimeNumber } from "./forms.ts";
import { defineRoute } from "./route.ts";

export const NodeInfoJson = Type.Object({
  id: Type.String(),
  org: Type.String(),
  network: Type.String(),
  ledger: Type.String(),
  ledgerId: HashText,
  version: Type.String(),
  runtime: Type.String({ description: "Version of Node.js." }),
  backends: Type.Record(Type.String(), Type.String(), {
    description: "Which library does each cryptographic job.",
  }),
  engines: Type.Array(Type.String()),
  startedAt: TimeNumber,
  height: HeightNumber,
});

export const getNode = defineRoute({
  id: "getNode",
  group: "node",
  method: "GET",
  path: "/v1/node",
  summary: "This node: organization, versions, backends, height",
  access: "public",
  responses: { 200: { description: "The node", json: NodeInfoJson } },
});

export const getHealth = defineRoute({
  id: "getHealth",
  group: "node",
  method: "GET",
  path: "/health",
  summary: "Whether the process lives",
  access: "public",
  responses: {
    200: { description: "It does", json: Type.Object({ status: Type.Literal("ok") }) },
  },
});

export const getReady = defineRoute({
  id: "getReady",
  group: "node",
  method: "GET",
  path: "/ready",
  summary: "Whether the node can take transactions now",
  description:
    "503 with code NODE_SYNCING, NODE_STALLED, NODE_QUARANTINED, NODE_STOPPING while not.",
  access: "public",
  responses: {
    200: {
      description: "It can",
      json: Type.Object({ status: Type.Literal("ready"), height: HeightNumber }),
    },
  },
  problems: [503],
});

export const getMetrics = defineRoute({
  id: "getMetrics",
  group: "node",
  method: "GET",
  path: "/metrics",
  summary: "Measurements in Prometheus text form",
  access: "public",
  responses: { 200: { description: "Measurements", other: "text/plain" } },
});

export const StatusJson = Type.Object({
  height: HeightNumber,
  view: Type.Integer(),
  role: Type.Union([Type.Literal("leader"), Type.Literal("follower"), Type.Literal("observer")]),
  syncing: Type.Boolean(),
  quarantined: Type.Optional(Type.String()),
  stalledSince: Type.Optional(TimeNumber),
  committedHeight: HeightNumber,
  stateRoot: HashText,
  blockHash: HashText,
  mempool: Type.Object({ transactions: Type.Integer(), bytes: Type.Integer() }),
  peers: Type.Array(
    Type.Object({
      id: Type.String(),
      connected: Type.Boolean(),
      height: HeightNumber,
      address: Type.Optional(Type.String()),
      roundTripMs: Type.Optional(Type.Number()),
      /** How well it serves as seen from here, parts per million. */
      healthPpm: Type.Optional(Type.Integer()),
      lastError: Type.Optional(Type.String()),
    }),
  ),
});

export const getStatus = defineRoute({
  id: "getStatus",
  group: "node",
  method: "GET",
  path: "/v1/status",
  summary: "Ordering, waiting transactions and peers as this node sees them",
  access: "public",
  responses: { 200: { description: "The status", json: StatusJson } },
});

export const createSession = defineRoute({
  id: "createSession",
  group: "sessions",
  method: "POST",
  path: "/v1/sessions",
  summary: "A short-lived token for an account",
  description: "Needs a signed request (Authorization: Hanse-Key …), each usable once.",
  access: "account",
  responses: {
    201: {
      description: "The token, to be sent as Authorization: Bearer …",
      json: Type.Object({ token: HashText, expiresAt: TimeNumber, account: HashText }),
    },
  },
});

export const endSession = defineRoute({
  id: "endSession",
  group: "sessions",
  method: "DELETE",
  path: "/v1/sessions",
  summary: "Ends the session whose token is sent",
  access: "account",
  responses: { 204: { description: "Ended" } },
});

export const OrganizationJson = Type.Object({ id: Type.String(), name: Type.String() });

export const AccountJson = Type.Object({
  accountId: HashText,
  keyId: Type.String({ description: "Signed 64-bit number, decimal; $key_id in Needle." }),
  name: Type.String(),
  org: Type.String(),
  roles: Type.Array(Type.String()),
  status: Type.String(),
  key: KeyText,
});

/** Submitting transactions and asking what became of them. */
import { Type } from "@sinclair/typebox";
import { ProblemSchema } from "../problems/problem.ts";
import { HashText, HeightNumber, OutcomeJson } from "./forms.ts";
import { defineRoute } from "./route.ts";

const AcceptedJson = Type.Object({
  id: HashText,
  status: Type.Literal("accepted", {
    description: "Journaled by this node: a restart does not forget it. Not yet final.",
  }),
});

const FinalJson = Type.Object({
  id: HashText,
  status: Type.Literal("final"),
  height: HeightNumber,
  index: Type.Integer(),
  outcome: OutcomeJson,
});

const WaitQuery = Type.Object({
  wait: Type.Optional(
    Type.Union([Type.Literal("accepted"), Type.Literal("final")], {
      default: "accepted",
      description: "Answer when journaled, or when final.",
    }),
  ),
  timeoutMs: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 600_000,
      default: 10_000,
      description: "Patience with wait=final; then the answer is 202.",
    }),
  ),
});

export const submitTransaction = defineRoute({
  id: "submitTransaction",
  group: "transactions",
  method: "POST",
  path: "/v1/transactions",
  summary: "Submits one signed transaction",
  description:
    "Bytes as in spec/transactions.md, or JSON with the same bytes in hex or base64. A contract that fails is a final outcome with another code than ok, not a problem.",
  access: "sender",
  query: WaitQuery,
  body: Type.Object({
    transaction: Type.String({ minLength: 2, description: "Hex, or base64 after base64:" }),
  }),
  binaryBody: "application/octet-stream",
  responses: {
    200: { description: "Final", json: FinalJson },
    202: { description: "Accepted", json: AcceptedJson },
  },
  problems: [400, 403, 409, 413, 422, 429, 503],
});

export const submitBatch = defineRoute({
  id: "submitBatch",
  group: "transactions",
  method: "POST",
  path: "/v1/transactions/batch",
  summary: "Submits many signed transactions",
  description:
    "Each transaction stands behind its length in 4 bytes, big-endian. The answer names only those that were refused; all others are journaled. 202 as long as one was accepted; when all are refused, the status of the first refusal.",
  access: "sender",
  binaryBody: "application/octet-stream",
  responses: {
    202: {
      description: "Which were refused",
      json: Type.Object({
        accepted: Type.Integer(),
        refused: Type.Array(Type.Object({ index: Type.Integer(), problem: ProblemSchema })),
      }),
    },
  },
  problems: [400, 403, 409, 413, 422, 429, 503],
});

export const TransactionStatusJson = Type.Union([
  FinalJson,
  Type.Object({ id: HashText, status: Type.Literal("pending") }),
]);

export const getTransaction = defineRoute({
  id: "getTransaction",
  group: "transactions",
  method: "GET",
  path: "/v1/transactions/{id}",
  summary: "What became of a transaction",
  access: "public",
  params: Type.Object({ id: HashText }),
  responses: { 200: { description: "Pending or final", json: TransactionStatusJson } },
  problems: [404],
});

export const getReceipt = defineRoute({
  id: "getReceipt",
  group: "transactions",
  method: "GET",
  path: "/v1/transactions/{id}/receipt",
  summary: "Proof for an outsider that the transaction is final, as bytes (spec/receipts.md)",
  description:
    "`state=table:key` (repeatable) adds proofs of rows and needs the right to read them; keys are decimal numbers, texts, or bytes in hex, as the table's key column has it. 503 with LEDGER_RECEIPT_PENDING until the next block certifies the roots.",
  access: "public",
  params: Type.Object({ id: HashText }),
  query: Type.Object({
    state: Type.Optional(
      Type.Union([
        Type.String({ maxLength: 600 }),
        Type.Array(Type.String({ maxLength: 600 }), { maxItems: 64 }),
      ]),
    ),
  }),
  responses: { 200: { description: "The receipt", other: "application/octet-stream" } },
  problems: [403, 404, 503],
});

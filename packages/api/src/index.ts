export { BATCH_CONTENT_TYPE, decodeBatch, encodeBatch } from "./batches/batch-codec.ts";
export { createOpenApi } from "./openapi/openapi.ts";
export {
  ERROR_KINDS,
  fromProblem,
  PROBLEM_CONTENT_TYPE,
  type Problem,
  ProblemSchema,
  toProblem,
} from "./problems/problem.ts";
export {
  type Authorization,
  encodeAuthorization,
  KEY_SCHEME,
  parseAuthorization,
  REQUEST_WINDOW_MS,
  type RequestFacts,
  type RequestSignature,
  requestMessage,
  TOKEN_SCHEME,
} from "./requests/request-signature.ts";
export { ROUTES, type RouteName } from "./routes/all-routes.ts";
export { BlockEventJson } from "./routes/event-routes.ts";
export { BLOCK_PAGE_MAX, BlockJson, BlockSummaryJson, LedgerJson } from "./routes/ledger-routes.ts";
export { AccountJson, NodeInfoJson, StatusJson } from "./routes/node-routes.ts";
export {
  type Access,
  type AnswerOf,
  type BodyOf,
  buildPath,
  defineRoute,
  type ParamsOf,
  type QueryOf,
  type ResponseSpec,
  type RouteMethod,
  type RouteSpec,
} from "./routes/route.ts";
export { ROW_PAGE_MAX, WHERE_LENGTH_MAX } from "./routes/table-routes.ts";
export { TransactionStatusJson } from "./routes/transaction-routes.ts";

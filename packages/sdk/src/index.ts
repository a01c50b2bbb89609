export {
  type BatchResult,
  type Client,
  type ClientOptions,
  createClient,
  type FinalTransaction,
  type HashLike,
  type TransactionState,
  type WaitOptions,
} from "./client/create-client.ts";
export type { BlockEvent, EventOptions } from "./events/block-events.ts";
export type { RequestParts } from "./requests/requester.ts";
export { type CallValue, encodeNeedleCall } from "./transactions/needle-call.ts";
export {
  type SignedTransaction,
  signTransaction,
  type TransactionDraft,
} from "./transactions/sign-transaction.ts";

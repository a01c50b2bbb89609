/** A typed client of one node, for browsers and Node. */
import {
  type AnswerOf,
  encodeBatch,
  fromProblem,
  type QueryOf,
  ROUTES,
  type RouteSpec,
} from "@hanse/api";
import { type Bytes, HanseError, type Hash, type KeyPair, toHex } from "@hanse/protocol";
import { type BlockEvent, type EventOptions, streamBlockEvents } from "../events/block-events.ts";
import { Requester, type RequesterOptions, type RequestParts } from "../requests/requester.ts";
import { type CallValue, encodeNeedleCall } from "../transactions/needle-call.ts";
import {
  type SignedTransaction,
  signTransaction,
  type TransactionDraft,
} from "../transactions/sign-transaction.ts";

export type ClientOptions = RequesterOptions;

/** Hex text or the 32 bytes. */
export type HashLike = string | Hash;

export type TransactionState = AnswerOf<typeof ROUTES.getTransaction>;
export type FinalTransaction = Extract<TransactionState, { readonly status: "final" }>;

export interface BatchResult {
  readonly accepted: number;
  /** Those that were refused, by their place in the batch. */
  readonly refused: readonly { readonly index: number; readonly error: HanseError }[];
}

export interface WaitOptions {
  /** Milliseconds; 30 000 unless said. */
  readonly timeoutMs?: number;
}

type RowQuery = Omit<QueryOf<typeof ROUTES.listRows>, "where"> & {
  /** A condition, e.g. `{op: "eq", column: "org", value: "court"}`. */
  readonly where?: object;
};

export interface Client {
  readonly url: string;
  /** The ledger that the node serves. */
  ledgerId(): Promise<Hash>;
  /** Any route of `ROUTES`, typed by its description. */
  request<R extends RouteSpec>(route: R, parts?: RequestParts): Promise<AnswerOf<R>>;

  /** Signs for this ledger with the client's key. */
  sign(draft: Omit<TransactionDraft, "ledgerId">): Promise<SignedTransaction>;
  /** Resolves when the node has journaled it. Submitting the same bytes again is harmless. */
  submit(bytes: Bytes): Promise<{ readonly id: string }>;
  /**
   * Resolves when it is final; a contract that failed has another outcome code than `ok`.
   * @throws HanseError `SDK_NOT_FINAL` when the time is over: it is journaled all the same.
   */
  submitAndWait(bytes: Bytes, options?: WaitOptions): Promise<FinalTransaction>;
  submitBatch(transactions: readonly Bytes[]): Promise<BatchResult>;
  /** Signs and submits a call of a Needle contract, and waits until it is final. */
  callContract(
    name: string,
    params: Readonly<Record<string, CallValue>>,
    options?: WaitOptions & { readonly ecosystem?: number },
  ): Promise<FinalTransaction>;

  transaction(id: HashLike): Promise<TransactionState>;
  /** @throws HanseError `SDK_NOT_FINAL`, `LEDGER_TX_UNKNOWN`, `API_TX_EXPIRED`. */
  waitFinal(id: HashLike, options?: WaitOptions): Promise<FinalTransaction>;
  /** Bytes for a verifier; `state` = rows to prove with it, as `table:key`. */
  receipt(id: HashLike, options?: { readonly state?: readonly string[] }): Promise<Bytes>;

  node(): Promise<AnswerOf<typeof ROUTES.getNode>>;
  status(): Promise<AnswerOf<typeof ROUTES.getStatus>>;
  ledger(): Promise<AnswerOf<typeof ROUTES.getLedger>>;
  /** The encoded genesis document as this node has it. */
  genesis(): Promise<Bytes>;
  /** A page of headers and proofs for a light client (spec/light.md). */
  lightPage(query: QueryOf<typeof ROUTES.getLightPage>): Promise<Bytes>;
  block(height: number): Promise<AnswerOf<typeof ROUTES.getBlock>>;
  blockBody(height: number): Promise<Bytes>;
  blocks(query?: QueryOf<typeof ROUTES.listBlocks>): Promise<AnswerOf<typeof ROUTES.listBlocks>>;
  organizations(): Promise<AnswerOf<typeof ROUTES.listOrganizations>["organizations"]>;
  account(id: string): Promise<AnswerOf<typeof ROUTES.getAccount>>;
  applications(): Promise<readonly unknown[]>;

  tables(): Promise<AnswerOf<typeof ROUTES.listTables>["tables"]>;
  rows(table: string, query?: RowQuery): Promise<AnswerOf<typeof ROUTES.listRows>>;
  row(table: string, key: string | number | bigint): Promise<AnswerOf<typeof ROUTES.getRow>["row"]>;
  rowHistory(
    table: string,
    key: string | number | bigint,
    query?: QueryOf<typeof ROUTES.getRowHistory>,
  ): Promise<AnswerOf<typeof ROUTES.getRowHistory>["changes"]>;
  rowProof(
    table: string,
    key: string | number | bigint,
  ): Promise<AnswerOf<typeof ROUTES.getRowProof>>;
  /** A read-only call of a contract engine. */
  query(engine: string, name: string, input?: unknown): Promise<unknown>;

  /** Final blocks in order, across lost connections. */
  events(options?: EventOptions): AsyncGenerator<BlockEvent, void, undefined>;
}

const WAIT_MS = 30_000;
const POLL_MS_MIN = 20;
const POLL_MS_MAX = 500;

const hexOf = (id: HashLike) => (typeof id === "string" ? id : toHex(id));

/** Known to the ledger already: a repeated submit has done what it should. */
function idOfKnown(error: unknown): string | undefined {
  if (!(error instanceof HanseError)) return undefined;
  if (error.code !== "LEDGER_TX_PENDING" && error.code !== "LEDGER_TX_COMMITTED") return undefined;
  return typeof error.details.id === "string" ? error.details.id : undefined;
}

function notFinal(id: string, timeoutMs: number): HanseError {
  return new HanseError(
    "SDK_NOT_FINAL",
    "unavailable",
    `transaction ${id} is accepted but not final within ${timeoutMs} ms; it is not lost: ask for it later`,
    { details: { id } },
  );
}

class NodeClient implements Client {
  readonly #requester: Requester;

  constructor(options: ClientOptions) {
    this.#requester = new Requester(options);
  }

  get url(): string {
    return this.#requester.url;
  }

  ledgerId = () => this.#requester.ledgerId();

  request<R extends RouteSpec>(route: R, parts?: RequestParts): Promise<AnswerOf<R>> {
    return this.#requester.json(route, parts);
  }

  async #requireKey(): Promise<KeyPair> {
    const key = await this.#requester.keyPair();
    if (key !== undefined) return key;
    throw new HanseError("SDK_NO_KEY", "denied", "key: createClient needs a key pair to sign with");
  }

  async sign(draft: Omit<TransactionDraft, "ledgerId">): Promise<SignedTransaction> {
    const key = await this.#requireKey();
    return signTransaction(key, { ...draft, ledgerId: await this.ledgerId() });
  }

  async submit(bytes: Bytes): Promise<{ readonly id: string }> {
    try {
      const { id } = await this.request(ROUTES.submitTransaction, { bytes });
      return { id };
    } catch (error) {
      const id = idOfKnown(error);
      if (id === undefined) throw error;
      return { id };
    }
  }

  async submitAndWait(bytes: Bytes, options: WaitOptions = {}): Promise<FinalTransaction> {
    const { timeoutMs = WAIT_MS } = options;
    const started = Date.now();
    let id: string;
    try {
      const answer = await this.request(ROUTES.submitTransaction, {
        bytes,
        query: { wait: "final", timeoutMs: Math.min(timeoutMs, 600_000) },
        timeoutMs: timeoutMs + 5000,
      });
      if (answer.status === "final") return answer;
      id = answer.id;
    } catch (error) {
      const known = idOfKnown(error);
      if (known === undefined) throw error;
      id = known;
    }
    return this.#pollFinal(id, started, timeoutMs);
  }

  async submitBatch(transactions: readonly Bytes[]): Promise<BatchResult> {
    const { accepted, refused } = await this.request(ROUTES.submitBatch, {
      bytes: encodeBatch(transactions),
    });
    return {
      accepted,
      refused: refused.map(({ index, problem }) => ({
        index,
        error: fromProblem(problem, problem.status),
      })),
    };
  }

  async callContract(
    name: string,
    params: Readonly<Record<string, CallValue>>,
    options: WaitOptions & { readonly ecosystem?: number } = {},
  ): Promise<FinalTransaction> {
    const payload = encodeNeedleCall(name, params, options.ecosystem);
    const { bytes } = await this.sign({ engine: "needle", payload });
    return this.submitAndWait(bytes, options);
  }

  transaction(id: HashLike): Promise<TransactionState> {
    return this.request(ROUTES.getTransaction, { params: { id: hexOf(id) } });
  }

  waitFinal(id: HashLike, { timeoutMs = WAIT_MS }: WaitOptions = {}) {
    return this.#pollFinal(id, Date.now(), timeoutMs);
  }

  async #pollFinal(id: HashLike, started: number, timeoutMs: number): Promise<FinalTransaction> {
    const until = started + timeoutMs;
    for (let ms = POLL_MS_MIN; ; ms = Math.min(POLL_MS_MAX, ms * 2)) {
      const state = await this.transaction(id);
      if (state.status === "final") return state;
      if (Date.now() + ms > until) throw notFinal(hexOf(id), timeoutMs);
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
  }

  receipt(id: HashLike, { state = [] }: { readonly state?: readonly string[] } = {}) {
    return this.#requester.bytes(ROUTES.getReceipt, {
      params: { id: hexOf(id) },
      query: { state },
      asAccount: state.length > 0,
    });
  }

  node = () => this.request(ROUTES.getNode);
  status = () => this.request(ROUTES.getStatus);
  ledger = () => this.request(ROUTES.getLedger);
  genesis = () => this.#requester.bytes(ROUTES.getGenesis);
  lightPage = (query: QueryOf<typeof ROUTES.getLightPage>) =>
    this.#requester.bytes(ROUTES.getLightPage, { query });
  block = (height: number) => this.request(ROUTES.getBlock, { params: { height } });
  blockBody = (height: number) =>
    this.#requester.bytes(ROUTES.getBlockBody, { params: { height } });
  blocks = (query?: QueryOf<typeof ROUTES.listBlocks>) =>
    this.request(ROUTES.listBlocks, { query });
  organizations = async () => (await this.request(ROUTES.listOrganizations)).organizations;
  account = (id: string) => this.request(ROUTES.getAccount, { params: { id } });
  applications = async () => (await this.request(ROUTES.listApplications)).applications;
  tables = async () => (await this.request(ROUTES.listTables)).tables;

  rows(table: string, { where, ...query }: RowQuery = {}) {
    const condition = where === undefined ? {} : { where: JSON.stringify(where) };
    return this.request(ROUTES.listRows, {
      params: { name: table },
      query: { ...query, ...condition },
    });
  }

  async row(table: string, key: string | number | bigint) {
    const params = { name: table, key: String(key) };
    return (await this.request(ROUTES.getRow, { params })).row;
  }

  async rowHistory(
    table: string,
    key: string | number | bigint,
    query?: QueryOf<typeof ROUTES.getRowHistory>,
  ) {
    const params = { name: table, key: String(key) };
    return (await this.request(ROUTES.getRowHistory, { params, query })).changes;
  }

  rowProof(table: string, key: string | number | bigint) {
    return this.request(ROUTES.getRowProof, { params: { name: table, key: String(key) } });
  }

  async query(engine: string, name: string, input?: unknown): Promise<unknown> {
    const json = { engine, name, ...(input === undefined ? {} : { input }) };
    return (await this.request(ROUTES.runQuery, { json })).result;
  }

  events(options?: EventOptions): AsyncGenerator<BlockEvent, void, undefined> {
    return streamBlockEvents(this.#requester, options);
  }
}

export function createClient(options: ClientOptions): Client {
  return new NodeClient(options);
}

/** What the commands ask of a ledger through one of its nodes. */
import { type AnswerOf, ROUTES } from "@hanse/api";
import { encodeCall } from "@hanse/engine-needle";
import { encodeNativeCall, NATIVE_ENGINE } from "@hanse/modules";
import {
  type Bytes,
  type CborValue,
  encodeNativeBody,
  encodeNativeTransaction,
  fromHex,
  HanseError,
  type KeyPair,
  nativeSignedMessage,
  publicKeyToText,
  signMessage,
} from "@hanse/protocol";
import type { ContractField } from "./call-parameters.ts";
import { type RequestOptions, requestJson, requestRaw } from "./http-ledger.ts";

export interface TransactionView {
  /** Hex. */
  readonly id: string;
  readonly state: "waiting" | "final";
  readonly height?: number;
  readonly index?: number;
  readonly outcome?: {
    readonly code: string;
    readonly result: string;
    readonly error: string;
    readonly fuelUsed: string;
    readonly events: readonly { readonly name: string; readonly data: unknown }[];
  };
}

export interface BlockView {
  readonly height: number;
  readonly hash: string;
  readonly time: string;
  readonly proposer: string;
  readonly parentHash: string;
  readonly stateRootBefore: string;
  readonly sizeBytes: number;
  readonly transactionIds: readonly string[];
}

export interface RowPage {
  readonly caller: KeyPair;
  readonly limit?: number;
  readonly offset?: number;
  readonly order?: string;
}

export interface ApplicationView {
  readonly name: string;
  readonly version: string;
  readonly title?: string;
}

export type AccountView = AnswerOf<typeof ROUTES.getAccount>;

export interface ContractCall {
  readonly contract: string;
  readonly params: ReadonlyMap<string, CborValue>;
  readonly ecosystem?: number;
}

/** An action of a native module. */
export interface NativeCall {
  readonly module: string;
  readonly action: string;
  readonly args: Readonly<Record<string, CborValue>>;
}

export type LedgerCall = ContractCall | NativeCall;

export interface LedgerClient {
  readonly url: string;
  /** Hex. */
  readonly ledgerId: string;
  /** Data fields of a contract. @throws HanseError when there is no such contract. */
  contractFields(
    contract: string,
    ecosystem: number,
    caller: KeyPair | undefined,
  ): Promise<readonly ContractField[]>;
  /** Signs and submits; resolves with the transaction's id once the node has journaled it. */
  submitCall(signer: KeyPair, call: LedgerCall): Promise<string>;
  /** @throws HanseError `CLI_FINAL_TIMEOUT` */
  waitFinal(id: string): Promise<TransactionView>;
  /** Submits and waits. @throws HanseError with the outcome's code when the contract failed. */
  execute(signer: KeyPair, call: LedgerCall): Promise<TransactionView>;
  transaction(id: string): Promise<TransactionView>;
  /** The newest without a height. */
  block(height?: number): Promise<BlockView>;
  query(
    name: string,
    params: ReadonlyMap<string, CborValue>,
    options?: { readonly caller?: KeyPair | undefined; readonly ecosystem?: number },
  ): Promise<unknown>;
  /** Rows that the caller may read, by primary key unless ordered otherwise. */
  rows(table: string, page: RowPage): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Installed applications. */
  applications(caller: KeyPair): Promise<readonly ApplicationView[]>;
  /** The account of a key, which signs the question; undefined when the ledger does not know it. */
  account(key: KeyPair): Promise<AccountView | undefined>;
  /** Waits for the block that certifies the transaction's outcome. */
  receipt(id: string, state?: readonly string[], caller?: KeyPair): Promise<Uint8Array>;
}

/** How long a transaction signed here may wait to enter a block. */
const VALID_MS = 3_600_000;
const POLL_MS = 50;
const UNKNOWN_ACCOUNT = ["IDENTITY_UNKNOWN_SIGNER", "IDENTITY_NO_ACCOUNT"];

/** @throws HanseError `CLI_NODE_UNREACHABLE`, `CLI_NODE_TIMEOUT` */
export async function openLedger(url: string, timeoutMs: number): Promise<LedgerClient> {
  const { ledgerId } = await requestJson(url, ROUTES.getNode, { timeoutMs });
  return new HttpLedgerClient(url, ledgerId, timeoutMs);
}

class HttpLedgerClient implements LedgerClient {
  readonly url: string;
  readonly ledgerId: string;
  readonly #timeoutMs: number;

  constructor(url: string, ledgerId: string, timeoutMs: number) {
    this.url = url;
    this.ledgerId = ledgerId;
    this.#timeoutMs = timeoutMs;
  }

  #options(caller?: KeyPair): RequestOptions {
    return {
      timeoutMs: this.#timeoutMs,
      caller:
        caller === undefined ? undefined : { keyPair: caller, ledgerId: fromHex(this.ledgerId) },
    };
  }

  async contractFields(
    contract: string,
    ecosystem: number,
    caller: KeyPair | undefined,
  ): Promise<readonly ContractField[]> {
    const params = new Map<string, CborValue>([["name", contract]]);
    const shown = (await this.query("contract.show", params, { caller, ecosystem })) as {
      readonly fields: readonly ContractField[];
    };
    return shown.fields;
  }

  #sign(signer: KeyPair, call: LedgerCall): Bytes {
    const body = encodeNativeBody({
      ledgerId: fromHex(this.ledgerId),
      sender: signer.publicKey,
      nonce: crypto.getRandomValues(new BigUint64Array(1))[0]!,
      validUntil: Date.now() + VALID_MS,
      ...encodePayload(call),
    });
    return encodeNativeTransaction(body, signMessage(signer, nativeSignedMessage(body)));
  }

  async submitCall(signer: KeyPair, call: LedgerCall): Promise<string> {
    const accepted = await requestJson(this.url, ROUTES.submitTransaction, {
      ...this.#options(),
      bytes: this.#sign(signer, call),
    });
    return accepted.id;
  }

  async waitFinal(id: string): Promise<TransactionView> {
    const until = performance.now() + this.#timeoutMs;
    for (;;) {
      const view = await this.transaction(id);
      if (view.state === "final") return view;
      if (performance.now() > until) {
        throw new HanseError(
          "CLI_FINAL_TIMEOUT",
          "unavailable",
          `transaction ${id} is accepted but not final within ${this.#timeoutMs / 1000} s; it is not lost: ask again with \`hanse tx status ${id} --wait\``,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async execute(signer: KeyPair, call: LedgerCall): Promise<TransactionView> {
    const answer = await requestJson(this.url, ROUTES.submitTransaction, {
      ...this.#options(),
      bytes: this.#sign(signer, call),
      // The node answers as soon as it is final; a little less patience than ours, so that its
      // answer "accepted, not final yet" still reaches us.
      query: { wait: "final", timeoutMs: Math.max(1, this.#timeoutMs - 1_000) },
    });
    const view = answer.status === "final" ? viewOf(answer) : await this.waitFinal(answer.id);
    const { code, error } = view.outcome!;
    if (code === "ok") return view;
    const name = "module" in call ? `${call.module}.${call.action}` : call.contract;
    throw new HanseError(code, "rejected", `${name}: ${error}`, {
      details: { transaction: view.id },
    });
  }

  async transaction(id: string): Promise<TransactionView> {
    const answer = await requestJson(this.url, ROUTES.getTransaction, {
      ...this.#options(),
      params: { id },
    });
    if (answer.status === "pending") return { id, state: "waiting" };
    return viewOf(answer);
  }

  async block(height?: number): Promise<BlockView> {
    const wanted =
      height ?? (await requestJson(this.url, ROUTES.getLedger, this.#options())).height;
    const block = await requestJson(this.url, ROUTES.getBlock, {
      ...this.#options(),
      params: { height: wanted },
    });
    return {
      height: block.height,
      hash: block.hash,
      time: new Date(block.header.time).toISOString(),
      proposer: block.header.proposer,
      parentHash: block.header.parentHash,
      stateRootBefore: block.header.prevStateRoot,
      sizeBytes: block.bytes,
      transactionIds: block.transactionIds,
    };
  }

  async query(
    name: string,
    params: ReadonlyMap<string, CborValue>,
    options: { readonly caller?: KeyPair | undefined; readonly ecosystem?: number } = {},
  ): Promise<unknown> {
    const input = {
      ...(toPlain(params) as object),
      ...(options.ecosystem === undefined || options.ecosystem === 1
        ? {}
        : { ecosystem: options.ecosystem }),
    };
    const answer = await requestJson(this.url, ROUTES.runQuery, {
      ...this.#options(options.caller),
      json: { engine: "needle", name, input },
    });
    return answer.result;
  }

  async rows(table: string, page: RowPage): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { caller, ...query } = page;
    const answer = await requestJson(this.url, ROUTES.listRows, {
      ...this.#options(caller),
      params: { name: table },
      query,
    });
    return answer.rows.map((row) => row.values);
  }

  async applications(caller: KeyPair): Promise<readonly ApplicationView[]> {
    const answer = await requestJson(this.url, ROUTES.listApplications, this.#options(caller));
    return answer.applications as ApplicationView[];
  }

  async account(key: KeyPair): Promise<AccountView | undefined> {
    try {
      return await requestJson(this.url, ROUTES.getAccount, {
        ...this.#options(key),
        params: { id: publicKeyToText(key.publicKey) },
      });
    } catch (error) {
      if (error instanceof HanseError && UNKNOWN_ACCOUNT.includes(error.code)) return undefined;
      throw error;
    }
  }

  async receipt(id: string, state: readonly string[] = [], caller?: KeyPair): Promise<Uint8Array> {
    const until = performance.now() + this.#timeoutMs;
    for (;;) {
      try {
        const response = await requestRaw(this.url, ROUTES.getReceipt, {
          ...this.#options(caller),
          params: { id },
          query: { state },
        });
        return new Uint8Array(await response.arrayBuffer());
      } catch (error) {
        const pending = error instanceof HanseError && error.code === "LEDGER_RECEIPT_PENDING";
        if (!pending || performance.now() > until) throw error;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
  }
}

type FinalAnswer = Extract<AnswerOf<typeof ROUTES.getTransaction>, { status: "final" }>;

function viewOf({ id, height, index, outcome }: FinalAnswer): TransactionView {
  return { id, state: "final", height, index, outcome };
}

function encodePayload(call: LedgerCall): { readonly engine: string; readonly payload: Bytes } {
  return "module" in call
    ? { engine: NATIVE_ENGINE, payload: encodeNativeCall(call.module, call.action, call.args) }
    : { engine: "needle", payload: encodeCall(call.contract, call.params, call.ecosystem) };
}

function toPlain(value: CborValue): unknown {
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, item]) => [key, toPlain(item)]));
  }
  if (Array.isArray(value)) return value.map(toPlain);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return typeof value === "bigint" ? value.toString() : value;
}

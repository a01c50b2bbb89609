/** What the commands ask of a ledger through one of its nodes, over the product's own client. */
import type { AnswerOf, ROUTES } from "@hanse/api";
import { encodeCall } from "@hanse/engine-needle";
import { encodeNativeCall, NATIVE_ENGINE } from "@hanse/modules";
import {
  type Bytes,
  type CborValue,
  fromHex,
  HanseError,
  type KeyPair,
  publicKeyToText,
  toHex,
} from "@hanse/protocol";
import { type Client, createClient, type FinalTransaction } from "@hanse/sdk";
import type { ContractField } from "./call-parameters.ts";

export interface TransactionView {
  /** Hex. */
  readonly id: string;
  readonly state: "waiting" | "final";
  readonly height?: number;
  readonly index?: number;
  readonly outcome?: FinalTransaction["outcome"];
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

export interface LedgerClientOptions {
  /** Patience with an answer and with finality, milliseconds. */
  readonly timeoutMs: number;
  /** Repetitions after "too busy" and "not now", each after the time that the node names. */
  readonly retries?: number;
}

const UNKNOWN_ACCOUNT = ["IDENTITY_UNKNOWN_SIGNER", "API_NO_ACCOUNT"];
const POLL_MS = 50;

/** @throws HanseError `SDK_UNREACHABLE`, `SDK_TIMEOUT` */
export async function openLedger(
  url: string,
  options: number | LedgerClientOptions,
): Promise<LedgerClient> {
  const settings = typeof options === "number" ? { timeoutMs: options } : options;
  const reader = createClient({ url, ...settings });
  return new LedgerClient(reader, toHex(await reader.ledgerId()), settings);
}

export class LedgerClient {
  readonly url: string;
  /** Hex. */
  readonly ledgerId: string;
  readonly #reader: Client;
  readonly #settings: LedgerClientOptions;
  /** One per key: each holds the session of its account. */
  readonly #clients = new Map<string, Client>();

  constructor(reader: Client, ledgerId: string, settings: LedgerClientOptions) {
    this.url = reader.url;
    this.ledgerId = ledgerId;
    this.#reader = reader;
    this.#settings = settings;
  }

  #as(caller: KeyPair | undefined): Client {
    if (caller === undefined) return this.#reader;
    const name = publicKeyToText(caller.publicKey);
    let client = this.#clients.get(name);
    if (client === undefined) {
      client = createClient({ url: this.url, key: caller, ...this.#settings });
      this.#clients.set(name, client);
    }
    return client;
  }

  /** Data fields of a contract. @throws HanseError when there is no such contract. */
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

  /** Signs and submits; resolves with the transaction's id once the node has journaled it. */
  async submitCall(signer: KeyPair, call: LedgerCall): Promise<string> {
    const client = this.#as(signer);
    const { bytes } = await client.sign(encodePayload(call));
    return (await client.submit(bytes)).id;
  }

  /** Signs, submits and waits; a contract that failed is a final outcome, not an exception. */
  async run(signer: KeyPair, call: LedgerCall): Promise<TransactionView> {
    const client = this.#as(signer);
    const { bytes } = await client.sign(encodePayload(call));
    return viewOf(await client.submitAndWait(bytes, { timeoutMs: this.#settings.timeoutMs }));
  }

  /** As `run`. @throws HanseError with the outcome's code when the contract failed. */
  async execute(signer: KeyPair, call: LedgerCall): Promise<TransactionView> {
    const view = await this.run(signer, call);
    const { code, error } = view.outcome!;
    if (code === "ok") return view;
    const name = "module" in call ? `${call.module}.${call.action}` : call.contract;
    throw new HanseError(code, "rejected", `${name}: ${error}`, {
      details: { transaction: view.id },
    });
  }

  /** @throws HanseError `SDK_NOT_FINAL` */
  async waitFinal(id: string): Promise<TransactionView> {
    return viewOf(await this.#reader.waitFinal(id, { timeoutMs: this.#settings.timeoutMs }));
  }

  async transaction(id: string): Promise<TransactionView> {
    const state = await this.#reader.transaction(id);
    return state.status === "final" ? viewOf(state) : { id, state: "waiting" };
  }

  /** The newest without a height. */
  async block(height?: number): Promise<BlockView> {
    const block = await this.#reader.block(height ?? (await this.#reader.ledger()).height);
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

  /** A read-only call of the engine needle. */
  query(
    name: string,
    params: ReadonlyMap<string, CborValue>,
    options: { readonly caller?: KeyPair | undefined; readonly ecosystem?: number } = {},
  ): Promise<unknown> {
    const { caller, ecosystem = 1 } = options;
    const input = {
      ...(toPlain(params as CborValue) as object),
      ...(ecosystem === 1 ? {} : { ecosystem }),
    };
    return this.#as(caller).query("needle", name, input);
  }

  /** A read-only call of a native module, such as `governance.set`. */
  nativeQuery(name: string, input: unknown, caller: KeyPair): Promise<unknown> {
    return this.#as(caller).query(NATIVE_ENGINE, name, input);
  }

  status(): Promise<AnswerOf<typeof ROUTES.getStatus>> {
    return this.#reader.status();
  }

  /** A block as it is encoded. */
  blockBody(height: number, caller: KeyPair): Promise<Bytes> {
    return this.#as(caller).blockBody(height);
  }

  /** The certificate or proof with which the node holds a block. */
  async blockProof(height: number): Promise<Bytes> {
    return fromHex((await this.#reader.block(height)).certificate);
  }

  /** Rows that the caller may read, by primary key unless ordered otherwise. */
  async rows(table: string, page: RowPage): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { caller, ...query } = page;
    const answer = await this.#as(caller).rows(table, query);
    return answer.rows.map((row) => row.values);
  }

  /** Installed applications. */
  async applications(caller: KeyPair): Promise<readonly ApplicationView[]> {
    return (await this.#as(caller).applications()) as ApplicationView[];
  }

  /** The account of a key, which signs the question; undefined when the ledger does not know it. */
  async account(key: KeyPair): Promise<AccountView | undefined> {
    try {
      return await this.#as(key).account(publicKeyToText(key.publicKey));
    } catch (error) {
      if (error instanceof HanseError && UNKNOWN_ACCOUNT.includes(error.code)) return undefined;
      throw error;
    }
  }

  /** A page of headers and proofs, from a height on; with the newest block, or that of height `at`. */
  lightPage(from: number, changes: boolean, at?: number): Promise<Bytes> {
    const wanted = { from, changes: changes ? 1 : 0 };
    return this.#reader.lightPage(at === undefined ? wanted : { ...wanted, at });
  }

  /** Waits for the block that certifies the transaction's outcome; `state` = rows as `table:key`. */
  async receipt(id: string, state: readonly string[] = [], caller?: KeyPair): Promise<Bytes> {
    const until = performance.now() + this.#settings.timeoutMs;
    for (;;) {
      try {
        return await this.#as(caller).receipt(id, { state });
      } catch (error) {
        const pending = error instanceof HanseError && error.code === "LEDGER_RECEIPT_PENDING";
        if (!pending || performance.now() > until) throw error;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
  }
}

function viewOf({ id, height, index, outcome }: FinalTransaction): TransactionView {
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

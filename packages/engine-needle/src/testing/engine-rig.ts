/** The engine over state in memory, with an application made of texts. For tests. */
import { encodePackageFiles, seedEcosystem } from "@hanse/ecosystem";
import { seedIdentity } from "@hanse/identity";
import type { BlockContext, DecodedTransaction, Outcome, Sender } from "@hanse/ledger";
import {
  type Bytes,
  DEFAULT_LEDGER_PARAMS,
  type GenesisDocument,
  type LedgerParams,
  sha256,
  utf8,
  ZERO_HASH,
} from "@hanse/protocol";
import { createMemoryState, createOverlay, type MemoryState, type StateChange } from "@hanse/state";
import { createNeedleEngine, type NeedleEngine } from "../engine/engine.ts";
import { type CallValue, encodeCall } from "../payload/call.ts";

export const BLOCK_TIME = 1_760_000_000_500;

export interface RigTable {
  readonly name: string;
  readonly columns: readonly object[];
  readonly permissions?: object;
  readonly indexes?: readonly string[];
}

export interface RigApplication {
  readonly name?: string;
  readonly version?: string;
  readonly tables?: readonly RigTable[];
  /** Sources; each holds one contract. */
  readonly contracts?: readonly string[];
  readonly parameters?: Readonly<Record<string, string>>;
  readonly languages?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export const OPEN = { insert: "true", update: "true", new_column: "false" };

export function packApplication(application: RigApplication): Bytes {
  const files = new Map<string, Bytes>();
  const add = (path: string, content: unknown) =>
    files.set(path, utf8(typeof content === "string" ? content : JSON.stringify(content)));
  add("hanse-app.json", {
    format: 1,
    name: application.name ?? "app",
    version: application.version ?? "1.0.0",
    parameters: application.parameters ?? {},
  });
  for (const table of application.tables ?? []) {
    add(`tables/${table.name}.json`, {
      ...table,
      permissions: table.permissions ?? OPEN,
    });
  }
  for (const source of application.contracts ?? []) {
    add(`contracts/${/contract\s+(\w+)/.exec(source)![1]}.sim`, source);
  }
  for (const [code, texts] of Object.entries(application.languages ?? {})) {
    add(`languages/${code}.json`, texts);
  }
  return encodePackageFiles(files);
}

export function person(name: string, org: string, ...roles: string[]): Sender {
  const accountId = sha256(utf8(name));
  const keyId = new DataView(accountId.buffer, accountId.byteOffset).getBigInt64(0);
  return { accountId, keyId, name, org, roles };
}

export const ROOT = person("root", "root", "network-admin");
export const ADA = person("ada", "harbour", "clerk");
export const BEN = person("ben", "court", "judge");

export class EngineRig {
  readonly engine: NeedleEngine = createNeedleEngine();
  readonly state: MemoryState = createMemoryState();
  readonly params: LedgerParams;
  #height = 0;
  #serial = 0;

  constructor(params: Partial<LedgerParams> = {}) {
    this.params = { ...DEFAULT_LEDGER_PARAMS, ...params };
    const genesis = createOverlay(this.state, 0);
    genesis.begin(0);
    const document = { network: "test", time: BLOCK_TIME, accounts: [] };
    seedIdentity(genesis, {
      ...document,
      organizations: [],
      nodes: [],
    } as unknown as GenesisDocument);
    seedEcosystem(genesis, document);
    this.state.apply(0, genesis.changes());
  }

  get block(): BlockContext {
    return {
      ledgerId: ZERO_HASH,
      height: this.#height,
      time: BLOCK_TIME + this.#height * 100,
      parentHash: ZERO_HASH,
      proposer: "root/node-1",
      params: this.params,
    };
  }

  transaction(sender: Sender, payload: Bytes): DecodedTransaction {
    return {
      id: sha256(utf8(`transaction ${this.#serial++}`)),
      form: 1,
      bytes: payload,
      ledgerId: ZERO_HASH,
      sender: sender.accountId,
      senderKey: { algorithm: "ed25519", bytes: new Uint8Array(32) },
      claims: [],
      validUntil: 0,
      engine: "needle",
      payload,
    };
  }

  /** What an engine makes of a transaction in the block at hand. */
  apply(engine: NeedleEngine, sender: Sender, transaction: DecodedTransaction) {
    const state = createOverlay(this.state, this.#height);
    state.begin(0);
    const outcome = engine.apply({ block: this.block, transaction, index: 0, sender, state });
    return { outcome, changes: state.changes() };
  }

  /** Begins the next block. */
  begin(): void {
    this.#height += 1;
  }

  commit(changes: readonly StateChange[]): void {
    this.state.apply(this.#height, changes);
  }

  /** Runs a payload as the only transaction of a block. */
  run(sender: Sender, payload: Bytes): Outcome {
    this.begin();
    const transaction = this.transaction(sender, payload);
    const { outcome, changes } = this.apply(this.engine, sender, transaction);
    this.commit(changes);
    return outcome;
  }

  call(
    sender: Sender,
    name: string,
    params: Readonly<Record<string, CallValue>> = {},
    ecosystem = 1,
  ): Outcome {
    return this.run(sender, encodeCall(name, params, ecosystem));
  }

  /** Admission's check. @throws HanseError */
  check(sender: Sender, name: string, params: Readonly<Record<string, CallValue>> = {}): void {
    this.engine.check(this.transaction(sender, encodeCall(name, params)), sender, this.state);
  }

  query(sender: Sender | undefined, name: string, input: unknown = {}): unknown {
    return this.engine.query!(name, input, sender, this.state, this.block);
  }

  install(application: RigApplication): void {
    const outcome = this.call(ROOT, "app.install", { package: packApplication(application) });
    if (outcome.code !== "ok") throw new Error(`${outcome.code}: ${outcome.error}`);
  }
}

/**
 * What the language asks of the ledger around it. Everything is synchronous. The runtime checks
 * the types of arguments, charges the price of a call from the table of built-ins, accounts the
 * memory of results and puts the place of the call on what is thrown; the host resolves table
 * names, checks rights (through `NeedleCall.evaluate` for stored conditions) and charges the cost
 * of data. Rows come back as maps of texts in column order.
 *
 * A host function fails by throwing a NeedleFault, or a HanseError: its code and message become
 * those of the run. HanseErrors of kind `corrupt` and any other error pass through the run: they
 * are bugs or broken nodes, not failures of a contract.
 */
import type { NeedleContract, NeedleFunction } from "../contracts/unit.ts";
import type { NeedleArray, NeedleMap, NeedleValue } from "../values/value.ts";

/** The values behind the system variables; see section "System variables" of spec/needle.md. */
export interface SystemValues {
  /** `$key_id`: the sender's number, signed 64-bit. */
  readonly keyId: bigint;
  /** `$account_id`: the sender's address text. */
  readonly accountId: string;
  /** `$ecosystem_id`: ecosystem of the transaction; bare table names belong to it. */
  readonly ecosystemId: bigint;
  /** `$type`: number of the contract called. */
  readonly contractId: bigint;
  /** `$time`: time of the block, milliseconds since 1970 (seconds in the lenient profile). */
  readonly timeMs: bigint;
  /** `$block`: height of the block. */
  readonly block: bigint;
  /** `$block_key_id`: number of the account that proposed the block. */
  readonly blockKeyId: bigint;
  /** `$node_position`: place of the proposer in the validator set. */
  readonly nodePosition: bigint;
  /** `$txhash`. */
  readonly transactionHash: Uint8Array;
  /** `$pre_block_data_hash`, shown as hexadecimal text. */
  readonly previousBlockHash: Uint8Array;
  /** Languages of the caller in order of preference, for `LangRes`; empty for the default. */
  readonly languages: string;
}

/** The call in whose course a host function runs. */
export interface NeedleCall {
  readonly system: SystemValues;
  /** Full name of the contract that calls (`@1Name`), empty outside of contracts. */
  readonly contractName: string;
  /** Full names of the contracts on the call stack, outermost first. */
  readonly callStack: readonly string[];
  /** True inside `conditions` and stored conditions, where nothing may be written. */
  readonly readOnly: boolean;
  /** A data field or `$` variable of the running contract; undefined when there is none. */
  variable(name: string): NeedleValue | undefined;
  /** Burns fuel. @throws NeedleFault when it is used up. */
  useFuel(units: number): void;
  /** Accounts memory. @throws NeedleFault when it is used up. */
  useMemory(bytes: number): void;
  /**
   * Evaluates a stored condition with the system variables and the transaction's data fields,
   * plus `extra` variables (such as `data` for row filters), at the cost of this run and without
   * the right to write. An empty text is refused: what it means is the caller's rule.
   * @throws NeedleFault when the text is no condition, or its evaluation fails.
   */
  evaluate(condition: string, extra?: ReadonlyMap<string, NeedleValue>): boolean;
}

/** Everything a DBFind chain may say; absent where the chain does not say it. */
export interface FindRequest {
  /** Comma-separated text or array of texts. */
  readonly columns?: NeedleValue;
  readonly where?: NeedleMap;
  readonly whereId?: bigint;
  /** Text, map `{column: "1" | "-1"}`, or array of these. */
  readonly order?: NeedleValue;
  readonly limit?: bigint;
  readonly offset?: bigint;
  readonly group?: string;
  readonly select?: NeedleValue;
  readonly all?: boolean;
  readonly ecosystem?: bigint;
  /** Only the first row of the result is wanted. */
  readonly firstOnly: boolean;
}

/** Built-in functions that the host implements, under their names in the language. */
export interface HostFunctions {
  DBFind(call: NeedleCall, table: string, request: FindRequest): NeedleArray;
  DBCount(call: NeedleCall, table: string, where: NeedleMap): bigint;
  /** Returns the id of the new row. */
  DBInsert(call: NeedleCall, table: string, values: NeedleMap): bigint;
  DBUpdate(call: NeedleCall, table: string, id: bigint, values: NeedleMap): void;
  DBUpdateExt(call: NeedleCall, table: string, where: NeedleMap, values: NeedleMap): void;
  DBUpdatePlatformParam(call: NeedleCall, name: string, value: string, conditions: string): void;
  GetColumnType(call: NeedleCall, table: string, column: string): string;
  GetHistory(call: NeedleCall, table: string, id: bigint): NeedleArray;
  GetHistoryRow(call: NeedleCall, table: string, id: bigint, version: bigint): NeedleMap;
  GetBlock(call: NeedleCall, height: bigint): NeedleMap | null;

  EcosysParam(call: NeedleCall, name: string): string;
  AppParam(call: NeedleCall, application: bigint, name: string, ecosystem: bigint): string;
  SysParamString(call: NeedleCall, name: string): string;
  SysParamInt(call: NeedleCall, name: string): bigint;
  SysFuel(call: NeedleCall, ecosystem: bigint): string;
  /** `languages` is empty when the contract gave none. */
  LangRes(call: NeedleCall, id: string, languages: string): string;
  /** Digits behind the point of an ecosystem's token, for `FormatMoney(s, 0)`. */
  TokenDigits(call: NeedleCall, ecosystem: bigint): bigint;
  GetContractByName(call: NeedleCall, name: string): bigint;
  GetContractById(call: NeedleCall, id: bigint): string;
  TransactionInfo(call: NeedleCall, hash: string): string;

  RoleAccess(call: NeedleCall, roles: readonly bigint[]): boolean;
  /** Name of the sender's organization, and of the sender; whether it holds a named role. */
  SenderOrganization(call: NeedleCall): string;
  SenderName(call: NeedleCall): string;
  HasRole(call: NeedleCall, role: string): boolean;
  EvalCondition(call: NeedleCall, table: string, name: string, column: string): void;
  RowConditions(call: NeedleCall, table: string, id: bigint, conditionOnly: boolean): void;
  AllowChangeCondition(call: NeedleCall, table: string): void;
  PubToID(call: NeedleCall, publicKey: string): bigint;

  CreateTable(
    call: NeedleCall,
    name: string,
    columns: string,
    permissions: string,
    application: bigint,
  ): void;
  CreateView(
    call: NeedleCall,
    name: string,
    columns: string,
    where: string,
    application: bigint,
  ): void;
  CreateColumn(
    call: NeedleCall,
    table: string,
    name: string,
    type: string,
    permissions: string,
  ): void;
  PermTable(call: NeedleCall, name: string, permissions: string): void;
  PermColumn(call: NeedleCall, table: string, column: string, permissions: string): void;
  TableConditions(call: NeedleCall, name: string, columns: string, permissions: string): void;
  ColumnCondition(
    call: NeedleCall,
    table: string,
    name: string,
    type: string,
    permissions: string,
  ): void;
  DelTable(call: NeedleCall, name: string): void;
  DelColumn(call: NeedleCall, table: string, name: string): void;
  CreateContract(
    call: NeedleCall,
    name: string,
    value: string,
    conditions: string,
    tokenEcosystem: bigint,
    application: bigint,
  ): bigint;
  UpdateContract(
    call: NeedleCall,
    id: bigint,
    value: string,
    conditions: string,
    wallet: bigint,
    token: string,
  ): void;
  CreateLanguage(call: NeedleCall, name: string, translations: string): bigint;
  EditLanguage(call: NeedleCall, id: bigint, name: string, translations: string): void;
  CreateEcosystem(call: NeedleCall, wallet: bigint, name: string): bigint;
  EditEcosysName(call: NeedleCall, id: bigint, name: string): void;
  /** Announces something to those who listen to the ledger; undone with a failed transaction. */
  EmitEvent(call: NeedleCall, name: string, data: NeedleMap): void;
}

export interface NeedleHost {
  /** The contract now installed under a full name such as `@1Transfer`. */
  findContract(fullName: string): NeedleContract | undefined;
  /** A free function of any installed program. */
  findFunction(name: string): NeedleFunction | undefined;
  /** Those missing fail with `NEEDLE_UNAVAILABLE` when they are called. */
  readonly functions: Partial<HostFunctions>;
}

/** The contract engine `needle`: calls of contracts, applications, reads. */
import {
  type Catalog,
  CatalogCache,
  type CatalogContract,
  type CatalogTable,
  readableColumns,
  requireReadable,
  resolveContractName,
  visibleRows,
} from "@hanse/ecosystem";
import type {
  BlockContext,
  ContractEngine,
  DecodedTransaction,
  Outcome,
  Sender,
  TransactionContext,
} from "@hanse/ledger";
import {
  ConditionCache,
  checkParams,
  evaluateCondition,
  type NeedleContract,
  type NeedleValue,
  paramsFromJson,
  type RunOptions,
  runContract,
  runErrorToText,
} from "@hanse/needle";
import { type CborValue, HanseError, ZERO_HASH } from "@hanse/protocol";
import {
  type Condition,
  createOverlay,
  type RowRef,
  type StateOverlay,
  type StateView,
} from "@hanse/state";
import {
  applyAppCall,
  appResultText,
  compileApplication,
  FUEL_PACKAGE_BYTE,
  isAppCall,
  parseAppCall,
} from "../applications/app-call.ts";
import { CallSession, type RightsCall } from "../host/call-session.ts";
import { LedgerHost } from "../host/ledger-host.ts";
import { RunContext } from "../host/run-context.ts";
import { decodeCall, type NeedleCall } from "../payload/call.ts";
import { PrefetchHints } from "../prefetch/prefetch-hints.ts";
import { ProgramCache } from "../programs/program-cache.ts";
import { ENGINE_READS, type Input, noContract } from "../reads/engine-reads.ts";
import { resultJson } from "../reads/result-json.ts";
import { contractCodeOf, errorOutcome, okOutcome, runErrorOutcome } from "./outcomes.ts";
import { systemValues } from "./system-values.ts";

export const NEEDLE_ENGINE = "needle";

export interface NeedleEngineOptions {
  /** Compiled programs kept in memory, 2 000 unless said. */
  readonly programsMax?: number;
  /** Compiled conditions kept in memory, 2 000 unless said. */
  readonly conditionsMax?: number;
  /** Fuel of one read-only call, 20 000 000 unless said. */
  readonly readFuelMax?: number;
}

const CONDITIONS_MAX = 2_000;
const READ_FUEL_MAX = 20_000_000;
/** Decoded calls kept from prefetching to execution: more than a block has. */
const CALLS_KEPT_MAX = 10_000;

/** What a caller may read of a table; for doors that query state themselves. */
export interface TableReadAccess {
  /** Columns the caller may read, in table order; rows are selected and ordered by these alone. */
  readonly columns: readonly string[];
  /** Rows the caller may read: all, or those that also meet this condition. */
  readonly rows: Condition | "all";
  /** The table has a `filter` over selected rows: only `table.rows` answers for it. */
  readonly filtered: boolean;
}

export interface NeedleEngine extends ContractEngine {
  /**
   * Rights of a caller over a table of an ecosystem, by its name in state (`1_deeds`); undefined
   * when contracts do not know the table.
   * @throws HanseError `NEEDLE_ACCESS_DENIED` when the caller may read nothing of it.
   */
  readAccess(
    table: string,
    caller: Sender | undefined,
    state: StateView,
    block: BlockContext,
  ): TableReadAccess | undefined;
}

/** Money may come as an integer; the language takes its text. */
function withMoneyTexts(
  contract: NeedleContract,
  params: ReadonlyMap<string, CborValue>,
): ReadonlyMap<string, CborValue> {
  let changed: Map<string, CborValue> | undefined;
  for (const { name, type } of contract.fields) {
    if (type !== "money") continue;
    const value = params.get(name);
    if (typeof value !== "number" && typeof value !== "bigint") continue;
    changed ??= new Map(params);
    changed.set(name, value.toString());
  }
  return changed ?? params;
}

class Engine implements NeedleEngine {
  readonly kind = NEEDLE_ENGINE;
  readonly #catalogs = new CatalogCache();
  readonly #programs: ProgramCache;
  readonly #conditions: ConditionCache;
  readonly #hints = new PrefetchHints();
  readonly #host: LedgerHost;
  readonly #readFuelMax: number;
  /** Calls of the block at hand, decoded for prefetching, until they run. */
  readonly #calls = new Map<DecodedTransaction, NeedleCall>();

  constructor(options: NeedleEngineOptions) {
    this.#programs = new ProgramCache(options.programsMax);
    this.#conditions = new ConditionCache(options.conditionsMax ?? CONDITIONS_MAX);
    this.#readFuelMax = options.readFuelMax ?? READ_FUEL_MAX;
    this.#host = new LedgerHost({ compile: (entry) => this.#programs.compile(entry) });
  }

  #takeCall(transaction: DecodedTransaction): NeedleCall {
    const call = this.#calls.get(transaction);
    if (call === undefined) return decodeCall(transaction.payload);
    this.#calls.delete(transaction);
    return call;
  }

  /** @throws HanseError `NEEDLE_NO_ECOSYSTEM` */
  #requireEcosystem(ecosystem: number, state: StateView, catalog: Catalog): void {
    if (ecosystem === 1 || catalog.hasEcosystem(state, ecosystem)) return;
    throw new HanseError(
      "NEEDLE_NO_ECOSYSTEM",
      "notFound",
      `there is no ecosystem ${ecosystem} on this ledger`,
      { details: { ecosystem } },
    );
  }

  #entry(
    call: NeedleCall,
    state: StateView,
    catalog = this.#catalogs.open(state),
  ): CatalogContract {
    this.#requireEcosystem(call.ecosystem, state, catalog);
    const { ecosystem, name, full } = resolveContractName(call.name, call.ecosystem);
    const entry = catalog.contract(state, ecosystem, name);
    if (entry === undefined) throw noContract(full);
    return entry;
  }

  /** Contracts that stand in a state, by full name. */
  #installed(state: StateView): (fullName: string) => NeedleContract | undefined {
    return (fullName) => {
      const { ecosystem, name } = resolveContractName(fullName, 1);
      const entry = this.#catalogs.open(state).contract(state, ecosystem, name);
      return entry === undefined ? undefined : this.#programs.compile(entry);
    };
  }

  check(transaction: DecodedTransaction, _sender: Sender, state: StateView): void {
    const call = decodeCall(transaction.payload);
    if (isAppCall(call)) {
      compileApplication(parseAppCall(call), this.#installed(state));
      return;
    }
    const contract = this.#programs.compile(this.#entry(call, state));
    checkParams(contract, withMoneyTexts(contract, call.params));
  }

  apply(context: TransactionContext): Outcome {
    try {
      const call = this.#takeCall(context.transaction);
      return isAppCall(call) ? this.#applyApp(call, context) : this.#applyCall(call, context);
    } catch (thrown) {
      // What admission refuses may still come in a block that another node proposed.
      if (thrown instanceof HanseError && thrown.kind !== "corrupt") {
        return errorOutcome(thrown, 0n);
      }
      throw thrown;
    }
  }

  #applyCall(call: NeedleCall, context: TransactionContext): Outcome {
    const { block, sender, state, transaction } = context;
    const catalog = this.#catalogs.open(state);
    const entry = this.#entry(call, state, catalog);
    const contract = this.#programs.compile(entry);
    const values = checkParams(contract, withMoneyTexts(contract, call.params));
    const reads = this.#hints.watch(contract);
    const { ecosystem } = call;
    const run = new RunContext(this.#catalogs, state, block, sender, ecosystem, reads, catalog);
    const system = systemValues(block, sender, ecosystem, entry.id, transaction.id);
    const save = state.savepoint();
    const result = this.#host.enter(run, () =>
      runContract(contract, values, this.#options(system, block)),
    );
    if (reads !== undefined) this.#hints.learn(contract.fullName, call.params, reads);
    if (result.error !== undefined) {
      state.rollbackTo(save);
      return runErrorOutcome(result.error, result.fuelUsed);
    }
    return okOutcome(result.text, result.fuelUsed, run.events);
  }

  #options(system: RunOptions["system"], block: BlockContext, fuel?: number): RunOptions {
    return {
      host: this.#host,
      system,
      fuel: fuel ?? block.params.fuelPerTransactionMax,
      memoryBytes: block.params.contractMemoryBytesMax,
      conditions: this.#conditions,
    };
  }

  #applyApp(call: NeedleCall, context: TransactionContext): Outcome {
    const { block, sender, state, transaction } = context;
    const app = parseAppCall(call);
    this.#requireEcosystem(app.ecosystem, state, this.#catalogs.open(state));
    const fuelUsed = BigInt(app.packageBytes.length * FUEL_PACKAGE_BYTE);
    const run = new RunContext(this.#catalogs, state, block, sender, app.ecosystem);
    const system = systemValues(block, sender, app.ecosystem, 0n, transaction.id);
    const rights = this.#rightsCall(run, this.#options(system, block));
    const session = new CallSession(run, rights);
    const save = state.savepoint();
    try {
      const result = this.#host.enter(run, () =>
        applyAppCall(app, run, this.#installed(state), (condition) =>
          session.fulfils(condition, app.ecosystem),
        ),
      );
      return okOutcome(appResultText(result), fuelUsed, run.events);
    } catch (thrown) {
      state.rollbackTo(save);
      if (thrown instanceof HanseError && thrown.kind !== "corrupt") {
        return errorOutcome(thrown, fuelUsed);
      }
      throw thrown;
    }
  }

  /** Rights outside of any contract: each condition is a run of its own. */
  #rightsCall(run: RunContext, options: RunOptions): RightsCall {
    let fuelLeft = options.fuel!;
    return {
      callStack: [],
      useFuel(units) {
        fuelLeft -= units;
        if (fuelLeft < 0) {
          throw new HanseError("FUEL_EXHAUSTED", "limit", "the fuel of the read is used up");
        }
      },
      evaluate: (condition, extra) => {
        const variables: ReadonlyMap<string, NeedleValue> = extra ?? new Map();
        const result = this.#host.enter(run, () =>
          evaluateCondition(condition, variables, { ...options, fuel: Math.max(0, fuelLeft) }),
        );
        fuelLeft -= Number(result.fuelUsed);
        if (result.error === undefined) return result.value === true;
        throw new HanseError(
          contractCodeOf(result.error),
          result.error.kind === "limit" ? "limit" : "denied",
          runErrorToText(result.error),
        );
      },
    };
  }

  touches(transaction: DecodedTransaction): readonly RowRef[] {
    let call: NeedleCall;
    try {
      call = decodeCall(transaction.payload);
    } catch {
      return [];
    }
    if (this.#calls.size >= CALLS_KEPT_MAX) this.#calls.clear();
    this.#calls.set(transaction, call);
    return this.#hints.rows(resolveContractName(call.name, call.ecosystem).full, call.params);
  }

  query(
    name: string,
    input: unknown,
    caller: Sender | undefined,
    state: StateView,
    block: BlockContext,
  ): unknown {
    const given = inputOf(input);
    const ecosystem = ecosystemOf(given);
    const overlay = createOverlay(state, block.height);
    this.#requireEcosystem(ecosystem, overlay, this.#catalogs.open(overlay));
    const read = ENGINE_READS.get(name);
    if (read !== undefined) {
      const { run, session } = this.#reader(caller, overlay, block, ecosystem);
      return this.#host.enter(run, () =>
        read(
          {
            run,
            session,
            contract: (home, bare) => this.#host.findContract(`@${home}${bare}`),
          },
          given,
        ),
      );
    }
    if (name.includes(".")) {
      throw new HanseError(
        "NEEDLE_NO_READ",
        "notFound",
        `there is no read '${name.slice(0, 60)}'; there are ${[...ENGINE_READS.keys()].join(", ")}`,
      );
    }
    return this.#queryContract(name, given, caller, overlay, block, ecosystem);
  }

  #reader(
    caller: Sender | undefined,
    overlay: StateOverlay,
    block: BlockContext,
    ecosystem: number,
  ) {
    const run = new RunContext(this.#catalogs, overlay, block, caller, ecosystem);
    const system = systemValues(block, caller, ecosystem, 0n, ZERO_HASH);
    const options = this.#options(system, block, this.#readFuelMax);
    return { run, session: new CallSession(run, this.#rightsCall(run, options)) };
  }

  #queryContract(
    name: string,
    input: Input,
    caller: Sender | undefined,
    overlay: StateOverlay,
    block: BlockContext,
    ecosystem: number,
  ): unknown {
    const call: NeedleCall = { name, params: new Map(), ecosystem };
    const entry = this.#entry(call, overlay);
    const contract = this.#programs.compile(entry);
    if (contract.writes) {
      throw new HanseError(
        "NEEDLE_NOT_READ_ONLY",
        "rejected",
        `contract ${entry.full} changes the ledger: send it as a transaction`,
        { details: { contract: entry.full } },
      );
    }
    const fields: Record<string, unknown> = { ...input };
    if (!contract.fields.some((field) => field.name === "ecosystem")) delete fields.ecosystem;
    const values = checkParams(contract, paramsFromJson(contract, fields));
    const run = new RunContext(this.#catalogs, overlay, block, caller, ecosystem);
    const system = systemValues(block, caller, ecosystem, entry.id, ZERO_HASH);
    const result = this.#host.enter(run, () =>
      runContract(contract, values, this.#options(system, block, this.#readFuelMax)),
    );
    if (result.error !== undefined) {
      throw new HanseError(
        contractCodeOf(result.error),
        result.error.kind === "limit" ? "limit" : "rejected",
        runErrorToText(result.error),
        { details: { contract: entry.full } },
      );
    }
    return resultJson(result.value);
  }

  readAccess(
    table: string,
    caller: Sender | undefined,
    state: StateView,
    block: BlockContext,
  ): TableReadAccess | undefined {
    const entry = this.#catalogs.open(state).table(state, table);
    if (entry === undefined) return undefined;
    const overlay = createOverlay(state, block.height);
    const { run, session } = this.#reader(caller, overlay, block, entry.ecosystem);
    return this.#host.enter(run, () => accessOf(entry, session));
  }
}

function accessOf(table: CatalogTable, session: CallSession): TableReadAccess {
  const columns = readableColumns(table, undefined, table.ecosystem, session);
  requireReadable(table, columns, table.ecosystem, session);
  return {
    columns,
    rows: visibleRows(table, table.ecosystem, session),
    filtered: table.permissions.filter !== undefined,
  };
}

function inputOf(input: unknown): Input {
  if (input === undefined || input === null) return {};
  if (typeof input === "object" && !Array.isArray(input)) return input as Input;
  throw new HanseError("NEEDLE_PARAMS", "malformed", "input: expected an object");
}

function ecosystemOf(input: Input): number {
  const value = input.ecosystem ?? 1;
  const number = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number) && number >= 1) return number;
  throw new HanseError("NEEDLE_PARAMS", "malformed", "ecosystem: expected a whole number from 1");
}

/** One engine serves one ledger; it keeps compiled programs and the catalog between blocks. */
export function createNeedleEngine(options: NeedleEngineOptions = {}): NeedleEngine {
  return new Engine(options);
}

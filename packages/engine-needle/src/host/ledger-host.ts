/**
 * The ledger as the language sees it. One host serves an engine; what a call works on is set for
 * its duration with `enter`.
 */
import { type CatalogContract, parseRight, resolveContractName } from "@hanse/ecosystem";
import {
  encodeJson,
  type FindRequest,
  type HostFunctions,
  type NeedleArray,
  type NeedleCall,
  type NeedleContract,
  type NeedleFunction,
  type NeedleHost,
  NeedleMap,
} from "@hanse/needle";
import { HanseError } from "@hanse/protocol";
import { canonicalJson } from "@hanse/state";
import { openTable } from "../database/database-session.ts";
import { countRows, selectRows } from "../database/select.ts";
import { insertValues, spreadFirstArray, updateById, updateWhere } from "../database/write.ts";
import { CallSession } from "./call-session.ts";
import { EVENT_CHARS_MAX, EVENTS_MAX, type RunContext } from "./run-context.ts";

/** Parameter of the ecosystem that decides who changes conditions of rows of a system table. */
const CHANGE_PARAMETERS: ReadonlyMap<string, string> = new Map([
  ["pages", "changing_page"],
  ["menu", "changing_menu"],
  ["contracts", "changing_contracts"],
  ["snippets", "changing_snippets"],
  ["languages", "changing_language"],
  ["tables", "changing_tables"],
  ["parameters", "changing_parameters"],
  ["app_params", "changing_app_params"],
]);

const EVENT_NAME = /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$/;
const EVENT_NAME_CHARS_MAX = 100;
/** Characters of an event's data for one unit of fuel. */
const EVENT_CHARS_PER_FUEL = 16;
const DEFAULT_LANGUAGE = "en";

export interface ContractSource {
  /** The compiled contract of a catalog entry. */
  compile(contract: CatalogContract): NeedleContract;
}

export class LedgerHost implements NeedleHost {
  readonly #contracts: ContractSource;
  #run: RunContext | undefined;

  constructor(contracts: ContractSource) {
    this.#contracts = contracts;
  }

  /** Runs work with this context; calls may be nested. */
  enter<T>(run: RunContext, work: () => T): T {
    const outer = this.#run;
    this.#run = run;
    try {
      return work();
    } finally {
      this.#run = outer;
    }
  }

  get run(): RunContext {
    if (this.#run === undefined) {
      throw new HanseError("INVARIANT", "corrupt", "a host function ran outside of a call");
    }
    return this.#run;
  }

  session(call: NeedleCall): CallSession {
    return new CallSession(this.run, call);
  }

  findContract(fullName: string): NeedleContract | undefined {
    const { run } = this;
    const { ecosystem, name } = resolveContractName(fullName, run.ecosystem);
    const entry = run.found(run.catalog().contract(run.state, ecosystem, name));
    return entry === undefined ? undefined : this.#contracts.compile(entry);
  }

  /** Programs of applications hold contracts; free functions live inside their own program only. */
  findFunction(_name: string): NeedleFunction | undefined {
    return undefined;
  }

  readonly functions: Partial<HostFunctions> = {
    DBFind: (call, table, request) => this.#find(call, table, request),
    DBCount: (call, table, where) =>
      countRows(
        this.session(call),
        this.run.ecosystem,
        table,
        where.size === 0 ? undefined : where,
      ),
    DBInsert: (call, table, values) =>
      insertValues(this.session(call), this.run.ecosystem, table, spreadFirstArray(values)),
    DBUpdate: (call, table, id, values) =>
      updateById(this.session(call), this.run.ecosystem, table, id, values),
    DBUpdateExt: (call, table, where, values) =>
      updateWhere(this.session(call), this.run.ecosystem, table, where, values),
    GetColumnType: (call, table, column) =>
      openTable(this.session(call), table, this.run.ecosystem, false).table.columns.get(column)
        ?.type.name ?? "",
    GetBlock: (_call, height) => this.#block(height),

    EcosysParam: (_call, name) =>
      this.run.found(this.run.catalog().parameter(this.run.state, this.run.ecosystem, name)) ?? "",
    AppParam: (call, application, name, ecosystem) =>
      this.run.found(
        this.run
          .catalog()
          .appParameter(
            this.run.state,
            Number(ecosystem),
            application === 0n ? this.#applicationOf(call) : application,
            name,
          ),
      ) ?? "",
    LangRes: (_call, id, languages) => this.#translate(id, languages),
    GetContractByName: (_call, name) => {
      const { ecosystem, name: bare } = resolveContractName(name, this.run.ecosystem);
      return this.run.found(this.run.catalog().contract(this.run.state, ecosystem, bare))?.id ?? 0n;
    },
    GetContractById: (_call, id) => this.run.catalog().contractById(this.run.state, id)?.name ?? "",

    RoleAccess: (call, roles) => this.session(call).hasRoleNumber(roles, this.run.ecosystem),
    SenderOrganization: () => this.run.sender?.org ?? "",
    SenderName: () => this.run.sender?.name ?? "",
    HasRole: (call, role) => this.session(call).hasRole([role]),
    EvalCondition: (call, table, name, column) => this.#evalCondition(call, table, name, column),
    RowConditions: (call, table, id, conditionOnly) =>
      this.#rowConditions(call, table, id, conditionOnly),
    AllowChangeCondition: (call, table) => this.#allowChangeCondition(call, table),

    EmitEvent: (call, name, data) => this.#emit(call, name, data),
  };

  /** Application 0 stands for the one that the running contract belongs to. */
  #applicationOf(call: NeedleCall): bigint {
    const { ecosystem, name } = resolveContractName(call.contractName, this.run.ecosystem);
    return this.run.catalog().contract(this.run.state, ecosystem, name)?.appId ?? 0n;
  }

  #find(call: NeedleCall, table: string, request: FindRequest): NeedleArray {
    const { where, whereId = 0n, firstOnly } = request;
    const ecosystem = request.ecosystem ?? BigInt(this.run.ecosystem);
    const limit = request.limit ?? 0n;
    return selectRows(this.session(call), Number(ecosystem), {
      table,
      columns: request.columns ?? null,
      where: where === undefined || where.size === 0 ? undefined : where,
      id: whereId,
      order: request.order ?? null,
      limit: firstOnly && request.all !== true ? 1n : limit,
      offset: request.offset ?? 0n,
      group: request.group ?? "",
      select: typeof request.select === "string" ? request.select : "",
      all: request.all ?? false,
    });
  }

  #block(height: bigint): NeedleMap | null {
    const { block } = this.run;
    // Contracts see the block they run in; older ones are read through the doors of a node.
    if (height !== BigInt(block.height)) return null;
    return NeedleMap.of([
      ["id", height],
      ["key_id", 0n],
      ["time", BigInt(Math.floor(block.time / 1000))],
    ]);
  }

  #translate(id: string, languages: string): string {
    if (id.includes(" ")) return id;
    let { ecosystem } = this.run;
    let name = id;
    const foreign = /^@(\d{1,9})(.+)$/.exec(id);
    if (foreign !== null) {
      ecosystem = Number(foreign[1]);
      name = foreign[2]!;
    }
    const texts = this.run.found(this.run.catalog().language(this.run.state, ecosystem, name));
    if (texts === undefined) return name;
    for (const item of languages.split(",")) {
      const code = item.split(";")[0]!.trim();
      if (code === "") continue;
      const found = texts.get(code) ?? texts.get(code.split("-")[0]!);
      if (found !== undefined && found !== "") return found;
    }
    const fallback = texts.get(DEFAULT_LANGUAGE);
    if (fallback !== undefined && fallback !== "") return fallback;
    for (const text of texts.values()) if (text !== "") return text;
    return name;
  }

  #storedCondition(call: NeedleCall, table: string, id: bigint): string {
    const rows = selectRows(this.session(call), this.run.ecosystem, {
      table,
      columns: "conditions",
      where: undefined,
      id,
      order: null,
      limit: 1n,
      offset: 0n,
      group: "",
      select: "",
      all: false,
    });
    const row = rows.get(0);
    const text = row instanceof NeedleMap ? row.get("conditions") : "";
    if (typeof text === "string" && text !== "") return text;
    throw new HanseError("NEEDLE_NO_ROW", "notFound", `item ${id} has not been found`);
  }

  #require(call: NeedleCall, condition: string): boolean {
    return this.session(call).holds(parseRight(condition), this.run.ecosystem, 0n);
  }

  #rowConditions(call: NeedleCall, table: string, id: bigint, conditionOnly: boolean): void {
    const condition = this.#storedCondition(call, table, id);
    if (call.callStack.includes(condition)) {
      throw new HanseError("NEEDLE_RECURSION", "rejected", "recursion detected");
    }
    if (this.#require(call, condition)) return;
    if (conditionOnly) this.#allowChangeCondition(call, table);
    else throw denied(`${table} ${id} conditions`);
  }

  #allowChangeCondition(call: NeedleCall, table: string): void {
    const bare = table.replace(/^@?\d*_?/, "");
    const parameter = CHANGE_PARAMETERS.get(bare);
    if (parameter === undefined) return;
    const { catalog, ecosystem, state } = {
      catalog: this.run.catalog(),
      ecosystem: this.run.ecosystem,
      state: this.run.state,
    };
    const condition = catalog.parameter(state, ecosystem, parameter);
    if (condition === undefined || condition === "") {
      throw new HanseError(
        "NEEDLE_NO_PARAMETER",
        "notFound",
        `There is not ${parameter} in parameters`,
      );
    }
    if (!this.#require(call, condition)) throw denied(`${bare} conditions`);
  }

  #evalCondition(call: NeedleCall, table: string, name: string, column: string): void {
    const where = NeedleMap.of([
      ["name", name],
      ["ecosystem", BigInt(this.run.ecosystem)],
    ]);
    const rows = selectRows(this.session(call), this.run.ecosystem, {
      table,
      columns: column,
      where,
      id: 0n,
      order: null,
      limit: 1n,
      offset: 0n,
      group: "",
      select: "",
      all: false,
    });
    const row = rows.get(0);
    if (!(row instanceof NeedleMap)) {
      throw new HanseError("NEEDLE_NO_ROW", "notFound", `Record ${name} has not been found`);
    }
    const [condition] = row.entries.values();
    if (typeof condition === "string" && condition !== "" && this.#require(call, condition)) return;
    throw denied(`${table} ${name} ${column}`);
  }

  #emit(call: NeedleCall, name: string, data: NeedleMap): void {
    if (name.length > EVENT_NAME_CHARS_MAX || !EVENT_NAME.test(name)) {
      throw new HanseError(
        "NEEDLE_EVENT",
        "rejected",
        `event '${name.slice(0, 60)}': name it like 'orders.paid', at most ${EVENT_NAME_CHARS_MAX} characters`,
      );
    }
    const { events } = this.run;
    if (events.length >= EVENTS_MAX) {
      throw new HanseError("NEEDLE_EVENT", "limit", `at most ${EVENTS_MAX} events of one call`);
    }
    const text = canonicalJson(encodeJson(data, call));
    if (text.length > EVENT_CHARS_MAX) {
      throw new HanseError(
        "NEEDLE_EVENT",
        "limit",
        `event '${name}': at most ${EVENT_CHARS_MAX} characters of data`,
      );
    }
    call.useFuel(Math.ceil(text.length / EVENT_CHARS_PER_FUEL));
    events.push({ name, data: text });
  }
}

function denied(what: string): HanseError {
  return new HanseError("NEEDLE_ACCESS_DENIED", "denied", `access denied (${what})`, {
    details: { what },
  });
}

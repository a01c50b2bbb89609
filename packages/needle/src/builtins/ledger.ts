/** Built-ins that the host implements: rows, schema, parameters, rights, events. */
import type { FindRequest, HostFunctions, NeedleCall } from "../host/host.ts";
import { panic } from "../runtime/fault.ts";
import type { NeedleRun } from "../runtime/run.ts";
import { hasType, itemToText, toText } from "../values/convert.ts";
import { measureValue } from "../values/measure.ts";
import { type NeedleArray, NeedleMap, type NeedleValue } from "../values/value.ts";
import {
  type Builtin,
  type BuiltinOptions,
  type BuiltinParameter,
  type BuiltinTail,
  type BuiltinType,
  builtin,
  parameter as p,
  type TailValues,
  tailedBuiltin,
  variadicBuiltin,
} from "./builtin.ts";
import { decodeJson } from "./json.ts";

type Work = (call: NeedleCall, ...args: readonly NeedleValue[]) => NeedleValue | undefined;

function hostFunction(run: NeedleRun, name: keyof HostFunctions): Work {
  const found = run.host.functions[name];
  if (found === undefined) {
    throw panic("NEEDLE_UNAVAILABLE", `${name} is not available on this ledger`);
  }
  return found.bind(run.host.functions) as unknown as Work;
}

/** Accounts what a host gave and passes it on. */
function received(run: NeedleRun, value: NeedleValue | undefined): NeedleValue | undefined {
  if (value !== undefined && value !== null && typeof value === "object") {
    run.useMemory(measureValue(value));
  } else if (typeof value === "string") run.useMemory(measureValue(value));
  return value;
}

function hosted(
  name: keyof HostFunctions,
  parameters: readonly BuiltinParameter[],
  result: BuiltinType,
  doc: string,
  options: BuiltinOptions = {},
): Builtin {
  return builtin(
    name,
    parameters,
    result as "any",
    doc,
    { ...options, host: true },
    (run, ...args) =>
      received(run, hostFunction(run, name)(run, ...(args as NeedleValue[]))) as NeedleValue,
  );
}

const TAILS: readonly BuiltinTail[] = [
  { name: "Columns", parameter: p("columns", "any") },
  { name: "Where", parameter: p("where", "any") },
  { name: "WhereId", parameter: p("id", "any") },
  { name: "Order", parameter: p("order", "any") },
  { name: "Limit", parameter: p("limit", "any") },
  { name: "Offset", parameter: p("offset", "any") },
  { name: "Group", parameter: p("column", "any") },
  { name: "Select", parameter: p("list", "any") },
  { name: "All", parameter: p("all", "any") },
  { name: "Ecosystem", parameter: p("ecosystem", "any") },
];
const ROW_TAILS = TAILS.filter(({ name }) =>
  ["Columns", "Where", "WhereId", "Order", "Ecosystem"].includes(name),
);

type Writable<T> = { -readonly [key in keyof T]: T[key] };

function typed<T extends NeedleValue>(
  value: NeedleValue,
  type: "int" | "string" | "bool" | "map",
  name: string,
): T {
  if (!hasType(value, type)) {
    throw panic("NEEDLE_PARAMETER_TYPE", `${name} of a search must be of type ${type}`);
  }
  return value as T;
}

function findRequest(tails: TailValues, firstOnly: boolean): Writable<FindRequest> {
  const request: Writable<FindRequest> = { firstOnly };
  for (const [name, value] of tails) {
    if (value === null) continue;
    switch (name) {
      case "Columns":
        request.columns = value;
        break;
      case "Where":
        // A variable that holds no map yet means no condition.
        if (value !== "") request.where = typed<NeedleMap>(value, "map", name);
        break;
      case "WhereId":
        request.whereId = typed<bigint>(value, "int", name);
        break;
      case "Order":
        request.order = value;
        break;
      case "Limit":
        request.limit = typed<bigint>(value, "int", name);
        break;
      case "Offset":
        request.offset = typed<bigint>(value, "int", name);
        break;
      case "Group":
        request.group = typed<string>(value, "string", name);
        break;
      case "Select":
        request.select = value;
        break;
      case "All":
        request.all = typed<boolean>(value, "bool", name);
        break;
      case "Ecosystem":
        request.ecosystem = typed<bigint>(value, "int", name);
    }
  }
  return request;
}

function find(run: NeedleRun, table: string, request: FindRequest): NeedleArray {
  const work = run.host.functions.DBFind;
  if (work === undefined) {
    throw panic("NEEDLE_UNAVAILABLE", "DBFind is not available on this ledger");
  }
  const rows = work.call(run.host.functions, run, table, request);
  run.useMemory(measureValue(rows));
  return rows;
}

function firstRow(run: NeedleRun, rows: NeedleArray): NeedleMap {
  const first = rows.get(0);
  if (first instanceof NeedleMap) return first;
  if (first !== null) throw panic("NEEDLE_ROWS", "Row takes the result of a search");
  run.useMemory(64);
  return new NeedleMap();
}

/** Columns are ASCII: other letters are nobody's column. */
function lowerColumn(name: string): string {
  return name.replace(/[A-Z]/g, (sign) => sign.toLowerCase());
}

/** Text of a column of the first row; `column->key` looks into a JSON column. */
function oneValue(run: NeedleRun, rows: NeedleArray, name: string): string {
  const row = rows.get(0);
  if (!(row instanceof NeedleMap)) return "";
  const column = lowerColumn(name).replaceAll("->", ".");
  const direct = row.entries.get(name) ?? row.entries.get(column);
  if (direct !== undefined) return toText(direct, run);
  const cut = name.indexOf("->");
  if (cut < 0) return "";
  const text = row.get(lowerColumn(name.slice(0, cut)));
  if (typeof text !== "string" || text === "") return "";
  const decoded = decodeJson(text, run);
  if (!(decoded instanceof NeedleMap)) return "";
  const value = decoded.get(name.slice(cut + 2));
  return value === null ? "" : itemToText(value, run);
}

const table = p("table", "string");
const name = p("name", "string");
const id = p("id", "int");
const values = p("values", "map");
const application = p("application", "int");
const permissions = p("permissions", "string");
const ecosystem = p("ecosystem", "int");

const W = { writes: true } as const;

export const LEDGER_BUILTINS: readonly Builtin[] = [
  tailedBuiltin(
    "DBFind",
    [table],
    TAILS,
    "array",
    "Rows of a table as maps of texts.",
    { host: true },
    (run, args, tails) => find(run, args[0] as string, findRequest(tails, false)),
  ),
  tailedBuiltin(
    "DBRow",
    [table],
    ROW_TAILS,
    "map",
    "First row of a search, an empty map when there is none.",
    { host: true },
    (run, args, tails) => {
      const request = findRequest(tails, true);
      request.limit = 1n;
      return firstRow(run, find(run, args[0] as string, request));
    },
  ),
  builtin(
    "Row",
    [p("rows", "array")],
    "map",
    "First row of a list, or an empty map.",
    {},
    firstRow,
  ),
  builtin(
    "One",
    [p("rows", "array"), p("column", "string")],
    "string",
    "Text of a column of the first row, or an empty text.",
    {},
    oneValue,
  ),
  builtin(
    "DBSelect",
    [
      table,
      p("columns", "any"),
      id,
      p("order", "any"),
      p("offset", "int"),
      p("limit", "int"),
      p("where", "map"),
      p("query", "any"),
      p("group", "string"),
      p("all", "bool"),
    ],
    "array",
    "The search behind DBFind with all its parts in one list.",
    { host: true },
    (run, from, columns, whereId, order, offset, limit, where, select, group, all) =>
      find(run, from, {
        columns,
        whereId,
        order,
        offset,
        limit,
        where,
        group,
        all,
        firstOnly: false,
        ...(select === "" ? {} : { select }),
      }),
  ),
  hosted("DBCount", [table, p("where", "map")], "int", "How many rows match."),
  hosted("DBInsert", [table, values], "int", "Adds a row and gives its id.", W),
  hosted("DBUpdate", [table, id, values], "none", "Changes columns of a row.", W),
  hosted(
    "DBUpdateExt",
    [table, p("where", "map"), values],
    "none",
    "Changes columns of all rows that match.",
    W,
  ),
  hosted(
    "DBUpdatePlatformParam",
    [name, p("value", "string"), p("conditions", "string")],
    "none",
    "Changes a parameter of the ledger.",
    W,
  ),
  hosted("GetColumnType", [table, p("column", "string")], "string", "Type of a column."),
  hosted("GetHistory", [table, id], "array", "Earlier versions of a row, newest first."),
  hosted("GetHistoryRow", [table, id, p("version", "int")], "map", "One earlier version of a row."),
  hosted("GetBlock", [p("height", "int")], "any", "id, key_id and time of a block; nil if none."),
  hosted("EcosysParam", [name], "string", "Parameter of the ecosystem; empty if none.", {
    fuel: 10,
  }),
  hosted("AppParam", [application, name, ecosystem], "string", "Parameter of an application."),
  hosted("SysParamString", [name], "string", "Parameter of the ledger.", { fuel: 10 }),
  hosted("SysParamInt", [name], "int", "Parameter of the ledger as a number.", { fuel: 10 }),
  hosted("SysFuel", [ecosystem], "string", "Fuel rate of an ecosystem.", { fuel: 10 }),
  builtin(
    "LangRes",
    [p("id", "string"), p("languages", "string")],
    "string",
    "Text of a language resource.",
    { host: true, optional: 1 },
    (run, resource, languages) =>
      received(
        run,
        hostFunction(run, "LangRes")(run, resource, languages ?? run.system.languages),
      ) as string,
  ),
  hosted("GetContractByName", [name], "int", "Row of a contract; 0 if none.", { fuel: 20 }),
  hosted("GetContractById", [id], "string", "Name of the contract in a row.", { fuel: 20 }),
  hosted("TransactionInfo", [p("hash", "string")], "string", "JSON about a final transaction."),
  variadicBuiltin(
    "RoleAccess",
    [p("roles", "any")],
    "bool",
    "Whether the sender has one of the roles of these numbers.",
    { host: true },
    (run, roles) => {
      const ids = roles.filter((role) => typeof role === "bigint");
      const work = run.host.functions.RoleAccess;
      if (work === undefined) {
        throw panic("NEEDLE_UNAVAILABLE", "RoleAccess is not available on this ledger");
      }
      return work.call(run.host.functions, run, ids);
    },
  ),
  hosted("SenderOrganization", [], "string", "Organization of the sender."),
  hosted("SenderName", [], "string", "Name of the sender's account."),
  hosted("HasRole", [p("role", "string")], "bool", "Whether the sender's account has a role."),
  hosted(
    "EvalCondition",
    [table, name, p("column", "string")],
    "none",
    "Fails unless the condition stored in a row is true.",
    { fuel: 20 },
  ),
  hosted(
    "RowConditions",
    [table, id, p("conditionOnly", "bool")],
    "none",
    "Fails unless the conditions of a row allow a change.",
  ),
  hosted(
    "AllowChangeCondition",
    [table],
    "none",
    "Fails unless the ecosystem lets conditions of this table be changed.",
  ),
  hosted("PubToID", [p("key", "string")], "int", "Number of a public key; 0 if it is none.", {
    fuel: 10,
  }),
  hosted(
    "CreateTable",
    [name, p("columns", "string"), permissions, application],
    "none",
    "Makes a table.",
    {
      fuel: 100,
      writes: true,
      callers: ["NewTable", "NewTableJoint", "Import"],
    },
  ),
  hosted(
    "CreateView",
    [name, p("columns", "string"), p("where", "string"), application],
    "none",
    "Makes a view.",
    {
      writes: true,
      callers: ["NewView"],
    },
  ),
  hosted(
    "CreateColumn",
    [table, name, p("type", "string"), permissions],
    "none",
    "Adds a column.",
    {
      writes: true,
      callers: ["NewColumn"],
    },
  ),
  hosted("PermTable", [name, permissions], "none", "Sets the permissions of a table.", {
    fuel: 100,
    writes: true,
    callers: ["EditTable"],
  }),
  hosted(
    "PermColumn",
    [table, p("column", "string"), permissions],
    "none",
    "Sets the permissions of a column.",
    { writes: true, callers: ["EditColumn"] },
  ),
  hosted(
    "TableConditions",
    [name, p("columns", "string"), permissions],
    "none",
    "Fails unless a table may be made or changed so.",
    { fuel: 100, callers: ["NewTable", "NewTableJoint", "Import", "EditTable"] },
  ),
  hosted(
    "ColumnCondition",
    [table, name, p("type", "string"), permissions],
    "none",
    "Fails unless a column may be made or changed so.",
    { callers: ["NewColumn", "EditColumn"] },
  ),
  hosted("DelTable", [name], "none", "Removes an empty table.", W),
  hosted("DelColumn", [table, name], "none", "Removes a column of an empty table.", W),
  hosted(
    "CreateContract",
    [name, p("value", "string"), p("conditions", "string"), p("token", "int"), application],
    "int",
    "Installs a program and gives its row.",
    { writes: true, callers: ["NewContract", "Import"] },
  ),
  hosted(
    "UpdateContract",
    [id, p("value", "string"), p("conditions", "string"), p("wallet", "int"), p("token", "string")],
    "none",
    "Replaces a program; empty texts stay as they are.",
    { writes: true, callers: ["EditContract", "Import"] },
  ),
  hosted(
    "CreateLanguage",
    [name, p("translations", "string")],
    "int",
    "Adds a language resource.",
    {
      writes: true,
      callers: ["NewLang", "NewLangJoint", "Import"],
    },
  ),
  hosted(
    "EditLanguage",
    [id, name, p("translations", "string")],
    "none",
    "Changes a language resource.",
    {
      writes: true,
      callers: ["EditLang", "EditLangJoint", "Import"],
    },
  ),
  hosted("CreateEcosystem", [p("wallet", "int"), name], "int", "Makes an ecosystem.", {
    fuel: 100,
    writes: true,
    callers: ["NewEcosystem"],
  }),
  hosted("EditEcosysName", [id, name], "none", "Renames an ecosystem.", {
    writes: true,
    callers: ["EditEcosystemName"],
  }),
  hosted(
    "EmitEvent",
    [name, p("data", "map")],
    "none",
    "Announces an event to those who listen to the ledger.",
    W,
  ),
];

/** The engine's own read-only calls: names with a dot, which no contract can have. */
import { type CatalogTable, columnOf, resolveContractName } from "@hanse/ecosystem";
import { type NeedleContract, NeedleMap } from "@hanse/needle";
import { HanseError, toHex } from "@hanse/protocol";
import type { ColumnValue, Condition, Row } from "@hanse/state";
import { openTable } from "../database/database-session.ts";
import { countRows, selectRows } from "../database/select.ts";
import type { CallSession } from "../host/call-session.ts";
import type { RunContext } from "../host/run-context.ts";
import { valueFromJson } from "../params/json-values.ts";

export type Input = Readonly<Record<string, unknown>>;

export interface ReadContext {
  readonly run: RunContext;
  readonly session: CallSession;
  contract(ecosystem: number, name: string): NeedleContract | undefined;
}

/** Rows of one answer of a list. */
const LIST_MAX = 1_000;

function wrong(field: string, expected: string): never {
  throw new HanseError("NEEDLE_PARAMS", "malformed", `${field}: expected ${expected}`, {
    details: { field },
  });
}

function textOf(input: Input, field: string, fallback?: string): string {
  const value = input[field] ?? fallback;
  return typeof value === "string" ? value : wrong(field, "a text");
}

function intOf(input: Input, field: string, fallback: bigint): bigint {
  const value = input[field];
  if (value === undefined) return fallback;
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === "string" && /^-?\d{1,18}$/.test(value)) return BigInt(value);
  return wrong(field, "a whole number");
}

/** A map given as an object, or as the JSON text of one. */
function mapOf(input: Input, field: string): NeedleMap | undefined {
  let value = input[field];
  if (value === undefined) return undefined;
  if (typeof value === "string") {
    try {
      value = JSON.parse(value);
    } catch {
      wrong(field, "a JSON object");
    }
  }
  const map = valueFromJson(value, field);
  return map instanceof NeedleMap ? map : wrong(field, "a JSON object");
}

function requireKnown(input: Input, known: readonly string[]): void {
  for (const key of Object.keys(input)) {
    if (key !== "ecosystem" && !known.includes(key)) {
      wrong(key.slice(0, 60), `no such parameter; known: ${["ecosystem", ...known].join(", ")}`);
    }
  }
}

const ROW_KEYS = ["table", "columns", "where", "id", "order", "limit", "offset", "count"];

/** Rows of a table as a contract's select gives them: maps from column to text. */
function tableRows({ run, session }: ReadContext, input: Input): unknown {
  requireKnown(input, ROW_KEYS);
  const table = textOf(input, "table");
  const where = mapOf(input, "where");
  const rows = selectRows(session, run.ecosystem, {
    table,
    columns: input.columns === undefined ? null : valueFromJson(input.columns, "columns"),
    where,
    id: intOf(input, "id", 0n),
    order: input.order === undefined ? null : valueFromJson(input.order, "order"),
    limit: intOf(input, "limit", 0n),
    offset: intOf(input, "offset", 0n),
    group: "",
    select: "",
    all: false,
  });
  const list: Record<string, string>[] = [];
  for (const row of rows) {
    if (row instanceof NeedleMap) {
      list.push(Object.fromEntries(row.entries) as Record<string, string>);
    }
  }
  const counted = input.count === true || input.count === "true";
  return counted
    ? { rows: list, count: countRows(session, run.ecosystem, table, where).toString() }
    : { rows: list };
}

function describeTable(table: CatalogTable): object {
  const { insert, update, newColumn, read, filter, rows } = table.permissions;
  return {
    id: table.id.toString(),
    name: table.full.slice(table.full.indexOf("_") + 1),
    fullName: table.full,
    ecosystem: table.ecosystem,
    appId: table.appId.toString(),
    indexes: table.schema.indexes,
    columns: [...table.columns.values()].map((column) => ({
      name: column.name,
      type: column.type.name,
      update: table.columnRights.get(column.name)?.update.text ?? "",
      read: table.columnRights.get(column.name)?.read?.text ?? "",
    })),
    permissions: {
      insert: insert.text,
      update: update.text,
      new_column: newColumn.text,
      read: read.text,
      filter: filter?.text ?? "",
      ...(rows === undefined
        ? {}
        : {
            rows: rows.map((rule) => ({
              if: rule.if.map((right) => right.text),
              where: Object.fromEntries(
                [...rule.where].map(([key, value]) => [
                  key,
                  typeof value === "bigint" ? value.toString() : value,
                ]),
              ),
            })),
          }),
    },
    conditions: table.conditions,
  };
}

/** Rows of a registry of this ecosystem, by name. */
function registryRows(
  { run }: ReadContext,
  table: string,
  more: readonly Condition[] = [],
): readonly Row[] {
  return run.state.find({
    table,
    where: {
      op: "and",
      of: [{ op: "eq", column: "ecosystem", value: BigInt(run.ecosystem) }, ...more],
    },
    order: [{ column: "name" }],
    limit: LIST_MAX,
  });
}

function reader({ run }: ReadContext, table: string) {
  const schema = run.state.schema(table)!;
  return (row: Row, column: string): ColumnValue => columnOf(schema, row, column);
}

function tableList(context: ReadContext, input: Input): unknown {
  requireKnown(input, []);
  const read = reader(context, "1_tables");
  return {
    tables: registryRows(context, "1_tables").map((row) => ({
      id: String(row.values[0]),
      name: read(row, "name"),
      appId: String(read(row, "app_id")),
    })),
  };
}

function tableShow({ run, session }: ReadContext, input: Input): unknown {
  requireKnown(input, ["name"]);
  return describeTable(openTable(session, textOf(input, "name"), run.ecosystem, false).table);
}

function contractList(context: ReadContext, input: Input): unknown {
  requireKnown(input, []);
  const read = reader(context, "1_contracts");
  return {
    contracts: registryRows(context, "1_contracts").map((row) => ({
      id: String(row.values[0]),
      name: read(row, "name"),
      appId: String(read(row, "app_id")),
    })),
  };
}

function contractShow({ run, contract }: ReadContext, input: Input): unknown {
  requireKnown(input, ["name"]);
  const { ecosystem, name, full } = resolveContractName(textOf(input, "name"), run.ecosystem);
  const entry = run.catalog().contract(run.state, ecosystem, name);
  const compiled = contract(ecosystem, name);
  if (entry === undefined || compiled === undefined) throw noContract(full);
  return {
    id: entry.id.toString(),
    name: entry.name,
    fullName: entry.full,
    ecosystem: entry.ecosystem,
    appId: entry.appId.toString(),
    readOnly: !compiled.writes,
    fields: compiled.fields.map(({ name: field, type, optional, tags }) => ({
      name: field,
      type,
      optional,
      tags,
    })),
    conditions: entry.conditions,
    source: entry.source,
  };
}

export function noContract(full: string): HanseError {
  return new HanseError(
    "NEEDLE_NO_CONTRACT",
    "notFound",
    `there is no contract ${full}; contract.list names those of an ecosystem`,
    { details: { contract: full } },
  );
}

function describeApplication(context: ReadContext, row: Row): object {
  const read = reader(context, "1_applications");
  const hash = read(row, "package_hash");
  return {
    id: String(row.values[0]),
    name: read(row, "name"),
    title: read(row, "title"),
    version: read(row, "version"),
    packageHash: hash instanceof Uint8Array ? toHex(hash) : "",
    installedBy: String(read(row, "installed_by")),
    installedAtMs: Number(read(row, "installed_at") ?? 0n),
    conditions: read(row, "conditions"),
  };
}

function appList(context: ReadContext, input: Input): unknown {
  requireKnown(input, []);
  return {
    applications: registryRows(context, "1_applications").map((row) =>
      describeApplication(context, row),
    ),
  };
}

function appShow(context: ReadContext, input: Input): unknown {
  requireKnown(input, ["name"]);
  const name = textOf(input, "name");
  const row = registryRows(context, "1_applications", [
    { op: "eq", column: "name", value: name },
  ])[0];
  if (row === undefined) {
    throw new HanseError("APP_NOT_INSTALLED", "notFound", `application '${name}' is not installed`);
  }
  const own: Condition = { op: "eq", column: "app_id", value: row.values[0] as bigint };
  const names = (table: string) => {
    const read = reader(context, table);
    return registryRows(context, table, [own]).map((item) => read(item, "name"));
  };
  const read = reader(context, "1_app_params");
  return {
    ...describeApplication(context, row),
    tables: names("1_tables"),
    contracts: names("1_contracts"),
    pages: names("1_pages"),
    parameters: Object.fromEntries(
      registryRows(context, "1_app_params", [own]).map((item) => [
        read(item, "name"),
        read(item, "value"),
      ]),
    ),
  };
}

/** Name of a read to what answers it. */
export const ENGINE_READS: ReadonlyMap<string, (context: ReadContext, input: Input) => unknown> =
  new Map([
    ["table.rows", tableRows],
    ["table.list", tableList],
    ["table.show", tableShow],
    ["contract.list", contractList],
    ["contract.show", contractShow],
    ["app.list", appList],
    ["app.show", appShow],
  ]);

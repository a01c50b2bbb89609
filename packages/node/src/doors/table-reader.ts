/**
 * Rows with the rights of who asks. Tables of an ecosystem (`1_deeds`) have rights that their
 * contract engine knows; the registry's and the modules' own are open to every account.
 */
import type { Sender } from "@hanse/ledger";
import { HanseError } from "@hanse/protocol";
import type { Condition, Query, Row, StateView, TableSchema } from "@hanse/state";
import type { TableReader } from "./services.ts";

/** What a caller may read of a table. */
export interface TableAccess {
  /** Readable columns; rows are selected and ordered by these alone. */
  readonly columns: readonly string[];
  /** Readable rows: all, or those that also meet this condition. */
  readonly rows: Condition | "all";
  /** Rows pass a filter of the application, which only its engine can ask. */
  readonly filtered: boolean;
}

/** Undefined = open. @throws HanseError of kind `denied`. */
export type AccessRule = (table: string, caller: Sender) => TableAccess | undefined;

function columnsOf(condition: Condition, found: Set<string> = new Set()): Set<string> {
  if ("column" in condition) found.add(condition.column);
  else if (condition.op === "not") columnsOf(condition.of, found);
  else {
    for (const part of condition.of) columnsOf(part, found);
  }
  return found;
}

function denied(schema: TableSchema, column: string): never {
  throw new HanseError(
    "API_COLUMN_DENIED",
    "denied",
    `${schema.name}.${column}: not open to you, so no row can be selected or ordered by it`,
    { details: { field: column } },
  );
}

/** Finds durable rows without holding up what executes. */
export type RowSearch = (query: Query) => Promise<readonly Row[]>;

export function createTableReader(
  state: Pick<StateView, "schema">,
  search: RowSearch,
  accessOf: AccessRule,
): TableReader {
  return {
    async read(query, columns, caller) {
      const schema = state.schema(query.table);
      if (schema === undefined) {
        throw new HanseError("STATE_NO_TABLE", "notFound", `no table ${query.table}`);
      }
      const access = accessOf(schema.name, caller);
      if (access?.filtered === true) {
        throw new HanseError(
          "API_TABLE_FILTERED",
          "rejected",
          `${schema.name} has a filter over its rows; ask POST /v1/queries for table.rows instead`,
          { details: { field: "name" } },
        );
      }
      const open = access === undefined ? undefined : new Set(access.columns);
      if (open !== undefined) {
        const used = query.where === undefined ? new Set<string>() : columnsOf(query.where);
        for (const { column } of query.order ?? []) used.add(column);
        for (const column of [...used, ...(columns ?? [])]) {
          if (!open.has(column)) denied(schema, column);
        }
      }
      const wanted = schema.columns.filter(
        ({ name }) => open?.has(name) !== false && columns?.includes(name) !== false,
      );
      const places = wanted.map((column) => schema.columns.indexOf(column));
      const rows = await search(restrict(query, access?.rows ?? "all"));
      return {
        columns: wanted,
        rows: rows.map(({ values, height }) => ({
          values: places.map((at) => values[at] ?? null),
          height,
        })),
      };
    },
    seesAllRows(table, caller) {
      const access = accessOf(table, caller);
      return access === undefined || (access.rows === "all" && !access.filtered);
    },
  };
}

function restrict(query: Query, rows: Condition | "all"): Query {
  if (rows === "all") return query;
  return {
    ...query,
    where: query.where === undefined ? rows : { op: "and", of: [query.where, rows] },
  };
}

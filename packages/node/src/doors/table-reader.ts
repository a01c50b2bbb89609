/**
 * Rows with the rights of who asks. Tables of an ecosystem (`1_deeds`) are read through their
 * engine, which knows their rights; the registry's and the modules' own are open to every account.
 */
import type { Sender } from "@hanse/ledger";
import { HanseError } from "@hanse/protocol";
import type { Query, StateView } from "@hanse/state";
import type { TableReader, VisibleRows } from "./services.ts";

/** Reads a table of one kind; engines with rights of their own bring one. */
export interface TableRights {
  owns(table: string): boolean;
  read(query: Query, columns: readonly string[] | undefined, caller: Sender): VisibleRows;
  seesAllRows(table: string, caller: Sender): boolean;
}

export function createTableReader(state: StateView, rights: readonly TableRights[]): TableReader {
  function ownerOf(table: string): TableRights | undefined {
    return rights.find((one) => one.owns(table));
  }
  return {
    read(query, columns, caller) {
      const owner = ownerOf(query.table);
      if (owner !== undefined) return owner.read(query, columns, caller);
      const schema = state.schema(query.table);
      if (schema === undefined) {
        throw new HanseError("STATE_NO_TABLE", "notFound", `no table ${query.table}`);
      }
      const wanted =
        columns === undefined
          ? schema.columns
          : columns.map((name) => schema.columns.find((column) => column.name === name)!);
      const places = wanted.map((column) => schema.columns.indexOf(column));
      return {
        columns: wanted,
        rows: state.find(query).map(({ values, height }) => ({
          values: places.map((at) => values[at]!),
          height,
        })),
      };
    },
    seesAllRows: (table, caller) => ownerOf(table)?.seesAllRows(table, caller) ?? true,
  };
}

/** Rows of tables that contracts know, written by name of column. */
import { HanseError } from "@hanse/protocol";
import {
  type ColumnValue,
  canonicalJson,
  type Row,
  type StateOverlay,
  type TableSchema,
} from "@hanse/state";
import { advanceCatalog } from "../catalog/catalog-version.ts";
import { COLUMN_TYPES } from "./column-types.ts";
import { CATALOG_TABLES } from "./system-tables.ts";

function requireSchema(overlay: StateOverlay, table: string): TableSchema {
  const schema = overlay.schema(table);
  if (schema === undefined) {
    throw new HanseError("ECOSYSTEM_NO_TABLE", "notFound", `table ${table} does not exist`);
  }
  return schema;
}

/** Tells the catalog that a row of this table changed; call after the change. */
export function noteCatalogChange(overlay: StateOverlay, table: string, key: bigint): void {
  if (!CATALOG_TABLES.has(table)) return;
  advanceCatalog(overlay, table, overlay.getRow(table, key)?.values ?? [key]);
}

/** Inserts a row under the next id; columns not named are empty. */
export function insertRow(
  overlay: StateOverlay,
  table: string,
  values: Readonly<Record<string, ColumnValue>>,
): bigint {
  const schema = requireSchema(overlay, table);
  const id = (values.id as bigint | undefined) ?? overlay.nextId(table);
  overlay.insert(
    table,
    schema.columns.map((column) => (column.name === "id" ? id : (values[column.name] ?? null))),
  );
  noteCatalogChange(overlay, table, id);
  return id;
}

export function updateRow(
  overlay: StateOverlay,
  table: string,
  id: bigint,
  values: Readonly<Record<string, ColumnValue>>,
): void {
  overlay.update(table, id, values);
  noteCatalogChange(overlay, table, id);
}

export function removeRow(overlay: StateOverlay, table: string, id: bigint): void {
  overlay.remove(table, id);
  noteCatalogChange(overlay, table, id);
}

export interface NewTable {
  /** Without prefix. */
  readonly name: string;
  readonly ecosystem: number;
  readonly appId: bigint;
  readonly columns: readonly {
    readonly name: string;
    /** A name of COLUMN_TYPES. */
    readonly type: string;
    /** Stored form: a condition or `{update, read}`. */
    readonly rights: unknown;
  }[];
  readonly indexes: readonly string[];
  /** Stored form. */
  readonly permissions: unknown;
  readonly conditions: string;
}

/** Creates the table in state and registers it with its rights; returns the registry row's id. */
export function createTable(overlay: StateOverlay, table: NewTable): bigint {
  const full = `${table.ecosystem}_${table.name}`;
  overlay.createTable({
    name: full,
    columns: [
      { name: "id", type: "int" },
      ...table.columns.map((column) => ({
        name: column.name,
        type: COLUMN_TYPES.get(column.type)!.state,
      })),
    ],
    indexes: table.indexes,
  });
  return registerTable(overlay, table);
}

/** The registry row alone, for tables that exist already. */
export function registerTable(overlay: StateOverlay, table: NewTable): bigint {
  return insertRow(overlay, "1_tables", {
    name: table.name,
    permissions: toJsonColumn(table.permissions),
    columns: columnRightsText(table.columns),
    types: columnTypesText(table.columns),
    conditions: table.conditions,
    app_id: table.appId,
    ecosystem: BigInt(table.ecosystem),
  });
}

export function columnRightsText(columns: NewTable["columns"]): string {
  return toJsonColumn(Object.fromEntries(columns.map(({ name, rights }) => [name, rights])));
}

export function columnTypesText(columns: NewTable["columns"]): string {
  return toJsonColumn(
    Object.fromEntries([["id", "number"], ...columns.map(({ name, type }) => [name, type])]),
  );
}

/** Value of a column of a row, by name. */
export function columnOf(schema: TableSchema, row: Row, column: string): ColumnValue {
  const at = schema.columns.findIndex((candidate) => candidate.name === column);
  return at < 0 ? null : (row.values[at] ?? null);
}

/** The one text of a JSON value that state keeps. */
export function toJsonColumn(value: unknown): string {
  return canonicalJson(JSON.stringify(value));
}

/** What contracts, tables, parameters and texts a ledger has, read from state on first use. */
import { HanseError } from "@hanse/protocol";
import type { ColumnType, ColumnValue, Condition, Row, StateView, TableSchema } from "@hanse/state";
import {
  type ColumnPermissions,
  parseColumnPermissions,
  parseTablePermissions,
  type TablePermissions,
} from "../rights/permissions.ts";
import { COLUMN_TYPES, type NeedleColumnType } from "../tables/column-types.ts";
import { catalogVersionOf } from "./catalog-version.ts";

export interface CatalogColumn {
  readonly name: string;
  /** Place in a row's values. */
  readonly at: number;
  readonly state: ColumnType;
  readonly type: NeedleColumnType;
}

export interface CatalogTable {
  readonly id: bigint;
  readonly ecosystem: number;
  readonly appId: bigint;
  /** As state knows it, e.g. `1_accounts`. */
  readonly full: string;
  readonly schema: TableSchema;
  /** All columns, `id` first. */
  readonly columnNames: readonly string[];
  readonly columns: ReadonlyMap<string, CatalogColumn>;
  readonly permissions: TablePermissions;
  readonly columnRights: ReadonlyMap<string, ColumnPermissions>;
  /** Whether any column limits who reads it. */
  readonly hasColumnReads: boolean;
  /** Condition for changing the registry row itself. */
  readonly conditions: string;
}

export interface CatalogContract {
  readonly id: bigint;
  readonly ecosystem: number;
  readonly name: string;
  /** `@1Transfer`. */
  readonly full: string;
  readonly source: string;
  readonly appId: bigint;
  readonly conditions: string;
}

/** Most objects one version of the catalog keeps in memory; above it, objects are read again. */
export const CATALOG_OBJECTS_MAX = 50_000;
/** Versions kept: the committed one, the one being executed, and readers in between. */
export const CATALOG_VERSIONS_MAX = 4;

function jsonOf(value: ColumnValue, field: string): unknown {
  if (value === null || value === "") return {};
  try {
    return JSON.parse(value as string);
  } catch {
    throw new HanseError("ECOSYSTEM_REGISTRY", "corrupt", `${field}: not JSON`);
  }
}

/** Values of a row by column name. */
export function rowReader(schema: TableSchema): (row: Row, column: string) => ColumnValue {
  const places = new Map(schema.columns.map((column, at) => [column.name, at]));
  return (row, column) => {
    const at = places.get(column);
    return at === undefined ? null : (row.values[at] ?? null);
  };
}

function schemaOf(view: StateView, table: string): TableSchema {
  const schema = view.schema(table);
  if (schema === undefined) {
    throw new HanseError(
      "ECOSYSTEM_NOT_SEEDED",
      "corrupt",
      `table ${table} is missing; the ledger's genesis does not name the engine 'needle'`,
    );
  }
  return schema;
}

/** The row of a shared table with this name in this ecosystem: the one with the lowest id. */
export function findNamed(
  view: StateView,
  table: string,
  ecosystem: number,
  name: string,
  more: readonly Condition[] = [],
): Row | undefined {
  return view.find({
    table,
    where: {
      op: "and",
      of: [
        { op: "eq", column: "name", value: name },
        { op: "eq", column: "ecosystem", value: BigInt(ecosystem) },
        ...more,
      ],
    },
    limit: 1,
  })[0];
}

export class Catalog {
  readonly version: string;
  readonly #objects = new Map<string, unknown>();

  constructor(version: string) {
    this.version = version;
  }

  #keep<T>(key: string, load: () => T): T {
    const known = this.#objects.get(key);
    if (known !== undefined || this.#objects.has(key)) return known as T;
    const loaded = load();
    if (this.#objects.size >= CATALOG_OBJECTS_MAX) this.#objects.clear();
    this.#objects.set(key, loaded);
    return loaded;
  }

  /** A registered table by its name in state. */
  table(view: StateView, full: string): CatalogTable | undefined {
    return this.#keep(`t${full}`, () => loadTable(view, full));
  }

  contract(view: StateView, ecosystem: number, name: string): CatalogContract | undefined {
    return this.#keep(`c${ecosystem}/${name}`, () => {
      const row = findNamed(view, "1_contracts", ecosystem, name);
      return row === undefined ? undefined : contractOf(view, row);
    });
  }

  /** Whether an ecosystem exists. */
  hasEcosystem(view: StateView, ecosystem: number): boolean {
    return this.#keep(
      `e${ecosystem}`,
      () => view.getRow("1_ecosystems", BigInt(ecosystem)) !== undefined,
    );
  }

  contractById(view: StateView, id: bigint): CatalogContract | undefined {
    return this.#keep(`i${id}`, () => {
      const row = view.getRow("1_contracts", id);
      return row === undefined ? undefined : contractOf(view, row);
    });
  }

  /** Value of an ecosystem parameter; undefined when there is none. */
  parameter(view: StateView, ecosystem: number, name: string): string | undefined {
    return this.#keep(`p${ecosystem}/${name}`, () => {
      const row = findNamed(view, "1_parameters", ecosystem, name);
      if (row === undefined) return undefined;
      return text(rowReader(schemaOf(view, "1_parameters"))(row, "value"));
    });
  }

  appParameter(
    view: StateView,
    ecosystem: number,
    appId: bigint,
    name: string,
  ): string | undefined {
    return this.#keep(`a${ecosystem}/${appId}/${name}`, () => {
      const row = findNamed(view, "1_app_params", ecosystem, name, [
        { op: "eq", column: "app_id", value: appId },
      ]);
      if (row === undefined) return undefined;
      return text(rowReader(schemaOf(view, "1_app_params"))(row, "value"));
    });
  }

  /** Translations of a text by language code; undefined when the text has none. */
  language(
    view: StateView,
    ecosystem: number,
    name: string,
  ): ReadonlyMap<string, string> | undefined {
    return this.#keep(`l${ecosystem}/${name}`, () => {
      const row = findNamed(view, "1_languages", ecosystem, name);
      if (row === undefined) return undefined;
      const source = jsonOf(rowReader(schemaOf(view, "1_languages"))(row, "res"), "languages.res");
      return new Map(Object.entries(source as Record<string, string>));
    });
  }

  /** Name of a role by its number in an ecosystem; undefined when deleted or unknown. */
  roleName(view: StateView, ecosystem: number, id: bigint): string | undefined {
    return this.#keep(`r${ecosystem}/${id}`, () => {
      const row = view.getRow("1_roles", id);
      if (row === undefined) return undefined;
      const read = rowReader(schemaOf(view, "1_roles"));
      if (read(row, "ecosystem") !== BigInt(ecosystem)) return undefined;
      return read(row, "deleted") === 0n ? text(read(row, "role_name")) : undefined;
    });
  }
}

function text(value: ColumnValue): string {
  return value === null ? "" : String(value);
}

function contractOf(view: StateView, row: Row): CatalogContract {
  const read = rowReader(schemaOf(view, "1_contracts"));
  const ecosystem = Number(read(row, "ecosystem") ?? 1n);
  const name = text(read(row, "name"));
  return {
    id: row.values[0] as bigint,
    ecosystem,
    name,
    full: `@${ecosystem}${name}`,
    source: text(read(row, "value")),
    appId: (read(row, "app_id") as bigint | null) ?? 0n,
    conditions: text(read(row, "conditions")),
  };
}

function loadTable(view: StateView, full: string): CatalogTable | undefined {
  const split = full.indexOf("_");
  const ecosystem = Number(full.slice(0, split));
  const name = full.slice(split + 1);
  if (!Number.isSafeInteger(ecosystem) || ecosystem < 1) return undefined;
  const schema = view.schema(full);
  if (schema === undefined) return undefined;
  const row = findNamed(view, "1_tables", ecosystem, name);
  if (row === undefined) return undefined;
  const read = rowReader(schemaOf(view, "1_tables"));
  const types = jsonOf(read(row, "types"), `tables.${full}.types`) as Record<string, string>;
  const rights = jsonOf(read(row, "columns"), `tables.${full}.columns`) as Record<string, unknown>;
  const columnRights = new Map<string, ColumnPermissions>();
  for (const [column, value] of Object.entries(rights)) {
    columnRights.set(column, parseColumnPermissions(value, `tables.${full}.columns.${column}`));
  }
  const columns = new Map<string, CatalogColumn>();
  schema.columns.forEach((column, at) => {
    const type = COLUMN_TYPES.get(types[column.name] ?? "number") ?? COLUMN_TYPES.get("text")!;
    columns.set(column.name, { name: column.name, at, state: column.type, type });
  });
  return {
    id: row.values[0] as bigint,
    ecosystem,
    appId: (read(row, "app_id") as bigint | null) ?? 0n,
    full,
    schema,
    columnNames: schema.columns.map((column) => column.name),
    columns,
    permissions: parseTablePermissions(
      jsonOf(read(row, "permissions"), `tables.${full}.permissions`),
      `tables.${full}.permissions`,
    ),
    columnRights,
    hasColumnReads: [...columnRights.values()].some((column) => column.read !== undefined),
    conditions: text(read(row, "conditions")),
  };
}

/** Keeps the newest versions of the catalog, so that opening one is a map lookup. */
export class CatalogCache {
  readonly #versions = new Map<string, Catalog>();
  #last: Catalog | undefined;

  /** The catalog of a state as it stands; ask again after a change or a rollback. */
  open(view: StateView): Catalog {
    const version = catalogVersionOf(view);
    if (this.#last?.version === version) return this.#last;
    let catalog = this.#versions.get(version);
    if (catalog === undefined) {
      catalog = new Catalog(version);
      this.#versions.set(version, catalog);
      if (this.#versions.size > CATALOG_VERSIONS_MAX) {
        this.#versions.delete(this.#versions.keys().next().value!);
      }
    }
    this.#last = catalog;
    return catalog;
  }
}

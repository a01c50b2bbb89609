/**
 * Installing and upgrading an application inside one transaction. An upgrade replaces contracts
 * and pages, adds tables, columns and indexes, and never drops or retypes data.
 */
import { HanseError, type Hash } from "@hanse/protocol";
import type { ColumnValue, Row, StateOverlay } from "@hanse/state";
import { findNamed } from "../catalog/catalog.ts";
import type { Right } from "../rights/rights.ts";
import { parseRight } from "../rights/rights.ts";
import {
  columnOf,
  columnRightsText,
  columnTypesText,
  createTable,
  insertRow,
  type NewTable,
  removeRow,
  toJsonColumn,
  updateRow,
} from "../tables/rows.ts";
import type { AppPackage, AppTable, AppText } from "./app-package.ts";
import { compareVersions } from "./version.ts";

/** Who installs, and what judges conditions; contracts are compiled before by who calls. */
export interface InstallContext {
  readonly ecosystem: number;
  readonly keyId: bigint;
  /** Block time, milliseconds. */
  readonly time: number;
  /** @throws HanseError naming the field when a condition is no expression of the language. */
  validateCondition(field: string, right: Right): void;
  /** Whether a condition holds for who installs. */
  allows(condition: string): boolean;
}

export interface InstallReport {
  readonly appId: bigint;
  readonly name: string;
  readonly version: string;
  readonly previousVersion: string | undefined;
  readonly tables: number;
  readonly contracts: number;
}

function refuse(code: string, kind: "conflict" | "notFound" | "denied", message: string): never {
  throw new HanseError(code, kind, message);
}

/** The registry row of an application, undefined when it is not installed. */
export function findApplication(
  overlay: StateOverlay,
  ecosystem: number,
  name: string,
): Row | undefined {
  return findNamed(overlay, "1_applications", ecosystem, name);
}

/**
 * @throws HanseError `APP_INSTALLED`, `APP_DENIED`, `APP_CONFLICT` and what the validators throw.
 */
export function installApplication(
  overlay: StateOverlay,
  app: AppPackage,
  packageHash: Hash,
  context: InstallContext,
): InstallReport {
  if (findApplication(overlay, context.ecosystem, app.name) !== undefined) {
    refuse(
      "APP_INSTALLED",
      "conflict",
      `application '${app.name}' is installed already; use upgrade with a higher version`,
    );
  }
  requireInstaller(overlay, context);
  validateTexts(app, context);
  const appId = insertRow(overlay, "1_applications", {
    name: app.name,
    title: app.title,
    version: app.version,
    package_hash: packageHash,
    installed_by: context.keyId,
    installed_at: BigInt(context.time),
    conditions: app.conditions,
    deleted: 0n,
    ecosystem: BigInt(context.ecosystem),
  });
  return writeObjects(overlay, app, appId, undefined, context);
}

/**
 * @throws HanseError `APP_NOT_INSTALLED`, `APP_VERSION_OLD`, `APP_DENIED`, `APP_CONFLICT`,
 * `APP_COLUMN_TYPE` and what the validators throw.
 */
export function upgradeApplication(
  overlay: StateOverlay,
  app: AppPackage,
  packageHash: Hash,
  context: InstallContext,
): InstallReport {
  const row = findApplication(overlay, context.ecosystem, app.name);
  if (row === undefined) {
    refuse("APP_NOT_INSTALLED", "notFound", `application '${app.name}' is not installed`);
  }
  const schema = overlay.schema("1_applications")!;
  const installed = columnOf(schema, row, "version") as string;
  if (compareVersions(app.version, installed) <= 0) {
    refuse(
      "APP_VERSION_OLD",
      "conflict",
      `application '${app.name}' is at version ${installed}; the package's ${app.version} is not higher`,
    );
  }
  requireInstaller(overlay, context);
  const conditions = (columnOf(schema, row, "conditions") as string | null) ?? "";
  if (!context.allows(conditions)) {
    refuse(
      "APP_DENIED",
      "denied",
      `application '${app.name}': its condition ${conditions} refuses`,
    );
  }
  validateTexts(app, context);
  const appId = row.values[0] as bigint;
  updateRow(overlay, "1_applications", appId, {
    title: app.title,
    version: app.version,
    package_hash: packageHash,
    installed_by: context.keyId,
    installed_at: BigInt(context.time),
    conditions: app.conditions,
  });
  return writeObjects(overlay, app, appId, installed, context);
}

/** Ecosystem parameter that says who installs applications. */
export const INSTALL_PARAMETER = "changing_applications";

function requireInstaller(overlay: StateOverlay, context: InstallContext): void {
  const row = findNamed(overlay, "1_parameters", context.ecosystem, INSTALL_PARAMETER);
  const condition =
    row === undefined
      ? "false"
      : ((columnOf(overlay.schema("1_parameters")!, row, "value") as string | null) ?? "false");
  if (condition !== "" && context.allows(condition)) return;
  refuse(
    "APP_DENIED",
    "denied",
    `only who fulfils the ecosystem parameter ${INSTALL_PARAMETER} (${condition}) installs applications`,
  );
}

function validateTexts(app: AppPackage, context: InstallContext): void {
  const condition = (field: string, text: unknown): void => {
    if (typeof text === "string") context.validateCondition(field, parseRight(text));
  };
  condition("hanse-app.json: conditions", app.conditions);
  for (const table of app.tables) {
    condition(`${table.file}: conditions`, table.conditions);
    for (const [key, value] of Object.entries(table.permissions)) {
      if (key !== "rows") condition(`${table.file}: permissions.${key}`, value);
    }
    const rows = (table.permissions.rows ?? []) as readonly { readonly if: unknown }[];
    for (const [at, rule] of rows.entries()) {
      for (const item of Array.isArray(rule.if) ? (rule.if as unknown[]) : [rule.if]) {
        condition(`${table.file}: permissions.rows[${at}].if`, item);
      }
    }
    for (const column of table.columns) {
      const rights = column.rights;
      if (typeof rights === "string") condition(`${table.file}: ${column.name}.update`, rights);
      else {
        const { update, read } = rights as { readonly update?: string; readonly read?: string };
        condition(`${table.file}: ${column.name}.update`, update);
        condition(`${table.file}: ${column.name}.read`, read);
      }
    }
  }
}

function writeObjects(
  overlay: StateOverlay,
  app: AppPackage,
  appId: bigint,
  previousVersion: string | undefined,
  context: InstallContext,
): InstallReport {
  const { ecosystem } = context;
  for (const table of app.tables) writeTable(overlay, table, appId, ecosystem);
  replaceNamed(overlay, "1_contracts", app.contracts, appId, context, (contract) => ({
    value: contract.source,
    conditions: app.conditions,
    wallet_id: 0n,
    token_id: 1n,
  }));
  replaceNamed(overlay, "1_pages", app.pages, appId, context, (page) => ({
    value: page.value,
    menu: "default_menu",
    validate_count: 1n,
    validate_mode: "0",
    conditions: app.conditions,
  }));
  replaceNamed(overlay, "1_snippets", app.snippets, appId, context, (snippet) => ({
    value: snippet.value,
    conditions: app.conditions,
  }));
  for (const menu of app.menus) writeShared(overlay, "1_menu", menu, app, ecosystem);
  for (const [name, translations] of app.languages) {
    writeLanguage(overlay, name, translations, app, ecosystem);
  }
  for (const parameter of app.parameters) {
    const key = { op: "eq", column: "app_id", value: appId } as const;
    // A value that operators changed since the installation stays as it is.
    if (findNamed(overlay, "1_app_params", ecosystem, parameter.name, [key]) !== undefined)
      continue;
    insertRow(overlay, "1_app_params", {
      app_id: appId,
      name: parameter.name,
      value: parameter.value,
      conditions: app.conditions,
      ecosystem: BigInt(ecosystem),
    });
  }
  return {
    appId,
    name: app.name,
    version: app.version,
    previousVersion,
    tables: app.tables.length,
    contracts: app.contracts.length,
  };
}

function requireOwn(
  overlay: StateOverlay,
  registry: string,
  row: Row,
  appId: bigint,
  what: string,
): void {
  const owner = columnOf(overlay.schema(registry)!, row, "app_id");
  if (owner === appId) return;
  refuse("APP_CONFLICT", "conflict", `${what}: belongs to application ${String(owner)} already`);
}

/** Rows of one kind of object of an application: named ones written, vanished ones removed. */
function replaceNamed<T extends { readonly name: string; readonly file: string }>(
  overlay: StateOverlay,
  registry: string,
  items: readonly T[],
  appId: bigint,
  context: InstallContext,
  valuesOf: (item: T) => Readonly<Record<string, ColumnValue>>,
): void {
  const ecosystem = BigInt(context.ecosystem);
  const names = new Set(items.map((item) => item.name));
  const schema = overlay.schema(registry)!;
  const owned = overlay.find({
    table: registry,
    where: {
      op: "and",
      of: [
        { op: "eq", column: "app_id", value: appId },
        { op: "eq", column: "ecosystem", value: ecosystem },
      ],
    },
    limit: 10_000,
  });
  for (const row of owned) {
    if (!names.has(columnOf(schema, row, "name") as string)) {
      removeRow(overlay, registry, row.values[0] as bigint);
    }
  }
  for (const item of items) {
    const row = findNamed(overlay, registry, context.ecosystem, item.name);
    if (row === undefined) {
      insertRow(overlay, registry, {
        ...valuesOf(item),
        name: item.name,
        app_id: appId,
        ecosystem,
      });
    } else {
      requireOwn(overlay, registry, row, appId, item.file);
      updateRow(overlay, registry, row.values[0] as bigint, valuesOf(item));
    }
  }
}

/** Texts that belong to the ecosystem as a whole: written over by name. */
function writeShared(
  overlay: StateOverlay,
  registry: string,
  item: AppText,
  app: AppPackage,
  ecosystem: number,
): void {
  const values = { value: item.value, title: item.name, conditions: app.conditions };
  const row = findNamed(overlay, registry, ecosystem, item.name);
  if (row !== undefined) updateRow(overlay, registry, row.values[0] as bigint, values);
  else insertRow(overlay, registry, { ...values, name: item.name, ecosystem: BigInt(ecosystem) });
}

function writeLanguage(
  overlay: StateOverlay,
  name: string,
  translations: Readonly<Record<string, string>>,
  app: AppPackage,
  ecosystem: number,
): void {
  const row = findNamed(overlay, "1_languages", ecosystem, name);
  const res = JSON.stringify(translations);
  if (row !== undefined) updateRow(overlay, "1_languages", row.values[0] as bigint, { res });
  else {
    insertRow(overlay, "1_languages", {
      name,
      res,
      conditions: app.conditions,
      ecosystem: BigInt(ecosystem),
    });
  }
}

function writeTable(
  overlay: StateOverlay,
  table: AppTable,
  appId: bigint,
  ecosystem: number,
): void {
  const full = `${ecosystem}_${table.name}`;
  const wanted: NewTable = {
    name: table.name,
    ecosystem,
    appId,
    columns: table.columns.map((column) => ({
      name: column.name,
      type: column.type.name,
      rights: column.rights,
    })),
    indexes: table.indexes,
    permissions: table.permissions,
    conditions: table.conditions,
  };
  const schema = overlay.schema(full);
  if (schema === undefined) {
    createTable(overlay, wanted);
    return;
  }
  const row = findNamed(overlay, "1_tables", ecosystem, table.name);
  if (row === undefined) refuse("APP_CONFLICT", "conflict", `${table.file}: table ${full} exists`);
  requireOwn(overlay, "1_tables", row, appId, table.file);
  const registry = overlay.schema("1_tables")!;
  const types = JSON.parse(columnOf(registry, row, "types") as string) as Record<string, string>;
  const rights = JSON.parse(columnOf(registry, row, "columns") as string) as Record<
    string,
    unknown
  >;
  const merged = new Map<string, NewTable["columns"][number]>();
  for (const column of schema.columns.slice(1)) {
    // A column that the new version does not name keeps its data and is written by nobody.
    const kept = { name: column.name, type: types[column.name]!, rights: "false" as unknown };
    const known = rights[column.name];
    if (typeof known === "object" && known !== null && "read" in known) {
      kept.rights = { update: "false", read: known.read };
    }
    merged.set(column.name, kept);
  }
  for (const column of wanted.columns) {
    const before = types[column.name];
    if (before === undefined) {
      const added = table.columns.find((candidate) => candidate.name === column.name)!;
      overlay.addColumn(full, { name: column.name, type: added.type.state });
    } else if (before !== column.type) {
      refuse(
        "APP_COLUMN_TYPE",
        "conflict",
        `${table.file}: column '${column.name}' is ${before}; an upgrade cannot make it ${column.type}`,
      );
    }
    merged.set(column.name, column);
  }
  for (const index of table.indexes) {
    if (!schema.indexes.includes(index)) overlay.addIndex(full, index);
  }
  updateRow(overlay, "1_tables", row.values[0] as bigint, {
    permissions: toJsonColumn(table.permissions),
    columns: columnRightsText([...merged.values()]),
    types: columnTypesText([...merged.values()]),
    conditions: table.conditions,
  });
}

/** Reads an application from the files of its package; every error names file and field. */
import { type Bytes, fromUtf8, HanseError } from "@hanse/protocol";
import type { TableSchema } from "@hanse/state";
import {
  validateContractName,
  validateNewColumnName,
  validateNewTableName,
} from "../naming/names.ts";
import {
  asObject,
  parseColumnPermissions,
  parseTablePermissions,
  type TablePermissions,
} from "../rights/permissions.ts";
import { columnTypeOf, type NeedleColumnType, TABLE_COLUMNS_MAX } from "../tables/column-types.ts";
import type { PackageFiles } from "./package-file.ts";
import { parseVersion } from "./version.ts";

export const MANIFEST_FILE = "hanse-app.json";
export const DEFAULT_CONDITIONS = 'ContractConditions("MainCondition")';

export interface AppColumn {
  readonly name: string;
  readonly type: NeedleColumnType;
  /** Stored form: a condition, or `{update, read}`. */
  readonly rights: unknown;
}

export interface AppTable {
  readonly file: string;
  readonly name: string;
  readonly columns: readonly AppColumn[];
  readonly indexes: readonly string[];
  /** Stored form. */
  readonly permissions: Readonly<Record<string, unknown>>;
  readonly conditions: string;
}

export interface AppContract {
  readonly file: string;
  readonly name: string;
  readonly source: string;
}

export interface AppText {
  readonly file: string;
  readonly name: string;
  readonly value: string;
}

export interface AppPackage {
  readonly name: string;
  readonly title: string;
  readonly version: string;
  readonly conditions: string;
  readonly tables: readonly AppTable[];
  readonly contracts: readonly AppContract[];
  readonly parameters: readonly AppText[];
  readonly pages: readonly AppText[];
  readonly menus: readonly AppText[];
  readonly snippets: readonly AppText[];
  /** Text name to translations by language code. */
  readonly languages: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** Files that belong to no part of an application, e.g. a README: carried, not installed. */
  readonly otherFiles: readonly string[];
}

const APP_NAME = /^[a-z][a-z0-9-]{0,49}$/;
const TEXT_NAME = /^[A-Za-z0-9_.-]{1,100}$/;
const LANGUAGE = /^[a-z]{2,3}(-[A-Za-z]{2,8})?$/;
const MANIFEST_KEYS = new Set([
  "$schema",
  "format",
  "name",
  "title",
  "version",
  "description",
  "conditions",
  "parameters",
]);
const TABLE_KEYS = new Set(["name", "columns", "indexes", "permissions", "conditions"]);

function fail(field: string, message: string, code = "APP_PACKAGE_INVALID"): never {
  throw new HanseError(code, "malformed", `${field}: ${message}`, { details: { field } });
}

function readJson(path: string, content: Bytes): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(content));
  } catch (cause) {
    fail(path, `not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  return asObject(value, path);
}

function textOf(value: unknown, field: string): string {
  if (typeof value !== "string" || value === "") fail(field, "expected a text");
  return value;
}

function requireKeys(
  object: Readonly<Record<string, unknown>>,
  known: ReadonlySet<string>,
  field: string,
): void {
  for (const key of Object.keys(object)) {
    if (!known.has(key)) fail(`${field}: ${key}`, `no such key; known: ${[...known].join(", ")}`);
  }
}

function parseTable(path: string, content: Bytes): AppTable {
  const source = readJson(path, content);
  requireKeys(source, TABLE_KEYS, path);
  const name = textOf(source.name, `${path}: name`);
  validateNewTableName(name, `${path}: name`);
  const list = source.columns;
  if (!Array.isArray(list) || list.length === 0) fail(`${path}: columns`, "expected a list");
  if (list.length > TABLE_COLUMNS_MAX) {
    fail(`${path}: columns`, `Too many columns. Limit is ${TABLE_COLUMNS_MAX}`);
  }
  const names = new Set<string>();
  const columns = list.map((item: unknown, at): AppColumn => {
    const field = `${path}: columns[${at}]`;
    const column = asObject(item, field);
    requireKeys(column, new Set(["name", "type", "update", "read"]), field);
    const columnName = textOf(column.name, `${field}.name`);
    validateNewColumnName(columnName, `${field}.name`);
    if (names.has(columnName)) fail(`${field}.name`, "there are the same columns");
    names.add(columnName);
    const update = textOf(column.update, `${field}.update`);
    const rights = column.read === undefined ? update : { update, read: column.read };
    parseColumnPermissions(rights, field);
    return {
      name: columnName,
      type: columnTypeOf(textOf(column.type, `${field}.type`), `${field}.type`),
      rights,
    };
  });
  const indexes = source.indexes ?? [];
  if (!Array.isArray(indexes)) fail(`${path}: indexes`, "expected a list of column names");
  for (const index of indexes) {
    if (!names.has(index as string)) fail(`${path}: indexes`, `no column '${String(index)}'`);
  }
  const permissions = asObject(source.permissions, `${path}: permissions`);
  for (const key of ["insert", "update", "new_column"]) {
    textOf(permissions[key], `${path}: permissions.${key}`);
  }
  const parsed = parseTablePermissions(permissions, `${path}: permissions`);
  requireRowRules(parsed, columns, path);
  return {
    file: path,
    name,
    columns,
    indexes: indexes as string[],
    permissions,
    conditions:
      source.conditions === undefined
        ? DEFAULT_CONDITIONS
        : textOf(source.conditions, `${path}: conditions`),
  };
}

/** What a row rule may compare a column with, by the column's type in state. */
const CALLER_VALUES: Readonly<Record<string, string>> = {
  $org: "text",
  $account_id: "text",
  $key_id: "int",
};

function requireRowRules(
  permissions: TablePermissions,
  columns: readonly AppColumn[],
  path: string,
): void {
  for (const [at, rule] of (permissions.rows ?? []).entries()) {
    for (const [name, value] of rule.where) {
      const field = `${path}: permissions.rows[${at}].where.${name}`;
      const state =
        name === "id" ? "int" : columns.find((column) => column.name === name)?.type.state;
      if (state === undefined) fail(field, "no such column");
      const wanted =
        typeof value === "bigint"
          ? "int"
          : typeof value === "boolean"
            ? "bool"
            : value.startsWith("$")
              ? CALLER_VALUES[value]
              : "text";
      if (wanted === undefined) {
        fail(field, `unknown ${String(value)}; use ${Object.keys(CALLER_VALUES).join(", ")}`);
      }
      if (wanted !== state) fail(field, `a column of type ${state} is not compared with ${wanted}`);
    }
  }
}

const CONTRACT_NAME = /^[ \t]*contract\s+([A-Za-z_]\w*)\s*\{/m;

function parseContract(path: string, content: Bytes): AppContract {
  const source = fromUtf8(content);
  const name = CONTRACT_NAME.exec(source)?.[1];
  const file = path.slice(path.lastIndexOf("/") + 1, -".sim".length);
  if (name === undefined) fail(path, "holds no contract; expected 'contract Name {'");
  validateContractName(name, path);
  if (name !== file) fail(path, `holds the contract '${name}'; name the file ${name}.sim`);
  return { file: path, name, source };
}

function parseTextFile(path: string, content: Bytes, extension: string): AppText {
  const name = path.slice(path.lastIndexOf("/") + 1, -extension.length);
  if (!TEXT_NAME.test(name)) fail(path, "name: use letters, digits, '_', '.', '-'");
  return { file: path, name, value: fromUtf8(content) };
}

/**
 * The application of a package's files.
 * @throws HanseError `APP_PACKAGE_INVALID`, `ECOSYSTEM_NAME`, `ECOSYSTEM_COLUMN_TYPE`,
 * `ECOSYSTEM_PERMISSIONS`, each naming file and field.
 */
export function parseAppPackage(files: PackageFiles): AppPackage {
  const manifestBytes = files.get(MANIFEST_FILE);
  if (manifestBytes === undefined) fail(MANIFEST_FILE, "missing; every application has one");
  const manifest = readJson(MANIFEST_FILE, manifestBytes);
  requireKeys(manifest, MANIFEST_KEYS, MANIFEST_FILE);
  if (manifest.format !== 1) fail(`${MANIFEST_FILE}: format`, "expected 1");
  const name = textOf(manifest.name, `${MANIFEST_FILE}: name`);
  if (!APP_NAME.test(name)) {
    fail(`${MANIFEST_FILE}: name`, "use a-z, 0-9 and '-', at most 50 characters");
  }
  const version = textOf(manifest.version, `${MANIFEST_FILE}: version`);
  parseVersion(version, `${MANIFEST_FILE}: version`);
  const parameters = Object.entries(
    manifest.parameters === undefined
      ? {}
      : asObject(manifest.parameters, `${MANIFEST_FILE}: parameters`),
  ).map(([key, value]): AppText => {
    if (typeof value !== "string") fail(`${MANIFEST_FILE}: parameters.${key}`, "expected a text");
    return { file: MANIFEST_FILE, name: key, value };
  });
  const tables: AppTable[] = [];
  const contracts: AppContract[] = [];
  const pages: AppText[] = [];
  const menus: AppText[] = [];
  const snippets: AppText[] = [];
  const languages = new Map<string, Record<string, string>>();
  const otherFiles: string[] = [];
  const texts = { pages, menus, snippets };
  for (const [path, content] of files) {
    const folder = path.slice(0, Math.max(0, path.indexOf("/")));
    if (path === MANIFEST_FILE) continue;
    if (folder === "tables" && path.endsWith(".json")) tables.push(parseTable(path, content));
    else if (folder === "contracts" && path.endsWith(".sim")) {
      contracts.push(parseContract(path, content));
    } else if (Object.hasOwn(texts, folder) && path.endsWith(".ptl")) {
      texts[folder as keyof typeof texts].push(parseTextFile(path, content, ".ptl"));
    } else if (folder === "languages" && path.endsWith(".json")) {
      readLanguage(path, content, languages);
    } else otherFiles.push(path);
  }
  requireUnique("table", tables);
  requireUnique("contract", contracts);
  const byName = <T extends { readonly name: string }>(list: T[]) =>
    list.sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    name,
    title: manifest.title === undefined ? name : textOf(manifest.title, "title"),
    version,
    conditions:
      manifest.conditions === undefined
        ? DEFAULT_CONDITIONS
        : textOf(manifest.conditions, `${MANIFEST_FILE}: conditions`),
    tables: byName(tables),
    contracts: byName(contracts),
    parameters: byName(parameters),
    pages: byName(pages),
    menus: byName(menus),
    snippets: byName(snippets),
    languages: new Map([...languages].sort(([a], [b]) => (a < b ? -1 : 1))),
    otherFiles: otherFiles.sort(),
  };
}

function requireUnique(
  what: string,
  items: readonly { readonly name: string; readonly file: string }[],
): void {
  const seen = new Map<string, string>();
  for (const item of items) {
    const other = seen.get(item.name);
    if (other !== undefined) fail(item.file, `${what} '${item.name}' is also in ${other}`);
    seen.set(item.name, item.file);
  }
}

function readLanguage(
  path: string,
  content: Bytes,
  languages: Map<string, Record<string, string>>,
): void {
  const code = path.slice(path.lastIndexOf("/") + 1, -".json".length);
  if (!LANGUAGE.test(code)) fail(path, "name the file by its language, e.g. en.json");
  for (const [name, value] of Object.entries(readJson(path, content))) {
    if (typeof value !== "string") fail(`${path}: ${name}`, "expected a text");
    const entry = languages.get(name) ?? {};
    entry[code] = value;
    languages.set(name, entry);
  }
}

/** Schema a table of an application gets in state. */
export function appTableSchema(table: AppTable, ecosystem: number): TableSchema {
  return {
    name: `${ecosystem}_${table.name}`,
    columns: [
      { name: "id", type: "int" },
      ...table.columns.map((column) => ({ name: column.name, type: column.type.state })),
    ],
    indexes: table.indexes,
  };
}

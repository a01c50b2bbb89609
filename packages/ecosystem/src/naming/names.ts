/**
 * Names inside a ledger that runs Needle: contracts are `@<ecosystem>Name`, tables
 * `<ecosystem>_name`; shared tables live once, in ecosystem 1, with an `ecosystem` column.
 */
import { HanseError } from "@hanse/protocol";

/** Tables that exist once per ledger and mark every row with its ecosystem. */
export const SHARED_TABLES: ReadonlySet<string> = new Set([
  "keys",
  "menu",
  "pages",
  "snippets",
  "languages",
  "contracts",
  "tables",
  "parameters",
  "history",
  "sections",
  "members",
  "roles",
  "roles_participants",
  "notifications",
  "applications",
  "binaries",
  "buffer_data",
  "app_params",
  "views",
]);

/** Names of older applications for tables that were renamed since. */
const TABLE_ALIASES: ReadonlyMap<string, string> = new Map([["blocks", "snippets"]]);

/** A table an application may create: state accepts 63 bytes with the ecosystem in front. */
const NEW_TABLE = /^[a-z_][a-z0-9_]{0,50}$/;
const NEW_COLUMN = /^(?!__)[a-z_][a-z0-9_]{0,62}$/;
const CONTRACT = /^[A-Za-z_][A-Za-z0-9_]{0,99}$/;

export interface ContractName {
  readonly ecosystem: number;
  /** Without prefix: `Transfer`. */
  readonly name: string;
  /** With prefix: `@1Transfer`. */
  readonly full: string;
}

export interface TableName {
  /** The ecosystem the name asks for: decides the `ecosystem` value of rows in shared tables. */
  readonly ecosystem: number;
  /** Without prefix: `pages`. */
  readonly name: string;
  /** As state knows it: `1_pages`. */
  readonly full: string;
  readonly shared: boolean;
}

const WORD = /[^\p{L}\p{N}_\u{80}-\u{10ffff}]/gu;
const PLAIN_TABLE = /^[a-z0-9_]+$/;

/**
 * The table a name in a contract stands for. `forWrite` matters for shared tables of another
 * ecosystem only: `@5pages` is written as `1_pages` with ecosystem 5; reads name `@1pages`.
 */
export function resolveTableName(text: string, ecosystem: number, forWrite = false): TableName {
  const isPlain = !text.startsWith("@") && text.length <= KNOWN_CHARS_MAX;
  const known = isPlain ? knownNames.get(ecosystem)?.get(text) : undefined;
  if (known !== undefined) return known;
  const name = readTableName(text, ecosystem, forWrite);
  if (isPlain) remember(text, ecosystem, name);
  return name;
}

/** Names as contracts write them, by ecosystem; bare ones mean the same for reads and writes. */
const knownNames = new Map<number, Map<string, TableName>>();
const KNOWN_CHARS_MAX = 64;
const KNOWN_NAMES_MAX = 1_000;
const KNOWN_ECOSYSTEMS_MAX = 100;

function remember(text: string, ecosystem: number, name: TableName): void {
  let names = knownNames.get(ecosystem);
  if (names === undefined) {
    if (knownNames.size >= KNOWN_ECOSYSTEMS_MAX) knownNames.clear();
    names = new Map();
    knownNames.set(ecosystem, names);
  }
  if (names.size >= KNOWN_NAMES_MAX) names.clear();
  names.set(text, name);
}

function readTableName(text: string, ecosystem: number, forWrite: boolean): TableName {
  let home = ecosystem;
  let name = text;
  if (text.startsWith("@")) {
    const match = /^@(\d{1,9})(.*)$/su.exec(text);
    if (match !== null) {
      home = Number(match[1]);
      name = match[2]!;
    } else {
      home = 1;
      name = text.slice(1);
    }
  }
  if (!PLAIN_TABLE.test(name)) name = name.toLowerCase().replace(WORD, "");
  name = TABLE_ALIASES.get(name) ?? name;
  const shared = SHARED_TABLES.has(name);
  const explicit = text.startsWith("@");
  const prefix = shared && (!explicit || forWrite) ? 1 : home;
  return { ecosystem: home, name, full: `${prefix}_${name}`, shared };
}

/** `Name` in the ecosystem given, `@Name` in ecosystem 1, `@7Name` in ecosystem 7. */
export function resolveContractName(text: string, ecosystem: number): ContractName {
  if (!text.startsWith("@")) return { ecosystem, name: text, full: `@${ecosystem}${text}` };
  const match = /^@(\d{1,9})?(.*)$/su.exec(text)!;
  const home = match[1] === undefined ? 1 : Number(match[1]);
  return { ecosystem: home, name: match[2]!, full: `@${home}${match[2]!}` };
}

/** @throws HanseError `ECOSYSTEM_NAME` naming the field. */
export function validateNewTableName(name: string, field: string): void {
  if (NEW_TABLE.test(name) && !SHARED_TABLES.has(name) && !RESERVED_TABLES.has(name)) return;
  throw new HanseError(
    "ECOSYSTEM_NAME",
    "malformed",
    `${field}: '${name}' is no name for a new table; use a-z, 0-9 and _, at most 51 characters, not the name of a system table`,
    { details: { field } },
  );
}

/** Tables of ecosystem 1 that are not shared and not for applications. */
export const RESERVED_TABLES: ReadonlySet<string> = new Set(["ecosystems", "platform_parameters"]);

/** @throws HanseError `ECOSYSTEM_NAME` naming the field. */
export function validateNewColumnName(name: string, field: string): void {
  if (NEW_COLUMN.test(name) && name !== "id") return;
  throw new HanseError(
    "ECOSYSTEM_NAME",
    "malformed",
    `${field}: '${name}' is no name for a column; use a-z, 0-9 and _, at most 63 characters, not 'id'`,
    { details: { field } },
  );
}

/** @throws HanseError `ECOSYSTEM_NAME` naming the field. */
export function validateContractName(name: string, field: string): void {
  if (CONTRACT.test(name)) return;
  throw new HanseError(
    "ECOSYSTEM_NAME",
    "malformed",
    `${field}: '${name}' is no name for a contract; use letters, digits and _, at most 100 characters`,
    { details: { field } },
  );
}

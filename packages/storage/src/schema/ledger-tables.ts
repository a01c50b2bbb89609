/**
 * Tables of one ledger, in a database schema of their own. Those of the platform begin with `$`,
 * which no table of an application can.
 */
import type { TableSchema } from "@hanse/state";
import { declaredType, HEIGHT_COLUMN, quoteName } from "../rows/column-codec.ts";
import { indexExpression } from "../rows/query-sql.ts";

/** Number of this layout; a store of another number is refused. */
export const LAYOUT = 1;

/** Transactions of one part of the index of ids; a part's index stays small enough for memory. */
export const INDEX_PART_TRANSACTIONS = 1_000_000;

export function ledgerSchemaName(ledgerId: Uint8Array): string {
  return `ledger_${Buffer.from(ledgerId).toString("hex").slice(0, 16)}`;
}

/** Statements that make the platform's tables. */
export function createLedgerTables(schemaName: string): string {
  const s = quoteName(schemaName);
  return `
create schema ${s};
create table ${s}."$meta" (
  one boolean primary key default true check (one),
  layout integer not null,
  ledger_id bytea not null,
  genesis bytea,
  height bigint not null,
  state_root bytea not null,
  results_root bytea not null,
  block_hash bytea not null,
  tree_depth integer not null,
  tree_from bigint not null,
  index_part integer not null,
  index_count bigint not null
) with (fillfactor = 50);
create table ${s}."$schemas" (
  name text collate "C" primary key,
  schema text not null,
  highest bigint not null
) with (fillfactor = 50);
create table ${s}."$kv" (
  namespace text collate "C" not null,
  key bytea not null,
  value bytea not null,
  height bigint not null,
  index integer not null,
  primary key (namespace, key)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.1);
create table ${s}."$blocks" (
  height bigint primary key,
  hash bytea not null,
  time bigint not null,
  valid_until_max bigint not null,
  transactions integer not null,
  ids bytea not null,
  senders bytea not null,
  valid_until bytea not null,
  block bytea not null,
  certificate bytea not null,
  outcomes bytea not null,
  views bytea not null,
  changes bytea not null
);
create index on ${s}."$blocks" (valid_until_max);
${createHeaderTable(schemaName)}
create table ${s}."$removed" (
  name text collate "C" not null,
  key bytea not null,
  height bigint not null,
  primary key (name, key, height)
);
create table ${s}."$tree" (
  segment bigint primary key,
  leaves bytea not null
);
alter table ${s}."$blocks" alter ids set storage external, alter senders set storage external,
  alter valid_until set storage external, alter block set storage external,
  alter certificate set storage external, alter outcomes set storage external,
  alter views set storage external, alter changes set storage external;
alter table ${s}."$tree" alter leaves set storage external;
${createIndexPart(schemaName, 0)}
comment on schema ${s} is 'One Hanse ledger. Read as you like; only the node writes.';
`;
}

/** Headers that hand over to another validator set, of blocks that are no longer kept. */
export function createHeaderTable(schemaName: string): string {
  return `create table if not exists ${quoteName(schemaName)}."$headers" (
  height bigint primary key,
  header bytea not null,
  certificate bytea not null
);`;
}

export function indexPartName(part: number): string {
  return `$transactions_${part}`;
}

/**
 * One part of the index from transaction ids (their first 8 bytes) to places. Ids arrive in no
 * order: one index over all of them would cost more the longer the chain gets.
 */
export function createIndexPart(schemaName: string, part: number): string {
  const table = `${quoteName(schemaName)}.${quoteName(indexPartName(part))}`;
  return `create table ${table} (prefix bigint not null, height bigint not null, index integer not null);
create index on ${table} (prefix);`;
}

function columnLine(column: TableSchema["columns"][number], isKey: boolean): string {
  return `${quoteName(column.name)} ${declaredType(column.type)}${isKey ? " primary key" : ""}`;
}

/** Statements that bring a table from one schema to the next. */
export function tableStatements(
  schemaName: string,
  before: TableSchema | undefined,
  after: TableSchema,
): string[] {
  const table = `${quoteName(schemaName)}.${quoteName(after.name)}`;
  const statements: string[] = [];
  if (before === undefined) {
    const columns = after.columns.map((column, i) => columnLine(column, i === 0));
    statements.push(
      // Room on each page keeps updates of rows off the indexes.
      `create table ${table} (${[...columns, `${quoteName(HEIGHT_COLUMN)} bigint not null`].join(", ")}) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.1)`,
    );
  } else {
    for (const column of after.columns.slice(before.columns.length)) {
      statements.push(`alter table ${table} add column ${columnLine(column, false)}`);
    }
  }
  const known = new Set(before?.indexes ?? []);
  for (const index of after.indexes) {
    if (known.has(index)) continue;
    statements.push(`create index on ${table} (${indexExpression(after, index)})`);
  }
  return statements;
}

/**
 * The order in which rights of a table are asked, for every path that reads or writes rows
 * (contracts, read-only calls, the row list of the API). How a right is evaluated comes from
 * outside: conditions may run contracts.
 */
import { HanseError } from "@hanse/protocol";
import type { ColumnValue, Condition } from "@hanse/state";
import type { CatalogTable } from "../catalog/catalog.ts";
import type { Right } from "./rights.ts";

export interface RightsEvaluator {
  /**
   * Whether the right holds for who asks now; errors inside a condition are thrown on. `ecosystem`
   * is where bare names in it belong, `appId` whose parameters it may look at.
   */
  holds(right: Right, ecosystem: number, appId: bigint): boolean;
  /** Value of `$org`, `$key_id` or `$account_id` for a row rule. */
  callerValue(name: string): ColumnValue;
  /** Whether who asks is the founder of an ecosystem. */
  isFounder(ecosystem: number): boolean;
}

export type AccessScope = "table" | "column";

function denied(scope: AccessScope, what: string): never {
  throw new HanseError("NEEDLE_ACCESS_DENIED", "denied", `${scope}: access denied (${what})`, {
    details: { what },
  });
}

/** Tables that only the founder writes; nothing else is asked for them. */
const FOUNDER_TABLES: ReadonlySet<string> = new Set(["1_parameters", "1_app_params"]);

function allowFounderTable(
  table: CatalogTable,
  ecosystem: number,
  evaluator: RightsEvaluator,
  action: string,
): boolean {
  if (!FOUNDER_TABLES.has(table.full)) return false;
  if (!evaluator.isFounder(ecosystem)) denied("table", `${table.full} ${action}`);
  return true;
}

/**
 * `ecosystem`: where bare names in the rights belong, the table's own; of shared tables the one
 * that the row belongs to.
 * @throws HanseError `NEEDLE_ACCESS_DENIED`
 */
export function requireInsert(
  table: CatalogTable,
  ecosystem: number,
  evaluator: RightsEvaluator,
): void {
  if (allowFounderTable(table, ecosystem, evaluator, "insert")) return;
  const right = table.permissions.insert;
  if (right.kind === "always" || evaluator.holds(right, ecosystem, table.appId)) return;
  denied("table", `${table.full} insert`);
}

/**
 * Right to update the table, then each column named, once.
 * @throws HanseError `NEEDLE_ACCESS_DENIED`
 */
export function requireUpdate(
  table: CatalogTable,
  columns: readonly string[],
  ecosystem: number,
  evaluator: RightsEvaluator,
): void {
  if (allowFounderTable(table, ecosystem, evaluator, "update")) return;
  const right = table.permissions.update;
  if (right.kind !== "always" && !evaluator.holds(right, ecosystem, table.appId)) {
    denied("table", `${table.full} update`);
  }
  // Columns mostly share one condition: asked once per text and call.
  let held: string | undefined;
  for (const name of columns) {
    const column = table.columnRights.get(name);
    if (column === undefined) continue;
    const update = column.update;
    if (update.kind === "always" || update.text === held) continue;
    if (!evaluator.holds(update, ecosystem, table.appId))
      denied("column", `${table.full}.${name} update`);
    held = update.text;
  }
}

/**
 * Columns a caller gets of those asked for (all when undefined): refused ones are left out.
 * @throws HanseError `NEEDLE_ACCESS_DENIED` when the table or all columns are refused.
 */
export function readableColumns(
  table: CatalogTable,
  asked: readonly string[] | undefined,
  ecosystem: number,
  evaluator: RightsEvaluator,
): readonly string[] {
  const right = table.permissions.read;
  if (right.kind !== "always" && !evaluator.holds(right, ecosystem, table.appId)) {
    denied("table", `${table.full} read`);
  }
  const columns = asked ?? table.columnNames;
  if (!table.hasColumnReads) return columns;
  const allowed = columns.filter((name) => {
    const read = table.columnRights.get(name)?.read;
    return (
      read === undefined || read.kind === "always" || evaluator.holds(read, ecosystem, table.appId)
    );
  });
  if (allowed.length === 0) denied("column", `${table.full} read`);
  return allowed;
}

/** Whether rows may be selected or ordered by a column: only by one that may be read. */
export function requireReadable(
  table: CatalogTable,
  columns: Iterable<string>,
  ecosystem: number,
  evaluator: RightsEvaluator,
): void {
  if (!table.hasColumnReads) return;
  for (const name of columns) {
    const read = table.columnRights.get(name)?.read;
    if (read === undefined || read.kind === "always") continue;
    if (!evaluator.holds(read, ecosystem, table.appId))
      denied("column", `${table.full}.${name} read`);
  }
}

/** Which rows a caller may see: all, or those a condition admits (an empty `or`: none). */
export function visibleRows(
  table: CatalogTable,
  ecosystem: number,
  evaluator: RightsEvaluator,
): Condition | "all" {
  const rules = table.permissions.rows;
  if (rules === undefined) return "all";
  const admitted: Condition[] = [];
  for (const rule of rules) {
    const met = rule.if.every(
      (right) => right.kind === "always" || evaluator.holds(right, ecosystem, table.appId),
    );
    if (!met) continue;
    if (rule.where.size === 0) return "all";
    const parts: Condition[] = [];
    for (const [column, wanted] of rule.where) {
      const value =
        typeof wanted === "string" && wanted.startsWith("$")
          ? evaluator.callerValue(wanted)
          : wanted;
      parts.push({ op: "eq", column, value });
    }
    admitted.push(parts.length === 1 ? parts[0]! : { op: "and", of: parts });
  }
  return admitted.length === 1 ? admitted[0]! : { op: "or", of: admitted };
}

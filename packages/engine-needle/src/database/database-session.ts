/** What selects and writes of one run work on. */
import {
  type Catalog,
  type CatalogTable,
  type Right,
  type RightsEvaluator,
  resolveTableName,
  type TableName,
} from "@hanse/ecosystem";
import type { NeedleArray } from "@hanse/needle";
import { HanseError } from "@hanse/protocol";
import type { StateOverlay } from "@hanse/state";

export interface RunRights extends RightsEvaluator {
  /** Evaluates a table's `filter` with the rows in `$data`; true releases them as they then are. */
  releases(filter: Right, ecosystem: number, appId: bigint, data: NeedleArray): boolean;
}

export interface DatabaseSession {
  readonly state: StateOverlay;
  /** Catalog of the state as it stands now. */
  catalog(): Catalog;
  readonly rights: RunRights;
  /** Ecosystem of the transaction. */
  readonly ecosystem: number;
  /** Called for each row read by its key: what prefetch hints are learned from. */
  noteRow(table: string, key: bigint): void;
  /** Called after a row of a catalog table changed. */
  noteCatalogWrite(): void;
  /** Burns fuel. @throws NeedleFault when it is used up. */
  chargeFuel(units: number): void;
}

export interface ResolvedTable {
  readonly name: TableName;
  readonly table: CatalogTable;
  /**
   * Ecosystem that bare names in the table's rights belong to: the table's own, so that no other
   * ecosystem gains rights by naming a contract alike; the transaction's for shared tables.
   */
  readonly home: number;
}

/**
 * The registered table a name stands for in the ecosystem of the running contract.
 * @throws HanseError `NEEDLE_NO_TABLE`
 */
export function openTable(
  session: DatabaseSession,
  text: string,
  ecosystem: number,
  forWrite: boolean,
): ResolvedTable {
  const name = resolveTableName(text, ecosystem, forWrite);
  const table = session.catalog().table(session.state, name.full);
  if (table === undefined) {
    throw new HanseError("NEEDLE_NO_TABLE", "notFound", `${name.full} is not a custom table`, {
      details: { table: name.full },
    });
  }
  return { name, table, home: name.shared ? session.ecosystem : table.ecosystem };
}

/** What one call of a contract works on, shared by every host function of the call. */
import type { Catalog, CatalogCache } from "@hanse/ecosystem";
import type { BlockContext, LedgerEvent, Sender } from "@hanse/ledger";
import { HanseError } from "@hanse/protocol";
import type { StateOverlay } from "@hanse/state";

/** Events of one transaction. */
export const EVENTS_MAX = 1_000;
/** Characters of the data of one event. */
export const EVENT_CHARS_MAX = 65_536;

/**
 * Look-ups of contracts, parameters and texts that find nothing, in one call: what is there stays
 * in memory, what is not costs the database a search each.
 */
export const MISSES_MAX = 1_000;

export class RunContext {
  readonly state: StateOverlay;
  readonly block: BlockContext;
  /** Undefined for a read by nobody in particular. */
  readonly sender: Sender | undefined;
  /** Ecosystem of the transaction. */
  readonly ecosystem: number;
  readonly events: LedgerEvent[] = [];
  /** Rows read by key, `table` and `key` in turn, while hints are being learned. */
  readonly rowReads: (string | bigint)[] | undefined;
  #misses = 0;
  readonly #catalogs: CatalogCache;
  #catalog: Catalog | undefined;

  constructor(
    catalogs: CatalogCache,
    state: StateOverlay,
    block: BlockContext,
    sender: Sender | undefined,
    ecosystem: number,
    rowReads?: (string | bigint)[],
    catalog?: Catalog,
  ) {
    this.#catalogs = catalogs;
    this.state = state;
    this.block = block;
    this.sender = sender;
    this.ecosystem = ecosystem;
    this.rowReads = rowReads;
    this.#catalog = catalog;
  }

  /** The catalog of the state as it stands; kept until a write may have changed it. */
  catalog(): Catalog {
    this.#catalog ??= this.#catalogs.open(this.state);
    return this.#catalog;
  }

  /** Passes on what a look-up found. @throws HanseError `NEEDLE_LOOKUPS` after too many misses. */
  found<T>(value: T | undefined): T | undefined {
    if (value === undefined && ++this.#misses > MISSES_MAX) {
      throw new HanseError(
        "NEEDLE_LOOKUPS",
        "limit",
        `more than ${MISSES_MAX} contracts, parameters or texts looked up that do not exist`,
      );
    }
    return value;
  }

  /** To be called after a write to a catalog table and after a rollback. */
  forgetCatalog(): void {
    this.#catalog = undefined;
  }
}

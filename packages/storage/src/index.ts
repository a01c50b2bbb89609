export {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from "./embedded/embedded-postgres.ts";
export {
  CACHE_BYTES_MAX,
  CACHE_ROWS_MAX,
  IDS_MAX,
  type LedgerStoreOptions,
  openLedgerStore,
  type PostgresLedgerStore,
  type StoreFigures,
} from "./store/ledger-store.ts";

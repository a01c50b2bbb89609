export {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from "./embedded/embedded-postgres.ts";
export {
  type LoadSnapshotOptions,
  loadSnapshot,
  type TransactionFacts,
} from "./snapshot/load-snapshot.ts";
export {
  CONTENT_FILE,
  chunkFile,
  PART_SUFFIX,
  syncFolder,
  writeDurably,
} from "./snapshot/write-snapshot.ts";
export {
  CACHE_BYTES_MAX,
  CACHE_ROWS_MAX,
  IDS_MAX,
  type LedgerStoreOptions,
  openLedgerStore,
  type PostgresLedgerStore,
  type StoreFigures,
} from "./store/ledger-store.ts";

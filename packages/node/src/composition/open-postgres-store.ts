/** The database of a node: a cluster in its own folder, or a server by URL. */
import { HanseError } from "@hanse/protocol";
import { openLedgerStore, type PostgresLedgerStore, startEmbeddedPostgres } from "@hanse/storage";
import { checkDatabase, foldersOf, noteDatabase } from "../folder/node-folder.ts";
import { loadAnchor } from "../snapshots/trust-anchor.ts";
import { loadIncoming } from "./load-incoming.ts";
import type { NodeAdapters, OpenedStore } from "./start-node.ts";

export interface PostgresOpened extends OpenedStore {
  readonly store: PostgresLedgerStore;
}

/** What an operator gives to psql. */
function withoutPassword(url: string): string {
  return url.replace(/^(postgres:\/\/[^:@/]*):[^@]*@/, "$1@");
}

/** @throws HanseError `NODE_DATABASE_MISSING`, `STORAGE_*` naming folder or server. */
export async function openPostgresStore({
  config,
  genesis,
  ledgerId,
  note,
  log,
}: Parameters<NodeAdapters["openStore"]>[0]): Promise<PostgresOpened> {
  let told: ((error: HanseError) => void) | undefined;
  let failure: HanseError | undefined;
  const fail = (error: HanseError) => {
    failure ??= error;
    told?.(failure);
  };
  const { url, cacheBytesMax } = config.database;
  if (url === undefined) checkDatabase(config, note);
  const embedded =
    url === undefined
      ? await startEmbeddedPostgres({ dir: foldersOf(config).postgres })
      : undefined;
  if (embedded !== undefined) {
    noteDatabase(config, note);
    const { pid, major, url: connection } = embedded;
    log.info({ pid, major, url: withoutPassword(connection) }, "embedded PostgreSQL runs");
    embedded.onExit((reason) =>
      fail(new HanseError("NODE_DATABASE", "corrupt", `PostgreSQL ended by itself: ${reason}`)),
    );
  }
  try {
    const { incoming } = foldersOf(config);
    const server = embedded?.url ?? url!;
    const anchor = loadAnchor(config, ledgerId);
    await loadIncoming({ folder: incoming, url: server, genesis, ledgerId, anchor, log });
    const store = await openLedgerStore({
      database: embedded ?? { url: url! },
      ledgerId,
      cacheBytesMax,
      onFailure: fail,
    });
    return {
      store,
      history: store,
      search: (query) => store.search(query),
      async close() {
        await store.close(failure === undefined ? "drain" : "now").catch((error: unknown) => {
          log.error({ err: error }, "closing the store failed");
        });
        await embedded?.stop();
      },
      onFailure(handler) {
        told = handler;
        if (failure !== undefined) handler(failure);
      },
    };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

/** The database of a node: a cluster in its own folder, or a server by URL. */
import { HanseError } from "@hanse/protocol";
import { openLedgerStore, startEmbeddedPostgres } from "@hanse/storage";
import { checkDatabase, foldersOf, noteDatabase } from "../folder/node-folder.ts";
import type { NodeAdapters, OpenedStore } from "./start-node.ts";

/** @throws HanseError `NODE_DATABASE_MISSING`, `STORAGE_*` naming folder or server. */
export const openPostgresStore: NodeAdapters["openStore"] = async ({
  config,
  ledgerId,
  note,
  log,
}) => {
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
    log.info({ pid: embedded.pid, major: embedded.major }, "embedded PostgreSQL runs");
    embedded.onExit((reason) =>
      fail(new HanseError("NODE_DATABASE", "corrupt", `PostgreSQL ended by itself: ${reason}`)),
    );
  }
  try {
    const store = await openLedgerStore({
      database: embedded ?? { url: url! },
      ledgerId,
      cacheBytesMax,
      onFailure: fail,
    });
    const opened: OpenedStore = {
      store,
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
    return opened;
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
};

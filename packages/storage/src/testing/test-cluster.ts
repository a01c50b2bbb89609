/** A PostgreSQL cluster for the tests of one file, with stores that are closed whatever fails. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before } from "node:test";
import type { Hash } from "@hanse/protocol";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../embedded/embedded-postgres.ts";
import { openLedgerStore, type PostgresLedgerStore } from "../store/ledger-store.ts";

export interface TestCluster {
  /** A folder of this file alone, removed at the end. */
  readonly dir: string;
  readonly postgres: EmbeddedPostgres;
  open(ledgerId: Hash): Promise<PostgresLedgerStore>;
}

/** Starts before the tests of the calling file and stops after them: use it inside tests only. */
export function useTestCluster(name: string): TestCluster {
  let dir = "";
  let postgres: EmbeddedPostgres | undefined;
  const stores: PostgresLedgerStore[] = [];
  const started = (): EmbeddedPostgres => {
    if (postgres === undefined) throw new Error("the cluster starts before the first test");
    return postgres;
  };
  before(async () => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), `hanse-${name}-test-`));
    postgres = await startEmbeddedPostgres({ dir, settings: { fsync: "off" } });
  });
  after(async () => {
    // A store that is left open by a failed test would keep the server from stopping.
    for (const store of stores) await store.close("now").catch(() => {});
    await postgres?.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  });
  return {
    get dir() {
      return dir;
    },
    get postgres() {
      return started();
    },
    async open(ledgerId) {
      const store = await openLedgerStore({ database: started(), ledgerId });
      stores.push(store);
      return store;
    },
  };
}

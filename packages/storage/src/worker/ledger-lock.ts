/** One process at a time writes a ledger's schema in a database. */
import { promisify } from "node:util";
import { HanseError, type Hash, toHex } from "@hanse/protocol";
import type { SqlClient } from "./sql-client.ts";

/** How long the lock of a process that was killed may outlive it. */
const LOCK_PATIENCE_MS = 3_000;

const wait = promisify(setTimeout);

/**
 * Held by this connection: freed with it, whatever ends the process.
 * @throws HanseError `STORAGE_LEDGER_IN_USE`
 */
export async function lockLedger(client: SqlClient, ledgerId: Hash): Promise<void> {
  const key = Buffer.from(ledgerId).readBigInt64BE(0);
  for (let waited = 0; ; waited += 50) {
    const { rows } = await client.query("select pg_try_advisory_lock($1::bigint)", [String(key)]);
    if (rows[0]![0] === "t") return;
    if (waited >= LOCK_PATIENCE_MS) break;
    await wait(50);
  }
  throw new HanseError(
    "STORAGE_LEDGER_IN_USE",
    "conflict",
    `another process writes ledger ${toHex(ledgerId).slice(0, 16)} in this database: stop it`,
  );
}
